//! What runs a plan. A target knows operators and buffers, and nothing of the network.

pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
pub mod device;
#[cfg(feature = "emu")]
pub mod emu;

use std::fmt;
use std::str::FromStr;

use cpu::CpuTarget;

pub use crate::dtype::DType;

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
    /// The PTX emulator: the kernels of the GPU, checked and counted, on the CPU.
    Emu,
}

/// A target, opened, and the type in which it computes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Target {
    /// The CPU, in f32.
    Cpu(CpuTarget),
    /// The PTX emulator.
    #[cfg(feature = "emu")]
    Emu(emu::EmuDevice, DType),
}

impl Target {
    /// The type of kernels to plan for; `None` for the CPU.
    pub fn kernels(&self) -> Option<DType> {
        match self {
            Self::Cpu(_) => None,
            #[cfg(feature = "emu")]
            Self::Emu(_, dtype) => Some(*dtype),
        }
    }

    /// The target in a word: `cpu`, `emu` or `cuda`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Cpu(_) => "cpu",
            #[cfg(feature = "emu")]
            Self::Emu(..) => "emu",
        }
    }

    /// CPU threads that the target uses.
    pub fn threads(&self) -> usize {
        match self {
            Self::Cpu(target) => target.threads(),
            #[cfg(feature = "emu")]
            Self::Emu(..) => 0,
        }
    }
}

impl From<CpuTarget> for Target {
    fn from(target: CpuTarget) -> Self {
        Self::Cpu(target)
    }
}

/// Why a target cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// A target this build does not contain.
    #[error(
        "target `{target}` is not in this build; build with `--features {target}`, or use `--target cpu`"
    )]
    Unavailable {
        /// The target asked for.
        target: TargetKind,
    },
    /// The emulator, or a kernel in it.
    #[cfg(feature = "emu")]
    #[error(transparent)]
    Emu(#[from] emu::EmuError),
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
    pub fn open(self, dtype: DType, threads: usize) -> Result<Target, TargetError> {
        match (self, dtype) {
            #[cfg(feature = "emu")]
            (Self::Emu, dtype) => Ok(Target::Emu(emu::EmuDevice::new(threads), dtype)),
            #[cfg(not(feature = "emu"))]
            (Self::Emu, _) => Err(TargetError::Unavailable { target: self }),
            (Self::Cuda, _) => Err(TargetError::Unavailable { target: self }),
            (Self::Auto | Self::Cpu, DType::F32) => CpuTarget::new(threads).map(Target::Cpu),
            (Self::Auto | Self::Cpu, dtype) => Err(TargetError::Dtype { dtype }),
        }
    }
}

impl fmt::Display for TargetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Emu => "emu",
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
            "emu" => Ok(Self::Emu),
            _ => Err(TargetError::Unknown {
                kind: "target",
                found: text.to_owned(),
                expected: "auto, cpu, cuda or emu",
            }),
        }
    }
}
