//! Happens-before by sets: every thread carries the set of all accesses that are ordered before its next one.

use std::collections::HashMap;

use super::super::{Conflict, RaceKind};

pub(super) const LANES: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
    Atomic,
    Copy,
}

/// One lane's access to one byte range.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub warp: u32,
    pub lane: u32,
    pub instruction: u32,
    pub kind: Kind,
    pub from: u64,
    pub bytes: u64,
}

/// A race of a lane's access with an earlier one, on one byte.
#[derive(Clone, Copy, Debug)]
pub(super) struct Race {
    pub byte: u64,
    pub kind: RaceKind,
    pub other: Event,
}

type Past = Vec<bool>;

pub(super) struct Model {
    events: Vec<Event>,
    /// Of each thread: whether event `i` is ordered before its next access.
    past: Vec<Past>,
    clocks: Vec<Past>,
    /// Releases, as events without bytes: a warp that learns of its own counts as synchronised.
    releases: Vec<(usize, u32)>,
    exited: u32,
    /// Events of the last copy, by byte, while it has not arrived.
    pending: HashMap<u64, Vec<usize>>,
}

fn join(into: &mut Past, other: &Past) {
    into.resize(into.len().max(other.len()), false);
    for (mine, theirs) in into.iter_mut().zip(other) {
        *mine |= theirs;
    }
}

/// The set of one event.
fn only(at: usize) -> Past {
    (0..=at).map(|event| event == at).collect()
}

impl Model {
    pub(super) fn new(warps: usize, clocks: usize) -> Model {
        Model {
            events: Vec::new(),
            past: vec![Vec::new(); warps * LANES],
            clocks: vec![Vec::new(); clocks],
            releases: Vec::new(),
            exited: 0,
            pending: HashMap::new(),
        }
    }

    fn threads(&self, warps: u32) -> Vec<usize> {
        (0..self.past.len())
            .filter(|thread| warps >> (thread / LANES) & 1 == 1)
            .collect()
    }

    fn joined(&self, warps: u32) -> Past {
        let mut all = Vec::new();
        for thread in self.threads(warps) {
            join(&mut all, &self.past[thread]);
        }
        all
    }

    fn learn(&mut self, warps: u32, past: &Past) {
        for thread in self.threads(warps) {
            join(&mut self.past[thread], past);
        }
    }

    pub(super) fn barrier(&mut self, participants: u32) {
        self.meet(participants | self.exited, participants);
    }

    pub(super) fn warp_sync(&mut self, warp: u32) {
        self.meet(1 << warp, 1 << warp);
    }

    fn meet(&mut self, arrived: u32, waiting: u32) {
        let all = self.joined(arrived);
        self.learn(waiting, &all);
        for (at, warp) in self.releases.clone() {
            if waiting >> warp & 1 == 1 {
                self.learn(1 << warp, &only(at));
            }
        }
    }

    pub(super) fn release(&mut self, warp: u32, clock: usize) {
        let all = self.joined(1 << warp);
        join(&mut self.clocks[clock], &all);
        let at = self.events.len();
        let kind = Kind::Read;
        self.events.push(Event {
            warp,
            lane: 0,
            instruction: 0,
            kind,
            from: 0,
            bytes: 0,
        });
        join(&mut self.clocks[clock], &only(at));
        self.releases.push((at, warp));
    }

    pub(super) fn acquire(&mut self, warp: u32, clock: usize) {
        let past = self.clocks[clock].clone();
        let holds = |past: &Past, at: usize| past.get(at).copied().unwrap_or(false);
        let known = &self.past[warp as usize * LANES];
        let mut releases = self.releases.iter();
        let own = releases.any(|&(at, of)| of == warp && holds(&past, at) && !holds(known, at));
        self.learn(1 << warp, &past);
        if own {
            self.warp_sync(warp);
        }
    }

    /// A barrier at which those that released into `clock` only arrived.
    pub(super) fn barrier_with(&mut self, waiting: u32, clock: usize) {
        let past = self.clocks[clock].clone();
        self.learn(waiting, &past);
        self.barrier(waiting);
    }

