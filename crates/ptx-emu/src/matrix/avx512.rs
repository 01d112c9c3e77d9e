//! The products with AVX-512: 16 lanes, so four quads, to a vector.
//!
//! `A[g][k]`, which thread `(g, t)` needs for every `t`, lies in its own quad: a shuffle within
//! 128 bits broadcasts it. `B[k][2t + j]` is the same in all quads: B is written to a table once
//! and read back by 128-bit broadcasts, which cost no shuffle.

#![allow(
    unsafe_code,
    reason = "vector loads and stores, and calls of functions compiled for AVX-512"
)]

use std::arch::x86_64::{
    __m512, __m512i, _CMP_UNORD_Q, _MM_PERM_AAAA, _MM_PERM_BBBB, _MM_PERM_CCCC, _MM_PERM_DDDD,
    _mm_loadu_si128, _mm256_loadu_ps, _mm512_add_epi32, _mm512_and_si512, _mm512_broadcast_f32x8,
    _mm512_broadcast_i32x4, _mm512_castps_si512, _mm512_castsi512_ps, _mm512_cmp_ps_mask,
    _mm512_cvtepi32_epi16, _mm512_cvtph_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512,
    _mm512_madd_epi16, _mm512_mask_mov_epi32, _mm512_permutex2var_epi16, _mm512_permutex2var_epi32,
    _mm512_permutexvar_ps, _mm512_set1_epi16, _mm512_set1_epi32, _mm512_setr_epi32,
    _mm512_setzero_si512, _mm512_shuffle_epi32, _mm512_slli_epi32, _mm512_srli_epi16,
    _mm512_srli_epi32, _mm512_storeu_ps, _mm512_storeu_si512, _mm512_sub_epi16, _mm512_xor_si512,
};

use super::Lanes;
use super::form::IntMode;
use super::format::{Bytes, Format, Kind};

/// Accumulators: register of the fragment, half of the lanes.
type Sums = [[__m512i; 2]; 4];

/// Row of vectors at cache-line alignment.
#[repr(align(64))]
#[derive(Clone, Copy)]
struct Vector<T>([T; 16]);

