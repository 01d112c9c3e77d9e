//! The optimiser on a GPU: the norm of the gradient, then all parameters in one launch.

use super::AdamW;
use crate::dtype::DType;
use crate::kernels::adamw::norm_blocks;
use crate::kernels::tuning::{ADAMW_THREADS, NORM_THREADS};
use crate::launch::{Launch, LaunchError};

#[expect(
    clippy::cast_possible_truncation,
    reason = "the kernel computes in f32; 1 - beta is rounded once"
)]
pub(super) fn step(op: &AdamW, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
    let (beta1, beta2) = op.betas;
    let (partials, arrived) = op.shared;
    let norm = Launch::of("grad_norm", "grad_norm_fwd", "f32")
        .grid(norm_blocks(op.len), 1)
        .block(NORM_THREADS, 1)
        .input(op.g)
        .input(op.hyper)
        .output(partials)
        .in_out(arrived)
        .in_out(op.control)
        .u64(op.len as u64)
        .u64(beta1.to_bits())
        .u64(beta2.to_bits())
        .size("steps before the scale grows", op.scale.growth as usize)
        .f32(op.scale.most);
    let update = Launch::of("adamw", "adamw_step", dtype.name())
        .grid(op.blocks, 1)
        .block(ADAMW_THREADS, 1)
        .in_out(op.p)
        .in_out(op.m)
        .in_out(op.v)
        .in_out(op.g)
        // what lies between images, and all of a step that is left out, stays
        .in_out(op.images)
        .in_out(op.turned)
        .input(op.tensors)
        .input(op.tiles)
        .input(op.control)
        .f32(beta2 as f32)
        .f32((1.0 - beta1) as f32)
        .f32((1.0 - beta2) as f32)
        .f32(op.eps);
    Ok(vec![norm.build()?, update.build()?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::adamw::LossScale;
    use crate::ops::launch_check::{DTYPES, buffers, check};

    #[test]
    fn launches_are_what_kernels_take() {
        let [
            p,
            m,
            v,
            g,
            images,
            turned,
            tensors,
            tiles,
            hyper,
            control,
            partials,
            arrived,
        ] = buffers();
        for dtype in DTYPES {
            let op = AdamW {
                len: 24_500_000,
                blocks: 6000,
                betas: (0.9, 0.999),
                eps: 1e-8,
                scale: LossScale::of(dtype),
                p,
                m,
                v,
                g,
                images,
                turned,
                tensors,
                tiles,
                hyper,
                control,
                shared: (partials, arrived),
            };
            step(&op, dtype).unwrap().iter().for_each(check);
        }
    }
}
