//! Ten steps of AdamW on the CPU, against PyTorch in float64.

use pvt_cuda::executor::Real;
use pvt_cuda::model::Keep;
use pvt_cuda::target::cpu::CpuTarget;
use pvt_cuda::train::CpuLearner;

use crate::ten_steps::{STEPS, TenSteps};

/// Trains on the case, and holds every loss and norm within `most`, relative.
fn check<T: Real>(keep: Keep, most: f64) {
    let case = TenSteps::new(keep);
    let target = CpuTarget::new(2).unwrap();
    let (config, spec) = (case.config.clone(), case.spec.clone());
    let mut learner = CpuLearner::<T>::new(config, spec, &case.state, target).unwrap();
    for step in 0..STEPS {
        let (batch, options) = case.step(step);
        case.check_step(step, learner.train(&batch, &options).unwrap(), most);
    }
    case.check_norms(|name| learner.parameter(name).unwrap().to_vec(), most);
}

#[test]
fn ten_steps_in_f64_follow_pytorch() {
    for keep in [Keep::Everything, Keep::Recompute, Keep::Blocks] {
        check::<f64>(keep, 1e-6);
    }
}

#[test]
fn ten_steps_in_f32_follow_pytorch() {
    check::<f32>(Keep::Everything, 1e-5);
}
