//! Plans of kernels that cannot be made or bound, by kind and text.

use std::sync::Arc;

use pvt_cuda::config::{Mode, PvtConfig, Variant};
use pvt_cuda::executor::{Executor, Params};
use pvt_cuda::kernels::KernelsNotBuilt;
use pvt_cuda::launch::LaunchError;
use pvt_cuda::model::PlanSpec;
use pvt_cuda::plan::Plan;
use pvt_cuda::shape::{ImageSize, ShapeError};
use pvt_cuda::target::cpu::CpuTarget;
use pvt_cuda::target::cuda::CudaError;
use pvt_cuda::target::{TargetError, TargetKind};
use pvt_cuda::{DType, Error};

fn plan(config: &PvtConfig) -> Result<Plan, Error> {
    let spec = PlanSpec::infer(1, ImageSize::square(64), Mode::Classify);
    Plan::new(config, spec.kernels(DType::F16))
}

fn refused(config: &PvtConfig, words: &[&str]) -> LaunchError {
    let Error::Launch(error) = plan(config).unwrap_err() else {
        panic!("another error");
    };
    let text = error.to_string();
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
    error
}

#[test]
fn heads_without_a_kernel() {
    let mut config = Variant::Tiny.config();
    config.stages[1].num_heads = 16; // of 8 channels
    let error = refused(&config, &["8 channels", "16, 32, 64 and 128"]);
    assert_eq!(error, LaunchError::HeadDim { found: 8 });
    config.stages[1].num_heads = 2;
    assert!(plan(&config).is_ok());
}

#[test]
fn channels_that_do_not_fill_vectors() {
    let mut config = Variant::Tiny.config();
    config.stages[0].embed_dim = 20;
    let error = refused(&config, &["20", "multiple of"]);
    assert!(
        matches!(error, LaunchError::Multiple { found: 20, .. }),
        "{error:?}"
    );
}

#[test]
fn sizes_beyond_what_kernels_count() {
    let spec = PlanSpec::infer(1 << 27, ImageSize::square(64), Mode::Backbone);
    let error = Plan::new(&Variant::Tiny.config(), spec.kernels(DType::F16)).unwrap_err();
    let text = error.to_string();
    let known = matches!(&error, Error::Launch(LaunchError::TooLarge { .. }));
    assert!(known && text.contains("smaller image or batch"), "{text}");
}

#[test]
fn a_plan_of_kernels_on_the_cpu() {
    let plan = Arc::new(plan(&Variant::Tiny.config()).unwrap());
    let cpu = CpuTarget::new(1).unwrap();
    let spec = PlanSpec::infer(1, ImageSize::square(64), Mode::Classify);
    let own = Plan::new(&Variant::Tiny.config(), spec).unwrap();
    let params = Params::random(&own).unwrap();
    let error = Executor::new(plan, params, cpu).unwrap_err();
    assert!(
        matches!(error, Error::Shape(ShapeError::ForeignPlan)),
        "{error}"
    );
    assert!(error.to_string().contains("PlanSpec::kernels"), "{error}");
}

#[test]
fn auto_in_a_type_that_only_a_gpu_has() {
    if TargetKind::Cuda(0).open(DType::Bf16, 1).is_ok() {
        println!("skipped: there is a GPU");
        return;
    }
    let error = TargetKind::Auto.open(DType::Bf16, 1).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, TargetError::NoGpu { .. }), "{text}");
    assert!(
        text.contains("the CPU computes in f32, not in bf16"),
        "{text}"
    );
    let (target, why) = TargetKind::choose(DType::F32, 1).unwrap();
    assert_eq!(target.name(), "cpu");
    assert!(why.contains("cpu, 1 threads, as there is no GPU"), "{why}");
}

#[test]
fn kernels_that_were_not_built() {
    let error = Error::from(TargetError::from(CudaError::from(KernelsNotBuilt {
        reason: "off: PVT_CUDA_BUILD=off",
    })));
    let text = error.to_string();
    for word in [
        "no GPU kernels",
        "PVT_CUDA_BUILD=off",
        "PVT_NVRTC",
        "build again",
    ] {
        assert!(text.contains(word), "{text}");
    }
}
