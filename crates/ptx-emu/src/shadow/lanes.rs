//! The order of lanes within one warp, for `bar.warp.sync` of a part of it.

/// `known[k][l]`: the stamp up to which the accesses of lane `l` are ordered before the present of
/// lane `k` of the same warp.
#[derive(Clone, Debug)]
pub(super) struct LaneOrder {
    known: [[u32; 32]; 32],
}

impl LaneOrder {
    pub(super) fn new() -> Self {
        Self {
            known: [[0; 32]; 32],
        }
    }

    /// Synchronises the lanes of `members` at `stamp`, each with all that the others know.
    pub(super) fn sync(&mut self, members: u32, stamp: u32) {
        let within = |lane: &usize| members >> lane & 1 != 0;
        let mut joined = [0; 32];
        for lane in (0..32).filter(within) {
            for (all, own) in joined.iter_mut().zip(&self.known[lane]) {
                *all = (*all).max(*own);
            }
        }
        for lane in (0..32).filter(within) {
            joined[lane] = stamp;
        }
        for lane in (0..32).filter(within) {
            self.known[lane] = joined;
        }
    }

    /// Whether an access at `stamp` by `other` is ordered before the present of `lane`. Of several
    /// lanes (`None`) one that is ordered is enough: which they were is not known, and no program
    /// is to be accused that is in order.
    pub(super) fn orders(&self, lane: u32, other: Option<u32>, stamp: u32) -> bool {
        let known = &self.known[(lane & 31) as usize];
        match other {
            Some(other) => stamp <= known[(other & 31) as usize],
            None => known.iter().any(|k| stamp <= *k),
        }
    }
}
