//! The one error type of the crate; each area has its own enum inside it.

use crate::config::ConfigError;
use crate::shape::ShapeError;
use crate::weights::WeightsError;

/// Result of every fallible call in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(feature = "emu")]
impl From<crate::target::emu::EmuError> for Error {
    fn from(error: crate::target::emu::EmuError) -> Self {
        Self::Target(error.into())
    }
}

impl From<crate::train::DataError> for Error {
    fn from(error: crate::train::DataError) -> Self {
        Self::Train(error.into())
    }
}

/// What can go wrong, by area. Each message names what was found, what was expected and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A model description that cannot be built.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Sizes that do not fit each other, the model or the address space.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// A result that the session was not made for.
    #[error("this session gives {found}; make one with Mode::{expected:?} for {asked}")]
    Mode {
        /// What was asked for.
        asked: &'static str,
        /// What the session gives.
        found: &'static str,
        /// The mode that would give it.
        expected: crate::config::Mode,
    },
    /// A pixel that is no number.
    #[error(
        "the input holds {value} at index {index}; expected finite values, check how the image was normalised"
    )]
    NonFiniteInput {
        /// First such index in the flat input.
        index: usize,
        /// What stands there.
        value: f32,
    },
    /// A weights file that is damaged or does not belong to the model.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A shape that no kernel takes.
    #[error(transparent)]
    Launch(#[from] crate::launch::LaunchError),
    /// A target that cannot be had.
    #[error(transparent)]
    Target(#[from] crate::target::TargetError),
    /// Memory for a forward pass that cannot be used.
    #[cfg(feature = "cuda")]
    #[error(transparent)]
    Binding(#[from] crate::embed::BindingError),
    /// A GPU that is not there, or did not do what it was asked for.
    #[cfg(feature = "cuda")]
    #[error(transparent)]
    Cuda(#[from] crate::target::cuda::CudaError),
    /// A reference case that cannot be checked.
    #[error(transparent)]
    Verify(#[from] crate::verify::VerifyError),
    /// A picture that cannot be decoded or prepared.
    #[cfg(feature = "picture")]
    #[error(transparent)]
    Picture(#[from] crate::picture::PictureError),
    /// A training run that cannot start or go on.
    #[error(transparent)]
    Train(#[from] crate::train::TrainError),
    /// A download that did not give the file asked for.
    #[cfg(feature = "hub")]
    #[error(transparent)]
    Hub(#[from] crate::hub::HubError),
}
