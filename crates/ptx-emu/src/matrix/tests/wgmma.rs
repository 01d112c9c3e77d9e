use super::descriptor::{SWIZZLES, layout, swizzled_by_table};
use super::{Random, at_level, levels};
use crate::matrix::descriptor::{Major, MatrixDescriptor};
use crate::matrix::swizzle::Swizzle;
use crate::matrix::wgmma::{self, SharedMatrix};
use crate::matrix::{Bf16, F16, Format, Lanes, Level, Simd, Tf32};

/// How a kernel lays out one operand: lines of one span, in the order of TMA boxes.
struct Tile {
    memory: Vec<u8>,
    matrix: SharedMatrix,
}

impl Tile {
    /// Element `(mn, k)` of the instruction lies at `(mn, k + skip)` of a tile that is as deep as
    /// the span (K-major) or 16 (MN-major), written row by row and then swizzled.
    fn new(
        major: Major,
        swizzle: Swizzle,
        rows: u32,
        skip: u32,
        words: &[Vec<u32>],
        size: u32,
    ) -> Self {
        let span = swizzle.span();
        let start = 1024;
        let per_span = span / size;
        let mut memory = vec![0xee; 1 << 18];
        // Spans one after another, each with all its lines: (span, line, byte in the line).
        let lines = match major {
            Major::K => rows,
            Major::Mn => 32 / size,
        };
        let place = |mn: u32, k: u32| {
            let (line, along) = match major {
                Major::K => (mn, k + skip),
                Major::Mn => (k, mn),
            };
            let linear = along / per_span * lines * span + line * span + along % per_span * size;
            swizzled_by_table(swizzle, start + linear)
        };
        for (mn, row) in (0..).zip(words) {
            for (k, word) in (0..).zip(row) {
                let at = place(mn, k) as usize;
                memory[at..at + size as usize]
                    .copy_from_slice(&word.to_le_bytes()[..size as usize]);
            }
        }
        let next_span = lines * span;
        let next_eight = 8 * span;
        let (leading, stride) = match (major, swizzle) {
            (Major::K, _) | (Major::Mn, Swizzle::B32 | Swizzle::B64 | Swizzle::B128) => {
                (next_span, next_eight)
            }
            (Major::Mn, Swizzle::None) => (next_eight, next_span),
        };
        let descriptor = MatrixDescriptor {
            start: start + if major == Major::K { skip * size } else { 0 },
            leading,
            stride,
            base_offset: 0,
            swizzle,
        };
        Self {
            memory,
            matrix: SharedMatrix {
                descriptor,
                major,
                negate: false,
            },
        }
    }

    fn read(&self, address: u32) -> [u8; 16] {
        self.memory[address as usize..][..16].try_into().unwrap()
    }
}

fn random_words(
    random: &mut Random,
    rows: usize,
    depth: usize,
    encode: fn(f64) -> u32,
) -> Vec<Vec<u32>> {
    let row = |random: &mut Random| (0..depth).map(|_| encode(random.unit())).collect();
    (0..rows).map(|_| row(random)).collect()
}

/// CuTe's layouts of the fragments: modes of the thread, then of the value; an offset in a
/// column-major matrix of `rows` rows.
fn fragment(thread: usize, value: usize, tuple: [&[(u32, u32)]; 2], rows: u32) -> (usize, usize) {
    let at = |x: usize| u32::try_from(x).unwrap();
    let offset = layout(tuple[0], at(thread)) + layout(tuple[1], at(value));
    ((offset % rows) as usize, (offset / rows) as usize)
}

const THREADS_16: &[(u32, u32)] = &[(4, 128), (8, 1), (4, 16)];
const D_VALUES: &[(u32, u32)] = &[(2, 64), (2, 8), (32, 512)];
const A_VALUES_16: &[(u32, u32)] = &[(2, 64), (2, 8), (2, 512)];
const THREADS_TF32: &[(u32, u32)] = &[(4, 64), (8, 1), (4, 16)];
const A_VALUES_TF32: &[(u32, u32)] = &[(2, 8), (2, 256)];

struct Case {
    simd: Simd,
    columns: usize,
    a_shared: Option<(Major, Swizzle, u32)>,
    b_shared: (Major, Swizzle, u32),
    accumulate: bool,
    half: bool,
    negate: [bool; 2],
}