    pub(super) fn exit(&mut self, warp: u32) {
        self.exited |= 1 << warp;
    }

    pub(super) fn exited(&self) -> u32 {
        self.exited
    }

    /// All races of one instruction, which is then entered.
    pub(super) fn access(&mut self, lanes: &[Event]) -> Vec<Race> {
        let mut races = Vec::new();
        for (index, event) in lanes.iter().enumerate() {
            let past = &self.past[event.warp as usize * LANES + event.lane as usize];
            for byte in event.from..event.from + event.bytes {
                for (at, &other) in self.events.iter().enumerate() {
                    let ordered = past.get(at).copied().unwrap_or(false);
                    if let Some(kind) = clash(*event, other, byte)
                        && !ordered
                    {
                        races.push(Race { byte, kind, other });
                    }
                }
                for &at in self.pending.get(&byte).into_iter().flatten() {
                    let (kind, other) = (RaceKind::PendingCopy, self.events[at]);
                    races.push(Race { byte, kind, other });
                }
                for &other in &lanes[index + 1..] {
                    if clash(*event, other, byte).is_some() {
                        let kind = RaceKind::SameInstruction;
                        races.push(Race { byte, kind, other });
                    }
                }
            }
        }
        let copies = lanes.iter().filter(|event| event.kind == Kind::Copy);
        for byte in copies.flat_map(|event| event.from..event.from + event.bytes) {
            self.pending.insert(byte, Vec::new());
        }
        for event in lanes {
            let at = self.enter(*event);
            for byte in event.from..event.from + event.bytes {
                if event.kind == Kind::Copy {
                    self.pending.entry(byte).or_default().push(at);
                }
            }
        }
        races
    }

    /// Copies into a range have arrived.
    pub(super) fn done(&mut self, from: u64, bytes: u64) {
        for byte in from..from + bytes {
            for at in self.pending.remove(&byte).into_iter().flatten() {
                let kind = Kind::Write;
                self.enter(Event {
                    from: byte,
                    bytes: 1,
                    kind,
                    ..self.events[at]
                });
            }
        }
    }

    /// Bytes at which an atomic is not ordered after an earlier one.
    pub(super) fn unordered_atomics(&self, lanes: &[Event]) -> Vec<u64> {
        let mut bytes = Vec::new();
        for event in lanes.iter().filter(|event| event.kind == Kind::Atomic) {
            let past = &self.past[event.warp as usize * LANES + event.lane as usize];
            for (at, other) in self.events.iter().enumerate() {
                let ordered = past.get(at).copied().unwrap_or(false);
                if other.kind == Kind::Atomic && !ordered {
                    bytes.extend(other.from..other.from + other.bytes);
                }
            }
        }
        bytes
    }

    fn enter(&mut self, event: Event) -> usize {
        let at = self.events.len();
        self.events.push(event);
        let past = &mut self.past[event.warp as usize * LANES + event.lane as usize];
        past.resize(at + 1, false);
        past[at] = true;
        at
    }
}

/// What two unordered accesses would be on a byte that the first one touches.
fn clash(event: Event, other: Event, byte: u64) -> Option<RaceKind> {
    if byte < other.from || byte >= other.from + other.bytes {
        return None;
    }
    match (event.kind, other.kind) {
        (Kind::Read, Kind::Read) | (Kind::Atomic, Kind::Atomic) => None,
        (Kind::Read, _) => Some(RaceKind::ReadAfterWrite),
        (_, Kind::Read) => Some(RaceKind::WriteAfterRead),
        _ => Some(RaceKind::WriteAfterWrite),
    }
}

impl Race {
    /// Whether a report can mean this race. The report names the word or byte and may leave out what it cannot know.
    pub(super) fn is(&self, report: &Conflict) -> bool {
        self.kind == report.kind
            && (report.offset..report.offset + 4).contains(&self.byte)
            && self.other.warp == report.other_warp
            && report.other_lane.is_none_or(|lane| lane == self.other.lane)
            && report
                .other_instruction
                .is_none_or(|index| index == self.other.instruction)
    }
}
