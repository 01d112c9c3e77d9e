//! Backward of LayerNorm on a GPU: rows in registers, sums over rows in a row of every block.

use super::LayerNormBwd;
use crate::dtype::DType;
use crate::kernels::layernorm_bwd::{MOST_CHANNELS, blocks, entry, shared_bytes};
use crate::kernels::tuning::LNB_WARPS;
use crate::launch::{Launch, LaunchError};

pub(super) fn backward(op: &LayerNormBwd, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
    let Some(entry) = entry(op.channels) else {
        return Err(LaunchError::TooLarge {
            kernel: "layernorm_bwd",
            what: "channels",
            found: op.channels,
            most: MOST_CHANNELS,
        });
    };
    let (tokens, skip) = op.skip.unwrap_or((op.rows, 0));
    let launch = Launch::of("layernorm_bwd", entry, dtype.storage())
        .grid(blocks(dtype, op.rows, op.channels), 1)
        .block(32, LNB_WARPS)
        .shared_size(shared_bytes(dtype, op.channels))
        .multiple("channels", op.channels, 8)
        .multiple("row stride", op.x_stride, 8)
        .input(op.x)
        .input(op.gamma)
        .input(op.dy);
    let launch = if op.accumulate {
        launch.in_out(op.dx)
    } else {
        launch.output(op.dx)
    };
    let launch = launch
        .in_out(op.dgamma)
        .in_out(op.dbeta)
        .output_or_null(op.shared.map(|(partials, _)| partials))
        .in_out_or_null(op.shared.map(|(_, arrived)| arrived))
        .size("rows", op.rows)
        .size("channels", op.channels)
        .size("row stride", op.x_stride)
        .size("tokens", tokens)
        .size("rows between images", skip)
        .size("accumulate", usize::from(op.accumulate))
        .f32(op.eps);
    Ok(vec![launch.build()?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::launch_check::{DTYPES, buffers, check};

    #[test]
    fn launches_are_what_kernels_take() {
        let [x, gamma, dy, dx, dgamma, dbeta, partials, arrived] = buffers();
        for dtype in DTYPES {
            for (rows, channels) in [
                (3136, 64),
                (784 * 32, 128),
                (196, 320),
                (50, 512),
                (7, 1024),
            ] {
                for (skip, accumulate) in [(None, false), (Some((rows, 1)), true)] {
                    let mut op = LayerNormBwd {
                        rows,
                        channels,
                        x_stride: channels,
                        skip,
                        eps: 1e-6,
                        x,
                        gamma,
                        dy,
                        dx,
                        accumulate,
                        dgamma,
                        dbeta,
                        scratch: None,
                        shared: Some((partials, arrived)),
                    };
                    let launches = backward(&op, dtype).unwrap();
                    assert_eq!(launches.len(), 1);
                    launches.iter().for_each(check);
                    op.channels = 1032;
                    assert!(backward(&op, dtype).is_err());
                }
            }
        }
    }
}
