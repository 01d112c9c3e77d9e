//! The MLP branch on a GPU, where one kernel has it all.

use super::Mlp;
use crate::dtype::DType;
use crate::kernels::tiles::mlp_tile;
use crate::launch::{Launch, LaunchError};

pub(super) fn forward(op: &Mlp, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
    let tile = mlp_tile(dtype, op.channels);
    let launch = Launch::of("mlp", tile.entry, dtype.name())
        .grid(op.rows.div_ceil(tile.rows as usize), 1)
        .block(tile.threads, 1)
        .shared(tile.shared)
        .multiple("channels", op.channels, 16)
        .multiple("hidden channels", op.hidden, 16)
        .in_out(op.x)
        .input(op.gamma)
        .input(op.beta)
        .input(op.w1)
        .input(op.b1)
        .input(op.w2)
        .input(op.b2)
        .size("rows", op.rows)
        .size("channels", op.channels)
        .size("hidden channels", op.hidden)
        .f32(op.eps);
    Ok(vec![launch.build()?])
}
