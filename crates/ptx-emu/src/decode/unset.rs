//! Registers that may be read before anything is written to them.
//!
//! Only these must be zero when a thread begins, so that a program which reads them does the same
//! whatever ran before; to clear all would take as long as a short kernel runs.

/// What an instruction does to a register.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Touch {
    /// Op of the function.
    pub op: usize,
    pub slot: u32,
    /// Slots that it takes, from `slot` on.
    pub slots: u32,
    /// Written in all lanes that come to it; otherwise read, or written in some.
    pub sets: bool,
}

/// Above so many bits of state, all registers count as read.
const MOST_BITS: usize = 1 << 28;

/// Slots of `touches` that some way through the blocks reads before it sets them, in ascending
/// order. `heads` are the first ops of the blocks, the first of which is where the function begins.
pub(crate) fn unset(heads: &[usize], successors: &[Vec<usize>], touches: &[Touch]) -> Vec<u32> {
    let slots_of = |touch: &Touch| touch.slot..touch.slot + touch.slots;
    let Some(first) = touches.iter().map(|touch| touch.slot).min() else {
        return Vec::new();
    };
    let end = touches.iter().map(|touch| touch.slot + touch.slots).max();
    let words = (end.unwrap_or(first) - first).div_ceil(64) as usize;
    if words * 64 * heads.len() > MOST_BITS {
        let mut all: Vec<u32> = touches.iter().flat_map(slots_of).collect();
        all.sort_unstable();
        all.dedup();
        return all;
    }
    let place = |slot: u32| ((slot - first) as usize / 64, 1_u64 << ((slot - first) % 64));
    let block_of = |op: usize| heads.partition_point(|head| *head <= op) - 1;
    let mut by_block: Vec<Vec<Touch>> = vec![Vec::new(); heads.len()];
    for touch in touches {
        by_block[block_of(touch.op)].push(*touch);
    }
    // What is set on every way to the begin of each block: all until a way is known.
    let mut set = vec![vec![u64::MAX; words]; heads.len()];
    set[0].fill(0);
    let mut pending: Vec<usize> = (0..heads.len()).rev().collect();
    while let Some(block) = pending.pop() {
        let mut after = set[block].clone();
        for touch in by_block[block].iter().filter(|touch| touch.sets) {
            for (word, bit) in slots_of(touch).map(place) {
                after[word] |= bit;
            }
        }
        for next in &successors[block] {
            let before = &mut set[*next];
            let fewer = before.iter().zip(&after).any(|(old, new)| old & !new != 0);
            if fewer {
                for (old, new) in before.iter_mut().zip(&after) {
                    *old &= new;
                }
                pending.push(*next);
            }
        }
    }
    let mut found = vec![0_u64; words];
    for (touches, set) in by_block.iter().zip(&mut set) {
        for touch in touches {
            for (word, bit) in slots_of(touch).map(place) {
                if touch.sets {
                    set[word] |= bit;
                } else if set[word] & bit == 0 {
                    found[word] |= bit;
                }
            }
        }
    }
    let slots = first..end.unwrap_or(first);
    slots
        .filter(|slot| {
            let (word, bit) = place(*slot);
            found[word] & bit != 0
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Touch, unset};

    fn read(op: usize, slot: u32) -> Touch {
        Touch {
            op,
            slot,
            slots: 1,
            sets: false,
        }
    }

    fn set(op: usize, slot: u32) -> Touch {
        Touch {
            sets: true,
            ..read(op, slot)
        }
    }

    #[test]
    fn a_way_past_the_write_counts() {
        // 0 goes to 1 or 2, both to 3; slot 5 is set in 1 only, 6 in both, 7 in 0
        let successors = [vec![1, 2], vec![3], vec![3], vec![]];
        let touches = [
            set(0, 7),
            set(1, 5),
            set(1, 6),
            set(2, 6),
            read(3, 5),
            read(3, 6),
            read(3, 7),
        ];
        assert_eq!(unset(&[0, 1, 2, 3], &successors, &touches), [5]);
    }

    #[test]
    fn a_loop_may_read_what_its_end_sets() {
        // 1 is a loop: slot 3 is read before it is set, 4 after
        let successors = [vec![1], vec![1, 2], vec![]];
        let touches = [read(1, 3), set(2, 3), set(2, 4), read(3, 4), read(4, 3)];
        assert_eq!(unset(&[0, 1, 4], &successors, &touches), [3]);
    }

    #[test]
    fn both_slots_of_a_register_count() {
        let wide = Touch {
            slots: 2,
            ..read(0, 130)
        };
        assert_eq!(unset(&[0], &[vec![]], &[set(0, 130), wide]), [131]);
    }
}
