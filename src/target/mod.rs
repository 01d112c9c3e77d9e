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
    /// The NVIDIA GPU of this index, from 0 on.
    Cuda(u32),
    /// The PTX emulator: the kernels of the GPU, checked and counted, on the CPU.
    Emu,
}

/// A target, opened, and the type in which it computes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Target {
    /// The CPU, in f32.
    Cpu(CpuTarget),
    /// An NVIDIA GPU.
    #[cfg(feature = "cuda")]
    Cuda(cuda::CudaDevice, DType),
    /// The PTX emulator.
    #[cfg(feature = "emu")]
    Emu(emu::EmuDevice, DType),
}

impl Target {
    /// The type of kernels to plan for; `None` for the CPU.
    pub fn kernels(&self) -> Option<DType> {
        match self {
            Self::Cpu(_) => None,
            #[cfg(feature = "cuda")]
            Self::Cuda(_, dtype) => Some(*dtype),
            #[cfg(feature = "emu")]
            Self::Emu(_, dtype) => Some(*dtype),
        }
    }

    /// The target in a word: `cpu`, `emu` or `cuda`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Cpu(_) => "cpu",
            #[cfg(feature = "cuda")]
            Self::Cuda(..) => "cuda",
            #[cfg(feature = "emu")]
            Self::Emu(..) => "emu",
        }
    }

    /// The target in words, such as `cpu, 8 threads`.
    pub fn describe(&self) -> String {
        match self {
            Self::Cpu(target) => format!("cpu, {} threads", target.threads()),
            #[cfg(feature = "cuda")]
            Self::Cuda(device, _) => device::Device::describe(device),
            #[cfg(feature = "emu")]
            Self::Emu(device, _) => device::Device::describe(device),
        }
    }

    /// Threads of the CPU target; 0 for others.
    pub fn threads(&self) -> usize {
        match self {
            Self::Cpu(target) => target.threads(),
            #[cfg(any(feature = "cuda", feature = "emu"))]
            _ => 0,
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
    /// A GPU, or its driver.
    #[cfg(feature = "cuda")]
    #[error(transparent)]
    Cuda(#[from] cuda::CudaError),
    /// Neither a GPU nor the CPU can do it.
    #[error("the CPU computes in f32, not in {dtype}, and there is no GPU: {why_not}")]
    NoGpu {
        /// The type asked for.
        dtype: DType,
        /// Why no GPU can be used.
        why_not: String,
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
    /// [`TargetKind::Auto`] takes the first GPU if there is one, else the CPU; an explicit choice is
    /// never replaced.
    ///
    /// # Errors
    /// [`TargetError::Unavailable`] for a target that is not in this build, [`TargetError::Dtype`]
    /// for arithmetic it does not have, [`TargetError::Cuda`] for a GPU that cannot be used.
    pub fn open(self, dtype: DType, threads: usize) -> Result<Target, TargetError> {
        match self {
            Self::Auto => Self::choose(dtype, threads).map(|(target, _)| target),
            Self::Cpu if dtype == DType::F32 => CpuTarget::new(threads).map(Target::Cpu),
            Self::Cpu => Err(TargetError::Dtype { dtype }),
            #[cfg(feature = "cuda")]
            Self::Cuda(index) => {
                crate::kernels::modules().map_err(cuda::CudaError::from)?;
                Ok(Target::Cuda(cuda::CudaDevice::open(index)?, dtype))
            }
            #[cfg(feature = "emu")]
            Self::Emu => Ok(Target::Emu(emu::EmuDevice::new(threads), dtype)),
            #[cfg(not(all(feature = "cuda", feature = "emu")))]
            _ => Err(TargetError::Unavailable { target: self }),
        }
    }

    /// What [`TargetKind::Auto`] takes, and why, in words.
    ///
    /// # Errors
    /// [`TargetError::NoGpu`] where there is no GPU, and the CPU does not compute in `dtype`.
    pub fn choose(dtype: DType, threads: usize) -> Result<(Target, String), TargetError> {
        let why_not = match Self::Cuda(0).open(dtype, threads) {
            Ok(target) => {
                let why = target.describe();
                return Ok((target, why));
            }
            Err(why_not) => why_not.to_string(),
        };
        match Self::Cpu.open(dtype, threads) {
            Ok(target) => {
                let why = format!("{}, as there is no GPU: {why_not}", target.describe());
                Ok((target, why))
            }
            Err(TargetError::Dtype { dtype }) => Err(TargetError::NoGpu { dtype, why_not }),
            Err(other) => Err(other),
        }
    }
}

impl fmt::Display for TargetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(0) => f.write_str("cuda"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Emu => f.write_str("emu"),
        }
    }
}

impl FromStr for TargetKind {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let index = text.strip_prefix("cuda:").map(str::parse);
        match (text, index) {
            ("auto", _) => Ok(Self::Auto),
            ("cpu", _) => Ok(Self::Cpu),
            ("cuda", _) => Ok(Self::Cuda(0)),
            (_, Some(Ok(index))) => Ok(Self::Cuda(index)),
            ("emu", _) => Ok(Self::Emu),
            _ => Err(TargetError::Unknown {
                kind: "target",
                found: text.to_owned(),
                expected: "auto, cpu, cuda, cuda:N or emu",
            }),
        }
    }
}
