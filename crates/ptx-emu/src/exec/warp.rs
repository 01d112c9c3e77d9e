//! One warp: its registers, and its lanes in fragments that run apart and meet again.
//!
//! A fragment is a set of lanes at one instruction. Instructions stand in an order in which every
//! block of code follows all from which it is reached, loop bodies together (`decode/layout.rs`).
//! So where the fragment at the lowest instruction runs first, the others wait for it exactly at
//! the places where their paths can join.

use std::rc::Rc;

use crate::device::Schedule;
use crate::exec::block::Block;
use crate::exec::copies::Copies;
use crate::exec::fragment::same_frame;
pub(crate) use crate::exec::fragment::{Fragment, Frame, State, next_random};
use crate::exec::products::Product;
use crate::exec::written::Written;
use crate::exec::{Cx, Entry, Flow};
use crate::lanes::{Lanes, Registers};
use crate::memory::bytes::Storage;

/// 32 threads that run together.
#[derive(Debug)]
pub(crate) struct Warp {
    pub regs: Registers,
    /// Index in its block.
    pub index: u32,
    /// Rank of its block in the cluster.
    pub rank: usize,
    /// Lanes that have not exited.
    pub live: u32,
    /// Lanes that left the others for the end of the kernel, and for nothing else.
    pub leaving: u32,
    /// Lanes that left the others for something else, and have exited. They have passed by what
    /// the others are still to run together.
    pub passed: u32,
    pub fragments: Vec<Fragment>,
    /// The frame of the fragment that runs.
    pub frame: Option<Rc<Frame>>,
    /// Local memory, one lane after the other.
    pub local: Storage,
    pub local_bytes: u32,
    /// Which bytes of it were written.
    pub local_written: Written,
    /// Copies under way.
    pub copies: Copies,
    /// Bulk copies under way that it waits for by group.
    pub bulk: Copies,
    /// Matrix products under way.
    pub products: Vec<Product>,
    /// `mbarrier.test_wait` has failed an odd number of times.
    pub failed: bool,
    paused: u64,
}

/// How far a warp has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All lanes have exited.
    Done,
    /// All wait.
    Blocked,
    /// Others are to run.
    Paused,
    /// The launch cannot go on.
    Stopped,
}

impl Warp {
    pub(crate) fn new(index: u32, rank: usize, slots: u32, preds: u32) -> Self {
        let regs = Registers {
            slots: vec![Lanes::ZERO; slots as usize],
            preds: vec![0; preds as usize],
        };
        Self {
            regs,
            index,
            rank,
            live: 0,
            leaving: 0,
            passed: 0,
            fragments: Vec::new(),
            frame: None,
            local: Storage::zeroed(0).expect("no bytes"),
            local_bytes: 0,
            local_written: Written::default(),
            copies: Copies::default(),
            bulk: Copies::default(),
            products: Vec::new(),
            failed: false,
            paused: 0,
        }
    }

    /// Makes the warp ready to run `lanes` from the first instruction.
    pub(crate) fn start(&mut self, lanes: u32) {
        self.live = lanes;
        self.leaving = 0;
        self.passed = 0;
        self.frame = None;
        self.paused = 0;
        self.copies.clear();
        self.bulk.clear();
        self.products.clear();
        self.failed = false;
        self.fragments.clear();
        self.push(0, lanes, None, State::Ready);
    }

    /// Bytes from the local memory of one lane to that of the next: whole units of 16, so that
    /// what is aligned in one lane is in all.
    pub(crate) fn local_stride(&self) -> u32 {
        self.local_bytes.next_multiple_of(16)
    }

    /// Gives each lane `bytes` of local memory; nothing where the host has none.
    pub(crate) fn resize_local(&mut self, bytes: u32) -> Option<()> {
        let new = bytes.next_multiple_of(16) as usize;
        let old = self.local_stride() as usize;
        let storage = Storage::zeroed(new * 32)?;
        let mut lane_bytes = vec![0; old.min(new)];
        for lane in 0..32 {
            self.local.view().copy_to(lane * old, &mut lane_bytes);
            storage.view().copy_from(lane * new, &lane_bytes);
        }
        self.local_written.resize_lanes(old, new);
        self.local = storage;
        self.local_bytes = bytes;
        Some(())
    }

