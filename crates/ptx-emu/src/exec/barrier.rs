//! The sixteen barriers of a block (PTX ISA 9.7.13: `bar`, `barrier`).
//!
//! A barrier counts warps: a warp has arrived when all its lanes that still run have. Without a
//! thread count it waits for every warp that has lanes left.

/// What a lane brings to a barrier that reduces a predicate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reduction {
    pub count: u32,
    pub all: bool,
    pub any: bool,
}

#[derive(Clone, Debug, Default)]
struct Barrier {
    phase: u32,
    /// Lanes that have arrived, per warp.
    lanes: [u32; 32],
    /// Warps that have arrived without waiting (`bar.arrive`).
    arrivals: u32,
    expected_warps: Option<u32>,
    reduction: Option<Reduction>,
    result: Reduction,
    /// The statement that was last arrived at.
    statement: u32,
}

/// The barriers of one block.
#[derive(Clone, Debug, Default)]
pub(crate) struct Barriers {
    slots: [Barrier; 16],
    /// Those at which lanes have arrived since they were last complete.
    pending: u16,
    /// Those at which lanes have arrived.
    used: u16,
}

/// A barrier that has just been completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Completed {
    pub id: u8,
    /// Warps that took part, of them those that only arrived.
    pub warps: u32,
    pub arrivals: u32,
    /// It was to be reached by all threads of the block.
    pub whole_block: bool,
    /// The statement that was last arrived at.
    pub statement: u32,
}

/// Why an arrival is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misuse {
    /// The threads of one phase name different thread counts.
    Count { first: u32, now: u32 },
    /// A thread count that is no number of warps.
    Threads { now: u32 },
    /// A warp comes a second time before the barrier is complete.
    Twice,
}

impl Barriers {
    /// Makes all barriers new; whether any was used.
    pub(crate) fn reset(&mut self) -> bool {
        let used = self.used != 0;
        if used {
            *self = Self::default();
        }
        used
    }

    /// Whether lanes wait at any, or have arrived there.
    pub(crate) fn any_pending(&self) -> bool {
        self.pending != 0
    }

    pub(crate) fn phase(&self, id: u8) -> u32 {
        self.slots[usize::from(id & 15)].phase
    }

    /// The reduction of the last phase that was completed.
    pub(crate) fn result(&self, id: u8) -> Reduction {
        self.slots[usize::from(id & 15)].result
    }

    /// Notes that `lanes` of `warp` have arrived.
    pub(crate) fn arrive(
        &mut self,
        id: u8,
        warp: u32,
        lanes: u32,
        threads: Option<u32>,
        waits: bool,
    ) -> Result<(), Misuse> {
        let barrier = &mut self.slots[usize::from(id & 15)];
        if let Some(now) = threads
            && (now == 0 || now % 32 != 0)
        {
            return Err(Misuse::Threads { now });
        }
        let begun = barrier.lanes.iter().any(|l| *l != 0);
        let expected = threads.map(|t| t.div_ceil(32));
        if begun && barrier.expected_warps != expected {
            let show = |warps: Option<u32>| warps.map_or(0, |w| w * 32);
            return Err(Misuse::Count {
                first: show(barrier.expected_warps),
                now: show(expected),
            });
        }
        if barrier.lanes[warp as usize] & lanes != 0 {
            return Err(Misuse::Twice);
        }
        self.pending |= 1 << (id & 15);
        self.used |= self.pending;
        barrier.expected_warps = expected;
        barrier.lanes[warp as usize] |= lanes;
        if !waits {
            barrier.arrivals |= 1 << warp;
        }
        Ok(())
    }

    /// Notes where the threads of barrier `id` wait.
    pub(crate) fn note(&mut self, id: u8, statement: u32) {
        self.slots[usize::from(id & 15)].statement = statement;
    }

    /// Adds the predicates of `lanes` to the reduction under way.
    pub(crate) fn reduce(&mut self, id: u8, lanes: u32, values: u32) {
        let barrier = &mut self.slots[usize::from(id & 15)];
        let so_far = barrier.reduction.unwrap_or(Reduction {
            count: 0,
            all: true,
            any: false,
        });
        barrier.reduction = Some(Reduction {
            count: so_far.count + (lanes & values).count_ones(),
            all: so_far.all && lanes & !values == 0,
            any: so_far.any || lanes & values != 0,
        });
    }

    /// Completes a barrier that all have reached for which it waits. `live` has the lanes of each
    /// warp that still run.
    pub(crate) fn complete(&mut self, id: u8, live: &[u32]) -> Option<Completed> {
        if self.pending & 1 << (id & 15) == 0 {
            return None;
        }
        let barrier = &mut self.slots[usize::from(id & 15)];
        let mut warps = 0;
        let mut waited_for = 0;
        for (warp, (live, arrived)) in live.iter().zip(barrier.lanes).enumerate() {
            if *live != 0 || arrived != 0 {
                waited_for |= 1_u32 << warp;
            }
            if arrived != 0 && live & !arrived == 0 {
                warps |= 1 << warp;
            }
        }
        let done = match barrier.expected_warps {
            None => warps == waited_for,
            Some(expected) => warps.count_ones() >= expected,
        };
        if warps == 0 || !done {
            return None;
        }
        let completed = Completed {
            id,
            warps,
            arrivals: barrier.arrivals,
            whole_block: barrier.expected_warps.is_none(),
            statement: barrier.statement,
        };
        self.pending &= !(1 << (id & 15));
        *barrier = Barrier {
            phase: barrier.phase.wrapping_add(1),
            result: barrier.reduction.unwrap_or_default(),
            ..Barrier::default()
        };
        Some(completed)
    }
}
