//! Elementwise addition on the CPU.

use rayon::prelude::*;

use super::Residual;
use crate::cpu::Real;

/// Elements of one task.
const CHUNK: usize = 16 * 1024;

/// `factors` are those of the images.
pub(super) fn forward<T: Real>(
    op: &Residual,
    a: Option<&[T]>,
    b: &[T],
    factors: Option<&[T]>,
    y: &mut [T],
) {
    let image = op.len / op.images();
    y[..op.len]
        .par_chunks_mut(image)
        .enumerate()
        .for_each(|(i, y)| {
            let factor = factors.map(|f| f[i]);
            y.par_chunks_mut(CHUNK).enumerate().for_each(|(part, y)| {
                let at = i * image + part * CHUNK;
                let b = &b[at..at + y.len()];
                match factor {
                    Some(factor) => each(y, b, |v| factor * v),
                    None => y.copy_from_slice(b),
                }
                if let Some(a) = a {
                    for (y, &a) in y.iter_mut().zip(&a[at..]) {
                        *y = a + *y;
                    }
                }
            });
        });
}

fn each<T: Real>(y: &mut [T], x: &[T], f: impl Fn(T) -> T) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = f(x);
    }
}
