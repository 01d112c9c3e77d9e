//! Weights as kernels copy them: units of 64 columns x 128 bytes of the inner dimension, each the exact image
//! that lies in shared memory, so that it is copied as it lies. `kernels/include/tile.cuh` describes it.

use half::{bf16, f16};

use crate::dtype::DType;

/// Columns of a unit.
pub const UNIT_COLS: usize = 64;
/// Bytes of the inner dimension in a unit.
pub const ROW_BYTES: usize = 128;
/// Bytes of a unit.
pub const UNIT_BYTES: usize = UNIT_COLS * ROW_BYTES;
/// Bytes that move together, and how many of them a row has.
const CHUNK_BYTES: usize = 16;
const CHUNKS: usize = ROW_BYTES / CHUNK_BYTES;

/// Elements of the inner dimension in a unit.
pub const fn unit_inner(dtype: DType) -> usize {
    ROW_BYTES / dtype.bytes()
}

/// Bytes of [cols, inner] when packed.
///
/// ```
/// use pvt_cuda::kernels::pack::packed_bytes;
/// use pvt_cuda::target::DType;
/// assert_eq!(packed_bytes(DType::F16, 64, 64), 8192);
/// assert_eq!(packed_bytes(DType::F32, 65, 33), 4 * 8192);
/// ```
pub fn packed_bytes(dtype: DType, cols: usize, inner: usize) -> usize {
    cols.div_ceil(UNIT_COLS) * inner.div_ceil(unit_inner(dtype)) * UNIT_BYTES
}

/// `weight` [cols, inner] rounded to `dtype` and packed; index `k` of the packed inner dimension is index
/// `order(k)` of that of `weight`.
///
/// # Panics
/// Where `weight` has not cols x inner values, or `order` leaves 0..inner.
pub fn pack(
    dtype: DType,
    weight: &[f32],
    cols: usize,
    inner: usize,
    order: impl Fn(usize) -> usize,
) -> Vec<u8> {
    assert_eq!(weight.len(), cols * inner, "a weight of {cols} x {inner}");
    let size = dtype.bytes();
    let units = inner.div_ceil(unit_inner(dtype));
    let mut packed = vec![0; packed_bytes(dtype, cols, inner)];
    if inner == 0 {
        return packed;
    }
    // where index k of the inner dimension is in the unit row of a column that is a multiple of 8
    let from: Vec<usize> = (0..inner).map(order).collect();
    for (col, row) in weight.chunks_exact(inner).enumerate() {
        let first = col / UNIT_COLS * units * UNIT_BYTES + col % UNIT_COLS * ROW_BYTES;
        for (k, &from) in from.iter().enumerate() {
            let byte = k * size;
            let chunk = (byte % ROW_BYTES / CHUNK_BYTES) ^ (col % CHUNKS);
            let at =
                first + byte / ROW_BYTES * UNIT_BYTES + chunk * CHUNK_BYTES + byte % CHUNK_BYTES;
            let value = row[from];
            let to = &mut packed[at..at + size];
            match dtype {
                DType::F32 => to.copy_from_slice(&value.to_le_bytes()),
                DType::Tf32 => to.copy_from_slice(&to_tf32(value).to_le_bytes()),
                DType::F16 => to.copy_from_slice(&f16::from_f32(value).to_le_bytes()),
                DType::Bf16 => to.copy_from_slice(&bf16::from_f32(value).to_le_bytes()),
            }
        }
    }
    packed
}

/// The transpose of `weight` [cols, inner], whose row `k` is column `order(k)` of `weight`.
///
/// ```
/// use pvt_cuda::kernels::pack::transposed;
/// assert_eq!(transposed(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2, |k| k), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
/// ```
///
/// # Panics
/// Where `weight` has no `cols` rows of one length, or `order` leaves 0..inner.
pub fn transposed(weight: &[f32], cols: usize, order: impl Fn(usize) -> usize) -> Vec<f32> {
    let inner = weight.len() / cols.max(1);
    assert_eq!(weight.len(), cols * inner, "a weight of {cols} rows");
    let mut turned = Vec::with_capacity(weight.len());
    for from in (0..inner).map(order) {
        turned.extend(weight.iter().skip(from).step_by(inner));
    }
    turned
}

/// As [`pack`], of the transpose [inner, cols] of `weight` [cols, inner]: column `k` of the packed matrix is index
/// `order(k)` of the inner dimension of `weight`.
///
/// # Panics
/// As [`pack`].
pub fn pack_transposed(
    dtype: DType,
    weight: &[f32],
    cols: usize,
    inner: usize,
    order: impl Fn(usize) -> usize,
) -> Vec<u8> {
    assert_eq!(weight.len(), cols * inner, "a weight of {cols} x {inner}");
    let turned = transposed(weight, cols, order);
    pack(dtype, &turned, inner, cols, |k| k)
}

/// Index into the inner dimension (c, dy, dx) of a convolution's weight as checkpoints have it, for index `k` of
/// (dy, dx, c), over which tokens are read. The patch is `patch` x `patch`.
///
/// ```
/// use pvt_cuda::kernels::pack::tokens_order;
/// // two channels, 2 x 2: the second packed value is channel 1 of the first pixel
/// assert_eq!(tokens_order(2, 2, 1), 4);
/// assert_eq!(tokens_order(2, 2, 2), 1);
/// ```
pub const fn tokens_order(channels: usize, patch: usize, k: usize) -> usize {
    k % channels * patch * patch + k / channels
}

/// Rounded to tf32, 10 bits of mantissa, to nearest with ties away from zero, as `cvt.rna.tf32.f32` does.
///
/// ```
/// use pvt_cuda::kernels::pack::to_tf32;
/// assert_eq!(to_tf32(1.0 + 2.0_f32.powi(-11)), 1.0 + 2.0_f32.powi(-10));
/// assert_eq!(to_tf32(1.0 + 2.0_f32.powi(-12)), 1.0);
/// ```
pub fn to_tf32(value: f32) -> f32 {
    const DROPPED: u32 = 13;
    if !value.is_finite() {
        return value;
    }
    f32::from_bits((value.to_bits() + (1 << (DROPPED - 1))) >> DROPPED << DROPPED)
}
