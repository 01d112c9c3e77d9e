//! PVT-Tiny at its real size, with weights that are defined by hashes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pvt_cuda::config::{Mode, Variant};
use pvt_cuda::executor::{Executor, Params, Run as _};
use pvt_cuda::model::PlanSpec;
use pvt_cuda::plan::Plan;
use pvt_cuda::shape::ImageSize;
use pvt_cuda::target::cpu::CpuTarget;
use pvt_cuda::target::emu::EmuDevice;
use pvt_cuda::{DType, Error};
use pvt_testkit::{compare, hash};

use crate::support::executor;

fn spec() -> PlanSpec {
    PlanSpec::infer(1, ImageSize::square(224), Mode::Classify)
}

/// A result on the CPU, which other tests hold against published values.
fn on_cpu(spec: PlanSpec, output: &str) -> Vec<f32> {
    let plan = Arc::new(Plan::new(&Variant::Tiny.config(), spec).unwrap());
    let params = Params::load(&plan, |p, out| {
        hash::parameter(&p.name, &p.shape, out);
        Ok::<_, Error>(())
    });
    let target = CpuTarget::new(2).unwrap();
    let mut cpu = Executor::new(plan, params.unwrap(), target).unwrap();
    let input = hash::image(cpu.plan().input_len());
    cpu.run(&input).unwrap();
    cpu.output(output).unwrap()
}

/// The whole forward pass with all checks on, within `most` on two threads.
fn tiny(dtype: DType, tolerance: f64, most: Duration) {
    let device = EmuDevice::new(2);
    device.keep_reports();
    let mut run = executor(&device, &Variant::Tiny.config(), spec().kernels(dtype));
    let input = hash::image(run.plan().input_len());
    device.take_reports();
    let start = Instant::now();
    run.run(&input).unwrap();
    let time = start.elapsed();
    let reports = device.take_reports();
    let instructions: u64 = reports
        .iter()
        .map(|(_, r)| r.counters.warp_instructions.total())
        .sum();
    let found = run.output("logits").unwrap().unwrap();
    let error = compare::rel_l2(&found, &compare::widen(&on_cpu(spec(), "logits")));
    println!(
        "{dtype}: {} launches, {instructions} warp instructions, {time:.1?}, error {error:.1e}",
        reports.len()
    );
    assert_eq!(reports.len(), run.plan().launches().count());
    assert!(error < tolerance, "{dtype}: {error:e}");
    assert!(time < most, "{dtype}: {time:?}, at most {most:?}");
}

#[test]
fn tiny_in_bf16() {
    tiny(DType::Bf16, 2e-2, Duration::from_secs(30));
}

#[test]
fn tiny_in_f16() {
    tiny(DType::F16, 4e-3, Duration::from_secs(30));
}

#[test]
fn tiny_in_tf32() {
    tiny(DType::Tf32, 3e-3, Duration::from_secs(60));
}

#[test]
fn tiny_in_f32() {
    tiny(DType::F32, 5e-6, Duration::from_secs(90));
}

/// An image that is no multiple of anything, two at a time: resized position tables, patches that end short.
#[test]
fn maps_of_200_by_264() {
    let image = ImageSize {
        height: 200,
        width: 264,
    };
    let spec = PlanSpec::infer(2, image, Mode::Backbone);
    for (dtype, bound) in [(DType::Bf16, 3e-2), (DType::F16, 4e-3)] {
        let device = EmuDevice::new(2);
        let mut run = executor(&device, &Variant::Tiny.config(), spec.kernels(dtype));
        let input = hash::image(run.plan().input_len());
        run.run(&input).unwrap();
        for stage in 1..=4 {
            let name = format!("feature{stage}");
            let found = run.output(&name).unwrap().unwrap();
            let error = compare::rel_l2(&found, &compare::widen(&on_cpu(spec, &name)));
            println!("{dtype} {name}: {error:.1e}");
            assert!(error < bound, "{dtype} {name}: {error:e}");
        }
    }
}
