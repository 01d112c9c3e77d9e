//! PVT-Tiny with weights defined by hashes, against float64 values of the published code.

use std::sync::Arc;

use pvt_cuda::Error;
use pvt_cuda::config::{Mode, Variant};
use pvt_cuda::executor::{Executor, Params};
use pvt_cuda::model::PlanSpec;
use pvt_cuda::plan::Plan;
use pvt_cuda::shape::ImageSize;
use pvt_cuda::target::cpu::CpuTarget;
use pvt_testkit::{compare, hash};

/// Runs `variant` with hash weights on the hash image.
fn run(variant: Variant, spec: PlanSpec) -> Executor {
    let plan = Arc::new(Plan::new(&variant.config(), spec).unwrap());
    let params = Params::load(&plan, |p, out| {
        hash::parameter(&p.name, &p.shape, out);
        Ok::<_, Error>(())
    });
    let input = hash::image(plan.input_len());
    let mut executor = Executor::new(plan, params.unwrap(), CpuTarget::new(2).unwrap()).unwrap();
    executor.run(&input).unwrap();
    executor
}

#[test]
fn tiny_at_224_gives_the_published_logits() {
    let spec = PlanSpec::infer(2, ImageSize::square(224), Mode::Classify);
    let logits = run(Variant::Tiny, spec).output("logits").unwrap();
    let first = [
        -1.951_606_299,
        6.667_082_239e-1,
        -2.203_523_569e-1,
        7.411_549_111e-1,
        1.469_869_973e-2,
    ];
    let last = [
        -5.054_558_505e-1,
        2.346_964_130,
        -2.102_895_893e-1,
        -3.170_588_620e-1,
        1.145_981_152,
    ];
    for (found, want) in logits[..5]
        .iter()
        .zip(first)
        .chain(logits[1995..].iter().zip(last))
    {
        assert!((f64::from(*found) - want).abs() < 4e-6, "{found} {want}");
    }
    assert!((compare::norm(&logits) - 4.338_225_060e1).abs() < 1e-5);
}
