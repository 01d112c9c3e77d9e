//! From what the host's threads counted and found to a report.

use std::ops::Range;

use crate::exec::tally::{OpTally, Requests, Worker};
use crate::exec::{Grid, coordinates};
use crate::memory::global::Allocation;
use crate::program::{Op, Traffic};
use crate::report::{
    BufferTraffic, Class, Counters, GlobalTraffic, LineCounters, LineCounts, Report, SharedTraffic,
    Violation,
};

/// Most violations that a report lists.
const LISTED: usize = 100;

pub(super) fn report(grid: &Grid<'_>, worker: Worker) -> Report {
    let program = grid.program;
    let mut report = Report {
        kernel: program.name.clone(),
        grid: grid.blocks,
        block: grid.threads,
        shared_bytes: grid.shared_bytes,
        ..Report::default()
    };
    if grid.checks.counters {
        report.counters = counters(grid, &worker);
        report.lines = lines(grid, &worker);
        report.buffers = buffers(grid, &worker);
    }
    let mut found: Vec<_> = worker.found.into_iter().collect();
    found.sort_by_key(|((statement, name), found)| (found.linear, *statement, *name));
    report.violations_not_listed = found.len().saturating_sub(LISTED) as u64;
    for ((statement, _), found) in found.into_iter().take(LISTED) {
        let statement = &program.statements[statement as usize];
        let thread = coordinates(u64::from(found.thread), grid.threads);
        let mut violation = Violation::new(
            found.kind,
            program.name.clone(),
            statement.line,
            statement.text.clone(),
        )
        .at(found.block, thread)
        .in_source(statement.source.clone());
        violation.count = found.count;
        report.violations.push(violation);
    }
    report
}

fn global(into: &mut GlobalTraffic, from: &Requests) {
    into.requests += from.requests;
    into.sectors += from.units;
    into.ideal_sectors += from.least;
    into.lines += from.lines;
    into.bytes += from.bytes;
}

fn shared(into: &mut SharedTraffic, from: &Requests) {
    into.requests += from.requests;
    into.wavefronts += from.units;
    into.min_wavefronts += from.least;
    into.bytes += from.bytes;
}

fn counters(grid: &Grid<'_>, worker: &Worker) -> Counters {
    let mut all = Counters {
        launches: 1,
        blocks: worker.blocks,
        warps: worker.blocks * u64::from(grid.warps_per_block()),
        threads: worker.blocks * u64::from(grid.threads_per_block()),
        block_barriers: worker.barriers,
        cluster_barriers: worker.cluster_barriers,
        ..Counters::default()
    };
    for (op, tally) in grid.program.ops.iter().zip(&worker.tallies) {
        instructions(&mut all, op, tally);
        requests(&mut all, op, tally);
    }
    for allocation in grid.memory.allocations.iter().filter(|a| !a.freed) {
        all.distinct_bytes_read += 32 * allocation.shadow.sectors_read();
        all.distinct_bytes_written += 32 * allocation.shadow.sectors_written();
    }
    all
}

fn buffers(grid: &Grid<'_>, worker: &Worker) -> Vec<BufferTraffic> {
    let all = grid.buffers.iter().zip(&worker.buffers.sectors);
    let one = |((range, argument), sectors): (&(Range<u64>, usize), &[u64; 2])| {
        let found = grid.memory.find(range.start, range.end);
        let distinct = found.map_or([0; 2], |index| {
            let Allocation { base, shadow, .. } = &grid.memory.allocations[index];
            shadow.sectors_within(range.start - base..range.end - base)
        });
        BufferTraffic {
            argument: *argument,
            bytes: range.end - range.start,
            sectors_read: sectors[0],
            sectors_written: sectors[1],
            distinct_bytes_read: 32 * distinct[0],
            distinct_bytes_written: 32 * distinct[1],
        }
    };
    all.map(one).collect()
}

