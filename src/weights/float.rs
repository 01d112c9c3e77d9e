//! Stored floating-point values, read byte by byte: a file promises no alignment.

use half::{bf16, f16};
use safetensors::Dtype;

/// Element types that weights may have.
pub(super) const FLOATS: [Dtype; 3] = [Dtype::F32, Dtype::F16, Dtype::BF16];

/// Widens `bytes` to `out`. False where `dtype` is not one of [`FLOATS`] or the lengths do not
/// agree; `out` is then untouched.
pub(super) fn widen(dtype: Dtype, bytes: &[u8], out: &mut [f32]) -> bool {
    match dtype {
        Dtype::F32 => fill(bytes, out, f32::from_le_bytes),
        Dtype::F16 => fill(bytes, out, |b| f16::from_le_bytes(b).to_f32()),
        Dtype::BF16 => fill(bytes, out, |b| bf16::from_le_bytes(b).to_f32()),
        _ => false,
    }
}

/// Flat index and value of the first infinity or NaN.
pub(super) fn first_non_finite(dtype: Dtype, bytes: &[u8]) -> Option<(usize, f32)> {
    match dtype {
        Dtype::F32 => find(bytes, f32::from_le_bytes),
        Dtype::F16 => find(bytes, |b| f16::from_le_bytes(b).to_f32()),
        Dtype::BF16 => find(bytes, |b| bf16::from_le_bytes(b).to_f32()),
        _ => None,
    }
}

/// Reads one value per `N` bytes.
pub(super) fn fill<T, const N: usize>(
    bytes: &[u8],
    out: &mut [T],
    value: impl Fn([u8; N]) -> T,
) -> bool {
    let (chunks, rest) = bytes.as_chunks();
    let fits = rest.is_empty() && chunks.len() == out.len();
    if fits {
        for (out, &chunk) in out.iter_mut().zip(chunks) {
            *out = value(chunk);
        }
    }
    fits
}

fn find<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32) -> Option<(usize, f32)> {
    let mut values = bytes.as_chunks().0.iter().map(|&chunk| value(chunk));
    let (index, value) = values.by_ref().enumerate().find(|(_, v)| !v.is_finite())?;
    Some((index, value))
}
