//! What a launch did, what the checks found, and what it would cost at least on a device.

mod buffers;
mod class;
mod counters;
mod estimate;
mod kind;
mod lines;
mod spec;
mod summary;
mod table;
mod text;
mod violation;

pub use buffers::BufferTraffic;
pub use class::{ByClass, ByMatrixType, Class, MatrixType, flops_per_lane};
pub use counters::{AtomicTraffic, Counters, GlobalTraffic, PlainTraffic, SharedTraffic};
pub use estimate::{LaunchShape, LowerBound, Term};
pub use kind::{Nearest, OtherSite, RaceKind, Space, Tool, ViolationKind, Waiting};
pub use lines::{LineCounters, LineCounts, SourceCounters};
pub use spec::{DeviceSpec, UnknownDevice};
pub use summary::{KernelSummary, Summary};
pub use violation::{CallSite, SourceLine, Violation};

use serde::Serialize;
use std::cmp::Reverse;

/// Everything that is known of one launch after it ran.
///
/// `{}` prints a text table, [`Report::to_json`] gives the same to programs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Name of the kernel.
    pub kernel: String,
    /// Blocks, x y z.
    pub grid: [u32; 3],
    /// Threads of a block, x y z.
    pub block: [u32; 3],
    /// Shared memory of a block, static and dynamic, in bytes.
    pub shared_bytes: u32,
    /// What it did; zeros where the launch did not count.
    pub counters: Counters,
    /// What it asked of each buffer among its arguments; empty where the launch did not count.
    pub buffers: Vec<BufferTraffic>,
    /// What the checks found, in the order of discovery, one for each statement and kind.
    pub violations: Vec<Violation>,
    /// Violations beyond the number that is kept.
    pub violations_not_listed: u64,
    /// Every statement of the kernel, in the order of the text; empty where the launch did not
    /// count.
    pub lines: Vec<LineCounters>,
}

impl Report {
    /// Whether the checks found nothing.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty() && self.violations_not_listed == 0
    }

    /// Grid, block and shared memory.
    pub fn shape(&self) -> LaunchShape {
        LaunchShape {
            grid: self.grid,
            block: self.block,
            shared_bytes: self.shared_bytes,
        }
    }

    /// The least time that the launch takes on a device, as far as its counters tell.
    pub fn lower_bound(&self, spec: &DeviceSpec) -> LowerBound {
        LowerBound::new(&self.counters, &self.shape(), spec)
    }

    /// The `n` statements that warps executed most often, the most frequent first.
    pub fn hottest(&self, n: usize) -> Vec<&LineCounters> {
        self.hottest_by(n, |counts| counts.warps)
    }

    /// The `n` statements with the most of something, the largest first; those with none of it are
    /// left out.
    ///
    /// ```
    /// # let report = ptx_emu::Report::default();
    /// use ptx_emu::LineCounts;
    /// for line in report.hottest_by(3, LineCounts::conflicts) {
    ///     println!("{} conflicts: {}", line.counts.conflicts(), line.statement);
    /// }
    /// ```
    pub fn hottest_by(&self, n: usize, key: impl Fn(&LineCounts) -> u64) -> Vec<&LineCounters> {
        let some = self.lines.iter().filter(|line| key(&line.counts) > 0);
        let mut lines: Vec<_> = some.collect();
        lines.sort_by_key(|line| (Reverse(key(&line.counts)), line.ptx_line));
        lines.truncate(n);
        lines
    }

    /// Statements that were never executed, so that no check ran on them.
    pub fn not_executed(&self) -> impl Iterator<Item = &LineCounters> {
        self.lines.iter().filter(|line| line.counts.warps == 0)
    }

    /// Sums of statements by source line, in the order of files and lines. Empty where the PTX was
    /// compiled without line information.
    pub fn by_source(&self) -> Vec<SourceCounters> {
        lines::by_source(&self.lines)
    }

    /// All fields as JSON, with `clean` beside them.
    pub fn to_json(&self) -> serde_json::Value {
        let mut json = to_value(self);
        json["clean"] = self.is_clean().into();
        json
    }
}

/// Of types whose keys are all strings, so that nothing can fail.
fn to_value(of: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(of).expect("keys are strings, and no implementation returns an error")
}

#[cfg(test)]
mod tests;
