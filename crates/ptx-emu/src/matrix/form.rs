//! The forms of `mma.sync.aligned` that run here, with their shapes and register counts.

/// Signs and overflow of an integer product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IntMode {
    /// A holds `.s8`, not `.u8`.
    pub a_signed: bool,
    /// B holds `.s8`, not `.u8`.
    pub b_signed: bool,
    /// `.satfinite`: the sum stays within i32 instead of wrapping.
    pub saturate: bool,
}

/// Shape and types of one `mma.sync.aligned` (PTX ISA, "Multiply-and-Accumulate Instruction:
/// mma"), A by rows and B by columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `m16n8k16`, f16 inputs, f32 accumulators.
    F16K16,
    /// `m16n8k8`, f16 inputs, f32 accumulators.
    F16K8,
    /// `m16n8k16`, f16 inputs and accumulators.
    HalfK16,
    /// `m16n8k8`, f16 inputs and accumulators.
    HalfK8,
    /// `m16n8k16`, bf16 inputs, f32 accumulators.
    Bf16K16,
    /// `m16n8k8`, bf16 inputs, f32 accumulators.
    Bf16K8,
    /// `m16n8k8`, tf32 inputs, f32 accumulators.
    Tf32K8,
    /// `m16n8k4`, tf32 inputs, f32 accumulators.
    Tf32K4,
    /// `m16n8k32`, 8-bit integer inputs, s32 accumulators.
    IntK32(IntMode),
    /// `m16n8k16`, 8-bit integer inputs, s32 accumulators.
    IntK16(IntMode),
    /// `m8n8k4`, all f64.
    DoubleM8K4,
    /// `m16n8k4`, all f64.
    DoubleK4,
    /// `m16n8k8`, all f64.
    DoubleK8,
    /// `m16n8k16`, all f64.
    DoubleK16,
}

impl Form {
    /// `(m, n, k)`
    pub(crate) const fn shape(self) -> (u32, u32, u32) {
        match self {
            Self::F16K16 | Self::HalfK16 | Self::Bf16K16 | Self::IntK16(_) | Self::DoubleK16 => {
                (16, 8, 16)
            }
            Self::F16K8 | Self::HalfK8 | Self::Bf16K8 | Self::Tf32K8 | Self::DoubleK8 => (16, 8, 8),
            Self::Tf32K4 | Self::DoubleK4 => (16, 8, 4),
            Self::IntK32(_) => (16, 8, 32),
            Self::DoubleM8K4 => (8, 8, 4),
        }
    }

    /// Registers of operands A, B and C (D is as C), counted as written in the vector expressions:
    /// 64-bit ones for f64, else 32-bit ones.
    pub(crate) const fn registers(self) -> (usize, usize, usize) {
        match self {
            Self::F16K16 | Self::Bf16K16 | Self::Tf32K8 | Self::IntK32(_) | Self::DoubleK8 => {
                (4, 2, 4)
            }
            Self::F16K8 | Self::Bf16K8 | Self::Tf32K4 | Self::IntK16(_) | Self::DoubleK4 => {
                (2, 1, 4)
            }
            Self::HalfK16 => (4, 2, 2),
            Self::HalfK8 => (2, 1, 2),
            Self::DoubleM8K4 => (1, 1, 2),
            Self::DoubleK16 => (8, 4, 4),
        }
    }

    /// Multiplications and additions: `2 m n k`.
    pub(crate) const fn operations(self) -> u32 {
        let (m, n, k) = self.shape();
        2 * m * n * k
    }
}
