//! A forward pass inside another engine, on its stream and in its memory, without a copy of the result:
//! `cargo run --release --example 03_own_stream`. Needs an NVIDIA GPU.
#![allow(unsafe_code, reason = "hands over a stream and addresses")]

use std::sync::Arc;

use pvt_cuda::DType;
use pvt_cuda::config::{Mode, PvtConfig};
use pvt_cuda::embed::{Bindings, DevicePtr, Enqueue};
use pvt_cuda::model::PlanSpec;
use pvt_cuda::plan::Plan;
use pvt_cuda::target::cuda::{CudaDevice, CudaMemory};
use pvt_cuda::target::device::Device as _;
use pvt_cuda::weights::{LoadOptions, Weights};

fn main() -> pvt_cuda::Result<()> {
    let config = PvtConfig::from_file("assets/digits/config.json")?;
    let spec = PlanSpec::infer(2, config.img_size, Mode::Backbone).kernels(DType::Bf16);
    let plan = Arc::new(Plan::new(&config, spec)?); // host only
    let file = "assets/digits/model.safetensors";
    let weights = Weights::open(file, &config, Mode::Backbone, &LoadOptions::default())?;

    // What the engine has already: a device, memory, a stream.
    let device = CudaDevice::open(0)?;
    let stream = device.stream();
    let input = device.alloc("input", 4 * plan.input_len() as u64)?;
    let params = device.alloc("parameters", plan.param_bytes() as u64)?;
    let workspace = device.alloc("workspace", plan.workspace_bytes() as u64)?;
    let pointer = |memory: &CudaMemory| DevicePtr {
        address: memory.address(),
        bytes: memory.bytes(),
    };
    let bindings = Bindings {
        input: pointer(&input),
        params: pointer(&params),
        workspace: pointer(&workspace),
    };
    device.write(&input, 0, &vec![0; 4 * plan.input_len()])?;

    let backbone = Enqueue::new(&device, &plan)?; // loads the kernels, once
    let image = backbone.param_image(|p, out| Ok(weights.read(&p.name, out)?))?;
    device.write(&params, 0, &image)?;
    // SAFETY: memory and stream are of the device, which lives to the end.
    unsafe { backbone.set_up(stream, &bindings)? };
    // SAFETY: as above. This allocates nothing, copies nothing, waits for nothing.
    unsafe { backbone.enqueue(stream, &bindings)? };
    for map in backbone.outputs() {
        println!("{} {:?} at byte {}", map.name, map.shape, map.byte_offset);
    }
    device.finish()
}