/// Multiplies 64 rows by all four warps and compares each element with the documented chain.
fn check_at<L: Level, F: Format>(case: &Case, encode: fn(f64) -> u32, random: &mut Random) {
    let (depth, size) = (wgmma::depth::<F>(), if F::PARTS == 2 { 2 } else { 4 });
    let a = random_words(random, 64, depth, encode);
    let b = random_words(random, case.columns, depth, encode);
    let start = random_words(random, 64, case.columns, |x| {
        u32::from(half::f16::from_f64(x).to_bits())
    });
    let columns = u32::try_from(case.columns).unwrap();
    let (major, swizzle, skip) = case.b_shared;
    let mut tile_b = Tile::new(major, swizzle, columns, skip, &b, size);
    tile_b.matrix.negate = case.negate[1];
    let mut gathered = vec![[7.0; 8]; 3];
    tile_b
        .matrix
        .gather_b::<L, F>(columns, |at| tile_b.read(at), &mut gathered);
    let value = |bits: u32| F::element(bits, 0);
    for warp in 0..4 {
        let rows = if let Some((major, swizzle, skip)) = case.a_shared {
            let mut tile = Tile::new(major, swizzle, 64, skip, &a, size);
            tile.matrix.negate = case.negate[0];
            tile.matrix
                .gather_a::<L, F>(u32::try_from(warp).unwrap(), |at| tile.read(at))
        } else {
            let modes = if size == 2 {
                [THREADS_16, A_VALUES_16]
            } else {
                [THREADS_TF32, A_VALUES_TF32]
            };
            let mut registers: [Lanes; 4] = [[0; 32]; 4];
            for (lane, i) in (0..32).flat_map(|l| (0..4 * F::PARTS).map(move |i| (l, i))) {
                let (row, k) = fragment(32 * warp + lane, i, modes, 64);
                registers[i / F::PARTS][lane] |= a[row][k] << (16 * (i % F::PARTS));
            }
            wgmma::a_from_registers::<F>(registers.each_ref(), case.negate[0])
        };
        let packed = if case.half { 2 } else { 1 };
        let mut d: Vec<Lanes> = vec![[0; 32]; case.columns / 2 / packed];
        let place = |lane, i| fragment(32 * warp + lane, i, [THREADS_16, D_VALUES], 64);
        for lane in 0..32 {
            for i in 0..case.columns / 2 {
                let (row, column) = place(lane, i);
                let bits = start[row][column];
                if case.half {
                    d[i / 2][lane] |= bits << (16 * (i % 2));
                } else {
                    d[i][lane] = F16::element(bits, 0).to_bits();
                }
            }
        }
        if case.half {
            wgmma::half::<L, F>(&rows, &gathered, &mut d, case.accumulate);
        } else {
            wgmma::single::<L, F>(&rows, &gathered, &mut d, case.accumulate);
        }
        for lane in 0..32 {
            for i in 0..case.columns / 2 {
                let (row, column) = place(lane, i);
                let c = if case.accumulate {
                    F16::element(start[row][column], 0)
                } else {
                    0.0
                };
                let signs = case.negate.map(|negate| if negate { -1.0 } else { 1.0 });
                let sum = (0..depth).fold(c, |sum, k| {
                    let x = signs[0] * value(a[row][k]);
                    x.mul_add(signs[1] * value(b[column][k]), sum)
                });
                let (found, expected) = if case.half {
                    let found = (d[i / 2][lane] >> (16 * (i % 2))) & 0xffff;
                    (found, u32::from(half::f16::from_f32(sum).to_bits()))
                } else {
                    (d[i][lane], sum.to_bits())
                };
                assert_eq!(
                    found, expected,
                    "{:?} n={} A {:?} B {:?} ({row}, {column})",
                    case.simd, case.columns, case.a_shared, case.b_shared
                );
            }
        }
    }
}

fn check<F: Format>(case: &Case, encode: fn(f64) -> u32, random: &mut Random) {
    at_level!(case.simd, check_at[F], case, encode, random);
}

fn bf16(x: f64) -> u32 {
    u32::from(half::bf16::from_f64(x).to_bits())
}

fn f16(x: f64) -> u32 {
    u32::from(half::f16::from_f64(x).to_bits())
}

