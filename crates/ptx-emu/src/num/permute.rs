//! `prmt` and `lop3` (PTX ISA 9.7.9.7 and 9.7.8.6).

/// A `prmt` mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permute {
    /// Four selectors of four bits.
    Generic,
    /// `.f4e`: forward 4 extract.
    F4e,
    /// `.b4e`: backward 4 extract.
    B4e,
    /// `.rc8`: replicate 8.
    Rc8,
    /// `.ecl`: edge clamp left.
    Ecl,
    /// `.ecr`: edge clamp right.
    Ecr,
    /// `.rc16`: replicate 16.
    Rc16,
}

impl Permute {
    /// The mode of a modifier written without its dot.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "f4e" => Self::F4e,
            "b4e" => Self::B4e,
            "rc8" => Self::Rc8,
            "ecl" => Self::Ecl,
            "ecr" => Self::Ecr,
            "rc16" => Self::Rc16,
            _ => return None,
        })
    }
}

/// `prmt.b32{.mode} d, a, b, c`: four of the eight bytes of `[b, a]`. In the generic mode the top
/// bit of a selector asks for the sign of the byte, eight times.
#[inline(always)]
pub(crate) fn prmt(a: u32, b: u32, c: u32, mode: Permute) -> u32 {
    let bytes = u64::from(b) << 32 | u64::from(a);
    let pick = |selector: u32| (bytes >> (8 * (selector & 7))) as u32 & 0xff;
    let place = |i: u32| {
        let s = c & 3;
        let selector = match mode {
            Permute::Generic => {
                let selector = c >> (4 * i) & 15;
                let byte = pick(selector);
                let sign = if byte & 0x80 == 0 { 0 } else { 0xff };
                return if selector & 8 == 0 { byte } else { sign } << (8 * i);
            }
            Permute::F4e => s + i,
            Permute::B4e => s.wrapping_sub(i),
            Permute::Rc8 => s,
            Permute::Ecl => s.max(i),
            Permute::Ecr => s.min(i),
            Permute::Rc16 => (s & 1) * 2 + (i & 1),
        };
        pick(selector) << (8 * i)
    };
    place(0) | place(1) | place(2) | place(3)
}

/// `lop3.b32`: the function of three bits whose table is `lut`, on every bit.
#[inline(always)]
pub(crate) fn lop3(a: u32, b: u32, c: u32, lut: u8) -> u32 {
    // The rows of the table, in the order 0b000 to 0b111 of (a, b, c).
    let row = |i: u32| if lut >> i & 1 == 1 { u32::MAX } else { 0 };
    let of_c = |low: u32, high: u32| low & !c | high & c;
    let of_b =
        |from: u32| of_c(row(from), row(from + 1)) & !b | of_c(row(from + 2), row(from + 3)) & b;
    of_b(0) & !a | of_b(4) & a
}