    /// Whether any lane is ready, or its barrier is complete.
    pub(crate) fn can_run(&self, block: &Block) -> bool {
        self.fragments.iter().any(|f| match f.state {
            State::Ready | State::Again(_) => true,
            State::Collect => false,
            State::Barrier { id, phase, .. } => block.barriers.phase(id) != phase,
            State::Cluster { phase } => block.cluster.phase != phase,
            State::Mbarrier { offset, phase } => block.mbarriers.phase(offset) != Some(phase),
            State::Products { commits } => block.committed(self.index, commits),
        })
    }

    pub(crate) fn push(&mut self, pc: u32, mask: u32, frame: Option<Rc<Frame>>, state: State) {
        if mask != 0 {
            self.fragments.push(Fragment {
                pc,
                mask,
                frame,
                state,
                served: 0,
            });
        }
    }

    /// Lets fragments go on whose barrier is complete.
    fn wake(&mut self, block: &Block) {
        let index = self.index;
        for fragment in &mut self.fragments {
            match fragment.state {
                State::Barrier { id, phase, again } if block.barriers.phase(id) != phase => {
                    fragment.state = if again {
                        State::Again(Entry::Resumed)
                    } else {
                        State::Ready
                    };
                }
                State::Cluster { phase } if block.cluster.phase != phase => {
                    fragment.state = State::Again(Entry::Resumed);
                }
                State::Products { commits } if block.committed(index, commits) => {
                    fragment.state = State::Again(Entry::Resumed);
                }
                State::Mbarrier { offset, phase }
                    if block.mbarriers.phase(offset) != Some(phase) =>
                {
                    fragment.state = State::Again(Entry::Resumed);
                }
                _ => {}
            }
        }
    }

    /// Takes the fragment that is to run next out of the list, joined with all that are where it is.
    fn pick(&mut self, schedule: Schedule, random: &mut u64) -> Option<Fragment> {
        let ready = |f: &Fragment| matches!(f.state, State::Ready | State::Again(_));
        let depth = |f: &Fragment| f.frame.as_ref().map_or(0, |frame| frame.depth);
        let candidates = (0..self.fragments.len()).filter(|i| ready(&self.fragments[*i]));
        let index = match schedule {
            _ if self.paused > 0 && self.fragments.len() > 1 => candidates.min_by_key(|i| {
                let fragment = &self.fragments[*i];
                (fragment.served, fragment.pc)
            }),
            Schedule::Forward => candidates.min_by_key(|i| {
                let fragment = &self.fragments[*i];
                (std::cmp::Reverse(depth(fragment)), fragment.pc)
            }),
            Schedule::Reverse => candidates.max_by_key(|i| {
                let fragment = &self.fragments[*i];
                (depth(fragment), fragment.pc)
            }),
            Schedule::Shuffle(_) => {
                let all: Vec<_> = candidates.collect();
                let at = next_random(random) as usize % all.len().max(1);
                all.get(at).copied()
            }
        }?;
        let mut picked = self.fragments.swap_remove(index);
        if self.fragments.is_empty() {
            self.paused = 0;
        }
        if picked.state == State::Ready {
            self.fragments.retain(|f| {
                let joins = f.pc == picked.pc
                    && matches!(f.state, State::Ready | State::Collect)
                    && same_frame(f.frame.as_ref(), picked.frame.as_ref());
                if joins {
                    picked.mask |= f.mask;
                }
                !joins
            });
        }
        Some(picked)
    }

    /// Where no lane of any warp can go on, those that wait at an mbarrier are told that it has taken
    /// them too long: that is their right. Whether there were any.
    pub(crate) fn time_out(&mut self) -> bool {
        let mut any = false;
        for fragment in &mut self.fragments {
            if matches!(fragment.state, State::Mbarrier { .. }) {
                fragment.state = State::Again(Entry::Forced);
                any = true;
            }
        }
        any
    }

    /// Where no lane of the warp can go on, the fragment at the lowest instruction that waits for
    /// other lanes is told that they do not come. Whether there was one.
    pub(crate) fn force(&mut self) -> bool {
        let waiting = self
            .fragments
            .iter_mut()
            .filter(|f| f.state == State::Collect);
        let Some(first) = waiting.min_by_key(|f| f.pc) else {
            return false;
        };
        first.state = State::Again(Entry::Forced);
        true
    }
}

