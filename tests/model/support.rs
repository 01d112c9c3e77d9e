//! Models with weights defined by hashes.

use std::sync::Arc;

use pvt_cuda::Error;
use pvt_cuda::config::{LnEps, PvtConfig, StageConfig};
use pvt_cuda::executor::{Executor, Params};
use pvt_cuda::model::PlanSpec;
use pvt_cuda::plan::Plan;
use pvt_cuda::shape::ImageSize;
use pvt_cuda::target::cpu::CpuTarget;
use pvt_testkit::hash;

/// `config` bound to hash weights, ready to run.
pub(crate) fn executor(config: &PvtConfig, spec: PlanSpec, threads: usize) -> Executor {
    let plan = Arc::new(Plan::new(config, spec).unwrap());
    let params = Params::load(&plan, |p, out| {
        hash::parameter(&p.name, &p.shape, out);
        Ok::<_, Error>(())
    });
    Executor::new(plan, params.unwrap(), CpuTarget::new(threads).unwrap()).unwrap()
}

/// `config` after one run on the hash image, with two threads.
pub(crate) fn run(config: &PvtConfig, spec: PlanSpec) -> Executor {
    let mut executor = executor(config, spec, 2);
    let input = hash::image(executor.plan().input_len());
    executor.run(&input).unwrap();
    executor
}

/// Every output in the order of the plan.
pub(crate) fn outputs(executor: &Executor) -> Vec<(String, Vec<f32>)> {
    let outputs = executor.plan().outputs().iter();
    outputs
        .map(|o| (o.name.clone(), executor.read(&o.view)))
        .collect()
}

/// Channels, heads, depth, MLP ratio, spatial reduction, patch of one stage.
pub(crate) fn stage(sizes: [usize; 6]) -> StageConfig {
    let [embed_dim, num_heads, depth, mlp_ratio, sr_ratio, patch_size] = sizes;
    StageConfig {
        embed_dim,
        num_heads,
        depth,
        mlp_ratio,
        sr_ratio,
        patch_size,
    }
}

/// The published pyramid with few channels: grids, reductions and tables as in the real models.
pub(crate) fn narrow() -> PvtConfig {
    PvtConfig {
        in_chans: 3,
        img_size: ImageSize::square(224),
        num_classes: 11,
        qkv_bias: true,
        ln_eps: LnEps::OFFICIAL,
        stages: [
            stage([8, 1, 1, 4, 8, 4]),
            stage([16, 2, 1, 4, 4, 2]),
            stage([24, 3, 2, 2, 2, 2]),
            stage([32, 4, 1, 2, 1, 2]),
        ],
        preprocess: None,
        labels: None,
    }
}

/// `height` x `width`.
pub(crate) fn size(height: usize, width: usize) -> ImageSize {
    ImageSize { height, width }
}
