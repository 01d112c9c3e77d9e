//! Residual connection on a GPU.

use super::Residual;
use crate::dtype::DType;
use crate::kernels::tuning::RES_THREADS;
use crate::launch::{Launch, LaunchError};

/// One vector of 16 bytes per thread, each image in blocks of its own.
pub(super) fn forward(op: &Residual, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
    let (factors, first, images) = match op.factors {
        Some((factors, first, images)) => (Some(factors), first, images),
        None => (None, 0, 1),
    };
    let of_image = op.len / images;
    let vectors = (of_image * dtype.bytes()).div_ceil(16);
    let mut launch = Launch::of("residual", "residual_fwd", dtype.storage())
        .grid(images * vectors.div_ceil(RES_THREADS as usize), 1)
        .block(RES_THREADS, 1);
    if images > 1 {
        launch = launch.multiple("elements of an image", of_image, 8);
    }
    let launch = launch
        .input_or_null(op.a)
        .input(op.b)
        .input_or_null(factors)
        .output(op.y)
        .u64(of_image as u64)
        .size("factors before the first", first);
    Ok(vec![launch.build()?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::launch_check::{DTYPES, buffers, check};

    #[test]
    fn launches_are_what_kernels_take() {
        let [a, b, factors, y] = buffers();
        for dtype in DTYPES {
            for a in [None, Some(a)] {
                for factors in [None, Some((factors, 24, 3))] {
                    let op = Residual {
                        len: 3 * 50 * 512,
                        a,
                        b,
                        factors,
                        y,
                    };
                    forward(&op, dtype).unwrap().iter().for_each(check);
                }
            }
        }
    }
}
