//! Training loss.

/// Cross-entropy of logits [B, classes] against one class index per image, mean over the batch, in
/// f64. `None` where `labels` does not have one valid index per row.
pub fn cross_entropy(logits: &[f32], labels: &[i64]) -> Option<f64> {
    let classes = logits
        .len()
        .checked_div(labels.len())
        .filter(|&c| c > 0 && c * labels.len() == logits.len())?;
    let mut sum = 0.0;
    for (row, &label) in logits.chunks_exact(classes).zip(labels) {
        let own = f64::from(*row.get(usize::try_from(label).ok()?)?);
        let top = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let total: f64 = row.iter().map(|&v| (f64::from(v) - top).exp()).sum();
        sum += total.ln() + top - own;
    }
    Some(sum / labels.len() as f64)
}
