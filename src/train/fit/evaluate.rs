//! How well a model does on pictures that it is not trained on.

use crate::error::Result;
use crate::train::checkpoint::Evaluation;
use crate::train::data::Dataset;
use crate::train::{Learner, TrainError, loader};

/// Loss and accuracy of `learner` on `data`, in batches of at most `batch`, after step `step`.
///
/// # Errors
/// [`TrainError::NonFinite`] for a logit that is no number, and those of pictures and the learner.
pub(super) fn evaluate(
    learner: &mut dyn Learner,
    data: &Dataset,
    pool: &rayon::ThreadPool,
    (batch, classes): (usize, usize),
    (step, lr): (u64, f32),
) -> Result<Evaluation> {
    let indices: Vec<usize> = (0..data.len()).collect();
    let make = |group: &[usize]| loader::testing_batch(data, group);
    loader::ahead(pool, indices.chunks(batch), make, |batches| {
        let (mut loss, mut correct) = (0.0, 0);
        for batch in batches {
            let batch = batch?;
            let logits = learner.logits(&batch.pixels, batch.labels.len())?;
            for (row, &label) in logits.chunks_exact(classes).zip(&batch.labels) {
                if let Some(&value) = row.iter().find(|v| !v.is_finite()) {
                    let what = "score of a test picture";
                    let error = TrainError::NonFinite {
                        what,
                        value,
                        step,
                        lr,
                    };
                    return Err(error.into());
                }
                let (nats, is_right) = judge(row, label);
                loss += nats;
                correct += usize::from(is_right);
            }
        }
        Ok(Evaluation {
            loss: loss / data.len().max(1) as f64,
            correct,
            pictures: data.len(),
        })
    })
}

/// Cross-entropy of one row of logits, and whether its greatest value (the first of several) is at
/// `label`.
fn judge(row: &[f32], label: u32) -> (f64, bool) {
    let at = |index: usize| f64::from(row[index]);
    let mut best = 0;
    for index in 1..row.len() {
        if row[index] > row[best] {
            best = index;
        }
    }
    let sum: f64 = (0..row.len()).map(|k| (at(k) - at(best)).exp()).sum();
    let label = label as usize;
    (sum.ln() + at(best) - at(label), best == label)
}
