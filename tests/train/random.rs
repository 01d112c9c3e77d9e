//! The generator, and what is drawn from it.

use pvt_cuda::train::drop_path;
use pvt_cuda::train::random::{Purpose, Stream, philox};

/// Counter, key and result.
type Known = ([u32; 4], [u32; 2], [u32; 4]);

/// The lines of `kat_vectors` in the Random123 distribution (1.14.0) that begin with
/// `philox4x32 10`.
const KNOWN: [Known; 3] = [
    (
        [0; 4],
        [0; 2],
        [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
    ),
    (
        [0xffff_ffff; 4],
        [0xffff_ffff; 2],
        [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
    ),
    (
        [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
        [0xa409_3822, 0x299f_31d0],
        [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
    ),
];

#[test]
fn philox_gives_the_published_answers() {
    for (counter, key, expected) in KNOWN {
        assert_eq!(philox(counter, key), expected);
    }
}

#[test]
fn a_stream_is_made_of_the_blocks_of_its_counter() {
    let mut stream = Stream::new(
        0x0123_4567_89ab_cdef,
        Purpose::DropPath,
        5,
        0xaaaa_bbbb_cccc_dddd,
    );
    for block in 0..3 {
        let counter = [block, 5 << 8 | 4, 0xcccc_dddd, 0xaaaa_bbbb];
        let words = philox(counter, [0x89ab_cdef, 0x0123_4567]);
        assert_eq!([(); 4].map(|()| stream.word()), words);
    }
}

#[test]
fn bounded_numbers_are_in_range_and_even() {
    let mut stream = Stream::new(1, Purpose::Shuffle, 0, 0);
    for n in [1u32, 2, 3, 7, 13] {
        let mut counts = vec![0; n as usize];
        for _ in 0..7000 {
            counts[stream.below(n) as usize] += 1;
        }
        // five standard deviations of a binomial count
        let expected = 7000.0 / f64::from(n);
        let most = 5.0 * expected.sqrt() + 1e-9;
        let off = |c: &i32| (f64::from(*c) - expected).abs();
        assert!(counts.iter().all(|c| off(c) <= most), "{n}: {counts:?}");
    }
    // words are drawn again for bounds that do not divide 2^32: half of them here
    let bound = (1 << 31) + 1;
    let high = (0..4000).filter(|_| stream.below(bound) >= 1 << 30).count();
    assert!((1840..2160).contains(&high), "{high}");
    assert_eq!(stream.below(0), 0);
}

#[test]
fn uniform_numbers_fill_their_interval() {
    let mut stream = Stream::new(2, Purpose::Init, 0, 0);
    let values: Vec<f64> = (0..20_000).map(|_| stream.open_uniform()).collect();
    assert!(values.iter().all(|v| *v > 0.0 && *v < 1.0));
    let mean = values.iter().sum::<f64>() / 20_000.0;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / 20_000.0;
    // five standard errors: 0.289 / √20,000, and 0.0745 / √20,000 for the variance
    assert!((mean - 0.5).abs() < 0.0103, "{mean}");
    assert!((variance - 1.0 / 12.0).abs() < 0.0027, "{variance}");
    let mut stream = Stream::new(2, Purpose::Init, 0, 1);
    let largest = (0..100_000).map(|_| stream.uniform()).fold(0.0, f32::max);
    assert!(largest < 1.0 && largest > 0.9999);
}

#[test]
fn a_shuffle_is_a_permutation_and_every_one_is_as_likely() {
    let mut counts = std::collections::BTreeMap::new();
    for at in 0..6000 {
        let mut items = [0, 1, 2];
        Stream::new(3, Purpose::Shuffle, 0, at).shuffle(&mut items);
        *counts.entry(items).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 6);
    assert!(
        counts.values().all(|c| (850..1150).contains(c)),
        "{counts:?}"
    );
}

#[test]
fn drop_path_grows_over_the_blocks_and_keeps_the_mean() {
    assert_eq!(
        drop_path::rates(0.3, 4),
        [0.0, 0.3 * (1.0 / 3.0), 0.3 * (2.0 / 3.0), 0.3]
    );
    assert_eq!(drop_path::rates(0.3, 1), [0.0]);
    let (blocks, batch) = (4, 4096);
    let factors = drop_path::factors(0.3, blocks, batch, 11, 5);
    assert_eq!(factors.len(), 2 * blocks * batch);
    let mut rows = factors.chunks_exact(batch);
    for rate in [0.0f64, 0.0, 0.1, 0.1, 0.2, 0.2, 0.3, 0.3] {
        let row = rows.next().unwrap();
        let kept = row.iter().copied().fold(0.0, f32::max);
        assert!((f64::from(kept) - 1.0 / (1.0 - rate)).abs() < 1e-6);
        assert!(
            row.iter()
                .all(|f| f.to_bits() == 0 || f.to_bits() == kept.to_bits())
        );
        let dropped = row.iter().filter(|f| f.to_bits() == 0).count() as f64 / batch as f64;
        let error = (rate * (1.0 - rate) / batch as f64).sqrt();
        assert!((dropped - rate).abs() <= 5.0 * error, "{rate}: {dropped}");
    }
}

#[test]
fn drop_path_differs_between_branches_and_steps_and_not_with_the_batch() {
    let of = |batch, seed, step| drop_path::factors(0.5, 3, batch, seed, step);
    let row = |factors: &[f32], batch: usize, at: usize| factors[at * batch..][..64].to_vec();
    let factors = of(64, 1, 1);
    let rows: Vec<Vec<f32>> = (2..6).map(|at| row(&factors, 64, at)).collect();
    for (i, a) in rows.iter().enumerate() {
        assert!(rows[i + 1..].iter().all(|b| a != b), "row {i}");
        assert_eq!(
            &row(&of(100, 1, 1), 100, i + 2),
            a,
            "an image's factors do not depend on the batch"
        );
    }
    assert_ne!(factors, of(64, 1, 2));
    assert_ne!(factors, of(64, 2, 1));
    assert!(
        drop_path::factors(0.0, 3, 5, 1, 1)
            .iter()
            .all(|f| f.to_bits() == 1.0f32.to_bits())
    );
}
