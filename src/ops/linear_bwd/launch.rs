//! Gradients of a linear layer's weight and bias on a GPU.

use super::LinearBwd;
use crate::dtype::DType;
use crate::kernels::weight_grad::{Weight, WeightTile, weight_tile};
use crate::launch::{Launch, LaunchError};

/// One launch: tiles of the weight, and blocks that share their rows where there is memory for their sums.
pub(super) fn backward(op: &LinearBwd, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
    let tile = weight_tile(dtype, Weight::Linear, op.rows, op.inner, op.cols);
    let tile = op.shared.map_or_else(|| tile.alone(), |_| tile);
    let shared = op.shared.filter(|_| tile.blocks > 1);
    let WeightTile { slots, group, .. } = tile;
    let (x, y) = tile.grid(op.cols, op.inner);
    let launch = Launch::of("linear_bwd", tile.entry, dtype.name())
        .grid(x, y)
        .deep(tile.blocks)
        .block(tile.threads, 1)
        .shared(tile.shared)
        .multiple("inner dimension", op.inner, 8)
        .multiple("columns", op.cols, 8)
        .input(op.dy)
        .input(op.x)
        .in_out(op.dweight)
        .in_out_or_null(op.dbias)
        .output_or_null(shared.map(|(partials, _)| partials))
        .in_out_or_null(shared.map(|(_, arrived)| arrived))
        .size("rows", op.rows)
        .size("inner dimension", op.inner)
        .size("columns", op.cols)
        .size("slots of a block", slots as usize)
        .size("blocks of a group", group as usize);
    Ok(vec![launch.build()?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::{Access, Arg};
    use crate::ops::launch_check::{DTYPES, check};
    use crate::plan::Builder;

    #[test]
    fn launches_fit_their_kernels() {
        let mut plan = Builder::new();
        let mut buffer = || plan.input(1);
        let [dy, x, dweight, dbias, partials, arrived] = [(); 6].map(|()| buffer());
        for dtype in DTYPES {
            for (rows, inner, cols) in [
                (1, 16, 16),
                (802_816, 64, 64),
                (802_816, 64, 512),
                (802_816, 512, 64),
                (50, 2048, 512),
                (200_704, 128, 1024),
            ] {
                for shared in [None, Some((partials, arrived))] {
                    let op = LinearBwd {
                        rows,
                        inner,
                        cols,
                        dy,
                        x,
                        dweight,
                        dbias: shared.map(|_| dbias),
                        scratch: None,
                        shared,
                    };
                    let [launch] = backward(&op, dtype).unwrap().try_into().unwrap();
                    check(&launch);
                    assert_eq!(launch.args[2], Arg::Buffer(dweight, Access::InOut));
                    // no scratch, no sharing
                    let scratch = launch.args[4] != Arg::Null;
                    assert_eq!(scratch, launch.grid[2] > 1, "{launch:?}");
                    assert!(!scratch || shared.is_some(), "{launch:?}");
                }
            }
        }
    }
}
