//! Backward of the classifier on a GPU: the product by the weights, the norm of each image, sums over images.

use super::HeadBwd;
use crate::dtype::DType;
use crate::kernels::head_bwd::{dn_grid, sums_grid};
use crate::kernels::tuning::{HEADB_THREADS, HEADB_TILE, HEADB_WARPS};
use crate::launch::{Builder, Launch, LaunchError};

/// Classes of a warp of `head_bwd_sums`.
const WARP_CLASSES: u32 = 4;

pub(super) fn backward(op: &HeadBwd, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
    let begin = |entry| Launch::of("head_bwd", entry, dtype.storage());
    let scratch = |launch: Builder, read: bool, written: bool| match (op.scratch, read, written) {
        (None, ..) => launch.null(),
        (Some(id), true, true) => launch.in_out(id),
        (Some(id), true, false) => launch.input(id),
        (Some(id), false, _) => launch.output(id),
    };
    let sizes = |launch: Builder| {
        launch
            .size("batch", op.batch)
            .size("channels", op.channels)
            .size("classes", op.classes)
    };
    let (x, y) = dn_grid(dtype, op.batch, op.channels, op.classes);
    let rows = begin("head_bwd_dn")
        .grid(x, y)
        .block(32, HEADB_WARPS)
        .multiple("channels", op.channels, 8)
        .input(op.dlogits)
        .input(op.weight);
    let norm = begin("head_bwd_norm")
        .grid(op.batch, 1)
        .block(HEADB_THREADS, 1)
        .shared_size(2 * op.channels * size_of::<f32>())
        .multiple("row stride", op.x_stride, 8)
        .input(op.x)
        .input(op.norm.gamma)
        .input(op.norm.beta);
    let sums = begin("head_bwd_sums")
        .grid(sums_grid(op.channels, op.classes), 1)
        .block(32, HEADB_TILE / WARP_CLASSES)
        .input(op.dlogits);
    Ok(vec![
        sizes(scratch(rows, false, true)).build()?,
        sizes(scratch(norm, true, true).output(op.dx))
            .size("row stride", op.x_stride)
            .f32(op.norm.eps)
            .build()?,
        sizes(
            scratch(sums, true, false)
                .in_out(op.dweight)
                .in_out(op.dbias)
                .in_out(op.dgamma)
                .in_out(op.dbeta),
        )
        .build()?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Norm;
    use crate::ops::launch_check::{DTYPES, buffers, check};

    #[test]
    fn launches_are_what_kernels_take() {
        let [
            x,
            gamma,
            beta,
            weight,
            dlogits,
            dx,
            dgamma,
            dbeta,
            dweight,
            dbias,
            scratch,
        ] = buffers();
        for dtype in DTYPES {
            for (batch, classes) in [(1, 10), (32, 1000)] {
                let op = HeadBwd {
                    batch,
                    channels: 512,
                    classes,
                    x_stride: 50 * 512,
                    x,
                    norm: Norm {
                        gamma,
                        beta,
                        eps: 1e-6,
                    },
                    weight,
                    dlogits,
                    dx,
                    dgamma,
                    dbeta,
                    dweight,
                    dbias,
                    scratch: Some(scratch),
                };
                let launches = backward(&op, dtype).unwrap();
                assert_eq!(launches.len(), 3);
                launches.iter().for_each(check);
            }
        }
    }
}
