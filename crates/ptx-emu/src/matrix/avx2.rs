//! The products with AVX2 and FMA: 8 lanes, so two quads, to a vector. As with AVX-512 (see
//! there), but with half the registers: A is expanded into a table as well, and the lanes are
//! passed over in two halves of 16.

#![allow(
    unsafe_code,
    reason = "vector loads and stores, and calls of functions compiled for AVX2"
)]

use std::arch::x86_64::{
    __m256, __m256i, _CMP_UNORD_Q, _mm_loadu_si128, _mm256_add_epi32, _mm256_and_si256,
    _mm256_blendv_ps, _mm256_broadcastsi128_si256, _mm256_castps_si256, _mm256_castsi256_ps,
    _mm256_castsi256_si128, _mm256_cmp_ps, _mm256_cvtph_ps, _mm256_fmadd_ps, _mm256_loadu_ps,
    _mm256_loadu_si256, _mm256_madd_epi16, _mm256_packus_epi32, _mm256_permute4x64_epi64,
    _mm256_permutevar8x32_ps, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_setr_epi32,
    _mm256_setzero_si256, _mm256_shuffle_epi32, _mm256_slli_epi32, _mm256_srli_epi16,
    _mm256_srli_epi32, _mm256_storeu_si256, _mm256_sub_epi16, _mm256_unpackhi_epi32,
    _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64, _mm256_xor_si256,
};

use super::Lanes;
use super::form::IntMode;
use super::format::{Bytes, Format, Kind};

/// Accumulators of 16 lanes: register of the fragment, half.
type Sums = [[__m256i; 2]; 4];

/// Row of vectors at vector alignment.
#[repr(align(32))]
#[derive(Clone, Copy)]
struct Vector<T>([T; 8]);

/// Floating-point `mma` of `BLOCKS` blocks; see `reference::float`.
#[inline(always)]
pub(super) fn float<F: Format, const BLOCKS: usize>(
    a: [[&Lanes; 2]; BLOCKS],
    b: [&Lanes; BLOCKS],
    c: [&Lanes; 4],
) -> [Lanes; 4] {
    // SAFETY: reached through a `Level` of kind `Avx2` alone, whose contract is that the host has
    // these instructions.
    unsafe { chain::<F, BLOCKS>(a, b, Some(c), [0; 2]) }
}

/// Integer products of `BLOCKS` blocks, without C; see `reference::bytes`.
#[inline(always)]
pub(super) fn bytes<const BLOCKS: usize>(
    a: [[&Lanes; 2]; BLOCKS],
    b: [&Lanes; BLOCKS],
    mode: IntMode,
) -> [Lanes; 4] {
    let flips = [mode.a_signed, mode.b_signed].map(|signed| if signed { 0x80 } else { 0 });
    // SAFETY: as in `float`.
    unsafe { chain::<Bytes, BLOCKS>(a, b, None, flips) }
}

