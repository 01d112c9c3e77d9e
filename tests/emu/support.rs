//! Models on emulated devices.

use std::sync::Arc;

use pvt_cuda::Error;
use pvt_cuda::config::PvtConfig;
use pvt_cuda::executor::{DeviceExecutor, DeviceParams};
use pvt_cuda::model::PlanSpec;
use pvt_cuda::plan::{Input, Plan};
use pvt_cuda::target::emu::EmuDevice;
use pvt_testkit::hash;

pub(crate) type Executor = DeviceExecutor<EmuDevice>;

/// A model with hash-defined weights on `device`.
pub(crate) fn executor(device: &EmuDevice, config: &PvtConfig, spec: PlanSpec) -> Executor {
    let plan = Arc::new(Plan::new(config, spec).unwrap());
    let params = DeviceParams::load(device, &plan, &mut |p, out| {
        hash::parameter(&p.name, &p.shape, out);
        Ok::<_, Error>(())
    });
    DeviceExecutor::new(device, &plan, params.unwrap()).unwrap()
}

/// Pixels, labels, factors of branches and gradients of maps for a plan with a backward pass.
pub(crate) fn training_inputs(plan: &Plan) -> Vec<Vec<f32>> {
    let one = |input: &Input| -> Vec<f32> {
        let at = |i: usize| u16::try_from(i % 7).expect("less than 7");
        match input.name.as_str() {
            "labels" => (0..input.len()).map(|i| f32::from(at(3 * i + 1))).collect(),
            // one branch of seven is dropped
            "drop_path" => (0..input.len())
                .map(|i| if at(i) == 3 { 0.0 } else { 7.0 / 6.0 })
                .collect(),
            _ => hash::image(input.len()),
        }
    };
    plan.inputs().iter().map(one).collect()
}
