//! Shifts, bit fields and bit searches (PTX ISA 9.7.1 and 9.7.8). `popc clz brev not` and the
//! like are Rust's own methods.

/// `shl.b16`: zero from 16 on.
#[inline(always)]
pub(crate) fn shl_b16(a: u16, by: u32) -> u16 {
    (if by < 16 {
        u32::from(a) << (by & 15)
    } else {
        0
    }) as u16
}

/// `shl.b32`: zero from 32 on.
#[inline(always)]
pub(crate) fn shl_b32(a: u32, by: u32) -> u32 {
    if by < 32 { a << (by & 31) } else { 0 }
}

/// `shl.b64`: zero from 64 on.
#[inline(always)]
pub(crate) fn shl_b64(a: u64, by: u32) -> u64 {
    if by < 64 { a << (by & 63) } else { 0 }
}

/// `shr.u16`: zero from 16 on.
#[inline(always)]
pub(crate) fn shr_u16(a: u16, by: u32) -> u16 {
    (if by < 16 {
        u32::from(a) >> (by & 15)
    } else {
        0
    }) as u16
}

/// `shr.u32`: zero from 32 on.
#[inline(always)]
pub(crate) fn shr_u32(a: u32, by: u32) -> u32 {
    if by < 32 { a >> (by & 31) } else { 0 }
}

/// `shr.u64`: zero from 64 on.
#[inline(always)]
pub(crate) fn shr_u64(a: u64, by: u32) -> u64 {
    if by < 64 { a >> (by & 63) } else { 0 }
}

/// `shr.s16`: the sign from 15 on.
#[inline(always)]
pub(crate) fn shr_s16(a: i16, by: u32) -> i16 {
    (i32::from(a) >> if by < 15 { by } else { 15 }) as i16
}

/// `shr.s32`: the sign from 31 on.
#[inline(always)]
pub(crate) fn shr_s32(a: i32, by: u32) -> i32 {
    a >> if by < 31 { by } else { 31 }
}

/// `shr.s64`: the sign from 63 on.
#[inline(always)]
pub(crate) fn shr_s64(a: i64, by: u32) -> i64 {
    a >> if by < 63 { by } else { 63 }
}

/// `shf.l.{clamp,wrap}.b32`: upper half of `[b, a] << c`.
#[inline(always)]
pub(crate) fn shf_l(a: u32, b: u32, c: u32, clamp: bool) -> u32 {
    let by = funnel(c, clamp);
    ((pair(a, b) << by) >> 32) as u32
}

/// `shf.r.{clamp,wrap}.b32`: lower half of `[b, a] >> c`.
#[inline(always)]
pub(crate) fn shf_r(a: u32, b: u32, c: u32, clamp: bool) -> u32 {
    (pair(a, b) >> funnel(c, clamp)) as u32
}