#[allow(clippy::cast_possible_truncation, reason = "rounding is meant")]
fn f32_bits(x: f64) -> u32 {
    (x as f32).to_bits()
}

/// Every swizzle and direction for both operands; descriptors that start within a span.
#[test]
fn warps_multiply_what_the_descriptors_describe() {
    let mut random = Random(6);
    for simd in levels() {
        for swizzle in SWIZZLES {
            for major in [Major::K, Major::Mn] {
                // Columns fill whole spans of an N-major tile.
                let columns = if major == Major::Mn { 64 } else { 24 };
                let deep = swizzle == Swizzle::B128 && major == Major::K;
                for skip in if deep { vec![0, 16, 48] } else { vec![0] } {
                    let mut case = Case {
                        simd,
                        columns,
                        a_shared: Some((major, swizzle, skip)),
                        b_shared: (major, swizzle, skip),
                        accumulate: true,
                        half: false,
                        negate: [false; 2],
                    };
                    check::<Bf16>(&case, bf16, &mut random);
                    check::<F16>(&case, f16, &mut random);
                    case.half = true;
                    case.negate = [true, false];
                    check::<F16>(&case, f16, &mut random);
                    case.a_shared = None;
                    case.half = false;
                    case.accumulate = false;
                    check::<Bf16>(&case, bf16, &mut random);
                    if major == Major::K {
                        case.b_shared.2 /= 2;
                        case.negate = [false, true];
                        check::<Tf32>(&case, f32_bits, &mut random);
                        case.a_shared = Some((major, swizzle, skip / 2));
                        check::<Tf32>(&case, f32_bits, &mut random);
                    }
                }
            }
        }
    }
}

#[test]
fn warps_multiply_the_narrowest_and_the_widest_b() {
    let mut random = Random(7);
    for simd in levels() {
        for columns in [8, 256] {
            for half in [false, true] {
                let case = Case {
                    simd,
                    columns,
                    a_shared: None,
                    b_shared: (Major::K, Swizzle::B128, 32),
                    accumulate: true,
                    half,
                    negate: [true; 2],
                };
                check::<F16>(&case, f16, &mut random);
            }
        }
    }
}

/// Chunks cover an operand's bytes once, each at a multiple of 16.
#[test]
fn chunks_cover_the_operand_once() {
    for swizzle in SWIZZLES {
        for major in [Major::K, Major::Mn] {
            let words = vec![vec![0; 16]; 64];
            let tile = Tile::new(major, swizzle, 64, 0, &words, 2);
            let mut addresses: Vec<u32> = tile
                .matrix
                .chunks_of_b::<Bf16>(64)
                .map(|chunk| chunk.address)
                .collect();
            assert_eq!(addresses.len(), 64 * 16 * 2 / 16);
            assert!(addresses.iter().all(|at| at % 16 == 0));
            addresses.sort_unstable();
            addresses.dedup();
            assert_eq!(addresses.len(), 128);
            let of_warps: Vec<_> = (0..4)
                .flat_map(|warp| tile.matrix.chunks_of_a::<Bf16>(warp))
                .map(|chunk| chunk.address)
                .collect();
            assert_eq!(of_warps.len(), 128);
            assert!(
                of_warps
                    .iter()
                    .all(|at| addresses.binary_search(at).is_ok())
            );
        }
    }
}

/// NaN is canonical in accumulators as well.
#[test]
fn invalid_products_are_the_canonical_nan() {
    let mut a = [[0.0; 16]; 16];
    a[3][5] = f32::INFINITY;
    let b = [[0.0; 8]; 16];
    for simd in levels() {
        let mut d = vec![[0; 32]; 4];
        at_level!(simd, wgmma::single[F16], &a, &b, &mut d, true);
        for lane in 0..32 {
            let expected = if lane / 4 == 5 { 0x7fff_ffff } else { 0 };
            assert_eq!(
                [d[0][lane], d[1][lane], d[2][lane]],
                [expected, expected, 0]
            );
        }
        let mut d = vec![[0; 32]; 2];
        at_level!(simd, wgmma::half[F16], &a, &b, &mut d, true);
        assert_eq!(d[0][4 * 5 + 1], 0x7fff_7fff);
    }
}
