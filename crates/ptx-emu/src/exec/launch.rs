//! One launch: clusters of blocks shared out to the threads of the host.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::device::Schedule;
use crate::exec::block::Cluster;
use crate::exec::tally::Worker;
use crate::exec::{Grid, coordinates};

/// Runs all blocks on up to `threads` threads; nothing where the host has no memory for one block.
pub(crate) fn run(grid: &Grid<'_>, threads: usize) -> Option<Worker> {
    let sides = [0, 1, 2].map(|i| grid.blocks[i] / grid.cluster[i]);
    let count: u64 = sides.map(u64::from).iter().product();
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let work = || {
        let mut worker = Worker::new(grid.program, grid.buffers.len());
        let mut cluster = Cluster::new(grid)?;
        while !stop.load(Ordering::Relaxed) {
            let turn = next.fetch_add(1, Ordering::Relaxed);
            if turn >= count {
                break;
            }
            let linear = place(turn, count, grid.schedule);
            if !cluster.run(grid, &mut worker, coordinates(linear, sides)) {
                stop.store(true, Ordering::Relaxed);
            }
        }
        Some(worker)
    };
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let threads = if grid.program.sequential {
        1
    } else {
        threads.clamp(1, most.max(1))
    };
    if threads == 1 {
        return work();
    }
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut worker = work();
        for other in others {
            match other.join() {
                Ok(done) => {
                    worker = worker.zip(done).map(|(mut all, one)| {
                        all.merge(one);
                        all
                    });
                }
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        worker
    })
}

/// Which of `count` clusters runs as number `turn`.
fn place(turn: u64, count: u64, schedule: Schedule) -> u64 {
    match schedule {
        Schedule::Forward => turn,
        Schedule::Reverse => count - 1 - turn,
        Schedule::Shuffle(seed) => {
            // A step without a common divisor visits every place once.
            let mut step = (seed % count).max(1);
            while gcd(step, count) != 1 {
                step += 1;
            }
            let at = u128::from(turn) * u128::from(step) + u128::from(seed % count);
            u64::try_from(at % u128::from(count)).expect("below count")
        }
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::{Schedule, place};

    #[test]
    fn every_order_visits_every_cluster_once() {
        for count in [1, 2, 7, 12, 100] {
            for schedule in [
                Schedule::Forward,
                Schedule::Reverse,
                Schedule::Shuffle(0),
                Schedule::Shuffle(41),
            ] {
                let mut seen: Vec<_> = (0..count).map(|t| place(t, count, schedule)).collect();
                seen.sort_unstable();
                assert_eq!(seen, (0..count).collect::<Vec<_>>());
            }
        }
    }
}
