//! Known programs on shared memory: which are races, and of which kind.

use super::super::{Clock, Conflict, Order, RaceKind, SharedShadow, Who};
use super::request;

const ALL: u32 = u32::MAX;
const BYTES: u64 = 16 * 1024;

struct Block {
    shadow: SharedShadow,
    order: Order,
}

impl Block {
    fn new(warps: u32) -> Block {
        let (mut shadow, mut order) = (SharedShadow::new(), Order::new(warps));
        shadow.reset(BYTES, warps, &mut order);
        Block { shadow, order }
    }

    fn read(&mut self, warp: u32, bytes: u32, offset: impl Fn(u64) -> u64) -> Option<Conflict> {
        let (base, p) = request(ALL, bytes, offset);
        let who = Who {
            warp,
            instruction: 1,
        };
        self.shadow.read(base, &p, who, &self.order)
    }

    fn write(&mut self, warp: u32, bytes: u32, offset: impl Fn(u64) -> u64) -> Option<Conflict> {
        let (base, p) = request(ALL, bytes, offset);
        let who = Who {
            warp,
            instruction: 2,
        };
        self.shadow.write(base, &p, who, &self.order)
    }

    fn atomic(&mut self, warp: u32, offset: impl Fn(u64) -> u64) -> Option<Conflict> {
        let (base, p) = request(ALL, 4, offset);
        let who = Who {
            warp,
            instruction: 3,
        };
        self.shadow.atomic(base, &p, who, &self.order)
    }

    fn copy(&mut self, warp: u32, offset: impl Fn(u64) -> u64) -> Option<Conflict> {
        let (base, p) = request(ALL, 16, offset);
        let who = Who {
            warp,
            instruction: 4,
        };
        self.shadow.async_write(base, &p, who, &self.order)
    }
}

fn kind(conflict: Option<Conflict>) -> Option<RaceKind> {
    conflict.map(|conflict| conflict.kind)
}

#[test]
fn tile_with_and_without_its_barriers() {
    let tile = |warp: u64| move |lane: u64| 128 * warp + 4 * lane;
    for (first, second) in [(true, true), (false, true), (true, false)] {
        let mut block = Block::new(4);
        let mut found = Vec::new();
        for _ in 0..3 {
            for warp in 0..4 {
                found.extend(block.write(warp, 4, tile(u64::from(warp))));
            }
            if first {
                block.order.barrier(0xf);
            }
            for warp in 0..4 {
                for k in 0..4 {
                    found.extend(block.read(warp, 4, tile(k)));
                    found.extend(block.read(warp, 4, |_| 128 * k));
                }
            }
            if second {
                block.order.barrier(0xf);
            }
        }
        let kinds: Vec<RaceKind> = found.iter().map(|conflict| conflict.kind).collect();
        match (first, second) {
            (true, true) => assert_eq!(kinds, []),
            (false, _) => assert_eq!(kinds[0], RaceKind::ReadAfterWrite),
            (_, false) => assert_eq!(kinds[0], RaceKind::WriteAfterRead),
        }
    }
}

#[test]
fn lanes_of_a_warp_are_threads() {
    let mut block = Block::new(1);
    assert_eq!(block.write(0, 4, |lane| 4 * lane), None);
    assert_eq!(block.read(0, 4, |lane| 4 * lane), None);
    let found = block.read(0, 4, |lane| 4 * (lane ^ 1));
    let expected = Conflict {
        kind: RaceKind::ReadAfterWrite,
        offset: 0,
        lane: 1,
        other_warp: 0,
        other_lane: Some(0),
        other_instruction: Some(2),
    };
    assert_eq!(found, Some(expected));
    block.order.warp_sync(0);
    assert_eq!(block.read(0, 4, |lane| 4 * (lane ^ 1)), None);
    assert_eq!(
        kind(block.write(0, 4, |lane| 4 * lane)),
        Some(RaceKind::WriteAfterRead)
    );
}

#[test]
fn lanes_that_write_one_word() {
    let mut block = Block::new(2);
    let found = block
        .write(1, 4, |lane| 4 * (lane / 2) + 64)
        .expect("a conflict");
    assert_eq!((found.kind, found.offset), (RaceKind::SameInstruction, 64));
    assert_eq!(
        (found.lane, found.other_lane, found.other_warp),
        (0, Some(1), 1)
    );
    // Two halves of a word are two places.
    let mut block = Block::new(2);
    assert_eq!(block.write(1, 2, |lane| 2 * lane), None);
    assert_eq!(block.read(1, 2, |lane| 2 * lane), None);
    assert_eq!(block.write(1, 2, |lane| 2 * lane), None);
    assert_eq!(block.write(0, 2, |lane| 64 + 2 * lane), None);
    let found = block.read(1, 2, |lane| 2 * (lane ^ 1)).expect("a conflict");
    assert_eq!(
        (found.offset, found.lane, found.other_lane),
        (0, 1, Some(0))
    );
    // A read of the whole word meets both.
    assert_eq!(
        kind(block.read(0, 4, |lane| 4 * (lane % 8))),
        Some(RaceKind::ReadAfterWrite)
    );
    let found = block.write(1, 1, |lane| 64 + lane / 2).expect("a conflict");
    assert_eq!(found.kind, RaceKind::WriteAfterWrite);
}

