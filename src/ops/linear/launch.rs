//! Linear on a GPU.

use super::{Epilogue, Linear};
use crate::dtype::DType;
use crate::kernels::tiles::{LinearTile, MOST_SHARED, linear_tile};
use crate::launch::{Builder, Launch, LaunchError};
use crate::ops::InParts;
use crate::plan::BufferId;

/// Rows of the smallest tile.
const FEWEST_ROWS: usize = 32;

/// One launch: blocks of rows, and groups of columns; or, in parts, tiles with the blocks that share them.
pub(super) fn forward(op: &Linear, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
    if let Some(parts) = op.parts {
        return in_parts(op, parts, dtype);
    }
    let tile = linear_tile(dtype, op.rows, op.inner, op.cols, op.norm.is_some());
    // plans take LayerNorm as a step of its own where its rows would not fit
    let tile = tile.ok_or(LaunchError::TooLarge {
        kernel: "linear_fwd",
        what: "inner dimension behind LayerNorm",
        found: op.inner,
        most: MOST_SHARED / (FEWEST_ROWS * dtype.bytes()),
    })?;
    let (entry, hidden) = match op.epilogue {
        Epilogue::Gelu(hidden) => (tile.gelu_entry, Some(hidden)),
        Epilogue::GeluSlope(hidden) => return Ok(vec![slope(op, &tile, hidden, dtype)?]),
        Epilogue::Store | Epilogue::Accumulate | Epilogue::Sum(_) => (tile.entry, None),
    };
    let (norm, kept) = op
        .norm
        .map_or((None, None), |(norm, kept)| (Some(norm), kept));
    let launch = Launch::of("linear", entry, dtype.name())
        .grid(op.rows.div_ceil(tile.rows as usize), tile.groups as usize)
        .block(tile.threads, 1)
        .shared(tile.shared)
        .multiple("inner dimension", op.inner, 16)
        .multiple("columns", op.cols, 8)
        .input(op.x)
        .input_or_null(norm.map(|n| n.gamma))
        .input_or_null(norm.map(|n| n.beta))
        .output_or_null(kept)
        .input(op.weight)
        .input_or_null(op.bias);
    let launch = with_output(launch, op).output_or_null(op.split.map(|(_, second)| second));
    let launch = match hidden {
        Some(hidden) => launch.output_or_null(hidden),
        None => launch,
    };
    let launch = launch
        .size("rows", op.rows)
        .size("inner dimension", op.inner)
        .size("columns", op.cols)
        .size(
            "first column of the second part",
            op.split.map_or(op.cols, |(at, _)| at),
        )
        .size("row stride", op.inner)
        .f32(norm.map_or(0.0, |n| n.eps));
    Ok(vec![launch.build()?])
}

/// The residual and y.
fn with_output(launch: Builder, op: &Linear) -> Builder {
    match op.epilogue {
        Epilogue::Accumulate => launch.in_out(op.y).in_out(op.y),
        Epilogue::Sum(residual) => launch.input(residual).output(op.y),
        _ => launch.null().output(op.y),
    }
}

/// The product times the slope of GELU at `hidden`.
fn slope(
    op: &Linear,
    tile: &LinearTile,
    hidden: BufferId,
    dtype: DType,
) -> Result<Launch, LaunchError> {
    Launch::of("linear", tile.slope_entry, dtype.name())
        .grid(op.rows.div_ceil(tile.rows as usize), tile.groups as usize)
        .block(tile.threads, 1)
        .shared(tile.shared)
        .multiple("inner dimension", op.inner, 16)
        .multiple("columns", op.cols, 8)
        .input(op.x)
        .input(op.weight)
        .output(op.y)
        .in_out(hidden)
        .size("rows", op.rows)
        .size("inner dimension", op.inner)
        .size("columns", op.cols)
        .size("row stride", op.inner)
        .build()
}

fn in_parts(
    op: &Linear,
    InParts { tile, shared }: InParts,
    dtype: DType,
) -> Result<Vec<Launch>, LaunchError> {
    let (x, y) = tile.grid(op.rows, op.cols);
    let launch = Launch::of("linear", tile.linear_entry, dtype.name())
        .grid(x, y)
        .deep(tile.blocks)
        .block(tile.threads, 1)
        .shared(tile.shared[0])
        .multiple("inner dimension", op.inner, 16)
        .multiple("columns", op.cols, 8)
        .input(op.x)
        .input(op.weight)
        .input_or_null(op.bias);
    let launch = with_output(launch, op)
        .output_or_null(shared.map(|(partials, _)| partials))
        .in_out_or_null(shared.map(|(_, arrived)| arrived))
        .size("rows", op.rows)
        .size("inner dimension", op.inner)
        .size("columns", op.cols)
        .size("row stride", op.inner)
        .size("units of a part", tile.units as usize);
    Ok(vec![launch.build()?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::{Access, Arg};
    use crate::ops::launch_check::{DTYPES, check};
    use crate::plan::Builder;

    #[test]
    fn launches_of_a_training_step_fit_their_kernels() {
        let mut plan = Builder::new();
        let mut buffer = || plan.input(1);
        let [x, weight, y, other] = [(); 4].map(|()| buffer());
        for dtype in DTYPES {
            for (rows, inner, cols) in [(1, 16, 16), (50, 512, 2048), (802_816, 64, 512)] {
                let launch = |epilogue| {
                    let op = Linear {
                        rows,
                        inner,
                        cols,
                        epilogue,
                        x,
                        weight,
                        bias: None,
                        y,
                        norm: None,
                        split: None,
                        parts: None,
                    };
                    let [launch] = forward(&op, dtype).unwrap().try_into().unwrap();
                    check(&launch);
                    launch
                };
                let kept = launch(Epilogue::Gelu(Some(other)));
                assert_eq!(kept.args[9], Arg::Buffer(other, Access::Out));
                assert_eq!(launch(Epilogue::Gelu(None)).args[9], Arg::Null);
                let sum = launch(Epilogue::Sum(other));
                assert_eq!(sum.args[6], Arg::Buffer(other, Access::In));
                assert_eq!(sum.args[7], Arg::Buffer(y, Access::Out));
                let slope = launch(Epilogue::GeluSlope(other));
                assert_eq!(slope.args[3], Arg::Buffer(other, Access::InOut));
            }
        }
    }
}
