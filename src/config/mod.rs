//! What a model is: sizes per stage, norms, classes, and how its pictures are prepared.

mod preprocess;

pub use preprocess::{Interpolation, Preprocess, Resize};

/// A model description that cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {}
