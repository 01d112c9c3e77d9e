//! Inputs: the edges of every type, and random bits between them.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Edges of the integers of so many bits.
pub(crate) fn integers(bits: u32) -> Vec<u64> {
    let mask = u64::MAX >> (64 - bits);
    let sign = 1_u64 << (bits - 1);
    let mut values = vec![
        0,
        1,
        2,
        3,
        31,
        32,
        33,
        63,
        64,
        65,
        mask,
        mask - 1,
        sign,
        sign - 1,
        sign + 1,
    ];
    values.extend((0..bits).step_by(5).map(|bit| 1 << bit));
    values.iter().map(|v| v & mask).collect()
}

/// Edges of a format with so many bits of exponent and of fraction: zeros, the least and the
/// largest subnormal and normal numbers, one and its neighbours, infinities, NaNs; both signs.
pub(crate) fn floats(exponent: u32, fraction: u32) -> Vec<u64> {
    let one = ((1_u64 << (exponent - 1)) - 1) << fraction;
    let infinity = ((1_u64 << exponent) - 1) << fraction;
    let least = 1_u64 << fraction;
    let half = one - least;
    let positive = [
        0,
        1,
        2,
        least - 1,
        least,
        least + 1,
        one - 1,
        one,
        one + 1,
        half,
        half + 1,
        one + (least >> 1),
        one + least,
        one + 2 * least + (least >> 1),
        infinity - 1,
        infinity - least,
        infinity,
        infinity + 1,
        infinity + (least >> 1),
        infinity | (least - 1),
    ];
    let sign = 1_u64 << (exponent + fraction);
    positive.iter().flat_map(|v| [*v, v | sign]).collect()
}

/// Edges of `f32`.
pub(crate) fn f32s() -> Vec<u64> {
    floats(8, 23)
}

/// Edges of `f64`.
pub(crate) fn f64s() -> Vec<u64> {
    floats(11, 52)
}

/// Edges of `f16`.
pub(crate) fn f16s() -> Vec<u64> {
    floats(5, 10)
}

/// Edges of `bf16`.
pub(crate) fn bf16s() -> Vec<u64> {
    floats(8, 7)
}

/// Random bits.
pub(crate) fn random(bits: u32, count: usize, seed: u64) -> Vec<u64> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mask = u64::MAX >> (64 - bits);
    (0..count).map(|_| rng.random::<u64>() & mask).collect()
}

/// Rows for an instruction with one source: the edges, then `more` random values.
pub(crate) fn rows1(edges: &[u64], bits: u32, more: usize) -> Vec<Vec<u64>> {
    let random = random(bits, more, 1);
    edges.iter().chain(&random).map(|v| vec![*v]).collect()
}

/// Rows for two sources: every pair of edges, then random ones.
pub(crate) fn rows2(edges: [&[u64]; 2], bits: [u32; 2], more: usize) -> Vec<Vec<u64>> {
    let mut rows: Vec<_> = edges[0]
        .iter()
        .flat_map(|a| edges[1].iter().map(|b| vec![*a, *b]))
        .collect();
    let random = [random(bits[0], more, 2), random(bits[1], more, 3)];
    rows.extend((0..more).map(|i| vec![random[0][i], random[1][i]]));
    rows
}

/// Rows for three sources: `some` combinations of edges drawn at random, then random ones.
pub(crate) fn rows3(edges: [&[u64]; 3], bits: [u32; 3], some: usize, more: usize) -> Vec<Vec<u64>> {
    let mut rng = StdRng::seed_from_u64(4);
    let mut rows: Vec<Vec<u64>> = (0..some)
        .map(|_| {
            edges
                .iter()
                .map(|e| e[rng.random_range(0..e.len())])
                .collect()
        })
        .collect();
    rows.extend((0..more).map(|_| {
        let cell = |b: &u32| rng.random::<u64>() & (u64::MAX >> (64 - b));
        bits.iter().map(cell).collect()
    }));
    rows
}
