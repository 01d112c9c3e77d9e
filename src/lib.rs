//! Pyramid Vision Transformer: from pictures to classes and pyramid features.

pub mod config;
mod error;
#[cfg(feature = "hub")]
pub mod hub;
#[cfg(feature = "picture")]
pub mod picture;
pub mod shape;
pub mod weights;

pub use error::{Error, Result};