fn instructions(all: &mut Counters, op: &Op, tally: &OpTally) {
    let Some(class) = op.class else { return };
    all.warp_instructions[class] += tally.warps;
    all.lane_instructions[class] += tally.lanes;
    all.divergent_branches += tally.divergent;
    let text = || class == Class::Control && op.ends_block;
    if text() && op.guarded() {
        all.branches += tally.warps;
    }
    let flops = u64::from(op.flops);
    match class {
        Class::F32 => all.f32_flops += flops * tally.lanes,
        Class::F64 => all.f64_flops += flops * tally.lanes,
        Class::Half => all.half_flops += flops * tally.lanes,
        Class::Special => all.special_operations += tally.lanes * flops.max(1),
        Class::Matrix => {
            if let Some(matrix) = op.matrix {
                let together = if op.traffic == Traffic::WarpGroup {
                    4
                } else {
                    1
                };
                all.matrix_operations[matrix] += tally.warps / together;
                all.matrix_flops[matrix] += flops * tally.warps;
            }
        }
        Class::Barrier if op.traffic == Traffic::WarpBarrier => all.warp_barriers += tally.warps,
        _ => {}
    }
}

fn requests(all: &mut Counters, op: &Op, tally: &OpTally) {
    let executed = u64::from(tally.lanes > 0) * tally.warps;
    match op.traffic {
        Traffic::None | Traffic::WarpBarrier | Traffic::WarpGroup => {}
        Traffic::Param => all.param_loads += executed,
        Traffic::Const => all.const_loads += tally.global.requests,
        Traffic::Load => {
            global(&mut all.global_loads, &tally.global);
            shared(&mut all.shared_loads, &tally.shared);
            all.local_loads.requests += tally.local.requests;
            all.local_loads.bytes += tally.local.bytes;
        }
        Traffic::Store => {
            global(&mut all.global_stores, &tally.global);
            shared(&mut all.shared_stores, &tally.shared);
            all.local_stores.requests += tally.local.requests;
            all.local_stores.bytes += tally.local.bytes;
        }
        Traffic::Atomic => {
            let operations = |r: &Requests| r.bytes / u64::from(op.b.max(1));
            let into = &mut all.global_atomics;
            into.requests += tally.global.requests;
            into.operations += operations(&tally.global);
            into.sectors += tally.global.units;
            into.passes += tally.passes_global;
            let into = &mut all.shared_atomics;
            into.requests += tally.shared.requests;
            into.operations += operations(&tally.shared);
            into.passes += tally.passes_shared;
        }
        Traffic::Copy => {
            global(&mut all.global_loads, &tally.global);
            shared(&mut all.shared_copies, &tally.shared);
        }
        Traffic::CopyPastL1 => {
            global(&mut all.async_loads, &tally.global);
            shared(&mut all.shared_copies, &tally.shared);
        }
        Traffic::CopyOut => {
            global(&mut all.async_stores, &tally.global);
            shared(&mut all.shared_copies, &tally.shared);
        }
        Traffic::MatrixLoad => shared(&mut all.matrix_loads, &tally.shared),
        Traffic::MatrixStore => shared(&mut all.matrix_stores, &tally.shared),
    }
}

fn lines(grid: &Grid<'_>, worker: &Worker) -> Vec<LineCounters> {
    let program = grid.program;
    let mut lines: Vec<_> = program
        .statements
        .iter()
        .map(|statement| LineCounters {
            ptx_line: statement.line,
            statement: statement.text.clone(),
            source: statement.source.clone(),
            counts: LineCounts::default(),
        })
        .collect();
    for (op, tally) in program.ops.iter().zip(&worker.tallies) {
        if op.class.is_none() {
            continue;
        }
        let counts = &mut lines[op.statement as usize].counts;
        counts.warps += tally.warps;
        counts.lanes += tally.lanes;
        counts.divergent += tally.divergent;
        counts.requests += tally.global.requests + tally.shared.requests + tally.local.requests;
        counts.sectors += tally.global.units;
        counts.ideal_sectors += tally.global.least;
        counts.wavefronts += tally.shared.units;
        counts.min_wavefronts += tally.shared.least;
    }
    lines
}
