//! `pvt bench`: latency and throughput of a model on this machine.

use std::time::{Duration, Instant};

use anyhow::Result;
use pvt_cuda::session::Session;
use serde::Serialize;

use crate::Outcome;
use crate::model::{DescribedArgs, TargetArgs, UsageError};
use crate::output;

/// Forward passes before the clock starts.
const WARM_UP: usize = 3;
/// Fewest timed passes, whatever the time asked for.
const FEWEST: usize = 5;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    model: DescribedArgs,
    /// Images per forward pass
    #[arg(long, default_value_t = 1)]
    batch: usize,
    /// How long to measure, in seconds
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Also print the time of each step (its median over the passes)
    #[arg(long)]
    steps: bool,
    #[command(flatten)]
    target: TargetArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct StepTime {
    label: String,
    op: &'static str,
    shapes: String,
    median_ms: f64,
    gflops: f64,
}

#[derive(Serialize)]
struct Report {
    model: String,
    size: [usize; 2],
    batch: usize,
    mode: &'static str,
    target: &'static str,
    dtype: String,
    threads: usize,
    weights: &'static str,
    runs: usize,
    median_ms: f64,
    lower_quartile_ms: f64,
    upper_quartile_ms: f64,
    min_ms: f64,
    images_per_s: f64,
    gflops: f64,
    workspace_bytes: usize,
    param_bytes: usize,
    peak_rss_bytes: Option<u64>,
    times_ms: Vec<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<StepTime>,
}

pub(crate) fn run(args: &Args) -> Result<Outcome> {
    if !(args.seconds > 0.0 && args.seconds <= 3600.0) {
        let text = format!(
            "--seconds is {}; expected more than 0, at most 3600",
            args.seconds
        );
        return Err(UsageError(text).into());
    }
    let model = args.model.read()?;
    let (size, mode) = (model.size, model.mode_name());
    let target = args.target.open()?;
    let (threads, target_name) = (target.threads(), target.name());
    let mut session = Session::random(model.config, model.mode, target);
    let executor = session.executor(args.batch, size)?;
    let input: Vec<f32> = (0..executor.plan().input_len())
        .map(|i| ((i % 255) as f32 - 127.0) / 64.0)
        .collect();

    for _ in 0..WARM_UP {
        executor.run(&input)?;
    }
    let mut times = Vec::new();
    let start = Instant::now();
    while times.len() < FEWEST || start.elapsed().as_secs_f64() < args.seconds {
        let run = Instant::now();
        executor.run(&input)?;
        times.push(milliseconds(run.elapsed()));
    }
    let steps = if args.steps {
        step_times(executor, &input, times.len().min(50))?
    } else {
        Vec::new()
    };
    let sorted = sorted(times.clone());
    let median = quantile(&sorted, 0.5);
    let cost = executor.plan().cost();
    let report = Report {
        model: model.name,
        size: [size.height, size.width],
        batch: args.batch,
        mode,
        target: target_name,
        dtype: args.target.dtype.to_string(),
        threads,
        weights: "random",
        runs: times.len(),
        median_ms: median,
        lower_quartile_ms: quantile(&sorted, 0.25),
        upper_quartile_ms: quantile(&sorted, 0.75),
        min_ms: sorted[0],
        images_per_s: args.batch as f64 * 1e3 / median,
        gflops: cost.flops() as f64 / median / 1e6,
        workspace_bytes: executor.plan().workspace_bytes() + threads * executor.plan().lane_bytes(),
        param_bytes: executor.plan().param_bytes(),
        peak_rss_bytes: peak_rss_bytes(),
        times_ms: times,
        steps,
    };
    print(args, &report)?;
    Ok(Outcome::Good)
}

fn step_times(
    executor: &mut dyn pvt_cuda::executor::Run,
    input: &[f32],
    passes: usize,
) -> Result<Vec<StepTime>> {
    let mut times = vec![Vec::with_capacity(passes); executor.plan().steps().len()];
    for _ in 0..passes {
        let mut last = Instant::now();
        let times = &mut times;
        executor.run_observed(input, &mut |step| {
            let now = Instant::now();
            times[step].push(milliseconds(now - last));
            last = now;
        })?;
    }
    let steps = executor
        .plan()
        .steps()
        .iter()
        .zip(times)
        .map(|(step, times)| {
            let median_ms = quantile(&sorted(times), 0.5);
            StepTime {
                label: step.label().to_owned(),
                op: step.op(),
                shapes: step.shapes(),
                median_ms,
                gflops: step.cost().flops() as f64 / median_ms / 1e6,
            }
        });
    Ok(steps.collect())
}

fn print(args: &Args, report: &Report) -> Result<()> {
    if args.json {
        return output::json(report);
    }
    for step in &report.steps {
        output::line(&format!(
            "{:8.3} ms  {:7.1} GFLOP/s  {:24}  {:10}  {}",
            step.median_ms, step.gflops, step.label, step.op, step.shapes
        ))?;
    }
    let [h, w] = report.size;
    output::line(&format!(
        "{} {h}x{w}, batch {}, {} on {} with {} threads, {} weights: median {:.2} ms, quartiles {:.2} \
         and {:.2}, fastest {:.2} of {} runs; {:.1} images/s, {:.1} GFLOP/s",
        report.model,
        report.batch,
        report.dtype,
        report.target,
        report.threads,
        report.weights,
        report.median_ms,
        report.lower_quartile_ms,
        report.upper_quartile_ms,
        report.min_ms,
        report.runs,
        report.images_per_s,
        report.gflops
    ))
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn sorted(mut times: Vec<f64>) -> Vec<f64> {
    times.sort_by(f64::total_cmp);
    times
}

/// Linear interpolation between the two nearest of `sorted`, which is not empty.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 <= at < len"
    )]
    let low = at as usize;
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + (at - low as f64) * (sorted[high] - sorted[low])
}

/// The most memory this process has had, where the system tells (Linux).
fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
