//! The bytes of all lanes of a request at once.

use crate::access::{Pattern, Shape};
use crate::memory::bytes::Bytes;

/// `N` bytes of each lane of a request, whose first active lane lies at `at`.
#[inline(always)]
pub(crate) fn read_lanes<const N: usize>(view: Bytes<'_>, at: usize, p: &Pattern) -> [[u8; N]; 32] {
    match p.shape {
        Shape::Uniform => [view.read::<N>(at); 32],
        Shape::Unit if N == 4 => bytemuck::cast(view.read::<128>(at)),
        // inactive lanes read where the first active one does
        _ => view.gather::<N>(at, &p.rel, p.low, p.high),
    }
}

/// Stores `N` bytes of each lane of a request.
#[inline(always)]
pub(crate) fn write_lanes<const N: usize>(
    view: Bytes<'_>,
    at: usize,
    p: &Pattern,
    data: &[[u8; N]; 32],
) {
    if p.shape == Shape::Unit {
        if N == 4 {
            let bytes: &[u8; 128] = data.as_flattened().first_chunk().expect("32 times 4");
            view.write::<128>(at, *bytes);
            return;
        }
        for (lane, bytes) in data.iter().enumerate() {
            view.write::<N>(at + lane * N, *bytes);
        }
    } else {
        view.scatter::<N>(at, &p.rel, (p.low, p.high), p.mask, data);
    }
}
