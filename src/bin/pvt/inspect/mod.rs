//! `pvt inspect`: static facts.

mod plan;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args as ClapArgs, Subcommand};
use pvt_cuda::config::{Mode, STAGES};
use pvt_cuda::model::PlanSpec;
use pvt_cuda::plan::{Plan, Step};
use pvt_cuda::weights::{Manifest, TensorFile};
use serde_json::{Value, json};

use crate::Outcome;
use crate::model::DescribedArgs;
use crate::output;

#[derive(ClapArgs)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Sizes, parameters and multiply-adds of a model
    Config(ConfigArgs),
    /// Tensors of a safetensors file
    Weights {
        /// The file
        file: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Steps, buffers and memory of a forward pass, or of a forward and a backward pass
    Plan(plan::Args),
    /// GPU kernels of this build: registers, shared memory and spills as the assembler reports them
    Kernels {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// What this machine has
    Device {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(ClapArgs)]
struct ConfigArgs {
    #[command(flatten)]
    model: DescribedArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<Outcome> {
    match &args.what {
        What::Config(args) => config(args)?,
        What::Weights { file, json } => weights(file, *json)?,
        What::Plan(args) => plan::run(args)?,
        What::Kernels { json } => kernels(*json)?,
        What::Device { json } => device(*json)?,
    }
    Ok(Outcome::Good)
}

/// Operator of a step of the network in the words of the published tables, and its stage.
fn operator(step: &Step) -> Option<(usize, &'static str)> {
    let label = step.label();
    if label == "head" {
        return Some((STAGES - 1, "head"));
    }
    let (part, rest) = label.split_once('.')?;
    let stage = part.chars().next_back()?.to_digit(10)? as usize - 1;
    let operator = match rest.split_once('.').map_or(rest, |(_, tail)| tail) {
        "proj" => "patch_embed",
        "attn.q" => "q",
        "attn.sr" => "sr",
        "attn.kv" => "kv",
        "attn" => "qk_pv",
        "attn.proj" => "proj",
        "mlp.fc1" => "fc1",
        "mlp.fc2" => "fc2",
        _ => return None,
    };
    Some((stage, operator))
}

fn config(args: &ConfigArgs) -> Result<()> {
    let described = args.model.read()?;
    let (config, size, mode) = (&described.config, described.size, described.mode);
    // a trace has one step per operator
    let spec = PlanSpec {
        trace: true,
        ..PlanSpec::infer(1, size, mode)
    };
    let plan = Plan::new(config, spec)?;
    let shapes = config.stage_shapes(size, mode)?;
    let manifest = Manifest::for_config(config, Mode::Classify)?;
    let total = manifest.num_parameters();
    let only_classify =
        |name: &str| name == "cls_token" || name.starts_with("norm.") || name.starts_with("head.");
    let classify: usize = manifest
        .params()
        .iter()
        .filter(|p| only_classify(&p.name))
        .map(pvt_cuda::weights::Param::elements)
        .sum();

    let mut macs: [BTreeMap<&str, u64>; STAGES] = Default::default();
    for step in plan.steps() {
        if let Some((stage, operator)) = operator(step) {
            *macs[stage].entry(operator).or_default() += step.cost().macs;
        }
    }
    let stages: Vec<Value> = (0..STAGES)
        .map(|s| {
            let (shape, stage) = (&shapes[s], &config.stages[s]);
            json!({
                "grid": [shape.grid.0, shape.grid.1],
                "tokens": shape.tokens,
                "keys": shape.keys,
                "channels": shape.channels,
                "heads": shape.heads,
                "head_dim": shape.head_dim,
                "depth": stage.depth,
                "hidden": stage.hidden_dim(),
                "sr_ratio": stage.sr_ratio,
                "parameters": manifest.num_parameters_per_stage()[s],
                "macs": macs[s],
                "total_macs": macs[s].values().sum::<u64>(),
            })
        })
        .collect();
    let eps = config.ln_eps;
    let report = json!({
        "model": described.name,
        "size": [size.height, size.width],
        "mode": described.mode_name(),
        "classes": config.num_classes,
        "ln_eps": { "patch_embed": eps.patch_embed, "sr": eps.sr, "block": eps.block, "final": eps.final_norm },
        "parameters": total,
        "backbone_parameters": total - classify,
        "macs": plan.cost().macs,
        "stages": stages,
    });
    if args.json {
        return output::json(&report);
    }
    output::line(&format!(
        "{} at {size}: {total} parameters ({} as a backbone), {} multiply-adds per image",
        described.name,
        total - classify,
        plan.cost().macs
    ))?;
    output::line(
        "stage  grid        tokens    keys  channels  heads  depth  parameters  multiply-adds",
    )?;
    for (s, shape) in shapes.iter().enumerate() {
        let grid = format!("{}x{}", shape.grid.0, shape.grid.1);
        output::line(&format!(
            "{:>5}  {grid:10}  {:>6}  {:>6}  {:>8}  {:>5}  {:>5}  {:>10}  {:>13}",
            s + 1,
            shape.tokens,
            shape.keys,
            shape.channels,
            shape.heads,
            config.stages[s].depth,
            manifest.num_parameters_per_stage()[s],
            macs[s].values().sum::<u64>()
        ))?;
        let parts: Vec<String> = macs[s]
            .iter()
            .map(|(name, n)| format!("{name} {n}"))
            .collect();
        output::line(&format!("       {}", parts.join(", ")))?;
    }
    Ok(())
}

fn weights(path: &std::path::Path, as_json: bool) -> Result<()> {
    let file = TensorFile::open(path)?;
    let tensors: Vec<Value> = file
        .names()
        .filter_map(|name| file.get(name))
        .map(|t| json!({ "name": t.name, "dtype": t.dtype.to_string(), "shape": t.shape }))
        .collect();
    let elements: usize = file
        .names()
        .filter_map(|n| file.get(n))
        .map(|t| t.elements())
        .sum();
    if as_json {
        return output::json(&json!({
            "file": path.display().to_string(),
            "metadata": file.metadata(),
            "elements": elements,
            "tensors": tensors,
        }));
    }
    for tensor in file.names().filter_map(|name| file.get(name)) {
        let name = tensor.name.escape_debug().to_string();
        output::line(&format!(
            "{:6} {:24} {name}",
            tensor.dtype.to_string(),
            format!("{:?}", tensor.shape)
        ))?;
    }
    output::line(&format!("{} tensors, {elements} elements", tensors.len()))
}

fn device(as_json: bool) -> Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let vectors = pvt_cuda::target::cpu::instruction_set();
    let gpus = gpus();
    let kernels = pvt_cuda::kernels::built_by();
    if as_json {
        let gpus = gpus.iter().map(|(name, problem)| {
            json!({ "name": name, "usable": problem.is_none(), "why_not": problem })
        });
        return output::json(&json!({
            "cpu": { "threads": threads, "architecture": std::env::consts::ARCH, "vectors": vectors },
            "cuda": gpus.collect::<Vec<_>>(),
            "kernels": kernels,
        }));
    }
    output::line(&format!(
        "cpu      {threads} threads, {}, {vectors}",
        std::env::consts::ARCH
    ))?;
    for (name, problem) in gpus {
        let problem = problem.unwrap_or_else(|| "usable".to_owned());
        output::line(&format!("{name:8} {problem}"))?;
    }
    output::line(&format!("kernels  {kernels}"))
}

fn kernels(as_json: bool) -> Result<()> {
    let modules = pvt_cuda::kernels::modules()?;
    let module = |m: &pvt_cuda::kernels::Module| {
        let cubins = m.cubins.iter();
        json!({
            "module": m.name,
            "dtype": m.dtype,
            "entries": m.entries,
            "hash": m.hash,
            "ptx_bytes": m.ptx.len(),
            "machine_code": cubins.map(|c| json!({
                "capability": c.capability,
                "bytes": c.image.len(),
                "report": c.report,
            })).collect::<Vec<_>>(),
        })
    };
    if as_json {
        return output::json(&modules.iter().map(module).collect::<Vec<_>>());
    }
    for m in modules {
        let archs: Vec<String> = m.cubins.iter().map(|c| c.capability.to_string()).collect();
        output::line(&format!(
            "{:11} {:5} {:2} kernels, machine code for {}",
            m.name,
            m.dtype,
            m.entries.len(),
            archs.join(" ")
        ))?;
    }
    output::line(&format!(
        "{} modules, by {}",
        modules.len(),
        pvt_cuda::kernels::built_by()
    ))
}

/// GPUs and what is wrong with them; one line where there is none.
#[cfg(feature = "cuda")]
fn gpus() -> Vec<(String, Option<String>)> {
    let found = pvt_cuda::target::cuda::detect().into_iter();
    found
        .map(|gpu| (gpu.name, gpu.problem.map(|problem| problem.to_string())))
        .collect()
}

#[cfg(not(feature = "cuda"))]
fn gpus() -> Vec<(String, Option<String>)> {
    use pvt_cuda::{DType, target::TargetKind};
    let problem = TargetKind::Cuda(0).open(DType::F32, 1).err();
    vec![("cuda".to_owned(), problem.map(|e| e.to_string()))]
}
