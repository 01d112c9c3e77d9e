//! Models on emulated devices.

use std::sync::Arc;

use pvt_cuda::Error;
use pvt_cuda::config::PvtConfig;
use pvt_cuda::executor::{DeviceExecutor, DeviceParams};
use pvt_cuda::model::PlanSpec;
use pvt_cuda::plan::Plan;
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
