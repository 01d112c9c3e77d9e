//! LayerNorm on a GPU: a warp per row.

use super::LayerNorm;
use crate::dtype::DType;
use crate::kernels::layernorm::rows_of_block;
use crate::kernels::tuning::LN_ROWS;
use crate::launch::{Launch, LaunchError};

pub(super) fn forward(op: &LayerNorm, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
    let entry = match op.positions {
        None => "layernorm_fwd",
        Some(_) => "layernorm_pos_fwd",
    };
    let launch = Launch::of("layernorm", entry, dtype.storage())
        .block(32, LN_ROWS)
        .multiple("channels", op.channels, 8)
        .input(op.x)
        .input(op.gamma)
        .input(op.beta);
    let per_block = rows_of_block(dtype, op.channels) as usize;
    let launch = match op.positions {
        None => launch
            .grid(op.rows.div_ceil(per_block), 1)
            .multiple("row stride", op.x_stride, 8)
            .output(op.y)
            .size("rows", op.rows)
            .size("channels", op.channels)
            .size("row stride", op.x_stride),
        Some((positions, tokens)) => {
            let batch = op.rows / tokens;
            let rows = op.rows + batch * usize::from(positions.class_token.is_some());
            launch
                .grid(rows.div_ceil(per_block), 1)
                .input(positions.table)
                .input_or_null(positions.class_token)
                .output(op.y)
                .size("batch", batch)
                .size("tokens", tokens)
                .size("channels", op.channels)
        }
    };
    Ok(vec![launch.f32(op.eps).build()?])
}
