//! The checks and counts of an access that lies in one allocation of global memory.

use crate::access::Pattern;
use crate::device::Checks;
use crate::exec::access::Kind;
use crate::exec::acquired::Acquired;
use crate::exec::tally::Requests;
use crate::shadow::{GlobalConflict, GlobalShadow};

/// What is found: the first byte without a value and the lane that reads it, and a conflict.
pub(super) type Findings = (Option<(u64, u32)>, Option<GlobalConflict>);

/// An access by a block.
pub(super) struct GlobalAccess<'a> {
    pub checks: Checks,
    pub shadow: &'a GlobalShadow,
    pub acquired: &'a Acquired,
    pub block: u32,
    pub kind: Kind,
}

impl GlobalAccess<'_> {
    /// Sectors of a request, as those that it reads and those that it writes.
    #[inline(always)]
    pub(super) fn sectors(&self, pattern: &Pattern) -> [u64; 2] {
        let sectors = u64::from(pattern.sectors);
        let of = |does: bool| if does { sectors } else { 0 };
        [of(self.kind.reads()), of(self.kind.writes())]
    }

    #[inline(always)]
    pub(super) fn check(&self, tally: &mut Requests, offset: u64, pattern: &Pattern) -> Findings {
        let Self {
            checks,
            shadow,
            acquired,
            block,
            kind,
        } = *self;
        let (reads, writes) = (kind.reads(), kind.writes());
        if checks.counters {
            tally.requests += 1;
            tally.bytes += u64::from(pattern.bytes * pattern.mask.count_ones());
            tally.units += u64::from(pattern.sectors);
            tally.least += u64::from(pattern.distinct_bytes.div_ceil(32));
            tally.lines += u64::from(pattern.lines);
            if reads {
                shadow.touch_read(offset, pattern);
            }
            if writes {
                shadow.touch_write(offset, pattern);
            }
        }
        let mut unset = None;
        if checks.initialised {
            if reads {
                unset = shadow.uninitialised(offset, pattern);
            }
            if writes {
                shadow.fill(offset, pattern);
            }
        }
        let mut conflict = None;
        if checks.races {
            let ordered = |other: u32| acquired.orders(other, block);
            conflict = match kind {
                Kind::Read | Kind::Peek => shadow.read(offset, pattern, block, ordered),
                Kind::StrongRead => shadow.strong_read(offset, pattern, block, ordered),
                Kind::Atomic | Kind::StrongWrite => shadow.atomic(offset, pattern, block, ordered),
                Kind::Write | Kind::Copy | Kind::BlockAtomic | Kind::Init | Kind::Sync => {
                    shadow.write(offset, pattern, block, ordered)
                }
            };
        }
        (unset, conflict)
    }
}
