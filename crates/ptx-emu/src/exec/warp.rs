//! One warp: its registers, and its lanes in fragments that run apart and meet again.
//!
//! A fragment is a set of lanes at one instruction. Instructions stand in an order in which every
//! block of code follows all from which it is reached, loop bodies together (`decode/layout.rs`).
//! So where the fragment at the lowest instruction runs first, the others wait for it exactly at
//! the places where their paths can join.

use std::rc::Rc;

use crate::device::Schedule;
use crate::exec::Entry;
use crate::exec::block::Block;
use crate::exec::copies::Copies;
use crate::exec::fragment::same_frame;
pub(crate) use crate::exec::fragment::{Fragment, Frame, State, next_random};
use crate::exec::products::Product;
use crate::exec::written::Written;
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
    pub(super) paused: u64,
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
    pub(super) fn wake(&mut self, block: &Block) {
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
    pub(super) fn pick(&mut self, schedule: Schedule, random: &mut u64) -> Option<Fragment> {
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
