//! What the tests of kernels with matrix products share: operands that are rounded as the kernels see them.

use ptx_emu::{Launch, Report};
use pvt_cuda::kernels::pack::{pack, to_tf32};
use pvt_cuda::target::DType;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::run::{Value, rounded, run_entry};

pub(crate) const DTYPES: [DType; 4] = [DType::F32, DType::Tf32, DType::F16, DType::Bf16];

/// Largest relative L2 distance from f64.
pub(crate) fn tolerance(dtype: DType) -> f64 {
    match dtype {
        DType::F32 => 2e-6,
        DType::Tf32 | DType::F16 => 1e-3,
        DType::Bf16 => 6e-3,
    }
}

/// Random numbers of a seed.
pub(crate) struct Random(StdRng);

impl Random {
    pub(crate) fn new(seed: usize) -> Self {
        Self(StdRng::seed_from_u64(seed as u64))
    }

    /// `count` values in around ± scale / 2.
    pub(crate) fn values(&mut self, count: usize, scale: f32, around: f32) -> Vec<f32> {
        let one = || around + scale * (self.0.random::<f32>() - 0.5);
        std::iter::repeat_with(one).take(count).collect()
    }

    /// The same in the type: bytes, and what they are.
    pub(crate) fn tensor(
        &mut self,
        dtype: DType,
        count: usize,
        scale: f32,
        around: f32,
    ) -> (Vec<u8>, Vec<f64>) {
        rounded(dtype.name(), &self.values(count, scale, around))
    }

    /// A weight [cols, inner] whose products of values around 1 are around 1: packed, and what it is after rounding.
    pub(crate) fn weight(
        &mut self,
        dtype: DType,
        (cols, inner): (usize, usize),
        order: impl Fn(usize) -> usize,
    ) -> (Vec<u8>, Vec<f64>) {
        let values = self.values(cols * inner, 4.0 / (inner as f32).sqrt(), 0.0);
        let exact = match dtype {
            DType::Tf32 => values.iter().map(|&v| f64::from(to_tf32(v))).collect(),
            _ => rounded(dtype.name(), &values).1,
        };
        (pack(dtype, &values, cols, inner, order), exact)
    }
}

/// Runs `<entry>_<type>`; what it writes, in the order of the arguments, and the report of the first order.
pub(crate) fn run(
    (module, entry, dtype): (&'static str, &str, DType),
    launch: &Launch,
    values: &[Value],
) -> (Vec<Vec<u8>>, Report) {
    run_entry((module, entry, dtype.name()), launch, values)
}
