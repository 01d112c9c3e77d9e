//! Random programs of accesses and synchronisations: the shadow must agree with the model.

use std::collections::HashSet;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::super::{Clock, Order, SharedShadow, Who};
use super::model::{Event, Kind, Model};
use super::request;
use crate::access::Pattern;

const BYTES: u64 = 96;
const CLOCKS: usize = 2;

struct Run {
    rng: StdRng,
    warps: u32,
    model: Model,
    order: Order,
    shadow: SharedShadow,
    clocks: [Clock; CLOCKS],
    copies: Vec<(u64, u64)>,
    /// Bytes about which the shadow need not know all: they raced before, or unordered atomics met there.
    settled: HashSet<u64>,
    reported: usize,
    silent: usize,
}

impl Run {
    fn new(seed: u64) -> Run {
        Run {
            rng: StdRng::seed_from_u64(seed),
            warps: 1,
            model: Model::new(1, CLOCKS),
            order: Order::new(1),
            shadow: SharedShadow::new(),
            clocks: [[0; 32]; CLOCKS],
            copies: Vec::new(),
            settled: HashSet::new(),
            reported: 0,
            silent: 0,
        }
    }

    /// One block: the shadow and the order live on from the block before.
    fn block(&mut self) {
        self.warps = self.rng.random_range(1..=4);
        self.model = Model::new(self.warps as usize, CLOCKS);
        self.shadow.reset(BYTES, self.warps, &mut self.order);
        self.clocks = [[0; 32]; CLOCKS];
        self.copies.clear();
        self.settled.clear();
        let (sub_words, copies) = (self.rng.random_bool(0.5), self.rng.random_bool(0.3));
        let sync = self.rng.random_range(0.1..0.7);
        for step in 0..self.rng.random_range(5..50) {
            if self.rng.random_bool(sync) {
                self.synchronise();
            } else {
                self.access(step, sub_words, copies);
            }
        }
    }

    fn live(&mut self) -> Option<u32> {
        let warp = self.rng.random_range(0..self.warps);
        (self.model.exited() >> warp & 1 == 0).then_some(warp)
    }

    fn synchronise(&mut self) {
        let Some(warp) = self.live() else { return };
        let clock = self.rng.random_range(0..CLOCKS);
        let all = (1 << self.warps) - 1;
        let some = (self.rng.random::<u32>() & all | 1 << warp) & !self.model.exited();
        match self.rng.random_range(0..15) {
            0..=2 => {
                let live = all & !self.model.exited();
                self.order.barrier(live);
                self.model.barrier(live);
            }
            3 | 4 => {
                self.order.barrier(some);
                self.model.barrier(some);
            }
            5 | 6 => {
                self.order.warp_sync(warp);
                self.model.warp_sync(warp);
            }
            7..=9 => {
                self.order.release(warp, &mut self.clocks[clock]);
                self.model.release(warp, clock);
            }
            10..=12 => {
                self.order.acquire(warp, &self.clocks[clock]);
                self.model.acquire(warp, clock);
            }
            13 => {
                self.order.barrier_with(some, &self.clocks[clock]);
                self.model.barrier_with(some, clock);
            }
            _ if self.rng.random_bool(0.2) => {
                self.order.exit(warp);
                self.model.exit(warp);
            }
            _ => {
                if let Some((from, bytes)) = self.copies.pop() {
                    self.shadow.async_done(from, bytes, &self.order);
                    self.model.done(from, bytes);
                }
            }
        }
    }

    fn access(&mut self, step: u32, sub_words: bool, copies: bool) {
        let Some(warp) = self.live() else { return };
        let kind = match self.rng.random_range(0..10) {
            0..=4 => Kind::Read,
            5..=7 => Kind::Write,
            8 if copies => Kind::Copy,
            _ => Kind::Atomic,
        };
        let small = sub_words && self.rng.random_bool(0.6) && kind != Kind::Copy;
        let bytes = if small {
            1 << self.rng.random_range(0..2)
        } else {
            4 << self.rng.random_range(0..2)
        };
        // Some requests by one lane, some by several, sparse or in a row: 3 lanes to make races likely.
        let mask = 1 << self.rng.random_range(0..3)
            | self.rng.random_range(0..8_u32) & self.rng.random_range(0..8);
        let places = BYTES / u64::from(bytes);
        let (start, stride) = (
            self.rng.random_range(0..places),
            self.rng.random_range(0..5),
        );
        let (base, p) = request(mask, bytes, |lane| {
            (start + lane * stride) % places * u64::from(bytes)
        });
        let lanes: Vec<Event> = (0..32)
            .filter(|lane| mask >> lane & 1 == 1)
            .map(|lane| Event {
                warp,
                lane,
                instruction: step,
                kind,
                from: base.wrapping_add_signed(i64::from(p.steps.rel()[lane as usize])),
                bytes: u64::from(bytes),
            })
            .collect();
        self.compare(warp, step, base, &p, kind, &lanes);
    }

    fn compare(
        &mut self,
        warp: u32,
        step: u32,
        base: u64,
        p: &Pattern,
        kind: Kind,
        lanes: &[Event],
    ) {
        self.settled.extend(self.model.unordered_atomics(lanes));
        let races = self.model.access(lanes);
        let who = Who {
            warp,
            instruction: step,
        };
        let (shadow, order) = (&mut self.shadow, &self.order);
        let report = match kind {
            Kind::Read => shadow.read(base, p, who, order),
            Kind::Write => shadow.write(base, p, who, order),
            Kind::Atomic => shadow.atomic(base, p, who, order),
            Kind::Copy => shadow.async_write(base, p, who, order),
        };
        if let Some(report) = report {
            let real = races.iter().any(|race| race.is(&report));
            assert!(
                real,
                "false alarm: {report:?} at {lanes:?}, races {races:?}"
            );
            self.reported += 1;
        } else {
            let mut races = races.iter();
            let missed = races.find(|race| !self.settled.contains(&race.byte));
            assert!(missed.is_none(), "missed: {missed:?} at {lanes:?}");
            self.silent += 1;
        }
        self.settled.extend(races.iter().map(|race| race.byte));
        if kind == Kind::Copy {
            let low = base.wrapping_add_signed(i64::from(p.steps.low()));
            let high = base.wrapping_add_signed(i64::from(p.steps.high()));
            self.copies.push((low, high - low));
        }
    }
}

#[test]
fn random_programs_agree_with_the_model() {
    let (mut reported, mut silent) = (0, 0);
    for seed in 0..1000 {
        let mut run = Run::new(seed);
        for _ in 0..20 {
            run.block();
        }
        reported += run.reported;
        silent += run.silent;
    }
    // Both verdicts are common, so that the agreement means something.
    assert!(reported > 25_000 && silent > 75_000, "{reported} {silent}");
}
