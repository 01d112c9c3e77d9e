//! Patterns against sets of bytes, and known access shapes.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{MANY, Pattern, PatternCache, Shape};

mod cache;

const FULL: u32 = u32::MAX;

fn pattern(bytes: u32, address: impl Fn(u64) -> u64) -> Pattern {
    masked(FULL, bytes, address)
}

fn masked(mask: u32, bytes: u32, address: impl Fn(u64) -> u64) -> Pattern {
    let addresses = std::array::from_fn(|lane| address(lane as u64));
    Pattern::of(mask, bytes, &addresses).expect("an active lane, all within reach")
}

fn active(mask: u32) -> impl Iterator<Item = usize> {
    (0..32).filter(move |lane| mask >> lane & 1 == 1)
}

/// Random addresses of the shapes that kernels make, and some that they do not.
fn random_request(rng: &mut StdRng) -> (u32, u32, [u64; 32]) {
    let bytes = 1_u32 << rng.random_range(0..6);
    let mask = match rng.random_range(0..4) {
        0 => rng.random::<u32>() & rng.random::<u32>(),
        1 => rng.random(),
        _ => FULL,
    };
    let align = if rng.random_bool(0.8) {
        u64::from(bytes)
    } else {
        1
    };
    let base = 0x10_0000_0000 + rng.random_range(0..64_u64) * 4;
    let stride = rng.random_range(0..80_u64);
    let row = rng.random_range(1..=32_u64);
    let window = 1_u64 << rng.random_range(2..12);
    let shape = rng.random_range(0..6);
    let addresses = std::array::from_fn(|lane| {
        let lane = lane as u64;
        let distance = match shape {
            0 => lane * stride,
            1 => (lane % row) * u64::from(bytes) + lane / row * stride * 8,
            2 => (lane ^ stride) * u64::from(bytes),
            3 => (31 - lane) * stride * 4,
            4 => lane / row * stride * 8,
            _ => rng.random_range(0..window),
        };
        base + distance / align * align
    });
    (mask, bytes, addresses)
}

#[test]
fn patterns_agree_with_sets_of_bytes() {
    let mut rng = StdRng::seed_from_u64(7);
    for _ in 0..20_000 {
        let (mask, bytes, mut addresses) = random_request(&mut rng);
        for lane in active(!mask) {
            addresses[lane] = rng.random();
        }
        let Some(p) = Pattern::of(mask, bytes, &addresses) else {
            assert_eq!(mask, 0);
            continue;
        };
        check_against_sets(&p, mask, bytes, &addresses);
    }
}