/// One warp fills a ring of buffers, three others use them; full and empty are mbarriers. The users read at
/// different stamps, because each one's arrival is a synchronisation.
#[test]
fn producer_and_consumers() {
    for empty_is_awaited in [true, false] {
        let mut block = Block::new(4);
        let (mut full, mut empty): ([Clock; 2], [Clock; 2]) = ([[0; 32]; 2], [[0; 32]; 2]);
        let mut found = Vec::new();
        for stage in 0..6 {
            let slot = stage % 2;
            let buffer = |lane: u64| 4096 * slot as u64 + 16 * lane;
            if empty_is_awaited {
                block.order.acquire(0, &empty[slot]);
            }
            found.extend(block.write(0, 16, buffer));
            block.order.release(0, &mut full[slot]);
            for warp in 1..4 {
                block.order.acquire(warp, &full[slot]);
                found.extend(block.read(warp, 16, buffer));
                found.extend(block.read(warp, 4, |_| 4096 * slot as u64));
                block.order.release(warp, &mut empty[slot]);
            }
        }
        let kinds: Vec<_> = found.iter().map(|conflict| conflict.kind).collect();
        if empty_is_awaited {
            assert_eq!(kinds, []);
        } else {
            assert_eq!(kinds, [RaceKind::WriteAfterRead; 4]);
        }
    }
}

#[test]
fn named_barriers() {
    let row = |lane: u64| 4 * lane;
    let mut block = Block::new(4);
    block.write(0, 4, row);
    // Warps 0 and 1 meet; 2 does not know.
    block.order.barrier(0b11);
    assert_eq!(block.read(1, 4, row), None);
    assert_eq!(kind(block.read(2, 4, row)), Some(RaceKind::ReadAfterWrite));
    // Warp 1 passes on what it learnt: 0 before 1 before 3.
    block.order.barrier(0b1010);
    assert_eq!(block.read(3, 4, row), None);

    // `bar.arrive` by 0, `bar.sync` by 1: what 0 does after its arrival is not covered.
    let mut block = Block::new(2);
    let mut arrived = [0; 32];
    block.write(0, 4, row);
    block.order.release(0, &mut arrived);
    block.write(0, 4, |lane| 128 + 4 * lane);
    block.order.barrier_with(0b10, &arrived);
    assert_eq!(block.read(1, 4, row), None);
    assert_eq!(
        kind(block.read(1, 4, |lane| 128 + 4 * lane)),
        Some(RaceKind::ReadAfterWrite)
    );
}

#[test]
fn exited_warps_count_as_arrived() {
    let mut block = Block::new(2);
    block.write(1, 4, |lane| 4 * lane);
    block.order.exit(1);
    assert_eq!(
        kind(block.read(0, 4, |lane| 4 * lane)),
        Some(RaceKind::ReadAfterWrite)
    );
    block.order.barrier(0b1);
    assert_eq!(block.read(0, 4, |lane| 4 * lane), None);
}

#[test]
fn copies_must_be_waited_for() {
    let mut block = Block::new(2);
    let tile = |lane: u64| 16 * lane;
    assert_eq!(block.copy(0, tile), None);
    // A barrier does not wait for copies, and the thread itself may not look either.
    block.order.barrier(0b11);
    let found = block.read(0, 16, tile).expect("a conflict");
    assert_eq!(
        (found.kind, found.other_instruction),
        (RaceKind::PendingCopy, Some(4))
    );
    assert_eq!(
        kind(block.write(1, 4, |lane| 4 * lane)),
        Some(RaceKind::PendingCopy)
    );
    block.shadow.async_done(0, 512, &block.order);
    assert_eq!(block.read(0, 16, tile), None);
    assert_eq!(
        kind(block.read(1, 16, tile)),
        Some(RaceKind::ReadAfterWrite)
    );
    block.order.barrier(0b11);
    assert_eq!(block.read(1, 16, tile), None);
    // Overwriting what another warp still reads is a race at the issue.
    assert_eq!(kind(block.copy(0, tile)), Some(RaceKind::WriteAfterRead));
    // A copy that nobody waited for does not reach into the next block.
    block.shadow.reset(BYTES, 2, &mut block.order);
    assert_eq!(block.read(1, 16, tile), None);
}

