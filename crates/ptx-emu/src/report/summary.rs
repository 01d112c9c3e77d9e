//! Several launches, summed by kernel.

use super::table::{Table, bytes, count, flops, percent, seconds};
use super::{Counters, DeviceSpec, Report, to_value};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Sums of reports by kernel.
///
/// ```
/// use ptx_emu::{DeviceSpec, Report, Summary};
///
/// let mut summary = Summary::for_device(DeviceSpec::h200());
/// summary.add(&Report { kernel: "gemm".to_owned(), ..Report::default() });
/// println!("{summary}");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    device: Option<DeviceSpec>,
    kernels: BTreeMap<String, KernelSummary>,
}

/// The launches of one kernel.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct KernelSummary {
    /// Launches.
    pub launches: u64,
    /// What they did.
    pub counters: Counters,
    /// Violations, those that reports do not list included.
    pub violations: u64,
    /// Sum of the least times of the launches on the device of the summary, in seconds; zero where
    /// it has none. Latency of launches is not in it.
    pub lower_bound_seconds: f64,
}

impl Summary {
    /// A summary of counters alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// A summary with a lower bound of the time on a device.
    pub fn for_device(spec: DeviceSpec) -> Self {
        Self {
            device: Some(spec),
            kernels: BTreeMap::new(),
        }
    }

    /// Adds one launch.
    pub fn add(&mut self, report: &Report) {
        let kernel = self.kernels.entry(report.kernel.clone()).or_default();
        kernel.launches += 1;
        kernel.counters += &report.counters;
        kernel.violations += report.violations.len() as u64 + report.violations_not_listed;
        if let Some(spec) = &self.device {
            kernel.lower_bound_seconds += report.lower_bound(spec).seconds;
        }
    }

    /// Kernels by name, in the order of names.
    pub fn kernels(&self) -> impl Iterator<Item = (&str, &KernelSummary)> {
        self.kernels.iter().map(|(name, of)| (name.as_str(), of))
    }

    /// One kernel.
    pub fn kernel(&self, name: &str) -> Option<&KernelSummary> {
        self.kernels.get(name)
    }

    /// All kernels together.
    pub fn total(&self) -> KernelSummary {
        let mut total = KernelSummary::default();
        for kernel in self.kernels.values() {
            total.launches += kernel.launches;
            total.counters += &kernel.counters;
            total.violations += kernel.violations;
            total.lower_bound_seconds += kernel.lower_bound_seconds;
        }
        total
    }

    /// Whether the checks found nothing in any launch.
    pub fn is_clean(&self) -> bool {
        self.kernels.values().all(|kernel| kernel.violations == 0)
    }

    /// Device, kernels, their total, and `clean`.
    pub fn to_json(&self) -> serde_json::Value {
        let mut json = to_value(self);
        json["total"] = to_value(&self.total());
        json["clean"] = self.is_clean().into();
        json
    }
}

impl Extend<Report> for Summary {
    fn extend<I: IntoIterator<Item = Report>>(&mut self, reports: I) {
        for report in reports {
            self.add(&report);
        }
    }
}

/// A row for each kernel, the one with the largest bound (or the most instructions) first.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = vec![
            "launches",
            "instructions",
            "arithmetic",
            "distinct",
            "sectors",
            "used",
            "conflicts",
            "violations",
        ];
        if self.device.is_some() {
            names.push("at least");
        }
        let mut table = Table::new(&["kernel"], &names);
        let mut row = |name: &str, kernel: &KernelSummary| {
            let counters = &kernel.counters;
            table.row([
                name.to_owned(),
                count(kernel.launches),
                count(counters.warp_instructions.total()),
                flops(counters.total_flops()),
                bytes(counters.distinct_bytes()),
                count(counters.global().sectors),
                percent(counters.coalescing()),
                count(counters.bank_conflict_extra()),
                count(kernel.violations),
                seconds(kernel.lower_bound_seconds),
            ]);
        };
        let mut kernels: Vec<_> = self.kernels().collect();
        kernels.sort_by(|(_, a), (_, b)| {
            let time = b.lower_bound_seconds.total_cmp(&a.lower_bound_seconds);
            let issued = |k: &KernelSummary| k.counters.warp_instructions.total();
            time.then(issued(b).cmp(&issued(a)))
        });
        for (name, kernel) in kernels {
            row(name, kernel);
        }
        row("all", &self.total());
        write!(f, "{table}")?;
        match &self.device {
            Some(spec) => write!(f, "\nleast times on {}, without launches", spec.name),
            None => Ok(()),
        }
    }
}