/// One warp's part of a `wgmma`; see `reference::panel`.
#[inline(always)]
pub(super) fn panel(a: &[[f32; 16]], b: &[[f32; 8]], d: &mut [Lanes]) {
    // SAFETY: as in `float`.
    unsafe { wide_chain(a, b, d) }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn load(lanes: &Lanes, quarter: usize) -> __m256i {
    let lanes = &lanes.as_chunks::<8>().0[quarter];
    // SAFETY: the reference is to 32 readable bytes.
    unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn store(lanes: &mut Lanes, quarter: usize, vector: __m256i) {
    let lanes = &mut lanes.as_chunks_mut::<8>().0[quarter];
    // SAFETY: the reference is to 32 writable bytes.
    unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), vector) }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn load_row(row: &Vector<u32>) -> __m256i {
    // SAFETY: the reference is to 32 readable bytes.
    unsafe { _mm256_loadu_si256(row.0.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn store_row(row: &mut Vector<u32>, vector: __m256i) {
    // SAFETY: the reference is to 32 writable bytes.
    unsafe { _mm256_storeu_si256(row.0.as_mut_ptr().cast(), vector) }
}

/// Four words, once per quad.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn each_quad(words: &[u32; 4]) -> __m256i {
    // SAFETY: the reference is to 16 readable bytes.
    let four = unsafe { _mm_loadu_si128(words.as_ptr().cast()) };
    _mm256_broadcastsi128_si256(four)
}

/// Singles of the f16 in the low halves of the words; the high halves are zero.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn from_halves(words: __m256i) -> __m256i {
    let packed = _mm256_packus_epi32(words, words);
    let packed = _mm256_permute4x64_epi64::<0b10_00>(packed);
    _mm256_castps_si256(_mm256_cvtph_ps(_mm256_castsi256_si128(packed)))
}

/// The parts of packed registers; see `avx512::expand`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn expand<F: Format>(words: __m256i, flip: i16) -> [__m256i; 2] {
    match F::KIND {
        Kind::F16 => {
            let low = _mm256_and_si256(words, _mm256_set1_epi32(0xffff));
            let high = _mm256_srli_epi32::<16>(words);
            [from_halves(low), from_halves(high)]
        }
        Kind::Bf16 => {
            let high = _mm256_set1_epi32(0xffff_0000_u32.cast_signed());
            [
                _mm256_slli_epi32::<16>(words),
                _mm256_and_si256(words, high),
            ]
        }
        Kind::Tf32 => {
            let kept = _mm256_set1_epi32(0xffff_e000_u32.cast_signed());
            [_mm256_and_si256(words, kept); 2]
        }
        Kind::Bytes => {
            let flip = _mm256_set1_epi16(flip);
            let even = _mm256_and_si256(words, _mm256_set1_epi16(0xff));
            let odd = _mm256_srli_epi16::<8>(words);
            [
                _mm256_sub_epi16(_mm256_xor_si256(even, flip), flip),
                _mm256_sub_epi16(_mm256_xor_si256(odd, flip), flip),
            ]
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn accumulate<F: Format>(sum: __m256i, a: __m256i, b: __m256i) -> __m256i {
    if matches!(F::KIND, Kind::Bytes) {
        return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
    }
    let (a, b) = (_mm256_castsi256_ps(a), _mm256_castsi256_ps(b));
    _mm256_castps_si256(_mm256_fmadd_ps(a, b, _mm256_castsi256_ps(sum)))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn canonical(x: __m256i) -> __m256i {
    let value = _mm256_castsi256_ps(x);
    let nan = _mm256_cmp_ps::<_CMP_UNORD_Q>(value, value);
    let fixed = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fff_ffff));
    _mm256_castps_si256(_mm256_blendv_ps(value, fixed, nan))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn load_sums(registers: [&Lanes; 4], pass: usize) -> Sums {
    let mut sums = [[_mm256_setzero_si256(); 2]; 4];
    for (register, sum) in registers.iter().zip(&mut sums) {
        *sum = [load(register, 2 * pass), load(register, 2 * pass + 1)];
    }
    sums
}

/// Words `[s][j][t]` of B: lane 8t + 4j + s holds row s, column 2t + j, so that each 128-bit half
/// of the vectors is a 4 x 4 transpose.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn rows_of(b: &Lanes) -> [__m256i; 4] {
    let [x0, x1, x2, x3] = [load(b, 0), load(b, 1), load(b, 2), load(b, 3)];
    let (low01, high01) = (_mm256_unpacklo_epi32(x0, x1), _mm256_unpackhi_epi32(x0, x1));
    let (low23, high23) = (_mm256_unpacklo_epi32(x2, x3), _mm256_unpackhi_epi32(x2, x3));
    [
        _mm256_unpacklo_epi64(low01, low23),
        _mm256_unpackhi_epi64(low01, low23),
        _mm256_unpacklo_epi64(high01, high23),
        _mm256_unpackhi_epi64(high01, high23),
    ]
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn chain<F: Format, const BLOCKS: usize>(
    a: [[&Lanes; 2]; BLOCKS],
    b: [&Lanes; BLOCKS],
    c: Option<[&Lanes; 4]>,
    flips: [i16; 2],
) -> [Lanes; 4] {
    let zero = Vector([0u32; 8]);
    let mut left = [[[[zero; 4]; 2]; 2]; BLOCKS]; // [block][row][part][quarter]
    let mut right = [[[zero; 2]; 4]; BLOCKS]; // [block][s][part]
    for block in 0..BLOCKS {
        for (words, row) in rows_of(b[block]).into_iter().zip(&mut right[block]) {
            for (vector, part) in row.iter_mut().zip(expand::<F>(words, flips[1])) {
                store_row(vector, part);
            }
        }
        for (register, parts) in a[block].iter().zip(&mut left[block]) {
            for quarter in 0..4 {
                let expanded = expand::<F>(load(register, quarter), flips[0]);
                for (vectors, part) in parts.iter_mut().zip(expanded) {
                    store_row(&mut vectors[quarter], part);
                }
            }
        }
    }
    let mut d = [[0; 32]; 4];
    for pass in 0..2 {
        let mut sums = match c {
            Some(c) => load_sums(c, pass),
            None => [[_mm256_setzero_si256(); 2]; 4],
        };
        for (left, right) in left.iter().zip(&right) {
            macro_rules! step {
                ($s:literal) => {
                    for part in 0..F::PARTS {
                        let words = right[$s][part].0.as_chunks::<4>().0;
                        let right = [each_quad(&words[0]), each_quad(&words[1])];
                        for row in 0..2 {
                            for half in 0..2 {
                                let x = load_row(&left[row][part][2 * pass + half]);
                                let x = _mm256_shuffle_epi32::<{ 0x55 * $s }>(x);
                                for j in 0..2 {
                                    let sum = &mut sums[2 * row + j][half];
                                    *sum = accumulate::<F>(*sum, x, right[j]);
                                }
                            }
                        }
                    }
                };
            }
            step!(0);
            step!(1);
            step!(2);
            step!(3);
        }
        for (register, sum) in d.iter_mut().zip(sums) {
            for (half, x) in sum.into_iter().enumerate() {
                let x = if matches!(F::KIND, Kind::Bytes) {
                    x
                } else {
                    canonical(x)
                };
                store(register, 2 * pass + half, x);
            }
        }
    }
    d
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn wide_chain(a: &[[f32; 16]], b: &[[f32; 8]], d: &mut [Lanes]) {
    // Rows 2q and 2q + 1 of A, each four times: vector q is quarter q % 4 of row group q / 4.
    let mut quads = [[Vector([0u32; 8]); 8]; 16];
    for (vectors, column) in quads.iter_mut().zip(a) {
        for (vector, rows) in vectors.iter_mut().zip(column.as_chunks::<2>().0) {
            let [upper, lower] = rows.map(f32::to_bits);
            vector.0 = [upper, upper, upper, upper, lower, lower, lower, lower];
        }
    }
    let parity = [
        _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6),
        _mm256_setr_epi32(1, 3, 5, 7, 1, 3, 5, 7),
    ];
    let quads = &quads[..a.len()];
    for (registers, right) in d.as_chunks_mut().0.iter_mut().zip(b.chunks_exact(a.len())) {
        for pass in 0..2 {
            let mut sums = load_sums(registers.each_ref(), pass);
            for (eight, vectors) in right.iter().zip(quads) {
                // SAFETY: the reference is to 32 readable bytes.
                let eight: __m256 = unsafe { _mm256_loadu_ps(eight.as_ptr()) };
                let right = parity.map(|index| _mm256_permutevar8x32_ps(eight, index));
                for row in 0..2 {
                    for half in 0..2 {
                        let x = _mm256_castsi256_ps(load_row(&vectors[4 * row + 2 * pass + half]));
                        for (j, y) in right.into_iter().enumerate() {
                            let sum = &mut sums[2 * row + j][half];
                            let next = _mm256_fmadd_ps(x, y, _mm256_castsi256_ps(*sum));
                            *sum = _mm256_castps_si256(next);
                        }
                    }
                }
            }
            for (register, sum) in registers.iter_mut().zip(sums) {
                for (half, x) in sum.into_iter().enumerate() {
                    store(register, 2 * pass + half, canonical(x));
                }
            }
        }
    }
}
