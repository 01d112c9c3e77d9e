//! Order between blocks through atomic instructions.
//!
//! A block that has run a fence releases what it wrote by each atomic instruction after it; a
//! block whose atomic instruction meets the same address acquires that. Blocks that do so run one
//! after the other on one thread.

use std::collections::{BTreeSet, HashMap};

use crate::shadow::EVERY_BLOCK;

/// What is ordered before the block that runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Acquired {
    /// Blocks whose writes it may read.
    blocks: BTreeSet<u32>,
    /// Blocks that have begun.
    begun: BTreeSet<u32>,
    /// Blocks that have released what they wrote, by address of the atomic.
    released: HashMap<u64, BTreeSet<u32>>,
}

impl Acquired {
    /// Another block begins.
    pub(crate) fn next_block(&mut self, block: u32) {
        self.blocks.clear();
        self.begun.insert(block);
    }

    /// An atomic instruction at `address` by `block`; `fenced` if it has run a fence before.
    pub(crate) fn atomic(&mut self, address: u64, block: u32, fenced: bool) {
        self.acquire(address);
        if fenced {
            self.release(address, block);
        }
    }

    /// A load at `address` that takes part in this.
    pub(crate) fn acquire(&mut self, address: u64) {
        if let Some(released) = self.released.get(&address) {
            self.blocks.extend(released);
        }
    }

    /// A store at `address` by `block`, which has run a fence before.
    pub(crate) fn release(&mut self, address: u64, block: u32) {
        let released = self.released.entry(address).or_default();
        released.insert(block);
        released.extend(&self.blocks);
    }

    /// A block of the same cluster has passed on what it did.
    pub(crate) fn meet(&mut self, block: u32) {
        self.blocks.insert(block);
    }

    /// Whether what `other` did is ordered before the present of `block`.
    pub(crate) fn orders(&self, other: u32, block: u32) -> bool {
        if other == EVERY_BLOCK {
            let mut begun = self.begun.iter();
            return begun.all(|b| *b == block || self.blocks.contains(b));
        }
        self.blocks.contains(&other)
    }
}
