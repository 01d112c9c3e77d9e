//! One launch of the LayerNorm kernel: its plan, its data, and what the emulator makes of it when it is
//! called directly.

use ptx_emu::{Arg as EmuArg, Device as Emulator, DeviceSpec, Launch as EmuLaunch, Module};
use pvt_cuda::kernels;
use pvt_cuda::kernels::tuning::LN_ROWS;
use pvt_cuda::launch::{Access, Arg, Kernel, Launch};
use pvt_cuda::plan::{BufferId, Builder};
use pvt_cuda::target::cuda::{CudaDevice, CudaMemory};
use pvt_cuda::target::device::{Bound, Device as _};

pub(crate) const ROWS: u32 = 50;
pub(crate) const CHANNELS: u32 = 64;
const EPS: f32 = 1e-6;

/// Four buffers: x, gamma, beta, y.
pub(crate) fn buffers() -> [BufferId; 4] {
    let mut b = Builder::new();
    let x = b.input(64);
    let mut more = || b.layernorm("norm", x, (8, 8, 8), EPS).unwrap();
    [x, more(), more(), more()]
}

/// y = LayerNorm(x) of `rows` rows.
pub(crate) fn launch(rows: u32) -> Launch {
    let [x, gamma, beta, y] = buffers();
    Launch {
        kernel: Kernel {
            module: "layernorm",
            entry: "layernorm_fwd",
            dtype: "f32",
        },
        grid: [rows.div_ceil(LN_ROWS), 1, 1],
        block: [32, LN_ROWS, 1],
        shared: 0,
        args: vec![
            Arg::Buffer(x, Access::In),
            Arg::Buffer(gamma, Access::In),
            Arg::Buffer(beta, Access::In),
            Arg::Buffer(y, Access::Out),
            Arg::U32(rows),
            Arg::U32(CHANNELS),
            Arg::U32(CHANNELS),
            Arg::F32(EPS),
        ],
    }
}

fn bytes(count: u32, seed: u32) -> Vec<u8> {
    let value = |i: u32| (i.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 8) as f32 / 1e6;
    (0..count).flat_map(|i| value(i).to_le_bytes()).collect()
}

/// x, gamma and beta as bytes.
pub(crate) fn inputs(seed: u32) -> [Vec<u8>; 3] {
    [
        bytes(ROWS * CHANNELS, seed),
        bytes(CHANNELS, seed + 1),
        bytes(CHANNELS, seed + 2),
    ]
}

/// What the emulator gives for [`inputs`].
pub(crate) fn expected(seed: u32) -> Vec<u8> {
    let module = kernels::module("layernorm", "f32").unwrap().unwrap();
    let module = Module::parse(module.ptx).unwrap();
    let mut device = Emulator::new(DeviceSpec::a100());
    let mut args = Vec::new();
    for input in inputs(seed) {
        let buffer = device.alloc(input.len() as u64).unwrap();
        device.write(&buffer, &input).unwrap();
        args.push(EmuArg::input(&buffer));
    }
    let y = device.alloc(u64::from(ROWS * CHANNELS * 4)).unwrap();
    args.push(EmuArg::output(&y));
    args.extend([ROWS, CHANNELS, CHANNELS].map(EmuArg::u32));
    args.push(EmuArg::f32(EPS));
    let shape = EmuLaunch {
        grid: [ROWS.div_ceil(LN_ROWS), 1, 1],
        block: [32, LN_ROWS, 1],
        shared: 0,
        cluster: None,
    };
    let report = device.launch(&module, "layernorm_fwd_f32", &shape, &args);
    assert!(report.unwrap().is_clean());
    device.read(&y).unwrap()
}

/// x, gamma, beta and y on a device.
pub(crate) fn upload(device: &CudaDevice, seed: u32) -> [CudaMemory; 4] {
    let [x, gamma, beta] = inputs(seed).map(|input| {
        let memory = device.alloc("an input", input.len() as u64).unwrap();
        device.write(&memory, 0, &input).unwrap();
        memory
    });
    let y = device.alloc("y", u64::from(ROWS * CHANNELS * 4)).unwrap();
    [x, gamma, beta, y]
}

/// The arguments of `launch` with buffers in `memory`.
pub(crate) fn bind(launch: &Launch, memory: &[CudaMemory; 4]) -> Vec<Bound> {
    let mut buffers = memory.iter();
    let mut one = |arg: &Arg| match *arg {
        Arg::Buffer(_, access) => {
            let memory = buffers.next().unwrap();
            Bound::Buffer {
                address: memory.address(),
                bytes: memory.bytes(),
                access,
            }
        }
        Arg::Null => Bound::Null,
        Arg::U32(value) => Bound::U32(value),
        Arg::U64(value) => Bound::U64(value),
        Arg::F32(value) => Bound::F32(value),
    };
    launch.args.iter().map(&mut one).collect()
}

pub(crate) fn read(device: &CudaDevice, memory: &CudaMemory) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(memory.bytes()).unwrap()];
    device.read(memory, 0, &mut bytes).unwrap();
    bytes
}
