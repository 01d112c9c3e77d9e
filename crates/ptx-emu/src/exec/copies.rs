//! Asynchronous copies of a warp (`cp.async`): which groups its lanes have not waited for yet.
//!
//! The bytes are copied at once; until the lane waits, the shared memory they went to is marked as
//! pending, and who touches it makes a mistake.

/// Bytes of shared memory that one lane has begun to fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Copy {
    pub lane: u8,
    /// Number of the group it belongs to, counted per lane.
    pub group: u32,
    /// Offset in shared memory.
    pub offset: u32,
    pub bytes: u32,
    /// The instruction.
    pub op: u32,
}

/// Copies that were begun and not waited for, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Copies {
    under_way: Vec<Copy>,
    /// Groups that each lane has committed.
    committed: [u32; 32],
}

impl Copies {
    pub(crate) fn clear(&mut self) {
        self.under_way.clear();
        self.committed = [0; 32];
    }

    pub(crate) fn begin(&mut self, lane: usize, offset: u32, bytes: u32, op: u32) -> Copy {
        let copy = Copy {
            lane: u8::try_from(lane).expect("a lane"),
            group: self.committed[lane],
            offset,
            bytes,
            op,
        };
        self.under_way.push(copy);
        copy
    }

    /// `cp.async.commit_group`
    pub(crate) fn commit(&mut self, lanes: u32) {
        for lane in crate::lanes::lanes_of(lanes) {
            self.committed[lane] += 1;
        }
    }

    /// `cp.async.wait_group n`: takes out all copies of `lanes` except those of the `n` groups that
    /// were committed last, and those in no group yet. With no `n`, all copies (`wait_all`).
    pub(crate) fn wait(&mut self, lanes: u32, n: Option<u32>, mut done: impl FnMut(Copy)) {
        let committed = self.committed;
        self.under_way.retain(|copy| {
            let lane = usize::from(copy.lane);
            let finished = match n {
                None => true,
                Some(n) => copy.group < committed[lane].saturating_sub(n),
            };
            let taken = lanes >> lane & 1 != 0 && finished;
            if taken {
                done(*copy);
            }
            !taken
        });
    }

    /// Copies that nothing has waited for.
    pub(crate) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }
}
