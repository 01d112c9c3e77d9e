//! Elementwise addition on the CPU.

use rayon::prelude::*;

/// Elements of one task.
const CHUNK: usize = 16 * 1024;

pub(super) fn forward(a: &[f32], b: &[f32], y: &mut [f32]) {
    y.par_chunks_mut(CHUNK)
        .zip(a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK)))
        .for_each(|(y, (a, b))| {
            for (y, (a, b)) in y.iter_mut().zip(a.iter().zip(b)) {
                *y = a + b;
            }
        });
}
