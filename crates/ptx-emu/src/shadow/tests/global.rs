//! Races between blocks, values and sectors of global memory.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::super::{EVERY_BLOCK, GlobalConflict, GlobalShadow, RaceKind};
use super::request;

const ALL: u32 = u32::MAX;

fn shadow(bytes: u64, alone: bool) -> GlobalShadow {
    let mut shadow = GlobalShadow::new(bytes);
    shadow.begin_launch(alone);
    shadow
}

fn kind(conflict: Option<GlobalConflict>) -> Option<RaceKind> {
    conflict.map(|conflict| conflict.kind)
}

fn never(_: u32) -> bool {
    false
}

#[test]
fn blocks_that_share_words() {
    for alone in [false, true] {
        let mut shadow = shadow(4096, alone);
        let (at, row) = request(ALL, 4, |lane| 256 + 4 * lane);
        assert_eq!(shadow.read(at, &row, 7, never), None);
        assert_eq!(shadow.read(at, &row, 7, never), None);
        assert_eq!(shadow.write(at, &row, 7, never), None);
        assert_eq!(shadow.write(at, &row, 7, never), None);
        let found = shadow.read(at, &row, 8, never);
        let kind_of = RaceKind::ReadAfterWrite;
        let expected = GlobalConflict {
            kind: kind_of,
            offset: 256,
            lane: 0,
            other_block: Some(7),
        };
        assert_eq!(found, Some(expected));
        assert_eq!(
            kind(shadow.write(at, &row, 8, never)),
            Some(RaceKind::WriteAfterWrite)
        );

        shadow.begin_launch(alone);
        for block in 0..3 {
            assert_eq!(shadow.read(at, &row, block, never), None);
        }
        let found = shadow.write(at, &row, 2, never).expect("a conflict");
        assert_eq!(
            (found.kind, found.other_block),
            (RaceKind::WriteAfterRead, None)
        );

        shadow.begin_launch(alone);
        for block in 0..3 {
            assert_eq!(shadow.atomic(at, &row, block, never), None);
        }
        let found = shadow.read(at, &row, 2, never).expect("a conflict");
        assert_eq!(
            (found.kind, found.other_block),
            (RaceKind::ReadAfterWrite, None)
        );
    }
}

#[test]
fn neighbours_in_a_word_do_not_race() {
    let shadow = shadow(4096, false);
    // Rows of 49 16-bit elements: blocks meet in the middle of words.
    for block in 0..20 {
        let start = 98 * u64::from(block);
        for from in [0, 17] {
            let (base, row) = request(ALL, 2, |lane| start + 2 * (from + lane));
            assert_eq!(shadow.write(base, &row, block, never), None);
            assert_eq!(shadow.read(base, &row, block, never), None);
        }
    }
    let (base, one) = request(1, 2, |_| 98);
    let found = shadow.read(base, &one, 0, never).expect("a conflict");
    assert_eq!((found.offset, found.other_block), (98, Some(1)));
    let (base, one) = request(1, 2, |_| 96);
    assert_eq!(shadow.read(base, &one, 0, never), None);
    // Single bytes are not told apart, so they do not accuse.
    let (base, bytes) = request(ALL, 1, |lane| 3000 + 4 * lane);
    assert_eq!(shadow.write(base, &bytes, 0, never), None);
    let (base, bytes) = request(ALL, 1, |lane| 3001 + 4 * lane);
    assert_eq!(shadow.write(base, &bytes, 1, never), None);
}

/// Every block writes its part, the last one to count up an atomic reads all parts.
#[test]
fn order_is_asked_for() {
    let shadow = shadow(4096, false);
    let (counter, one) = request(1, 4, |_| 2048);
    for block in 0..4 {
        let (at, part) = request(ALL, 4, |lane| 128 * u64::from(block) + 4 * lane);
        assert_eq!(shadow.write(at, &part, block, never), None);
        assert_eq!(shadow.atomic(counter, &one, block, never), None);
    }
    let (at, column) = request(0xf, 4, |lane| 128 * lane);
    let asked = Mutex::new(BTreeSet::new());
    let ordered = |block| {
        asked.lock().expect("no panic").insert(block);
        true
    };
    assert_eq!(shadow.read(at, &column, 3, ordered), None);
    assert_eq!(shadow.read(counter, &one, 3, ordered), None);
    assert_eq!(shadow.write(counter, &one, 3, ordered), None);
    assert_eq!(
        *asked.lock().expect("no panic"),
        BTreeSet::from([0, 1, 2, EVERY_BLOCK])
    );
    assert!(shadow.read(at, &column, 3, |block| block != 1).is_some());
}

#[derive(Clone, Copy, PartialEq)]
enum Did {
    Read,
    Write,
    Atomic,
}

