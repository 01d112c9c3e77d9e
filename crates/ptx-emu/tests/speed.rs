//! A floor under the emulator's speed: half of what it is meant to reach.

mod support;

use std::time::{Duration, Instant};

use ptx_emu::{Checks, Simd};
use support::speed::Timed;

/// Time that this thread has had a processor, where the system tells; other programs on the
/// machine then do not count.
fn busy() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// The shortest of a few launches.
fn best(timed: &mut Timed, checks: Checks) -> Duration {
    let rounds = (0..5).map(|_| {
        let (start, begun) = (Instant::now(), busy());
        timed.run(checks);
        match (begun, busy()) {
            (Some(begun), Some(ended)) if ended > begun => ended - begun,
            _ => start.elapsed(),
        }
    });
    rounds.min().unwrap()
}

#[test]
fn kernels_run_at_half_the_goal_at_least() {
    if Simd::detect() == Simd::Scalar {
        println!("not measured: this machine has no AVX2");
        return;
    }
    let mut slow = Vec::new();
    for (name, n) in [
        ("naive", 192),
        ("tiled", 192),
        ("layernorm", 256),
        ("bf16", 256),
    ] {
        let mut timed = Timed::new(name, n);
        let operations = timed.operations() as f64;
        for (checks, goal) in [Checks::NONE, Checks::ALL].into_iter().zip(timed.goal) {
            let seconds = best(&mut timed, checks).as_secs_f64();
            let rate = operations / seconds / 1e6;
            println!("{name}: {rate:.1} million per second, goal {goal}");
            if rate < goal / 2.0 {
                slow.push(format!("{name}: {rate:.1} million per second, goal {goal}"));
            }
        }
    }
    assert!(slow.is_empty(), "{slow:#?}");
}
