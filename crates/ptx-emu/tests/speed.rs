//! A floor under the emulator's speed: half of what it is meant to reach on one core.

mod support;

use std::time::{Duration, Instant};

use ptx_emu::{Checks, Simd};
use support::speed::Timed;

/// Long enough for the system's count of a thread's time, which it brings up to date every few
/// milliseconds.
const WINDOW: Duration = Duration::from_millis(80);

/// Time that this thread has had a processor, where the system tells: what else runs on the machine
/// then does not count.
fn busy() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// Launches per second in the best of a few windows.
fn best(timed: &mut Timed, checks: Checks) -> f64 {
    let window = || {
        let (start, begun) = (Instant::now(), busy());
        let mut launches = 0.0;
        while start.elapsed() < WINDOW {
            timed.run(checks);
            launches += 1.0;
        }
        let elapsed = start.elapsed();
        let spent = match (begun, busy()) {
            (Some(begun), Some(ended)) if ended > begun => ended.saturating_sub(begun),
            _ => elapsed,
        };
        launches / spent.as_secs_f64()
    };
    std::iter::repeat_with(window).take(5).fold(0.0, f64::max)
}

#[test]
fn kernels_run_at_half_the_goal_at_least() {
    if Simd::detect() == Simd::Scalar {
        println!("not measured: this machine has no AVX2");
        return;
    }
    let mut slow = Vec::new();
    for (name, n) in [
        ("naive", 128),
        ("tiled", 192),
        ("layernorm", 256),
        ("mma", 32),
    ] {
        let mut timed = Timed::new(name, n);
        let operations = timed.operations() as f64 / 1e6;
        for (checks, goal) in [Checks::NONE, Checks::ALL].into_iter().zip(timed.goal) {
            let rate = operations * best(&mut timed, checks);
            let line = format!("{name}: {rate:.1} million per second, goal {goal}");
            println!("{line}");
            if rate < goal / 2.0 {
                slow.push(line);
            }
        }
    }
    assert!(slow.is_empty(), "{slow:#?}");
}