/// Floating-point `mma` of `BLOCKS` blocks; see `reference::float`.
#[inline(always)]
pub(super) fn float<F: Format, const BLOCKS: usize>(
    a: [[&Lanes; 2]; BLOCKS],
    b: [&Lanes; BLOCKS],
    c: [&Lanes; 4],
) -> [Lanes; 4] {
    // SAFETY: reached through a `Level` of kind `Avx512` alone, whose contract is that the host
    // has these instructions.
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

/// The transpose of an 8 x 8 matrix of 16-bit elements in a register; see `rows::movmatrix`.
#[inline(always)]
pub(super) fn transpose_halves(x: &Lanes) -> Lanes {
    // SAFETY: as in `float`.
    unsafe { permute_halves(x) }
}

/// The transpose of an 8 x 8 matrix of words; see `rows::transpose_words`.
#[inline(always)]
pub(super) fn transpose_words(x: &[u32; 64]) -> [u32; 64] {
    // SAFETY: as in `float`.
    unsafe { interleave_words(x) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
fn load(lanes: &Lanes, half: usize) -> __m512i {
    let lanes = &lanes.as_chunks::<16>().0[half];
    // SAFETY: the reference is to 64 readable bytes.
    unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
fn store(lanes: &mut Lanes, half: usize, vector: __m512i) {
    let lanes = &mut lanes.as_chunks_mut::<16>().0[half];
    // SAFETY: the reference is to 64 writable bytes.
    unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), vector) }
}

/// Four words, once per quad.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
fn each_quad(words: &[u32; 4]) -> __m512i {
    // SAFETY: the reference is to 16 readable bytes.
    let four = unsafe { _mm_loadu_si128(words.as_ptr().cast()) };
    _mm512_broadcast_i32x4(four)
}

/// The parts of packed registers: singles, or for bytes the even and the odd ones as 16-bit
/// integers. `flip` is the sign bit of signed bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
fn expand<F: Format>(words: __m512i, flip: i16) -> [__m512i; 2] {
    match F::KIND {
        Kind::F16 => {
            let high = _mm512_srli_epi32::<16>(words);
            let low = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(words));
            let high = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(high));
            [_mm512_castps_si512(low), _mm512_castps_si512(high)]
        }
        Kind::Bf16 => {
            let high = _mm512_set1_epi32(0xffff_0000_u32.cast_signed());
            [
                _mm512_slli_epi32::<16>(words),
                _mm512_and_si512(words, high),
            ]
        }
        Kind::Tf32 => {
            let kept = _mm512_set1_epi32(0xffff_e000_u32.cast_signed());
            [_mm512_and_si512(words, kept); 2]
        }
        Kind::Bytes => {
            let flip = _mm512_set1_epi16(flip);
            let even = _mm512_and_si512(words, _mm512_set1_epi16(0xff));
            let odd = _mm512_srli_epi16::<8>(words);
            [
                _mm512_sub_epi16(_mm512_xor_si512(even, flip), flip),
                _mm512_sub_epi16(_mm512_xor_si512(odd, flip), flip),
            ]
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
fn accumulate<F: Format>(sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
    if matches!(F::KIND, Kind::Bytes) {
        return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
    }
    let (a, b) = (_mm512_castsi512_ps(a), _mm512_castsi512_ps(b));
    _mm512_castps_si512(_mm512_fmadd_ps(a, b, _mm512_castsi512_ps(sum)))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
fn canonical(x: __m512i) -> __m512i {
    let value = _mm512_castsi512_ps(x);
    let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(value, value);
    _mm512_mask_mov_epi32(x, nan, _mm512_set1_epi32(0x7fff_ffff))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
fn load_sums(registers: [&Lanes; 4]) -> Sums {
    let mut sums = [[_mm512_setzero_si512(); 2]; 4];
    for (register, sum) in registers.iter().zip(&mut sums) {
        *sum = [load(register, 0), load(register, 1)];
    }
    sums
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
fn permute_halves(x: &Lanes) -> Lanes {
    // Lane 4r + c receives elements 8 (2c) + r and 8 (2c + 1) + r.
    const SOURCES: Lanes = {
        let mut words = [0; 32];
        let mut lane = 0;
        while lane < 32 {
            let first = 16 * (lane % 4) + lane / 4;
            words[lane as usize] = first | ((first + 8) << 16);
            lane += 1;
        }
        words
    };
    let halves = [load(x, 0), load(x, 1)];
    let mut y = [0; 32];
    for half in 0..2 {
        let sources = load(&SOURCES, half);
        let moved = _mm512_permutex2var_epi16(halves[0], sources, halves[1]);
        store(&mut y, half, moved);
    }
    y
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
fn interleave_words(x: &[u32; 64]) -> [u32; 64] {
    let low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    let high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
    let lanes = x.as_chunks::<32>().0;
    let mut v = [
        load(&lanes[0], 0),
        load(&lanes[0], 1),
        load(&lanes[1], 0),
        load(&lanes[1], 1),
    ];
    for _ in 0..3 {
        v = [
            _mm512_permutex2var_epi32(v[0], low, v[2]),
            _mm512_permutex2var_epi32(v[0], high, v[2]),
            _mm512_permutex2var_epi32(v[1], low, v[3]),
            _mm512_permutex2var_epi32(v[1], high, v[3]),
        ];
    }
    let mut y = [0; 64];
    for (i, lanes) in y.as_chunks_mut().0.iter_mut().enumerate() {
        store(lanes, 0, v[2 * i]);
        store(lanes, 1, v[2 * i + 1]);
    }
    y
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
fn chain<F: Format, const BLOCKS: usize>(
    a: [[&Lanes; 2]; BLOCKS],
    b: [&Lanes; BLOCKS],
    c: Option<[&Lanes; 4]>,
    flips: [i16; 2],
) -> [Lanes; 4] {
    // Lane 8t + 4j + s of B holds row s, column 2t + j: words [s][j][t] of two s to a vector.
    let rows = _mm512_setr_epi32(0, 8, 16, 24, 4, 12, 20, 28, 1, 9, 17, 25, 5, 13, 21, 29);
    let rows = [rows, _mm512_add_epi32(rows, _mm512_set1_epi32(2))];
    let mut sums = c.map_or([[_mm512_setzero_si512(); 2]; 4], |c| load_sums(c));
    for block in 0..BLOCKS {
        let mut table = [[Vector([0u32; 16]); 2]; 2]; // [s / 2][part]
        let packed = [load(b[block], 0), load(b[block], 1)];
        for (vectors, index) in table.iter_mut().zip(rows) {
            let words = _mm512_permutex2var_epi32(packed[0], index, packed[1]);
            for (vector, part) in vectors.iter_mut().zip(expand::<F>(words, flips[1])) {
                // SAFETY: the row is 64 writable bytes.
                unsafe { _mm512_storeu_si512(vector.0.as_mut_ptr().cast(), part) };
            }
        }
        let left = a[block].map(|register| {
            [
                expand::<F>(load(register, 0), flips[0]),
                expand::<F>(load(register, 1), flips[0]),
            ]
        });
        macro_rules! step {
            ($s:literal, $broadcast:expr) => {
                for part in 0..F::PARTS {
                    let words = table[$s / 2][part].0.as_chunks::<4>().0;
                    let right = [
                        each_quad(&words[2 * ($s % 2)]),
                        each_quad(&words[2 * ($s % 2) + 1]),
                    ];
                    for row in 0..2 {
                        for half in 0..2 {
                            let x = _mm512_shuffle_epi32::<{ $broadcast }>(left[row][half][part]);
                            for j in 0..2 {
                                let sum = &mut sums[2 * row + j][half];
                                *sum = accumulate::<F>(*sum, x, right[j]);
                            }
                        }
                    }
                }
            };
        }
        step!(0, _MM_PERM_AAAA);
        step!(1, _MM_PERM_BBBB);
        step!(2, _MM_PERM_CCCC);
        step!(3, _MM_PERM_DDDD);
    }
    let mut d = [[0; 32]; 4];
    for (register, sum) in d.iter_mut().zip(sums) {
        for (half, x) in sum.into_iter().enumerate() {
            let x = if matches!(F::KIND, Kind::Bytes) {
                x
            } else {
                canonical(x)
            };
            store(register, half, x);
        }
    }
    d
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")]
fn wide_chain(a: &[[f32; 16]], b: &[[f32; 8]], d: &mut [Lanes]) {
    // Rows 4q .. 4q + 3 of A, each four times: vector q is half q % 2 of row group q / 2.
    let mut quads = [[Vector([0f32; 16]); 4]; 16];
    let spread = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    for (vectors, column) in quads.iter_mut().zip(a) {
        // SAFETY: the reference is to 64 readable bytes.
        let column = unsafe { _mm512_loadu_ps(column.as_ptr()) };
        for (vector, q) in vectors.iter_mut().zip(0..) {
            let index = _mm512_add_epi32(spread, _mm512_set1_epi32(4 * q));
            let rows = _mm512_permutexvar_ps(index, column);
            // SAFETY: the row is 64 writable bytes.
            unsafe { _mm512_storeu_ps(vector.0.as_mut_ptr(), rows) };
        }
    }
    let parity = [
        _mm512_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6, 0, 2, 4, 6, 0, 2, 4, 6),
        _mm512_setr_epi32(1, 3, 5, 7, 1, 3, 5, 7, 1, 3, 5, 7, 1, 3, 5, 7),
    ];
    let quads = &quads[..a.len()];
    for (registers, right) in d.as_chunks_mut().0.iter_mut().zip(b.chunks_exact(a.len())) {
        let mut sums = load_sums(registers.each_ref());
        for (eight, vectors) in right.iter().zip(quads) {
            // SAFETY: the reference is to 32 readable bytes.
            let eight = unsafe { _mm256_loadu_ps(eight.as_ptr()) };
            let eight = _mm512_broadcast_f32x8(eight);
            let right = parity.map(|index| _mm512_permutexvar_ps(index, eight));
            for (q, vector) in vectors.iter().enumerate() {
                // SAFETY: the row is 64 readable bytes.
                let x: __m512 = unsafe { _mm512_loadu_ps(vector.0.as_ptr()) };
                for (j, y) in right.into_iter().enumerate() {
                    let sum = &mut sums[2 * (q / 2) + j][q % 2];
                    *sum = _mm512_castps_si512(_mm512_fmadd_ps(x, y, _mm512_castsi512_ps(*sum)));
                }
            }
        }
        for (register, sum) in registers.iter_mut().zip(sums) {
            store(register, 0, canonical(sum[0]));
            store(register, 1, canonical(sum[1]));
        }
    }
}
