//! Pictures: decoding with limits, resizing as Pillow does, and normalisation.

/// A picture that cannot be decoded or prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {}
