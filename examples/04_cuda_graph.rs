//! Records a forward pass into a CUDA graph and replays it:
//! `cargo run --release --example 04_cuda_graph`. Needs an NVIDIA GPU.
#![allow(unsafe_code, reason = "hands over a stream and addresses")]

use std::sync::Arc;
use std::time::Instant;

use pvt_cuda::DType;
use pvt_cuda::config::{Mode, PvtConfig};
use pvt_cuda::embed::{Bindings, DevicePtr, Enqueue};
use pvt_cuda::model::PlanSpec;
use pvt_cuda::plan::Plan;
use pvt_cuda::target::cuda::{CudaDevice, CudaMemory};
use pvt_cuda::target::device::Device as _;

const REPLAYS: u32 = 10;

fn main() -> pvt_cuda::Result<()> {
    let config = PvtConfig::from_file("assets/digits/config.json")?;
    let spec = PlanSpec::infer(1, config.img_size, Mode::Classify).kernels(DType::F16);
    let plan = Arc::new(Plan::new(&config, spec)?);
    let device = CudaDevice::open(0)?;
    println!(
        "{}: {} launches",
        device.describe(),
        plan.launches().count()
    );

    let zeroed = |what, bytes: usize| -> pvt_cuda::Result<CudaMemory> {
        let memory = device.alloc(what, bytes as u64)?;
        device.write(&memory, 0, &vec![0; bytes])?;
        Ok(memory)
    };
    let input = zeroed("input", 4 * plan.input_len())?;
    let params = zeroed("parameters", plan.param_bytes())?;
    let workspace = zeroed("workspace", plan.workspace_bytes())?;
    let [input, params, workspace] = [&input, &params, &workspace].map(|memory| DevicePtr {
        address: memory.address(),
        bytes: memory.bytes(),
    });
    let bindings = Bindings {
        input,
        params,
        workspace,
    };
    let model = Enqueue::new(&device, &plan)?;
    // SAFETY: memory and stream are of the device, and live to the end.
    unsafe { model.set_up(device.stream(), &bindings)? };
    // SAFETY: the bindings live as long as the graph.
    let graph = unsafe { model.capture(&bindings)? };
    let start = Instant::now();
    for _ in 0..REPLAYS {
        // SAFETY: the stream is of the device.
        unsafe { graph.launch(device.stream())? };
    }
    device.finish()?;
    println!("{:?} per forward pass", start.elapsed() / REPLAYS);
    Ok(())
}
