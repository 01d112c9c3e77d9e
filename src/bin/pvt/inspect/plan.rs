//! `pvt inspect plan`: what would run, and what memory it takes.

use anyhow::Result;
use clap::Args as ClapArgs;
use pvt_cuda::DType;
use pvt_cuda::model::{Keep, PlanSpec, Train};
use pvt_cuda::plan::{Memory, Plan, Step};
use pvt_cuda::target::{TargetError, TargetKind};
use serde_json::{Value, json};

use crate::model::{Described, DescribedArgs};
use crate::output;

#[derive(ClapArgs)]
pub(super) struct Args {
    #[command(flatten)]
    model: DescribedArgs,
    /// Images per forward pass
    #[arg(long, default_value_t = 1)]
    batch: usize,
    /// Arithmetic
    #[arg(long, default_value_t)]
    dtype: DType,
    /// Where it would run
    #[arg(long, default_value_t)]
    target: TargetKind,
    /// Keep every intermediate tensor
    #[arg(long)]
    trace: bool,
    #[command(flatten)]
    train: TrainArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(ClapArgs)]
struct TrainArgs {
    /// A backward pass after the forward pass
    #[arg(long)]
    train: bool,
    /// What is kept for the backward pass: everything, recompute (only what costs more to compute than to keep) or
    /// blocks (inputs of blocks)
    #[arg(long, default_value_t, requires = "train")]
    keep: Keep,
    /// Branches of blocks have a factor for each image
    #[arg(long, requires = "train")]
    drop_path: bool,
    /// Leading stages whose parameters get no gradient, 0 to 4
    #[arg(long, value_name = "N", default_value_t = 0, requires = "train", value_parser = clap::value_parser!(u8).range(0..=4))]
    frozen: u8,
    /// The gradient of the pixels too
    #[arg(long, requires = "train")]
    input_gradient: bool,
}

impl TrainArgs {
    fn read(&self) -> Option<Train> {
        self.train.then(|| Train {
            keep: self.keep,
            drop_path: self.drop_path,
            frozen_stages: self.frozen.into(),
            input_gradient: self.input_gradient,
            ..Train::default()
        })
    }
}

pub(super) fn run(args: &Args) -> Result<()> {
    let Described {
        config,
        size: image,
        mode,
        ..
    } = args.model.read()?;
    let kernels = match args.target {
        TargetKind::Auto | TargetKind::Cpu if args.dtype == DType::F32 => None,
        TargetKind::Auto | TargetKind::Cuda(_) | TargetKind::Emu => Some(args.dtype),
        TargetKind::Cpu => return Err(TargetError::Dtype { dtype: args.dtype }.into()),
    };
    let plan = Plan::new(
        &config,
        PlanSpec {
            batch: args.batch,
            image,
            mode,
            trace: args.trace,
            kernels,
            train: args.train.read(),
            ..PlanSpec::infer(args.batch, image, mode)
        },
    )?;
    if !args.json {
        return output::line(plan.to_string().trim_end());
    }
    let step = |s: &Step| {
        let (reads, writes) = plan.activations(s);
        json!({
            "label": s.label(),
            "op": s.op(),
            "shapes": s.shapes(),
            "flops": s.cost().flops(),
            "bytes": s.cost().bytes,
            "reads": reads,
            "writes": writes,
            "launches": s.launches().iter().map(|launch| json!({
                "kernel": launch.kernel.to_string(),
                "grid": launch.grid,
                "block": launch.block,
                "shared_bytes": launch.shared,
            })).collect::<Vec<_>>(),
        })
    };
    output::json(&json!({
        "target": if kernels.is_some() { "gpu" } else { "cpu" },
        "dtype": args.dtype.to_string(),
        "batch": args.batch,
        "size": [image.height, image.width],
        "setup": plan.setup().iter().map(step).collect::<Vec<_>>(),
        "steps": plan.steps().iter().map(step).collect::<Vec<_>>(),
        "first_backward_step": plan.first_backward_step(),
        "launches": plan.launches().count(),
        "flops": plan.cost().flops(),
        "bytes": plan.cost().bytes,
        "param_bytes": plan.param_bytes(),
        "workspace_bytes": plan.workspace_bytes(),
        "scratch_bytes_per_thread": plan.lane_bytes(),
        "memory": memory(&plan.memory()),
    }))
}

fn memory(memory: &Memory) -> Value {
    json!({
        "inputs": memory.inputs,
        "parameters": memory.parameters,
        "gradients": memory.gradients,
        "workspace": memory.workspace,
        "saved": memory.saved,
        "optimizer": memory.optimizer,
        "total": memory.total(),
    })
}
