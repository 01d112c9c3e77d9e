//! The types of arithmetic.

use std::fmt;
use std::str::FromStr;

use crate::target::TargetError;

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

impl DType {
    /// The type of tensors in memory, as modules of kernels are named: tf32 keeps them in f32.
    pub fn storage(self) -> &'static str {
        match self {
            Self::F32 | Self::Tf32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }

    /// As in the names of modules and entries.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }

    /// Bytes of an element in memory.
    pub const fn bytes(self) -> usize {
        match self {
            Self::F32 | Self::Tf32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
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
