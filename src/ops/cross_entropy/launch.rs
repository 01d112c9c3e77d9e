//! Cross-entropy on a GPU: a block for each image.

use super::CrossEntropy;
use crate::kernels::tuning::CE_THREADS;
use crate::launch::{Launch, LaunchError};

pub(super) fn forward(op: &CrossEntropy) -> Result<Vec<Launch>, LaunchError> {
    let launch = Launch::of("cross_entropy", "cross_entropy_fwd", "f32")
        .grid(op.batch, 1)
        .block(CE_THREADS, 1)
        .input(op.logits)
        .input(op.labels)
        .input_or_null(op.scale)
        .output(op.loss)
        .output(op.dlogits)
        .output_or_null(op.shared.map(|(losses, _)| losses))
        .in_out_or_null(op.shared.map(|(_, arrived)| arrived))
        .size("batch", op.batch)
        .size("classes", op.classes)
        .f32(op.smoothing);
    Ok(vec![launch.build()?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::launch_check::{buffers, check};

    #[test]
    fn launches_are_what_kernels_take() {
        let [logits, labels, scale, loss, dlogits, losses, arrived] = buffers();
        for scale in [None, Some(scale)] {
            let op = CrossEntropy {
                batch: 32,
                classes: 1000,
                smoothing: 0.1,
                logits,
                labels,
                scale,
                loss,
                dlogits,
                shared: Some((losses, arrived)),
            };
            forward(&op).unwrap().iter().for_each(check);
        }
    }
}
