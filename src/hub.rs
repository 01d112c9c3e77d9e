//! Downloads from the Hugging Face hub into its usual cache.

/// A download that did not give the file asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {}
