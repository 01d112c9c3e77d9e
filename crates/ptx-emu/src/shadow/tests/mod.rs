//! Races and missing values, against models and in known programs.

mod global;
mod model;
mod races;
mod shared;

use crate::access::Pattern;

/// A full warp whose lanes access `bytes` bytes each at the given offset; the base and the pattern.
fn request(mask: u32, bytes: u32, offset: impl Fn(u64) -> u64) -> (u64, Pattern) {
    // Windows of memory begin at multiples of 128 bytes.
    let addresses = std::array::from_fn(|lane| 0x1_0000_0000 + offset(lane as u64));
    let pattern = Pattern::of(mask, bytes, &addresses).expect("active lanes, all within reach");
    (
        addresses[mask.trailing_zeros() as usize] - 0x1_0000_0000,
        pattern,
    )
}
