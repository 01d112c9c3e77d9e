//! Pyramid Vision Transformer: from pictures to classes and pyramid features.
//!
//! | to | use |
//! | --- | --- |
//! | run a model on pictures of any size | [`session::Session`] |
//! | know steps, shapes and memory beforehand | [`plan::Plan`], [`model::PlanSpec`] |
//! | run a plan on threads you own, without allocation | [`executor::Executor`], [`target::cpu::CpuTarget`] |
//! | choose the CPU, a GPU or the emulator | [`target::TargetKind`] |
//! | run a plan on a GPU, or on a device of your own | [`executor::DeviceExecutor`], [`target::device::Device`] |
//! | run inside another engine, on its stream and memory | `embed::Enqueue` (feature `cuda`) |
//! | describe a model | [`config::PvtConfig`], [`config::Variant`] |
//! | load weights | [`weights::Weights`], [`weights::TensorFile`] |
//! | prepare pictures | [`picture::Picture`], [`picture::prepare`] (feature `picture`) |
//! | train a model | [`train::Learner`], `train::fit` (feature `picture`) |
//! | download models | [`hub::HubClient`] (feature `hub`) |
//! | check a model against reference tensors | [`verify::verify`] |
//!
//! ```
//! use pvt_cuda::config::{Mode, PvtConfig};
//! use pvt_cuda::session::{Session, top_k};
//! use pvt_cuda::target::cpu::CpuTarget;
//! use pvt_cuda::weights::{LoadOptions, Weights};
//!
//! # fn main() -> pvt_cuda::Result<()> {
//! let config = PvtConfig::from_file("assets/digits/config.json")?;
//! let file = "assets/digits/model.safetensors";
//! let weights = Weights::open(file, &config, Mode::Classify, &LoadOptions::default())?;
//! let size = config.img_size;
//! let mut session = Session::new(config, Mode::Classify, weights, CpuTarget::new(1)?);
//! let pixels = vec![0.0; 3 * size.height * size.width]; // one grey image, [1, 3, H, W]
//! let logits = session.classify(1, size, &pixels)?;
//! let (class, probability) = top_k(&logits, 1)[0];
//! println!("class {class} with probability {probability:.2}");
//! # Ok(())
//! # }
//! ```
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::panic,
        clippy::print_stdout,
        clippy::print_stderr
    )
)]

pub mod config;
mod cpu;
mod dtype;
#[cfg(feature = "cuda")]
pub mod embed;
mod error;
pub mod executor;
#[cfg(feature = "hub")]
pub mod hub;
pub mod kernels;
pub mod launch;
pub mod model;
mod ops;
#[cfg(feature = "picture")]
pub mod picture;
pub mod plan;
pub mod session;
pub mod shape;
pub mod target;
pub mod train;
pub mod verify;
pub mod weights;

pub use dtype::DType;
pub use error::{Error, Result};
pub use ops::Cost;
pub use ops::patch_conv::Pixels;

/// The README's example is compiled with the documentation tests.
#[cfg(all(doctest, feature = "picture"))]
#[doc = include_str!("../README.md")]
struct Readme;
