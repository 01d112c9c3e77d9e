//! Expected values come from exact arithmetic elsewhere: tables of `tests/num/reference.py`
//! (rational numbers), 128-bit integers, the semantics of the ISA spelled out bit by bit, and the
//! f64 functions of the standard library.

mod approx;
mod bits;
mod convert;
mod halves;
mod integer;
mod special;
mod tables;

/// Operand bits worth pairing: zeros, limits, powers of two and their neighbours.
const WORDS: [u32; 20] = [
    0,
    1,
    2,
    3,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0x8000,
    0xffff,
    0x0001_0000,
    0x1234_5678,
    0x5555_5555,
    0x7fff_ffff,
    0x8000_0000,
    0x8000_0001,
    0xdead_beef,
    0xffff_fffe,
    0xffff_ffff,
];

/// A sequence of scattered 64-bit values.
fn scattered(count: u64) -> impl Iterator<Item = u64> {
    (1..=count).map(|i| {
        let x = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    })
}