/// Runs the warp of `cx` until all its lanes wait or have exited, or about `left` instructions,
/// which it counts down.
pub(crate) fn run(cx: &mut Cx<'_>, left: &mut i64) -> Outcome {
    let grid = cx.grid;
    loop {
        cx.warp.wake(&cx.blocks[cx.rank]);
        let Some(picked) = cx.warp.pick(grid.schedule, &mut cx.worker.random) else {
            return if cx.warp.live == 0 {
                Outcome::Done
            } else {
                Outcome::Blocked
            };
        };
        cx.active = picked.mask;
        cx.pc = picked.pc;
        cx.warp.frame = picked.frame;
        cx.entry = match picked.state {
            State::Again(entry) => entry,
            _ => Entry::Fresh,
        };
        loop {
            let (flow, at) = if grid.checks.counters {
                straight::<true>(cx, left)
            } else {
                straight::<false>(cx, left)
            };
            match flow {
                Flow::Next | Flow::Jump => {
                    if *left <= 0 {
                        pause(cx);
                        return Outcome::Paused;
                    }
                    if meets(cx) {
                        let frame = cx.warp.frame.take();
                        cx.warp.push(cx.pc, cx.active, frame, State::Ready);
                        break;
                    }
                }
                Flow::Switch => {
                    if *left <= 0 {
                        return Outcome::Paused;
                    }
                    break;
                }
                Flow::Yield => {
                    pause(cx);
                    return Outcome::Paused;
                }
                Flow::Collect => {
                    let frame = cx.warp.frame.take();
                    let rest = cx.active & !cx.mask;
                    cx.warp.push(at + 1, rest, frame.clone(), State::Ready);
                    cx.warp.push(at, cx.mask, frame, State::Collect);
                    break;
                }
                Flow::Wait => {
                    let frame = cx.warp.frame.take();
                    let rest = cx.active & !cx.mask;
                    let wait = cx.wait;
                    cx.warp.push(at + 1, rest, frame.clone(), State::Ready);
                    cx.warp.push(cx.pc, cx.mask, frame, wait);
                    break;
                }
                Flow::Stop => return Outcome::Stopped,
            }
        }
        if *left <= 0 {
            return Outcome::Paused;
        }
    }
}

/// Runs instructions one after the other until one stops this, `left` is used up, or other
/// fragments of the warp may have to run. What the last of them said, and its place.
#[inline(always)]
fn straight<const COUNT: bool>(cx: &mut Cx<'_>, left: &mut i64) -> (Flow, u32) {
    let ops = cx.grid.program.ops.as_slice();
    let mut rest = *left;
    let mut next = cx.pc;
    loop {
        let at = next;
        let op = &ops[at as usize];
        next = at + 1;
        cx.pc = next;
        cx.mask = cx.active & (cx.warp.regs.preds[op.guard as usize] ^ op.flip);
        rest -= 1;
        let again = COUNT && cx.entry == Entry::Resumed;
        let flow = if cx.mask != 0 || op.always {
            op.run.call(cx, op)
        } else {
            Flow::Next
        };
        if COUNT && !again && flow != Flow::Collect {
            let tally = &mut cx.worker.tallies[at as usize];
            tally.warps += 1;
            tally.lanes += u64::from(cx.mask.count_ones());
        }
        cx.entry = Entry::Fresh;
        if rest > 0 && cx.warp.fragments.is_empty() {
            match flow {
                // `next` is not read back from `cx`, for that would make each instruction wait
                // for the one before.
                Flow::Next => continue,
                Flow::Jump => {
                    next = cx.pc;
                    continue;
                }
                _ => {}
            }
        }
        *left = rest;
        return (flow, at);
    }
}

/// Puts the running fragment behind all others.
fn pause(cx: &mut Cx<'_>) {
    let warp = &mut *cx.warp;
    warp.paused += 1;
    warp.fragments.push(Fragment {
        pc: cx.pc,
        mask: cx.active,
        frame: warp.frame.take(),
        state: State::Ready,
        served: warp.paused,
    });
}

/// Whether the running fragment has come to where another waits for it, or has passed one that is
/// to run first.
fn meets(cx: &Cx<'_>) -> bool {
    let forward = cx.grid.schedule == Schedule::Forward && cx.warp.paused == 0;
    cx.warp.fragments.iter().any(|f| {
        let there = match f.state {
            State::Ready if forward => cx.pc >= f.pc,
            State::Ready | State::Collect => cx.pc == f.pc,
            _ => false,
        };
        there && same_frame(f.frame.as_ref(), cx.warp.frame.as_ref())
    })
}
