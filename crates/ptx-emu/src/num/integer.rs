//! Integer arithmetic (PTX ISA 9.7.1). Plain sums and products are Rust's wrapping operations.
//!
//! Division by zero, which the ISA leaves open, gives all ones, and the dividend as remainder.
//! `MIN / -1` wraps, with remainder 0.

/// Quotient and remainder of u32 in f64, where a vector unit divides: the f64 quotient of two
/// 32-bit integers cannot round up to an integer that the exact one does not reach.
#[inline(always)]
fn divide(a: u32, b: u32) -> (u32, u32) {
    const SHIFT: f64 = 4_503_599_627_370_496.0; // 2^52: the sum has the integer in its low bits
    let quotient = f64::from(a) / f64::from(b);
    let near = (quotient + SHIFT) - SHIFT;
    let floor = near - if near > quotient { 1.0 } else { 0.0 };
    let whole = (floor + SHIFT).to_bits() as u32;
    let whole = if b == 0 { u32::MAX } else { whole };
    (whole, a.wrapping_sub(whole.wrapping_mul(b)))
}

/// `div.u32`
#[inline(always)]
pub(crate) fn div_u32(a: u32, b: u32) -> u32 {
    divide(a, b).0
}

/// `rem.u32`
#[inline(always)]
pub(crate) fn rem_u32(a: u32, b: u32) -> u32 {
    divide(a, b).1
}

/// `div.s32`: rounds towards zero.
#[inline(always)]
pub(crate) fn div_s32(a: i32, b: i32) -> i32 {
    let size = divide(a.unsigned_abs(), b.unsigned_abs()).0 as i32;
    let quotient = if (a ^ b) < 0 {
        size.wrapping_neg()
    } else {
        size
    };
    if b == 0 { -1 } else { quotient }
}

/// `rem.s32`: the sign of the dividend.
#[inline(always)]
pub(crate) fn rem_s32(a: i32, b: i32) -> i32 {
    let size = divide(a.unsigned_abs(), b.unsigned_abs()).1 as i32;
    if a < 0 { size.wrapping_neg() } else { size }
}

/// `div.u16`
#[inline(always)]
pub(crate) fn div_u16(a: u16, b: u16) -> u16 {
    div_u32(u32::from(a), u32::from(b)) as u16
}

/// `rem.u16`
#[inline(always)]
pub(crate) fn rem_u16(a: u16, b: u16) -> u16 {
    rem_u32(u32::from(a), u32::from(b)) as u16
}

/// `div.s16`
#[inline(always)]
pub(crate) fn div_s16(a: i16, b: i16) -> i16 {
    div_s32(i32::from(a), i32::from(b)) as i16
}

/// `rem.s16`
#[inline(always)]
pub(crate) fn rem_s16(a: i16, b: i16) -> i16 {
    rem_s32(i32::from(a), i32::from(b)) as i16
}

/// `div.u64`
#[inline(always)]
pub(crate) fn div_u64(a: u64, b: u64) -> u64 {
    a.checked_div(b).unwrap_or(u64::MAX)
}

/// `rem.u64`
#[inline(always)]
pub(crate) fn rem_u64(a: u64, b: u64) -> u64 {
    a.checked_rem(b).unwrap_or(a)
}

/// `div.s64`: rounds towards zero.
#[inline(always)]
pub(crate) fn div_s64(a: i64, b: i64) -> i64 {
    if b == 0 { -1 } else { a.wrapping_div(b) }
}

/// `rem.s64`: the sign of the dividend.
#[inline(always)]
pub(crate) fn rem_s64(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { a.wrapping_rem(b) }
}

/// `sad.type d, a, b, c` with `d = c + |a - b|`, for every integer type.
macro_rules! sad {
    ($($name:ident $t:ident)*) => { $(
        /// `sad`: `c + |a - b|`, wrapping.
        #[inline(always)]
        pub(crate) fn $name(a: $t, b: $t, c: $t) -> $t {
            let gap = if a < b { b.wrapping_sub(a) } else { a.wrapping_sub(b) };
            c.wrapping_add(gap)
        }
    )* };
}

sad! { sad_u16 u16 sad_u32 u32 sad_u64 u64 sad_s16 i16 sad_s32 i32 sad_s64 i64 }

/// `add.sat.s32`
#[inline(always)]
pub(crate) fn add_sat(a: i32, b: i32) -> i32 {
    a.saturating_add(b)
}

/// `sub.sat.s32`
#[inline(always)]
pub(crate) fn sub_sat(a: i32, b: i32) -> i32 {
    a.saturating_sub(b)
}

/// `.relu` of `min.s32` and `max.s32`.
#[inline(always)]
pub(crate) fn relu_s32(a: i32) -> i32 {
    if a < 0 { 0 } else { a }
}

/// One byte of a `dp4a` or `dp2a` operand.
#[inline(always)]
fn byte(word: u32, index: u32, signed: bool) -> i32 {
    let byte = (word >> (8 * index)) as u8;
    if signed {
        i32::from(byte as i8)
    } else {
        i32::from(byte)
    }
}

/// `dp4a.atype.btype`: sum of four products of bytes and `c`, wrapping.
#[inline(always)]
pub(crate) fn dp4a(a: u32, b: u32, c: u32, a_signed: bool, b_signed: bool) -> u32 {
    let product = |i| byte(a, i, a_signed).wrapping_mul(byte(b, i, b_signed));
    c.wrapping_add((product(0) + product(1) + product(2) + product(3)) as u32)
}

/// `dp2a.{lo,hi}.atype.btype`: two halves of `a` times two bytes of `b` (the upper two for `hi`),
/// and `c`, wrapping.
#[inline(always)]
pub(crate) fn dp2a(a: u32, b: u32, c: u32, high: bool, a_signed: bool, b_signed: bool) -> u32 {
    let half = |i: u32| {
        let half = (a >> (16 * i)) as u16;
        if a_signed {
            i32::from(half as i16)
        } else {
            i32::from(half)
        }
    };
    let from = if high { 2 } else { 0 };
    let product = |i| half(i).wrapping_mul(byte(b, from + i, b_signed));
    c.wrapping_add((product(0) + product(1)) as u32)
}
