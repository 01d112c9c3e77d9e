//! The `pvt` command: thin commands over the library. Results go to stdout, everything else to
//! stderr. Exit codes: 0 good, 1 a check failed, 2 usage, 3 target unavailable, 4 bad input.

mod bench;
mod classify;
mod features;
mod inspect;
mod model;
mod output;
mod train;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use pvt_cuda::train::TrainError;

/// Pyramid Vision Transformer: classify pictures, extract pyramid features, verify and measure.
#[derive(Parser)]
#[command(name = "pvt", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Classes of pictures, most probable first; accuracy for one-folder-per-class folders
    Classify(classify::Args),
    /// The four feature maps of a picture, of any size from 32 x 32 up
    Features(features::Args),
    /// Train a model on pictures in one folder per class, from scratch or from a checkpoint
    Train(Box<train::Args>),
    /// Compare a model with a folder of reference tensors
    Verify(verify::Args),
    /// Latency and images per second on this machine
    Bench(bench::Args),
    /// Static facts about a model, a weights file, a plan or this machine
    Inspect(inspect::Args),
}

/// How a command that did not fail ended.
enum Outcome {
    Good,
    CheckFailed,
    /// Some inputs were bad; they have been reported, the rest was done.
    BadInput,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Classify(args) => classify::run(&args),
        Command::Features(args) => features::run(&args),
        Command::Train(args) => train::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Inspect(args) => inspect::run(&args),
    };
    match result {
        Ok(Outcome::Good) => ExitCode::SUCCESS,
        Ok(Outcome::CheckFailed) => ExitCode::from(1),
        Ok(Outcome::BadInput) => ExitCode::from(4),
        Err(error) => {
            output::note(&format!("error: {error:#}"));
            ExitCode::from(exit_code(&error))
        }
    }
}

/// 2 for a contradiction among the arguments, 3 for a target that cannot be had, else 4.
fn exit_code(error: &anyhow::Error) -> u8 {
    let of = |e: &(dyn std::error::Error + 'static)| {
        use pvt_cuda::Error;
        let train = match e.downcast_ref() {
            Some(Error::Train(error)) => Some(error),
            _ => e.downcast_ref::<TrainError>(),
        };
        let usage = matches!(train, Some(TrainError::Setting { .. }));
        if usage || e.is::<model::UsageError>() {
            return Some(2);
        }
        let target = match e.downcast_ref() {
            Some(Error::Target(_)) => true,
            #[cfg(feature = "cuda")]
            Some(Error::Cuda(_)) => true,
            _ => false,
        };
        (target || e.is::<pvt_cuda::target::TargetError>()).then_some(3)
    };
    error.chain().find_map(of).unwrap_or(4)
}
