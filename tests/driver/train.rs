//! Training through the driver.

use pvt_cuda::DType;
use pvt_cuda::model::Keep;
use pvt_cuda::target::Target;
use pvt_cuda::target::cuda::CudaDevice;
use pvt_cuda::train::{LearnerState, learner};

use crate::child::on_stand_in;
use crate::ten_steps::{STEPS, TenSteps};

#[test]
fn ten_steps_follow_pytorch() {
    on_stand_in(&[], || {
        let case = TenSteps::new(Keep::Everything);
        let target = Target::Cuda(CudaDevice::open(0).unwrap(), DType::F32);
        let mut learner = learner(&case.config, &case.spec, &case.state, &target).unwrap();
        for step in 0..STEPS {
            let (batch, options) = case.step(step);
            let report = learner.step(&batch, &options).unwrap();
            let found = (f64::from(report.loss), f64::from(report.grad_norm));
            case.check_step(step, found, 1e-5);
        }
        let state = learner.state().unwrap();
        let value = |name: &str| {
            let param = state.params.iter().find(|p| p.name == name).unwrap();
            param.value.clone()
        };
        case.check_norms(value, 1e-5);
    });
}

/// In every type, with inference between steps.
#[test]
fn a_resumed_run_has_the_same_bits() {
    on_stand_in(&[], || {
        let case = TenSteps::new(Keep::Recompute);
        for dtype in [DType::Tf32, DType::F16, DType::Bf16] {
            // gradients of this case are too large for the first loss scale of f16
            let begin = LearnerState {
                loss_scale: if dtype == DType::F16 { 1024.0 } else { 1.0 },
                ..case.state.clone()
            };
            let target = Target::Cuda(CudaDevice::open(0).unwrap(), dtype);
            let mut whole = learner(&case.config, &case.spec, &begin, &target).unwrap();
            let [one, two] = [0, 1].map(|step| case.step(step));
            let first = whole.step(&one.0, &one.1).unwrap();
            assert!(!first.skipped, "{dtype}");
            let middle = whole.state().unwrap();
            let mut resumed = learner(&case.config, &case.spec, &middle, &target).unwrap();
            let [whole, resumed] = [&mut whole, &mut resumed].map(|learner| {
                let logits = learner.logits(&one.0.pixels, 2).unwrap();
                let report = learner.step(&two.0, &two.1).unwrap();
                (logits, report, learner.state().unwrap())
            });
            assert!(whole == resumed, "{dtype}");
        }
    });
}
