//! Pyramid Vision Transformer: from pictures to classes and pyramid features.

pub mod config;
mod error;
pub mod executor;
#[cfg(feature = "hub")]
pub mod hub;
pub mod model;
mod ops;
#[cfg(feature = "picture")]
pub mod picture;
pub mod plan;
pub mod session;
pub mod shape;
pub mod target;
pub mod verify;
pub mod weights;

pub use error::{Error, Result};
pub use ops::Cost;
pub use ops::patch_conv::Pixels;
