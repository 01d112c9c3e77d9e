//! The mbarrier objects of a block (PTX ISA 9.7.13.15).
//!
//! They are kept beside shared memory, by the offset of their eight bytes. A phase is complete when
//! no arrival and no transaction byte is pending.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::exec::clocks::Clocks;
use crate::shadow::Arrival;

/// Largest count of arrivals, and of bytes either way.
pub(crate) const MOST: u32 = (1 << 20) - 1;

/// Bytes of an object.
pub(crate) const BYTES: u32 = 8;

/// A copy into shared memory that a phase stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Landing {
    /// Block that it went to.
    pub rank: usize,
    pub offset: u32,
    pub bytes: u32,
    pub arrival: Arrival,
}

/// One object.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object {
    expected: u32,
    pending: u32,
    tx: i64,
    /// Phases completed.
    pub phase: u32,
    /// What was released by arriving, in this phase and those before.
    pub clocks: Clocks,
    /// The same when the last phase was completed.
    pub done: Clocks,
    landings: Vec<(u32, Landing)>,
}

/// What is wrong with an operation.
pub(crate) type Problem = String;

impl Object {
    fn new(count: u32) -> Self {
        Self {
            expected: count,
            pending: count,
            ..Self::default()
        }
    }

    /// What `mbarrier.arrive` returns: the phase, and the arrivals that were pending.
    pub(crate) fn state(&self) -> u64 {
        u64::from(self.phase) << 32 | u64::from(self.pending)
    }

    /// Bytes that the present phase waits for.
    pub(crate) fn expect(&mut self, bytes: u32) -> Result<(), Problem> {
        if bytes > MOST {
            return Err(format!("{bytes} bytes are expected, at most {MOST} can be"));
        }
        self.transact(i64::from(bytes))
    }

    /// Bytes have come.
    pub(crate) fn complete_tx(&mut self, bytes: u32) -> Result<(), Problem> {
        self.transact(-i64::from(bytes))
    }

    fn transact(&mut self, bytes: i64) -> Result<(), Problem> {
        self.tx += bytes;
        let most = i64::from(MOST);
        if (-most..=most).contains(&self.tx) {
            return Ok(());
        }
        let problem = format!(
            "{} bytes came that no `expect_tx` announced, more than the object can count",
            -self.tx
        );
        let many = format!("{} bytes are expected, at most {MOST} can be", self.tx);
        let problem = if self.tx < 0 { problem } else { many };
        self.tx = self.tx.clamp(-most, most);
        Err(problem)
    }

    /// `count` arrivals.
    pub(crate) fn arrive(&mut self, count: u32) -> Result<(), Problem> {
        if count == 0 || count > MOST {
            return Err(format!("{count} arrivals; the count is 1 to {MOST}"));
        }
        if count > self.pending {
            let pending = std::mem::take(&mut self.pending);
            return Err(format!(
                "{count} arrivals, but the phase waits for {pending} more of {}",
                self.expected
            ));
        }
        self.pending -= count;
        Ok(())
    }

    /// Whether an arrival would leave none pending.
    pub(crate) fn is_last(&self, count: u32) -> bool {
        count >= self.pending
    }

    /// Later phases wait for `count` arrivals less.
    pub(crate) fn leave(&mut self, count: u32) {
        self.expected = self.expected.saturating_sub(count);
    }

    /// Begins the next phase if this one is complete.
    pub(crate) fn settle(&mut self) {
        if self.pending == 0 && self.tx == 0 {
            self.phase = self.phase.wrapping_add(1);
            self.pending = self.expected;
            self.done.clone_from(&self.clocks);
        }
    }

    pub(crate) fn land(&mut self, landing: Landing) {
        self.landings.push((self.phase, landing));
    }

    /// The copies of phases that are complete, once.
    pub(crate) fn landed(&mut self) -> Vec<Landing> {
        let now = self.phase;
        let landed = self.landings.extract_if(.., |(phase, _)| *phase != now);
        landed.map(|(_, landing)| landing).collect()
    }

    /// What is pending, for reports.
    pub(crate) fn waits_for(&self) -> String {
        format!("{} arrivals and {} bytes pending", self.pending, self.tx)
    }
}

/// All objects of a block.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mbarriers {
    objects: BTreeMap<u32, Object>,
    /// Operations so far that may have changed one.
    pub events: u64,
}

impl Mbarriers {
    pub(crate) fn clear(&mut self) {
        self.objects.clear();
        self.events = 0;
    }

    /// Makes an object; whether there was none.
    pub(crate) fn init(&mut self, offset: u32, count: u32) -> bool {
        self.events += 1;
        let old = self.objects.insert(offset, Object::new(count));
        old.is_none()
    }

    /// Ends an object; whether there was one.
    pub(crate) fn end(&mut self, offset: u32) -> bool {
        self.events += 1;
        self.objects.remove(&offset).is_some()
    }

    pub(crate) fn get(&mut self, offset: u32) -> Option<&mut Object> {
        self.objects.get_mut(&offset)
    }

    /// The phase of an object; none if there is no such object.
    pub(crate) fn phase(&self, offset: u32) -> Option<u32> {
        self.objects.get(&offset).map(|object| object.phase)
    }

    /// The range in which all objects lie.
    pub(crate) fn around(&self) -> Option<Range<u32>> {
        let (first, _) = self.objects.first_key_value()?;
        let (last, _) = self.objects.last_key_value()?;
        Some(*first..last + BYTES)
    }

    /// The first object that a range of bytes touches.
    pub(crate) fn touched(&self, range: Range<u32>) -> Option<u32> {
        let from = range.start.saturating_sub(BYTES - 1);
        let mut within = self.objects.range(from..range.end.max(from));
        within.next().map(|(offset, _)| *offset)
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, Mbarriers, Object};

    #[test]
    fn a_phase_needs_all_arrivals_and_all_bytes() {
        let mut object = Object::new(2);
        let step = |object: &mut Object| {
            object.settle();
            object.phase
        };
        object.arrive(1).unwrap();
        assert_eq!(step(&mut object), 0);
        object.complete_tx(16).unwrap();
        object.arrive(1).unwrap();
        assert_eq!(
            step(&mut object),
            0,
            "bytes came before they were announced"
        );
        object.expect(16).unwrap();
        assert_eq!(step(&mut object), 1);
        assert!(object.arrive(3).is_err());
        object.leave(1);
        assert_eq!(step(&mut object), 2);
        object.arrive(1).unwrap();
        assert_eq!(step(&mut object), 3, "one has left for good");
        assert!(object.expect(MOST).is_ok());
        assert!(object.expect(1).is_err());
    }

    #[test]
    fn bytes_of_an_object_are_found() {
        let mut all = Mbarriers::default();
        assert!(all.init(16, 1) && all.init(32, 1) && !all.init(32, 1));
        assert_eq!(all.around(), Some(16..40));
        for (range, found) in [
            (0..16, None),
            (0..17, Some(16)),
            (23..24, Some(16)),
            (24..32, None),
            (31..33, Some(32)),
            (40..44, None),
        ] {
            assert_eq!(all.touched(range.clone()), found, "{range:?}");
        }
    }
}