fn check_against_sets(p: &Pattern, mask: u32, bytes: u32, addresses: &[u64; 32]) {
    let base = addresses[mask.trailing_zeros() as usize];
    // Which lanes touch each byte.
    let mut owners: BTreeMap<u64, BTreeSet<usize>> = BTreeMap::new();
    for lane in active(mask) {
        for byte in 0..u64::from(bytes) {
            owners
                .entry(addresses[lane] + byte)
                .or_default()
                .insert(lane);
        }
    }
    let segments = |size: u64| {
        owners
            .keys()
            .map(|byte| byte / size)
            .collect::<BTreeSet<_>>()
            .len()
    };
    assert_eq!(p.distinct_bytes as usize, owners.len());
    assert_eq!(p.sectors as usize, segments(32));
    let lines: BTreeSet<_> = owners
        .keys()
        .map(|byte| (byte + base % 32 + 128 - base % 128) / 128)
        .collect();
    assert_eq!(p.lines as usize, lines.len());
    let overlap = owners.values().any(|lanes| lanes.len() > 1);
    assert_eq!(p.overlap, overlap);

    let words: BTreeSet<u64> = owners.keys().map(|byte| byte / 4).collect();
    let mut listed = Vec::new();
    for span in &p.cells.spans {
        assert_eq!(span.at as usize, listed.len());
        let first = (base / 4).wrapping_add_signed(i64::from(span.word));
        assert!(
            listed.last().is_none_or(|&last| last + 1 < first),
            "runs touch"
        );
        listed.extend((first..).take(span.words as usize));
    }
    assert!(listed.iter().eq(&words), "{listed:?} {words:?}");
    assert_eq!(
        p.cells.extent as u64,
        words.last().unwrap() - words.first().unwrap() + 1
    );
    for (at, &word) in listed.iter().enumerate() {
        let bytes: Vec<u64> = (4 * word..4 * word + 4).collect();
        let lanes: BTreeSet<usize> = bytes
            .iter()
            .filter_map(|byte| owners.get(byte))
            .flatten()
            .copied()
            .collect();
        let lowest = *lanes.first().unwrap();
        let tag = u32::try_from(lowest).unwrap() | if lanes.len() > 1 { MANY } else { 0 };
        assert_eq!(p.cells.tags[at], tag);
        assert_eq!(u64::from(p.cells.places[at]), word - listed[0]);
        let touched = (0..4)
            .filter(|&i| owners.contains_key(&bytes[i]))
            .map(|i| 1_u8 << i)
            .sum::<u8>();
        assert_eq!(p.word_bytes[at], touched);
    }
    assert_eq!(
        p.whole_words,
        p.word_bytes.iter().all(|&touched| touched == 15)
    );
    let by_byte = active(mask).any(|lane| (addresses[lane] | u64::from(bytes)) & 3 != 0);
    assert_eq!(p.byte_cells.is_some(), by_byte);
    if let Some(cells) = &p.byte_cells {
        let origin = base & !3;
        let mut listed = Vec::new();
        for span in &cells.spans {
            let first = origin.wrapping_add_signed(i64::from(span.word));
            listed.extend((first..).take(span.words as usize));
        }
        assert!(listed.iter().eq(owners.keys()));
        for ((byte, lanes), tag) in owners.iter().zip(&cells.tags) {
            let many = if lanes.len() > 1 { MANY } else { 0 };
            assert_eq!(
                *tag as usize,
                lanes.first().unwrap() | many as usize,
                "byte {byte}"
            );
        }
    }

    let active_rel: Vec<i64> = active(mask)
        .map(|lane| addresses[lane].wrapping_sub(base).cast_signed())
        .collect();
    assert_eq!(i64::from(p.steps.low()), *active_rel.iter().min().unwrap());
    assert_eq!(
        i64::from(p.steps.high()),
        active_rel.iter().max().unwrap() + i64::from(bytes)
    );
    let aligned = active(mask).all(|lane| addresses[lane].is_multiple_of(u64::from(bytes)));
    assert_eq!(
        (base | u64::from(p.bits)).is_multiple_of(u64::from(bytes)),
        aligned
    );
    let unit = mask == FULL
        && (0..32).all(|lane| addresses[lane] == base + lane as u64 * u64::from(bytes));
    let uniform = active_rel.iter().all(|&rel| rel == 0);
    let each_row = |step: u64| {
        let follows =
            |lane: usize| addresses[lane] == addresses[lane / 8 * 8] + (lane % 8) as u64 * step;
        mask == FULL && (0..32).all(follows)
    };
    let shape = match () {
        () if uniform => Shape::Uniform,
        () if unit => Shape::Unit,
        () if each_row(u64::from(bytes)) => Shape::Rows,
        () if each_row(0) => Shape::Stairs,
        () => Shape::General,
    };
    assert_eq!(p.steps.shape(), shape);
    let (wavefronts, least) = passes(mask, bytes, addresses);
    assert_eq!((p.wavefronts, p.min_wavefronts), (wavefronts, least));
}

/// Wavefronts and least wavefronts, from absolute addresses.
fn passes(mask: u32, bytes: u32, addresses: &[u64; 32]) -> (u32, u32) {
    let together = if bytes <= 4 { 32 } else { 128 / bytes as usize };
    let (mut total, mut least) = (0, 0);
    for phase in 0..32 / together {
        let mut wanted = Vec::new();
        for lane in active(mask).filter(|lane| lane / together == phase) {
            let last = addresses[lane] + u64::from(bytes) - 1;
            wanted.extend(addresses[lane] / 4..=last / 4);
        }
        let distinct: BTreeSet<u64> = wanted.iter().copied().collect();
        let fullest = |words: &mut dyn Iterator<Item = u64>| {
            let mut banks = [0; 32];
            words.for_each(|word| banks[(word % 32) as usize] += 1);
            banks.into_iter().max().unwrap()
        };
        total += fullest(&mut distinct.iter().copied());
        least += u32::try_from(distinct.len()).unwrap().div_ceil(32);
    }
    (total, least)
}

