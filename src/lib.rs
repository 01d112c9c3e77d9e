//! Pyramid Vision Transformer: from pictures to classes and pyramid features.

pub mod config;
mod error;
pub mod executor;
#[cfg(feature = "hub")]
pub mod hub;
#[cfg(feature = "picture")]
pub mod picture;
pub mod model;
mod ops;
pub mod plan;
pub mod session;
pub mod shape;
pub mod target;
pub mod verify;
pub mod weights;

pub use error::{Error, Result};
pub use ops::Cost;
pub use ops::patch_conv::Pixels;
