//! The least time that a launch can take on a device, from its counters.

use super::class::{Class, MatrixType};
use super::counters::Counters;
use super::spec::DeviceSpec;
use super::table::{self, Table};
use serde::ser::{Serialize, SerializeStruct, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// Shape of a launch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
pub struct LaunchShape {
    /// Blocks, x y z.
    pub grid: [u32; 3],
    /// Threads of a block, x y z.
    pub block: [u32; 3],
    /// Shared memory of a block, static and dynamic, in bytes.
    pub shared_bytes: u32,
}

impl LaunchShape {
    /// Blocks of the grid.
    pub fn blocks(&self) -> u64 {
        volume(self.grid)
    }

    /// Threads of a block.
    pub fn threads_per_block(&self) -> u64 {
        volume(self.block)
    }

    /// Warps of a block; the last one may be partly filled.
    pub fn warps_per_block(&self) -> u64 {
        self.threads_per_block().div_ceil(32)
    }

    /// Threads of the grid.
    pub fn threads(&self) -> u64 {
        self.blocks().saturating_mul(self.threads_per_block())
    }
}

fn volume(dims: [u32; 3]) -> u64 {
    let sides = dims.into_iter().map(u64::from);
    sides.fold(1, u64::saturating_mul)
}

/// Something of which a launch needs a certain amount, and a device gives so much per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Term {
    /// Device memory: each distinct sector once. Holds where data starts in device memory and
    /// results end there; see [`LowerBound::warm_seconds`] for data that is in L2 already.
    Dram,
    /// L2 cache: what cannot be answered by L1, that is stores, atomics, copies that bypass L1,
    /// and at least each distinct sector that is read.
    L2,
    /// Shared memory: a wavefront per clock and multiprocessor.
    Shared,
    /// Issue slots: an instruction per clock and scheduler. Counted in PTX instructions.
    Issue,
    /// `f32` lanes. Counted in PTX instructions; all 32 lanes of a warp are occupied, active or
    /// not.
    F32,
    /// `f64` lanes, counted like `f32`.
    F64,
    /// Special-function lanes, counted like `f32`.
    Special,
    /// Matrix units, for one type.
    Matrix(MatrixType),
}

