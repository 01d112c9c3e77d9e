//! `pvt verify`: a model against a folder of reference tensors.

use std::path::PathBuf;

use anyhow::Result;
use pvt_cuda::verify::{VerifyOptions, verify};

use crate::Outcome;
use crate::model::TargetArgs;
use crate::output;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder with config.json, model.safetensors and reference.safetensors
    #[arg(value_name = "CASE_DIR")]
    case: PathBuf,
    /// Weights instead of the case's own (another key scheme, say)
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Configuration instead of the case's own
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    target: TargetArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<Outcome> {
    let report = verify(&VerifyOptions {
        case: args.case.clone(),
        weights: args.weights.clone(),
        config: args.config.clone(),
        target: args.target.target,
        dtype: args.target.dtype,
        threads: args.target.threads,
    })?;
    if args.json {
        output::json(&report)?;
    } else {
        output::line(&format!(
            "{:28} {:>20} {:>10} {:>10} {:>10}",
            "tensor", "shape", "rel L2", "max abs", "tolerance"
        ))?;
        for t in &report.tensors {
            output::line(&format!(
                "{:28} {:>20} {:>10.2e} {:>10.2e} {:>10.1e}  {}",
                t.name,
                format!("{:?}", t.shape),
                t.rel_l2,
                t.max_abs,
                t.tolerance,
                if t.pass { "ok" } else { "FAILED" }
            ))?;
        }
        for name in &report.not_produced {
            output::line(&format!(
                "{name:28} not produced: the model has no such output"
            ))?;
        }
        let failed = report.tensors.iter().filter(|t| !t.pass).count();
        output::line(&format!(
            "{} ({} weights, {} on {}): {} of {} tensors passed, {} not produced",
            report.case,
            report.scheme,
            report.dtype,
            report.target,
            report.tensors.len() - failed,
            report.tensors.len(),
            report.not_produced.len()
        ))?;
    }
    Ok(if report.pass {
        Outcome::Good
    } else {
        Outcome::CheckFailed
    })
}
