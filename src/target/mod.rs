//! What runs a plan. A target knows operators and buffers, and nothing of the network.

pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
pub mod device;

use std::fmt;
use std::str::FromStr;

use cpu::CpuTarget;

/// Which target to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TargetKind {
    /// The best one usable on this machine.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
}

/// Why a target cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// A target this build does not contain.
    #[error("target `{target}` is not in this build, which has no GPU kernels; use `--target cpu`")]
    Unavailable {
        /// The target asked for.
        target: TargetKind,
    },
    /// A type of arithmetic that the target does not have.
    #[error("target `cpu` computes in f32, not in {dtype}; use `--dtype f32`")]
    Dtype {
        /// The type asked for.
        dtype: DType,
    },
    /// A word that is no target or type.
    #[error("unknown {kind} `{found}`; expected {expected}")]
    Unknown {
        /// What kind of word.
        kind: &'static str,
        /// The word.
        found: String,
        /// The words that exist.
        expected: &'static str,
    },
    /// CPU threads that could not be started.
    #[error("{threads} CPU threads could not be started: {source}; ask for fewer threads")]
    Threads {
        /// Threads asked for, 0 for one per core.
        threads: usize,
        /// What the system said.
        source: rayon::ThreadPoolBuildError,
    },
}

impl TargetKind {
    /// Opens the target for arithmetic in `dtype`; `threads` CPU threads, 0 for one per core.
    /// [`TargetKind::Auto`] takes the CPU in this build; an explicit choice is never replaced.
    ///
    /// # Errors
    /// [`TargetError::Unavailable`] for a target that is not in this build, [`TargetError::Dtype`]
    /// for arithmetic it does not have.
    pub fn open(self, dtype: DType, threads: usize) -> Result<CpuTarget, TargetError> {
        match (self, dtype) {
            (Self::Cuda, _) => Err(TargetError::Unavailable { target: self }),
            (_, DType::F32) => CpuTarget::new(threads),
            (_, dtype) => Err(TargetError::Dtype { dtype }),
        }
    }
}

impl fmt::Display for TargetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        })
    }
}

impl FromStr for TargetKind {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda),
            _ => Err(TargetError::Unknown {
                kind: "target",
                found: text.to_owned(),
                expected: "auto, cpu or cuda",
            }),
        }
    }
}

/// Type of the arithmetic and of activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DType {
    /// IEEE single precision.
    #[default]
    F32,
    /// Tensors in f32; what enters a matrix product is rounded to tf32 (10 bits of mantissa).
    Tf32,
    /// IEEE half precision, accumulated in f32.
    F16,
    /// bfloat16, accumulated in f32.
    Bf16,
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        })
    }
}

impl FromStr for DType {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        match text {
            "f32" => Ok(Self::F32),
            "tf32" => Ok(Self::Tf32),
            "f16" => Ok(Self::F16),
            "bf16" => Ok(Self::Bf16),
            _ => Err(TargetError::Unknown {
                kind: "dtype",
                found: text.to_owned(),
                expected: "f32, tf32, f16 or bf16",
            }),
        }
    }
}
