//! Upper halves of products, 24-bit products, and sums with carry (PTX ISA 9.7.1 and 9.7.2).

/// `mul.hi.u16`
#[inline(always)]
pub(crate) fn mul_hi_u16(a: u16, b: u16) -> u16 {
    ((u32::from(a) * u32::from(b)) >> 16) as u16
}

/// `mul.hi.s16`
#[inline(always)]
pub(crate) fn mul_hi_s16(a: i16, b: i16) -> i16 {
    ((i32::from(a) * i32::from(b)) >> 16) as i16
}

/// `mul.hi.u32`
#[inline(always)]
pub(crate) fn mul_hi_u32(a: u32, b: u32) -> u32 {
    ((u64::from(a) * u64::from(b)) >> 32) as u32
}

/// `mul.hi.s32`
#[inline(always)]
pub(crate) fn mul_hi_s32(a: i32, b: i32) -> i32 {
    ((i64::from(a) * i64::from(b)) >> 32) as i32
}

/// `mul.hi.u64`
#[inline(always)]
pub(crate) fn mul_hi_u64(a: u64, b: u64) -> u64 {
    ((u128::from(a) * u128::from(b)) >> 64) as u64
}

/// `mul.hi.s64`
#[inline(always)]
pub(crate) fn mul_hi_s64(a: i64, b: i64) -> i64 {
    ((i128::from(a) * i128::from(b)) >> 64) as i64
}

/// `mad.hi.sat.s32`
#[inline(always)]
pub(crate) fn mad_hi_sat(a: i32, b: i32, c: i32) -> i32 {
    mul_hi_s32(a, b).saturating_add(c)
}

/// The 48-bit product of the low 24 bits.
#[inline(always)]
fn product_24(a: u32, b: u32, signed: bool) -> u64 {
    if signed {
        let low = |v: u32| i64::from((v << 8) as i32 >> 8);
        (low(a) * low(b)) as u64
    } else {
        let low = |v: u32| u64::from(v & 0x00ff_ffff);
        low(a) * low(b)
    }
}

/// `mul24.lo`: bits 31..0 of the product of the low 24 bits.
#[inline(always)]
pub(crate) fn mul24_lo(a: u32, b: u32, signed: bool) -> u32 {
    product_24(a, b, signed) as u32
}

/// `mul24.hi`: bits 47..16 of the product of the low 24 bits.
#[inline(always)]
pub(crate) fn mul24_hi(a: u32, b: u32, signed: bool) -> u32 {
    (product_24(a, b, signed) >> 16) as u32
}

/// `mad24.lo`
#[inline(always)]
pub(crate) fn mad24_lo(a: u32, b: u32, c: u32, signed: bool) -> u32 {
    mul24_lo(a, b, signed).wrapping_add(c)
}

/// `mad24.hi`
#[inline(always)]
pub(crate) fn mad24_hi(a: u32, b: u32, c: u32, signed: bool) -> u32 {
    mul24_hi(a, b, signed).wrapping_add(c)
}

/// `mad24.hi.sat.s32`
#[inline(always)]
pub(crate) fn mad24_hi_sat(a: u32, b: u32, c: i32) -> i32 {
    (mul24_hi(a, b, true) as i32).saturating_add(c)
}

/// `add.cc`, `addc{.cc}`, and with a half product as `a` also `mad.cc` and `madc{.cc}`: sum and
/// carry out. `add.cc` has no carry in.
#[inline(always)]
pub(crate) fn add_carry_u32(a: u32, b: u32, carry: bool) -> (u32, bool) {
    let sum = u64::from(a) + u64::from(b) + u64::from(carry);
    (sum as u32, sum >> 32 != 0)
}

/// `add_carry_u32` in 64 bits.
#[inline(always)]
pub(crate) fn add_carry_u64(a: u64, b: u64, carry: bool) -> (u64, bool) {
    let (sum, first) = a.overflowing_add(b);
    let (sum, second) = sum.overflowing_add(u64::from(carry));
    (sum, first | second)
}

/// `sub.cc`, `subc{.cc}`: `a - (b + borrow)` and the borrow out.
#[inline(always)]
pub(crate) fn sub_borrow_u32(a: u32, b: u32, borrow: bool) -> (u32, bool) {
    let difference = u64::from(a)
        .wrapping_sub(u64::from(b))
        .wrapping_sub(u64::from(borrow));
    (difference as u32, difference >> 63 != 0)
}

/// `sub_borrow_u32` in 64 bits.
#[inline(always)]
pub(crate) fn sub_borrow_u64(a: u64, b: u64, borrow: bool) -> (u64, bool) {
    let (difference, first) = a.overflowing_sub(b);
    let (difference, second) = difference.overflowing_sub(u64::from(borrow));
    (difference, first | second)
}

/// `mad.lo.cc.{u32,s32}` and `madc.lo`: the signs do not matter to the low half.
#[inline(always)]
pub(crate) fn mad_lo_carry_u32(a: u32, b: u32, c: u32, carry: bool) -> (u32, bool) {
    add_carry_u32(a.wrapping_mul(b), c, carry)
}

/// `mad.hi.cc.u32` and `madc.hi.u32`
#[inline(always)]
pub(crate) fn mad_hi_carry_u32(a: u32, b: u32, c: u32, carry: bool) -> (u32, bool) {
    add_carry_u32(mul_hi_u32(a, b), c, carry)
}

/// `mad.hi.cc.s32` and `madc.hi.s32`
#[inline(always)]
pub(crate) fn mad_hi_carry_s32(a: u32, b: u32, c: u32, carry: bool) -> (u32, bool) {
    add_carry_u32(mul_hi_s32(a as i32, b as i32) as u32, c, carry)
}

/// `mad.lo.cc.{u64,s64}` and `madc.lo`
#[inline(always)]
pub(crate) fn mad_lo_carry_u64(a: u64, b: u64, c: u64, carry: bool) -> (u64, bool) {
    add_carry_u64(a.wrapping_mul(b), c, carry)
}

/// `mad.hi.cc.u64` and `madc.hi.u64`
#[inline(always)]
pub(crate) fn mad_hi_carry_u64(a: u64, b: u64, c: u64, carry: bool) -> (u64, bool) {
    add_carry_u64(mul_hi_u64(a, b), c, carry)
}

/// `mad.hi.cc.s64` and `madc.hi.s64`
#[inline(always)]
pub(crate) fn mad_hi_carry_s64(a: u64, b: u64, c: u64, carry: bool) -> (u64, bool) {
    add_carry_u64(mul_hi_s64(a as i64, b as i64) as u64, c, carry)
}