#[test]
fn atomics() {
    let mut block = Block::new(2);
    assert_eq!(block.atomic(0, |_| 0), None);
    assert_eq!(block.atomic(1, |lane| 4 * (lane % 4)), None);
    assert_eq!(
        kind(block.read(0, 4, |_| 0)),
        Some(RaceKind::ReadAfterWrite)
    );
    assert_eq!(
        kind(block.write(0, 4, |lane| 4 * lane)),
        Some(RaceKind::WriteAfterWrite)
    );
    block.order.barrier(0b11);
    assert_eq!(block.write(0, 4, |lane| 4 * lane), None);
    assert_eq!(
        kind(block.atomic(1, |_| 0)),
        Some(RaceKind::WriteAfterWrite)
    );
}

#[test]
fn values() {
    let mut block = Block::new(1);
    let shadow = &mut block.shadow;
    let (base, words) = request(ALL, 4, |lane| 400 + 4 * lane);
    assert_eq!(shadow.uninitialised(base, &words), Some((400, 0)));
    shadow.init(401, 126);
    assert_eq!(shadow.uninitialised(base, &words), Some((400, 0)));
    shadow.init(400, 1);
    assert_eq!(shadow.uninitialised(base, &words), Some((527, 31)));
    let (byte, last) = request(1, 1, |_| 527);
    shadow.fill(byte, &last);
    assert_eq!(shadow.uninitialised(base, &words), None);
    let (column, scattered) = request(ALL, 8, |lane| 512 * lane);
    shadow.fill(column, &scattered);
    assert_eq!(shadow.uninitialised(column, &scattered), None);
    let (wide, rows) = request(ALL, 16, |lane| 512 * lane);
    assert_eq!(shadow.uninitialised(wide, &rows), Some((8, 0)));
    let (halves, odd) = request(ALL, 2, |lane| 512 * lane + 6);
    assert_eq!(shadow.uninitialised(halves, &odd), None);
    shadow.reset(BYTES, 1, &mut block.order);
    assert_eq!(shadow.uninitialised(column, &scattered), Some((0, 0)));
}

#[test]
fn requests_out_of_range_are_ignored() {
    let mut block = Block::new(1);
    for offset in [BYTES - 64, BYTES, u64::MAX - 127] {
        let (_, p) = request(ALL, 4, |lane| 4 * lane);
        let who = Who {
            warp: 31,
            instruction: u32::MAX,
        };
        assert_eq!(block.shadow.write(offset, &p, who, &block.order), None);
        assert_eq!(block.shadow.read(offset, &p, who, &block.order), None);
        block.shadow.fill(offset, &p);
        assert_eq!(block.shadow.uninitialised(offset, &p), None);
        block.shadow.init(offset, u64::MAX);
        block.shadow.async_done(offset, u64::MAX, &block.order);
    }
    // A warp that the block does not have.
    let (base, p) = request(ALL, 4, |lane| 4 * lane);
    let who = Who {
        warp: 31,
        instruction: 0,
    };
    block.shadow.read(base, &p, who, &block.order);
    block.shadow.write(base, &p, who, &block.order);
}

#[test]
fn stamps_run_out_and_start_again() {
    let mut block = Block::new(2);
    block.order.age(3);
    for round in 0..6 {
        assert_eq!(block.write(0, 4, |lane| 4 * lane), None);
        block.order.barrier(0b11);
        assert_eq!(block.read(1, 4, |lane| 4 * lane), None);
        block.order.barrier(0b11);
        assert_eq!(block.order.exhausted(), round >= 1);
    }
    block.copy(1, |lane| 1024 + 16 * lane);
    block.shadow.forget(&mut block.order);
    assert!(!block.order.exhausted());
    assert_eq!(
        kind(block.read(0, 4, |_| 1024)),
        Some(RaceKind::PendingCopy)
    );
    assert_eq!(block.write(0, 4, |lane| 4 * lane), None);
    assert_eq!(
        kind(block.read(1, 4, |lane| 4 * lane)),
        Some(RaceKind::ReadAfterWrite)
    );
    // The next block starts with a clear shadow when the stamps are half used.
    block.order.age(100);
    block.write(0, 4, |lane| 4 * lane);
    block.shadow.reset(BYTES, 2, &mut block.order);
    assert_eq!(block.read(1, 4, |lane| 4 * lane), None);
    assert_eq!(
        kind(block.write(0, 4, |lane| 4 * lane)),
        Some(RaceKind::WriteAfterRead)
    );
}
