//! Parameters of a model, read from safetensors.

/// A weights file that is damaged or does not belong to the model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {}