impl Term {
    /// Stable name, as in JSON: `dram`, `l2`, `shared`, `issue`, `f32`, `f64`, `special`,
    /// `matrix_bf16` …
    pub fn name(self) -> &'static str {
        match self {
            Self::Dram => "dram",
            Self::L2 => "l2",
            Self::Shared => "shared",
            Self::Issue => "issue",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Special => "special",
            Self::Matrix(MatrixType::F16AccF32) => "matrix_f16_acc_f32",
            Self::Matrix(MatrixType::F16AccF16) => "matrix_f16_acc_f16",
            Self::Matrix(MatrixType::Bf16) => "matrix_bf16",
            Self::Matrix(MatrixType::Tf32) => "matrix_tf32",
            Self::Matrix(MatrixType::Int8) => "matrix_int8",
            Self::Matrix(MatrixType::F64) => "matrix_f64",
        }
    }

    /// Whether it counts PTX instructions, which the assembler may drop or expand: then the term
    /// is an indication, not strictly a bound.
    pub fn counts_instructions(self) -> bool {
        matches!(self, Self::Issue | Self::F32 | Self::F64 | Self::Special)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Term {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The least time that a launch can take on a device, as far as its counters tell.
///
/// Every term is an amount divided by the peak rate of the parts of the device that can take part:
/// a launch of fewer blocks than there are multiprocessors keeps only as many multiprocessors busy
/// as it has blocks, and one of few warps only as many schedulers. The time is that of the largest
/// term, as if all others were hidden behind it.
///
/// This is no model of time. PTX instructions are not machine instructions: the assembler folds
/// addresses, expands division, drops moves. Latency, dependences between instructions, the
/// scheduling of blocks, cache misses and clocks that fall under load are all left out; a real
/// kernel takes longer, often by a factor. Use it to see what a kernel leans on and to compare
/// variants of it, not to predict seconds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LowerBound {
    /// Name of the device.
    pub device: String,
    /// The least time: that of the binding term, in seconds. The launch itself is not in it.
    pub seconds: f64,
    /// All terms that are not zero, in seconds, the largest first.
    pub terms: Vec<(Term, f64)>,
    /// The largest term; [`Term::Issue`] where nothing was counted at all.
    pub binding: Term,
    /// For information: what the term `l2` would be if L1 never hit, in seconds.
    pub l2_without_l1_seconds: f64,
    /// For information: time between dependent launches, in seconds.
    pub launch_seconds: f64,
    /// Multiprocessors that have a block.
    pub busy_multiprocessors: u64,
    /// Blocks that fit on one multiprocessor; registers are not known from PTX, so at most.
    pub resident_blocks: u32,
    /// Rounds of resident blocks that the grid takes; zero where not one block fits.
    pub waves: u64,
}

impl LowerBound {
    /// The bound of one launch. Counters summed over several launches of one shape give a bound of
    /// their sum.
    pub fn new(counters: &Counters, shape: &LaunchShape, spec: &DeviceSpec) -> Self {
        let launches = counters.launches.max(1);
        let busy = Busy::new(shape, spec);
        let mut terms = vec![
            (
                Term::Dram,
                counters.distinct_bytes() as f64 / spec.dram_bytes_per_s,
            ),
            (Term::L2, 32.0 * beyond_l1(counters) as f64 / busy.l2(spec)),
        ];

        let wavefronts = counters.shared().wavefronts + counters.shared_atomics.passes;
        let bank_rows = f64::from(spec.shared_bytes_per_clock_per_sm) / 128.0;
        terms.push((
            Term::Shared,
            wavefronts as f64 / (busy.multiprocessors * bank_rows * spec.clock_hz),
        ));

        let issued = &counters.warp_instructions;
        let slots = issued.total() as f64;
        terms.push((Term::Issue, slots / (busy.schedulers * spec.clock_hz)));
        let special = (32 * issued[Class::Special]).max(counters.special_operations);
        for (term, lanes, per_sm) in [
            (Term::F32, 32 * issued[Class::F32], spec.f32_lanes_per_sm),
            (Term::F64, 32 * issued[Class::F64], spec.f64_lanes_per_sm),
            (Term::Special, special, spec.special_lanes_per_sm),
        ] {
            let rate = busy.share_of_sms() * f64::from(per_sm) * spec.clock_hz;
            terms.push((term, lanes as f64 / rate));
        }
        for (ty, flops) in counters.matrix_flops.iter() {
            let rate = busy.share * spec.matrix_flops_per_s[ty];
            terms.push((Term::Matrix(ty), flops as f64 / rate));
        }

        let (binding, seconds) = settle(&mut terms);
        let resident_blocks = u32::try_from(shape.threads_per_block()).map_or(0, |threads| {
            spec.resident_blocks(threads, shape.shared_bytes)
        });
        let at_once = u64::from(spec.multiprocessors) * u64::from(resident_blocks);
        Self {
            device: spec.name.clone(),
            seconds,
            terms,
            binding,
            l2_without_l1_seconds: 32.0 * all_sectors(counters) as f64 / busy.l2(spec),
            launch_seconds: launches as f64 * spec.launch_seconds,
            busy_multiprocessors: shape.blocks().min(spec.multiprocessors.into()),
            resident_blocks,
            waves: shape.blocks().checked_div(at_once).map_or(0, |full| {
                full + u64::from(!shape.blocks().is_multiple_of(at_once))
            }),
        }
    }

    /// One term, in seconds; zero where the launch needs nothing of it.
    pub fn term(&self, term: Term) -> f64 {
        let found = self.terms.iter().find(|(t, _)| *t == term);
        found.map_or(0.0, |(_, seconds)| *seconds)
    }

    /// The least time where all data is in L2 when the launch starts and may stay there: the
    /// largest term but `dram`.
    pub fn warm_seconds(&self) -> f64 {
        let warm = self.terms.iter().filter(|(term, _)| *term != Term::Dram);
        warm.map(|(_, seconds)| *seconds).fold(0.0, f64::max)
    }
}

/// The part of a device that a launch can keep busy.
struct Busy {
    /// Multiprocessors that have a block.
    multiprocessors: f64,
    /// Schedulers that have a warp.
    schedulers: f64,
    /// Those schedulers as a share of all.
    share: f64,
    all_multiprocessors: f64,
}

impl Busy {
    fn new(shape: &LaunchShape, spec: &DeviceSpec) -> Self {
        let per_sm = u64::from(spec.schedulers_per_sm);
        let all = u64::from(spec.multiprocessors);
        let busy = shape.blocks().min(all);
        let warps = shape.blocks().saturating_mul(shape.warps_per_block());
        let schedulers = (busy * per_sm).min(warps);
        Self {
            multiprocessors: busy as f64,
            schedulers: schedulers as f64,
            share: schedulers as f64 / (all * per_sm) as f64,
            all_multiprocessors: all as f64,
        }
    }

    /// Busy schedulers in multiprocessors: lanes and matrix units belong to schedulers.
    fn share_of_sms(&self) -> f64 {
        self.share * self.all_multiprocessors
    }

    /// Rate of L2, in bytes per second: of the whole cache or of the ports in use.
    fn l2(&self, spec: &DeviceSpec) -> f64 {
        let ports = self.multiprocessors * f64::from(spec.l2_bytes_per_clock_per_sm);
        ports.min(f64::from(spec.l2_bytes_per_clock)) * spec.clock_hz
    }
}

/// Sectors that L2 sees however well L1 works: L1 writes through, and starts empty.
fn beyond_l1(counters: &Counters) -> u64 {
    let distinct_read = counters.distinct_bytes_read / 32;
    let read = distinct_read.max(counters.async_loads.sectors);
    read + counters.global_stores.sectors
        + counters.async_stores.sectors
        + counters.global_atomics.sectors
}

fn all_sectors(counters: &Counters) -> u64 {
    counters.global().sectors + counters.global_atomics.sectors
}

/// Drops the terms that are zero (or the quotient of two zeros), sorts by time, and gives the
/// largest.
fn settle(terms: &mut Vec<(Term, f64)>) -> (Term, f64) {
    terms.retain(|(_, seconds)| *seconds > 0.0);
    terms.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    terms.first().copied().unwrap_or((Term::Issue, 0.0))
}

impl fmt::Display for LowerBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "at least {} on {}, bound by {} (no timing model: see LowerBound)",
            table::seconds(self.seconds),
            self.device,
            self.binding
        )?;
        let mut terms = Table::new(&["term"], &["time", "share"]).text("counted in");
        for (term, seconds) in &self.terms {
            let unit = if term.counts_instructions() {
                "PTX instructions"
            } else {
                ""
            };
            terms.row([
                term.to_string(),
                table::seconds(*seconds),
                table::percent(Some(seconds / self.seconds)),
                unit.to_owned(),
            ]);
        }
        if !terms.is_empty() {
            write!(f, "\n{terms}")?;
        }
        write!(
            f,
            "\n{} busy, {} resident on each at most, {}; \
             l2 {} if L1 never hit; about {} more from launch to launch",
            table::plural(self.busy_multiprocessors, "multiprocessor"),
            table::plural(self.resident_blocks.into(), "block"),
            table::plural(self.waves, "wave"),
            table::seconds(self.l2_without_l1_seconds),
            table::seconds(self.launch_seconds)
        )
    }
}

impl Serialize for LowerBound {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let terms = self.terms.iter().map(|(term, s)| (term.name(), *s));
        let mut object = serializer.serialize_struct("LowerBound", 10)?;
        object.serialize_field("device", &self.device)?;
        object.serialize_field("seconds", &self.seconds)?;
        object.serialize_field("warm_seconds", &self.warm_seconds())?;
        object.serialize_field("binding", &self.binding)?;
        object.serialize_field("terms", &terms.collect::<BTreeMap<_, _>>())?;
        object.serialize_field("l2_without_l1_seconds", &self.l2_without_l1_seconds)?;
        object.serialize_field("launch_seconds", &self.launch_seconds)?;
        object.serialize_field("busy_multiprocessors", &self.busy_multiprocessors)?;
        object.serialize_field("resident_blocks", &self.resident_blocks)?;
        object.serialize_field("waves", &self.waves)?;
        object.end()
    }
}

#[cfg(test)]
mod tests;
