//! Backward of positions on a GPU: a warp's width of vectors of the table for each block.

use super::PosEmbedBwd;
use crate::dtype::DType;
use crate::kernels::tuning::POSB_WARPS;
use crate::launch::{Launch, LaunchError};

/// Longest side of a grid.
const MOST_SIDE: usize = 0x7fff;

pub(super) fn backward(op: &PosEmbedBwd, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
    let sides = [op.from.0, op.from.1, op.to.0, op.to.1];
    if let Some(&found) = sides.iter().find(|&&side| side > MOST_SIDE) {
        return Err(LaunchError::TooLarge {
            kernel: "pos_embed_bwd",
            what: "side of a grid",
            found,
            most: MOST_SIDE,
        });
    }
    let rows = usize::from(op.dclass.is_some()) + op.from.0 * op.from.1;
    let vectors = (rows * op.channels * dtype.bytes()).div_ceil(16);
    let launch = Launch::of("pos_embed_bwd", "pos_embed_bwd", dtype.storage())
        .grid(vectors.div_ceil(32), 1)
        .block(32, POSB_WARPS)
        .multiple("channels", op.channels, 8)
        .input(op.d)
        .in_out(op.dtable)
        .in_out_or_null(op.dclass)
        .size("batch", op.batch)
        .size("channels", op.channels)
        .size("height", op.from.0)
        .size("width", op.from.1)
        .size("new height", op.to.0)
        .size("new width", op.to.1);
    Ok(vec![launch.build()?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::launch_check::{DTYPES, buffers, check};

    #[test]
    fn launches_are_what_kernels_take() {
        let [d, dtable, dclass] = buffers();
        for dtype in DTYPES {
            for dclass in [None, Some(dclass)] {
                let mut op = PosEmbedBwd {
                    batch: 3,
                    channels: 512,
                    from: (7, 7),
                    to: (8, 10),
                    d,
                    dtable,
                    dclass,
                    scratch: None,
                };
                backward(&op, dtype).unwrap().iter().for_each(check);
                op.to.1 = 1 << 15;
                assert!(backward(&op, dtype).is_err());
            }
        }
    }
}
