//! Sizes that must not be confused, and products that must not overflow.

use std::fmt;

/// Height and width of an image in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ImageSize {
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
}

impl ImageSize {
    /// A square image of `side` × `side` pixels.
    pub const fn square(side: usize) -> Self {
        Self {
            height: side,
            width: side,
        }
    }
}

impl fmt::Display for ImageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.height, self.width)
    }
}

/// Sizes that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// A product of sizes does not fit the address space.
    #[error(
        "{what}: the product of {factors:?} does not fit in memory on this machine; use a smaller image or batch"
    )]
    Overflow {
        /// What was being counted.
        what: &'static str,
        /// The factors of the product.
        factors: Vec<usize>,
    },
    /// More memory than the system gives.
    #[error("{what}: {bytes} bytes cannot be had from this machine; use a smaller image or batch")]
    Memory {
        /// What it was for.
        what: &'static str,
        /// Bytes asked for.
        bytes: usize,
    },
    /// A buffer is shorter than the step that uses it needs.
    #[error("{step}: a buffer holds {found} elements, {expected} are needed")]
    Buffer {
        /// Label of the step.
        step: String,
        /// Elements the buffer has.
        found: usize,
        /// Elements the step touches.
        expected: usize,
    },
    /// A step that uses one buffer of the workspace for two operands.
    #[error("{step}: one buffer is used for two operands; give each its own")]
    Aliased {
        /// Label of the step.
        step: String,
    },
    /// One parameter name for two parameters.
    #[error(
        "parameter `{name}` has shape {found:?} here and {expected:?}, or another use, before; use another label"
    )]
    Param {
        /// Name of the parameter.
        name: String,
        /// Shape asked for now.
        found: Vec<usize>,
        /// Shape it was given first.
        expected: Vec<usize>,
    },
    /// The caller's input does not have the planned length.
    #[error(
        "the input holds {found} values, the plan reads {expected}; plan for this batch and image size"
    )]
    Input {
        /// Values given.
        found: usize,
        /// Values the plan reads.
        expected: usize,
    },
    /// More or fewer inputs than the plan reads.
    #[error("{found} inputs were given, the plan reads {}: {}", names.len(), names.join(", "))]
    Inputs {
        /// Inputs given.
        found: usize,
        /// Names of those that the plan reads.
        names: Vec<String>,
    },
    /// One of several inputs does not have the planned length.
    #[error(
        "input `{name}` holds {found} values, the plan reads {expected:?}; plan for this batch and image size"
    )]
    NamedInput {
        /// Name of the input.
        name: String,
        /// Values given.
        found: usize,
        /// Shape that the plan reads.
        expected: Vec<usize>,
    },
    /// A share of the target that leaves none to the class.
    #[error("label smoothing is {found}; use a number from 0 to less than 1")]
    LabelSmoothing {
        /// What was asked for.
        found: String,
    },
    /// No way to keep activations.
    #[error("`{found}` is no way to keep activations; use everything, recompute or blocks")]
    Keep {
        /// What was asked for.
        found: String,
    },
    /// More frozen stages than there are.
    #[error("{found} stages are to be frozen, but there are 4; use a number from 0 to 4")]
    FrozenStages {
        /// What was asked for.
        found: usize,
    },
    /// A batch of no images.
    #[error("batch is 0, but a forward pass needs at least one image; use a batch of 1 or more")]
    EmptyBatch,
    /// Pictures as bytes in a plan for the CPU.
    #[error(
        "a plan for the CPU takes normalised f32 pixels; prepare pictures with picture::prepare, or plan for kernels"
    )]
    BytesOnCpu,
    /// Pictures of another number of channels than red, green and blue.
    #[error(
        "pictures as bytes have 3 channels, the model reads {found}; give it normalised f32 pixels"
    )]
    Channels {
        /// Channels that the model reads.
        found: usize,
    },
    /// Parameters loaded for another plan.
    #[error("the parameters were loaded for another model or mode; load them for this plan")]
    ForeignParams,
    /// A plan for another kind of target.
    #[error(
        "the plan is not for this target; plan with PlanSpec::kernels for a GPU or the emulator, without for the CPU"
    )]
    ForeignPlan,
}

/// Product of `factors`, or an error naming all of them.
///
/// # Errors
/// [`ShapeError::Overflow`] where the product exceeds `isize::MAX / 8` elements, the most that a
/// slice of 8-byte elements can hold.
pub fn elements(what: &'static str, factors: &[usize]) -> Result<usize, ShapeError> {
    const MOST: usize = isize::MAX.unsigned_abs() / 8;
    factors
        .iter()
        .try_fold(1usize, |n, &f| n.checked_mul(f))
        .filter(|&n| n <= MOST)
        .ok_or_else(|| ShapeError::Overflow {
            what,
            factors: factors.to_vec(),
        })
}