#[inline(always)]
fn pair(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

#[inline(always)]
fn funnel(c: u32, clamp: bool) -> u32 {
    let clamped = if c < 32 { c } else { 32 };
    if clamp { clamped } else { c & 31 }
}

/// `bfe.u32`: `len` bits from `pos` on (both modulo 256).
#[inline(always)]
pub(crate) fn bfe_u32(a: u32, pos: u32, len: u32) -> u32 {
    let (pos, len) = (pos & 0xff, len & 0xff);
    shr_u32(a, pos) & !shl_b32(u32::MAX, len)
}

/// `bfe.u64`
#[inline(always)]
pub(crate) fn bfe_u64(a: u64, pos: u32, len: u32) -> u64 {
    let (pos, len) = (pos & 0xff, len & 0xff);
    shr_u64(a, pos) & !shl_b64(u64::MAX, len)
}

/// `bfe.s32`: the field is extended by its own top bit, or by that of `a` where it reaches past
/// the end; an empty field is zero.
#[inline(always)]
pub(crate) fn bfe_s32(a: u32, pos: u32, len: u32) -> u32 {
    let (pos, len) = (pos & 0xff, len & 0xff);
    let top = if pos + len < 33 { pos + len } else { 32 };
    // Shifting the field to the top and back extends it.
    let raised = shl_b32(a, 32u32.wrapping_sub(top)) as i32;
    let back = 32u32.saturating_sub(len);
    // A field that reaches past the end keeps its place: only `pos` low bits leave.
    let back = if pos + len > 32 { pos } else { back };
    let field = shr_s32(raised, back) as u32;
    if len == 0 { 0 } else { field }
}

/// `bfe.s64`
#[inline(always)]
pub(crate) fn bfe_s64(a: u64, pos: u32, len: u32) -> u64 {
    let (pos, len) = (pos & 0xff, len & 0xff);
    let top = if pos + len < 65 { pos + len } else { 64 };
    let raised = shl_b64(a, 64u32.wrapping_sub(top)) as i64;
    let back = 64u32.saturating_sub(len);
    let back = if pos + len > 64 { pos } else { back };
    let field = shr_s64(raised, back) as u64;
    if len == 0 { 0 } else { field }
}

/// `bfi.b32 f, a, b, c, d`: the low `len` bits of `a` put into `b` from `pos` on (both modulo
/// 256); bits past the end fall off.
#[inline(always)]
pub(crate) fn bfi_b32(a: u32, b: u32, pos: u32, len: u32) -> u32 {
    let (pos, len) = (pos & 0xff, len & 0xff);
    let mask = shl_b32(!shl_b32(u32::MAX, len), pos);
    b & !mask | shl_b32(a, pos) & mask
}

/// `bfi.b64`
#[inline(always)]
pub(crate) fn bfi_b64(a: u64, b: u64, pos: u32, len: u32) -> u64 {
    let (pos, len) = (pos & 0xff, len & 0xff);
    let mask = shl_b64(!shl_b64(u64::MAX, len), pos);
    b & !mask | shl_b64(a, pos) & mask
}

/// `bfind{.shiftamt}.u32`: position of the leading one, or the shift that brings it to the top;
/// all ones if there is none.
#[inline(always)]
pub(crate) fn bfind_u32(a: u32, shift: bool) -> u32 {
    let zeros = a.leading_zeros();
    let found = if shift {
        zeros
    } else {
        31u32.wrapping_sub(zeros)
    };
    if a == 0 { u32::MAX } else { found }
}

/// `bfind{.shiftamt}.u64`
#[inline(always)]
pub(crate) fn bfind_u64(a: u64, shift: bool) -> u32 {
    let zeros = a.leading_zeros();
    let found = if shift {
        zeros
    } else {
        63u32.wrapping_sub(zeros)
    };
    if a == 0 { u32::MAX } else { found }
}

/// `bfind{.shiftamt}.s32`: the leading bit that differs from the sign.
#[inline(always)]
pub(crate) fn bfind_s32(a: i32, shift: bool) -> u32 {
    bfind_u32((a ^ (a >> 31)) as u32, shift)
}

/// `bfind{.shiftamt}.s64`
#[inline(always)]
pub(crate) fn bfind_s64(a: i64, shift: bool) -> u32 {
    bfind_u64((a ^ (a >> 63)) as u64, shift)
}

/// `fns.b32`: position of the `offset`-th set bit of `mask` counted from `base` upwards
/// (downwards if negative; `base` itself if 0), all ones if there is none. A `base` above 31,
/// which the ISA leaves open, finds none.
#[inline(always)]
pub(crate) fn fns(mask: u32, base: u32, offset: i32) -> u32 {
    let from = shl_b32(u32::MAX, base); // base and above
    let at = from & !(from << 1);
    let rest = match offset {
        0 => mask & at,
        1.. => mask & from,
        // Downwards is upwards in the reversed word.
        _ => (mask & !(from << 1)).reverse_bits(),
    };
    let mut rest = if base > 31 { 0 } else { rest };
    let steps = offset.unsigned_abs().max(1) - 1;
    for _ in 0..steps.min(32) {
        rest &= rest.wrapping_sub(1);
    }
    let position = rest.trailing_zeros();
    let position = if offset < 0 {
        31u32.wrapping_sub(position)
    } else {
        position
    };
    if rest == 0 { u32::MAX } else { position }
}

/// `szext.{clamp,wrap}.{s32,u32}`: extends the low `n` bits.
#[inline(always)]
pub(crate) fn szext(a: u32, n: u32, clamp: bool, signed: bool) -> u32 {
    let bits = n & 31;
    let back = if bits == 0 { 31 } else { 32 - bits };
    let raised = a << back;
    let extended = if signed {
        (raised as i32 >> back) as u32
    } else {
        raised >> back
    };
    let extended = if bits == 0 { 0 } else { extended };
    if clamp & (n >= 32) { a } else { extended }
}

/// `bmsk.{clamp,wrap}.b32`: `width` ones from `pos` on.
#[inline(always)]
pub(crate) fn bmsk(pos: u32, width: u32, clamp: bool) -> u32 {
    let (pos, width) = if clamp {
        (pos, width)
    } else {
        (pos & 31, width & 31)
    };
    shl_b32(!shl_b32(u32::MAX, width), pos)
}