/// One host thread, random blocks on a few words, against a list of all accesses by half-word.
#[test]
fn first_conflict_of_each_half_word() {
    let mut rng = StdRng::seed_from_u64(3);
    let mut found = 0;
    for _ in 0..3000 {
        let shadow = shadow(24, rng.random());
        let mut history: Vec<Vec<(u32, Did)>> = vec![Vec::new(); 12];
        let mut settled = [false; 12];
        for _ in 0..rng.random_range(2..12) {
            let block = rng.random_range(0..3);
            let did = [Did::Read, Did::Write, Did::Atomic][rng.random_range(0..3)];
            let half = rng.random_bool(0.5);
            let (bytes, size) = if half { (2, 1) } else { (4, 2) };
            let mask = rng.random_range(1..8);
            let start: usize = rng.random_range(0..12);
            let (base, p) = request(mask, bytes, |lane| {
                (2 * (start as u64 + lane) / u64::from(bytes) * u64::from(bytes)) % 24
            });
            let halves: BTreeSet<usize> = (0..3)
                .filter(|lane| mask >> lane & 1 == 1)
                .map(|lane| (start + lane) / size * size % 12)
                .flat_map(|first| first..first + size)
                .collect();
            let racy: Vec<usize> = halves
                .iter()
                .copied()
                .filter(|&half| {
                    history[half].iter().any(|&(other, earlier)| {
                        let harmless = did == earlier && did != Did::Write;
                        other != block && !harmless
                    })
                })
                .collect();
            let report = match did {
                Did::Read => shadow.read(base, &p, block, never),
                Did::Write => shadow.write(base, &p, block, never),
                Did::Atomic => shadow.atomic(base, &p, block, never),
            };
            match report {
                Some(report) => {
                    assert!(
                        racy.iter().any(|&half| half as u64 == report.offset / 2),
                        "false alarm {report:?}"
                    );
                    found += 1;
                }
                None => assert!(racy.iter().all(|&half| settled[half]), "missed {racy:?}"),
            }
            for half in halves {
                history[half].push((block, did));
            }
            for half in racy {
                settled[half] = true;
            }
        }
    }
    assert!(found > 3000, "{found}");
}

/// Two host threads go over the same words, step by step at the same time: whoever comes second sees the first.
#[test]
fn one_of_two_threads_reports() {
    const REQUESTS: usize = 1024;
    for round in 0..6 {
        let shadow = shadow(4 * REQUESTS as u64, false);
        let arrived = AtomicUsize::new(0);
        let found: Vec<AtomicUsize> = (0..REQUESTS).map(|_| AtomicUsize::new(0)).collect();
        let run = |block: u32| {
            for (step, found) in found.iter().enumerate() {
                let (base, row) = request(1, 4, |_| 4 * step as u64);
                arrived.fetch_add(1, Ordering::SeqCst);
                let mut turns = 0;
                while arrived.load(Ordering::SeqCst) < 2 * (step + 1) {
                    // Close together where there are two cores, without a stand-still where there is one.
                    turns += 1;
                    if turns % 512 == 0 {
                        std::thread::yield_now();
                    }
                    std::hint::spin_loop();
                }
                let report = match (block, round % 2) {
                    (0, 0) => shadow.write(base, &row, block, never),
                    (_, 0) => shadow.read(base, &row, block, never),
                    (0, _) => shadow.atomic(base, &row, block, never),
                    _ => shadow.write(base, &row, block, never),
                };
                found.fetch_add(usize::from(report.is_some()), Ordering::Relaxed);
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| run(0));
            scope.spawn(|| run(1));
        });
        assert!(found.iter().all(|found| found.load(Ordering::Relaxed) > 0));
    }
}

#[test]
fn values_and_sectors() {
    let mut rng = StdRng::seed_from_u64(5);
    for _ in 0..300 {
        let bytes = rng.random_range(100..2000_u64);
        let mut shadow = GlobalShadow::new(bytes);
        shadow.begin_launch(false);
        let (mut filled, mut read) = (BTreeSet::new(), BTreeSet::new());
        for _ in 0..8 {
            let width = 1 << rng.random_range(0..5);
            let stride = rng.random_range(0..20);
            let start = rng.random_range(0..10);
            let mask = rng.random::<u32>() | 1;
            let reach = bytes / u64::from(width);
            let (base, p) = request(mask, width, |lane| {
                (start + lane * stride) % reach * u64::from(width)
            });
            let lanes = (0..32).filter(|lane| mask >> lane & 1 == 1);
            let starts = lanes.map(|lane| base.wrapping_add_signed(i64::from(p.steps.rel()[lane])));
            let touched: BTreeSet<u64> = starts.flat_map(|at| at..at + u64::from(width)).collect();
            let missing = touched.iter().copied().find(|byte| !filled.contains(byte));
            let answer = shadow.uninitialised(base, &p);
            assert_eq!(answer.map(|(byte, _)| byte), missing);
            if let Some((byte, lane)) = answer {
                let at = base.wrapping_add_signed(i64::from(p.steps.rel()[lane as usize]));
                assert!(mask >> lane & 1 == 1 && (at..at + u64::from(width)).contains(&byte));
            }
            shadow.touch_read(base, &p);
            read.extend(touched.iter().map(|byte| byte / 32));
            if rng.random() {
                shadow.fill(base, &p);
                filled.extend(touched);
            }
            assert_eq!(shadow.sectors_read(), read.len() as u64);
        }
        assert_eq!(shadow.sectors_written(), 0);
        shadow.begin_launch(false);
        assert_eq!(shadow.sectors_read(), 0);
    }
}