#[test]
fn known_shapes() {
    let unit = pattern(4, |lane| 4096 + 4 * lane);
    assert_eq!(
        (
            unit.steps.shape(),
            unit.sectors,
            unit.lines,
            unit.distinct_bytes
        ),
        (Shape::Unit, 4, 1, 128)
    );
    assert_eq!((unit.wavefronts, unit.min_wavefronts), (1, 1));
    let shifted = pattern(4, |lane| 4100 + 4 * lane);
    assert_eq!((shifted.phase, shifted.sectors, shifted.lines), (4, 5, 2));
    let column = pattern(4, |lane| 4096 + 128 * lane);
    assert_eq!(
        (
            column.sectors,
            column.lines,
            column.wavefronts,
            column.min_wavefronts
        ),
        (32, 32, 32, 1)
    );
    let padded = pattern(4, |lane| 4096 + 33 * 4 * lane);
    assert_eq!((padded.wavefronts, padded.sectors), (1, 32));
    let pairs = pattern(4, |lane| 8 * lane);
    assert_eq!(pairs.wavefronts, 2);
    let one = pattern(4, |_| 4096);
    assert_eq!(
        (one.steps.shape(), one.wavefronts, one.sectors, one.overlap),
        (Shape::Uniform, 1, 1, true)
    );
    let two_rows = pattern(4, |lane| 4096 + lane / 16 * 132);
    assert_eq!((two_rows.wavefronts, two_rows.cells.spans.len()), (1, 2));
    let halves = pattern(2, |lane| 4096 + 2 * lane);
    assert_eq!(
        (halves.wavefronts, halves.sectors, halves.distinct_bytes),
        (1, 2, 64)
    );
    assert_eq!(
        (
            halves.overlap,
            halves.cells.tags[0] & MANY != 0,
            halves.byte_cells.is_some()
        ),
        (false, true, true)
    );
}

#[test]
fn wide_accesses_go_in_phases() {
    let v2 = pattern(8, |lane| 8 * lane);
    assert_eq!((v2.wavefronts, v2.min_wavefronts), (2, 2));
    let v4 = pattern(16, |lane| 16 * lane);
    assert_eq!(
        (v4.wavefronts, v4.min_wavefronts, v4.steps.shape()),
        (4, 4, Shape::Unit)
    );
    // Rows of 128 bytes: the 8 lanes of each phase meet in the same four banks.
    let column = pattern(16, |lane| 128 * lane);
    assert_eq!((column.wavefronts, column.min_wavefronts), (32, 4));
    let padded = pattern(16, |lane| 144 * lane);
    assert_eq!(padded.wavefronts, 4);
    let one = pattern(16, |_| 64);
    assert_eq!(
        (one.wavefronts, one.min_wavefronts, one.distinct_bytes),
        (4, 4, 16)
    );
    let first_phase = masked(0xff, 16, |lane| 16 * lane);
    assert_eq!((first_phase.wavefronts, first_phase.min_wavefronts), (1, 1));
}

/// The 16-byte rows of `ldmatrix` are the accesses of 8 lanes for each matrix.
#[test]
fn matrix_rows() {
    let rows = |stride: u64, count: u32| {
        let p = masked(FULL >> (32 - count), 16, |row| 2048 + row * stride);
        (p.wavefronts, p.min_wavefronts)
    };
    assert_eq!(rows(144, 32), (4, 4));
    assert_eq!(rows(128, 32), (32, 4));
    assert_eq!(rows(128, 8), (8, 1));
    assert_eq!(rows(16, 16), (2, 2));
    assert_eq!(rows(64, 8), (4, 1));
    // The usual swizzle: the 16-byte column turns with the row.
    let swizzled = masked(0xff, 16, |row| row * 128 + (3 ^ row) * 16);
    assert_eq!((swizzled.wavefronts, swizzled.min_wavefronts), (1, 1));
}

#[test]
fn out_of_reach() {
    let mut addresses = [0; 32];
    assert_eq!(Pattern::of(0, 4, &addresses), None);
    assert_eq!(Pattern::of(FULL, 0, &addresses), None);
    addresses[9] = 1 << 30;
    assert!(Pattern::of(FULL, 4, &addresses).is_some());
    addresses[9] += 1;
    assert_eq!(Pattern::of(FULL, 4, &addresses), None);
    assert!(Pattern::of(FULL & !(1 << 9), 4, &addresses).is_some());
    assert!(PatternCache::default().find(FULL, 4, &addresses).is_none());
    assert!(Pattern::of(FULL, 8, &[u64::MAX; 32]).is_some());
}
