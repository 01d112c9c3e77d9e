//! Gradients of a patch convolution on a GPU.

use super::{PatchConvBwdData, PatchConvBwdWeight};
use crate::dtype::DType;
use crate::kernels::patch_conv_bwd::data_tile;
use crate::kernels::tuning::FILL_THREADS;
use crate::kernels::weight_grad::{Weight, weight_tile};
use crate::launch::{Builder, Launch, LaunchError};
use crate::ops::linear_bwd::Sizes;
use crate::ops::patch_conv::Pixels;

/// One launch: tiles of the weight, and blocks that share their rows where there is memory for their sums.
pub(super) fn weight(op: &PatchConvBwdWeight, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
    let kind = match op.pixels {
        Pixels::Nhwc => Weight::Tokens,
        Pixels::Nchw => Weight::Pixels,
    };
    let Sizes { rows, inner, .. } = op.sizes();
    let tile = weight_tile(dtype, kind, rows, inner, op.out_chans);
    let tile = op.shared.map_or_else(|| tile.alone(), |_| tile);
    let shared = op.shared.filter(|_| tile.blocks > 1);
    let (x, y) = tile.grid(op.out_chans, inner);
    let launch = Launch::of("patch_conv_bwd", tile.entry, dtype.name())
        .grid(x, y)
        .deep(tile.blocks)
        .block(tile.threads, 1)
        .shared(tile.shared)
        .input(op.dy)
        .input(op.x)
        .in_out(op.dweight)
        .in_out(op.dbias)
        .output_or_null(shared.map(|(partials, _)| partials))
        .in_out_or_null(shared.map(|(_, arrived)| arrived));
    let sizes = (op.in_chans, op.patch, op.out_chans);
    let launch = sized(launch, op.pixels, op.batch, op.grid, sizes)
        .size("slots of a block", tile.slots as usize)
        .size("blocks of a group", tile.group as usize);
    Ok(vec![launch.build()?])
}

/// One launch: blocks of patches, and of their elements; before it one that makes dx zero where patches leave some of it
/// out and nothing is there to be added to.
pub(super) fn data(op: &PatchConvBwdData, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
    let mut launches = Vec::new();
    let fill = !op.accumulate && !op.covers();
    if fill {
        launches.push(zeros(op, dtype).build()?);
    }
    let pixels = op.pixels == Pixels::Nchw;
    let tile = data_tile(dtype, pixels, op.rows(), op.inner());
    let launch = Launch::of("patch_conv_bwd", tile.entry, dtype.name())
        .grid(
            op.rows().div_ceil(tile.rows as usize),
            op.inner().div_ceil(tile.cols as usize),
        )
        .block(tile.threads, 1)
        .shared(tile.shared)
        .input(op.dy)
        .input(op.weight);
    let launch = if fill || op.accumulate {
        launch.in_out(op.dx)
    } else {
        launch.output(op.dx)
    };
    let sizes = (op.in_chans, op.patch, op.out_chans);
    let launch = sized(launch, op.pixels, op.batch, op.grid, sizes);
    let launch = if pixels {
        launch
    } else {
        launch.size("accumulate", usize::from(op.accumulate))
    };
    launches.push(launch.build()?);
    Ok(launches)
}

/// dx as zeros of f32, as many as its bytes make: C is even, and pixels are f32.
fn zeros(op: &PatchConvBwdData, dtype: DType) -> Builder {
    let bytes = match op.pixels {
        Pixels::Nhwc => dtype.bytes(),
        Pixels::Nchw => size_of::<f32>(),
    };
    let len = op.batch * op.grid.0 * op.grid.1 * op.in_chans * bytes / size_of::<f32>();
    Launch::of("fill", "fill_fwd", "f32")
        .grid(len.div_ceil(FILL_THREADS as usize), 1)
        .block(FILL_THREADS, 1)
        .output(op.dx)
        .size("length", len)
        .f32(0.0)
}

/// The sizes that all kernels take, and what they must be multiples of.
fn sized(
    launch: Builder,
    pixels: Pixels,
    batch: usize,
    (height, width): (usize, usize),
    (in_chans, patch, out_chans): (usize, usize, usize),
) -> Builder {
    let launch = launch.multiple("output channels", out_chans, 8);
    let launch = match pixels {
        Pixels::Nhwc => launch.multiple("input channels", in_chans, 8),
        Pixels::Nchw => launch,
    };
    launch
        .size("batch", batch)
        .size("height", height)
        .size("width", width)
        .size("input channels", in_chans)
        .size("patch", patch)
        .size("output channels", out_chans)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::{Access, Arg};
    use crate::ops::launch_check::{DTYPES, check};
    use crate::plan::Builder;

    /// Batch, grid, input channels, patch, output channels, pixels.
    type Case = (usize, (usize, usize), usize, usize, usize, Pixels);

    const CASES: [Case; 5] = [
        (256, (224, 224), 3, 4, 64, Pixels::Nchw),
        (2, (226, 231), 3, 4, 64, Pixels::Nchw),
        (256, (56, 56), 64, 8, 64, Pixels::Nhwc),
        (3, (29, 28), 128, 2, 320, Pixels::Nhwc),
        (1, (14, 14), 320, 2, 512, Pixels::Nhwc),
    ];

    #[test]
    fn launches_fit_their_kernels() {
        let mut plan = Builder::new();
        let mut buffer = || plan.input(1);
        let [dy, x, dweight, dbias, partials, arrived] = [(); 6].map(|()| buffer());
        for dtype in DTYPES {
            for (batch, grid, in_chans, patch, out_chans, pixels) in CASES {
                for shared in [None, Some((partials, arrived))] {
                    let op = PatchConvBwdWeight {
                        batch,
                        grid,
                        in_chans,
                        patch,
                        out_chans,
                        pixels,
                        dy,
                        x,
                        dweight,
                        dbias,
                        scratch: None,
                        shared,
                    };
                    let [launch] = weight(&op, dtype).unwrap().try_into().unwrap();
                    check(&launch);
                    let scratch = launch.args[4] != Arg::Null;
                    assert_eq!(scratch, launch.grid[2] > 1, "{launch:?}");
                    assert!(!scratch || shared.is_some(), "{launch:?}");
                }
                for accumulate in [false, true] {
                    if accumulate && pixels == Pixels::Nchw {
                        continue;
                    }
                    let op = PatchConvBwdData {
                        batch,
                        grid,
                        in_chans,
                        patch,
                        out_chans,
                        pixels,
                        dy,
                        weight: x,
                        dx: dweight,
                        accumulate,
                    };
                    let launches = data(&op, dtype).unwrap();
                    launches.iter().for_each(check);
                    // zeros where patches leave some of dx out, and nothing else makes it whole
                    let fills = !accumulate && !op.covers();
                    assert_eq!(launches.len(), 1 + usize::from(fills));
                    let access = if fills || accumulate {
                        Access::InOut
                    } else {
                        Access::Out
                    };
                    let [.., last] = &launches[..] else {
                        unreachable!("there is one")
                    };
                    assert_eq!(last.args[2], Arg::Buffer(dweight, access));
                    if fills {
                        let bytes = if pixels == Pixels::Nchw {
                            4
                        } else {
                            dtype.bytes()
                        };
                        let len = batch * grid.0 * grid.1 * in_chans * bytes / 4;
                        assert_eq!(launches[0].args[1], Arg::U32(u32::try_from(len).unwrap()));
                    }
                }
            }
        }
    }
}
