//! Reports as text.

use super::counters::{AtomicTraffic, GlobalTraffic, PlainTraffic, SharedTraffic};
use super::table::{Table, bytes, count, dims, flops, percent, plural};
use super::{Counters, Report};
use std::fmt;

/// Statements that a report lists.
const LISTED: usize = 10;
/// Characters of a statement that a report shows.
const STATEMENT: usize = 60;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = self.shape();
        writeln!(
            f,
            "{}: grid {}, block {} ({}, {}), {} shared",
            self.kernel,
            dims(self.grid),
            dims(self.block),
            plural(shape.blocks(), "block"),
            plural(shape.threads(), "thread"),
            bytes(self.shared_bytes.into())
        )?;
        self.violations(f)?;
        if self.counters != Counters::default() {
            write!(f, "\n\n{}", self.counters)?;
        }
        self.hottest_lines(f)
    }
}

impl Report {
    fn violations(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            return f.write_str("clean: the checks found nothing");
        }
        let all = self.violations.len() as u64 + self.violations_not_listed;
        f.write_str(&plural(all, "violation"))?;
        for (i, violation) in self.violations.iter().enumerate() {
            write!(f, "\n[{}] {violation}", i + 1)?;
        }
        match self.violations_not_listed {
            0 => Ok(()),
            n => write!(f, "\nand {} not listed", count(n)),
        }
    }

    fn hottest_lines(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hottest = self.hottest(LISTED);
        if hottest.is_empty() {
            return Ok(());
        }
        let names = ["warps", "lanes", "sectors", "ideal", "wavefronts", "extra"];
        let mut table = Table::new(&["line", "source"], &names).text("statement");
        for line in &hottest {
            let counts = &line.counts;
            let source = line.source.as_ref();
            let mut statement: String = line.statement.chars().take(STATEMENT).collect();
            if statement.len() < line.statement.len() {
                statement.push('…');
            }
            table.row([
                line.ptx_line.to_string(),
                source.map_or_else(String::new, |source| format!("{source:#}")),
                count(counts.warps),
                count(counts.lanes),
                some(counts.sectors),
                some(counts.ideal_sectors),
                some(counts.wavefronts),
                some(counts.conflicts()),
                statement,
            ]);
        }
        let idle = self.not_executed().count();
        let executed = self.lines.len() - idle;
        write!(
            f,
            "\n\n{table}\n{} of {executed} executed statements; {idle} never executed",
            hottest.len()
        )
    }
}

/// Classes, memory, and what follows from them, in three tables; rows of zeros are left out.
impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        instructions(self, f)?;
        let global = global(self);
        let shared = shared(self);
        let other = other(self);
        for table in [global, shared, other] {
            if !table.is_empty() {
                write!(f, "\n\n{table}")?;
            }
        }
        f.write_str("\n\n")?;
        derived(self, f)
    }
}

fn instructions(counters: &Counters, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut table = Table::new(&["instructions"], &["warps", "share", "lanes", "active"]);
    let all = counters.warp_instructions.total();
    let mut row = |name: &str, warps: u64, lanes: u64| {
        if warps > 0 {
            table.row([
                name.to_owned(),
                count(warps),
                percent(Some(warps as f64 / all as f64)),
                count(lanes),
                percent(Some(lanes as f64 / (32 * warps) as f64)),
            ]);
        }
    };
    for (class, warps) in counters.warp_instructions.iter() {
        row(class.name(), warps, counters.lane_instructions[class]);
    }
    row("all", all, counters.lane_instructions.total());
    write!(f, "{table}")
}

fn global(counters: &Counters) -> Table {
    let names = ["requests", "sectors", "ideal", "used", "lines", "bytes"];
    let mut table = Table::new(&["global memory"], &names);
    let mut row = |name: &str, t: GlobalTraffic| {
        if t.requests > 0 {
            table.row([
                name.to_owned(),
                count(t.requests),
                count(t.sectors),
                count(t.ideal_sectors),
                percent(t.efficiency()),
                count(t.lines),
                bytes(t.bytes),
            ]);
        }
    };
    row("loads", counters.global_loads);
    row("stores", counters.global_stores);
    row("asynchronous loads", counters.async_loads);
    row("asynchronous stores", counters.async_stores);
    table
}

fn shared(counters: &Counters) -> Table {
    let names = ["requests", "wavefronts", "least", "conflicts", "bytes"];
    let mut table = Table::new(&["shared memory"], &names);
    let mut row = |name: &str, t: SharedTraffic| {
        if t.requests > 0 {
            table.row([
                name.to_owned(),
                count(t.requests),
                count(t.wavefronts),
                count(t.min_wavefronts),
                count(t.conflicts()),
                bytes(t.bytes),
            ]);
        }
    };
    row("loads", counters.shared_loads);
    row("stores", counters.shared_stores);
    row("ldmatrix", counters.matrix_loads);
    row("stmatrix", counters.matrix_stores);
    row("asynchronous copies", counters.shared_copies);
    table
}

fn other(counters: &Counters) -> Table {
    let names = ["requests", "operations", "passes", "bytes"];
    let mut table = Table::new(&["other memory"], &names);
    let mut atomics = |name: &str, t: AtomicTraffic| {
        if t.requests > 0 {
            table.row([
                name.to_owned(),
                count(t.requests),
                count(t.operations),
                count(t.passes),
            ]);
        }
    };
    atomics("global atomics", counters.global_atomics);
    atomics("shared atomics", counters.shared_atomics);
    let mut plain = |name: &str, t: PlainTraffic, sized: bool| {
        if t.requests > 0 {
            let size = if sized { bytes(t.bytes) } else { String::new() };
            table.row([
                name.to_owned(),
                count(t.requests),
                String::new(),
                String::new(),
                size,
            ]);
        }
    };
    plain("local loads", counters.local_loads, true);
    plain("local stores", counters.local_stores, true);
    let requests = |requests| PlainTraffic { requests, bytes: 0 };
    plain("constant loads", requests(counters.const_loads), false);
    plain("parameter loads", requests(counters.param_loads), false);
    table
}

fn derived(counters: &Counters, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(
        f,
        "distinct bytes   {} read, {} written; {} of the sectors' bytes needed",
        bytes(counters.distinct_bytes_read),
        bytes(counters.distinct_bytes_written),
        percent(counters.coalescing())
    )?;
    write!(f, "arithmetic       {}", flops(counters.total_flops()))?;
    if counters.matrix_flops.total() > 0 {
        write!(
            f,
            ", {} in matrix operations (",
            flops(counters.matrix_flops.total())
        )?;
        let some = counters.matrix_flops.iter().filter(|(_, n)| *n > 0);
        let names: Vec<_> = some.map(|(ty, _)| ty.name()).collect();
        write!(f, "{})", names.join(", "))?;
    }
    if counters.special_operations > 0 {
        write!(
            f,
            "; {} special functions",
            count(counters.special_operations)
        )?;
    }
    match counters.arithmetic_intensity() {
        Some(intensity) => writeln!(f, "; {intensity:.2} FLOP per distinct byte")?,
        None => writeln!(f)?,
    }
    write!(
        f,
        "control          {} branches, {} divergent; barriers: {} block, {} warp, {} cluster",
        count(counters.branches),
        count(counters.divergent_branches),
        count(counters.block_barriers),
        count(counters.warp_barriers),
        count(counters.cluster_barriers)
    )
}

/// Empty for zero: most statements touch no memory.
fn some(n: u64) -> String {
    if n == 0 { String::new() } else { count(n) }
}
