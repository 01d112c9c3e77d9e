//! The same launches on a GPU, where one is asked for: `PVT_TEST_GPU=1` runs the emulator as well, `only` that
//! no more than its counters need. Without the variable nothing here runs.

use std::sync::OnceLock;

use ptx_emu::Launch as Grid;
use pvt_cuda::launch::{Access, Arg, Kernel, Launch};
use pvt_cuda::plan::{BufferId, Builder};
use pvt_cuda::target::cuda::{CudaDevice, CudaMemory};
use pvt_cuda::target::device::{Bound, Device as _};

use crate::run::Value;

/// How often each launch is repeated; every time has to give the same bytes.
const REPEATS: usize = 3;

fn asked_for() -> Option<String> {
    std::env::var("PVT_TEST_GPU").ok().filter(|v| v != "0")
}

/// Whether the emulator is there for counters alone.
pub(crate) fn only() -> bool {
    asked_for().is_some_and(|v| v == "only")
}

fn device() -> &'static CudaDevice {
    static DEVICE: OnceLock<CudaDevice> = OnceLock::new();
    DEVICE.get_or_init(|| CudaDevice::open(0).unwrap())
}

/// What stands for a buffer in a launch whose arguments are bound by hand.
fn some_buffer() -> BufferId {
    Builder::new().input(1)
}

/// What the kernel writes on the GPU, in the order of the arguments; none where no GPU was asked for.
pub(crate) fn run(
    (module, entry, dtype): (&'static str, &str, &'static str),
    grid: &Grid,
    values: &[Value],
) -> Option<Vec<Vec<u8>>> {
    asked_for()?;
    let device = device();
    let filled = |bytes: &[u8]| {
        let memory = device.alloc("a tensor", bytes.len() as u64).unwrap();
        device.write(&memory, 0, bytes).unwrap();
        memory
    };
    let mut first: Option<Vec<Vec<u8>>> = None;
    for _ in 0..REPEATS {
        let mut memory: Vec<(CudaMemory, bool)> = Vec::new();
        let mut bound: Vec<Bound> = Vec::new();
        for value in values {
            let mut buffer = |bytes: &[u8], access| {
                let tensor = filled(bytes);
                let address = tensor.address();
                memory.push((tensor, access != Access::In));
                let bytes = bytes.len() as u64;
                Bound::Buffer {
                    address,
                    bytes,
                    access,
                }
            };
            bound.push(match value {
                Value::In(bytes) => buffer(bytes, Access::In),
                Value::Out(bytes) => buffer(&vec![0xff; *bytes], Access::Out),
                Value::InOut(bytes) => buffer(bytes, Access::InOut),
                Value::Again(earlier) => bound[*earlier],
                Value::Null => Bound::Null,
                Value::U32(value) => Bound::U32(*value),
                Value::U64(value) => Bound::U64(*value),
                Value::F32(value) => Bound::F32(*value),
            });
        }
        let args = bound.iter().map(|bound| match *bound {
            Bound::Buffer { access, .. } => Arg::Buffer(some_buffer(), access),
            Bound::Null => Arg::Null,
            Bound::U32(value) => Arg::U32(value),
            Bound::U64(value) => Arg::U64(value),
            Bound::F32(value) => Arg::F32(value),
        });
        let launch = Launch {
            kernel: Kernel {
                module,
                entry: entry.to_owned().leak(),
                dtype,
            },
            grid: grid.grid,
            block: grid.block,
            shared: grid.shared,
            args: args.collect(),
        };
        let function = device.function(&launch).unwrap();
        device.launch(&function, &launch, &bound).unwrap();
        device.finish().unwrap();
        let written = memory.iter().filter(|(_, written)| *written);
        let bytes = written.map(|(tensor, _)| {
            let mut bytes = vec![0; usize::try_from(tensor.bytes()).unwrap()];
            device.read(tensor, 0, &mut bytes).unwrap();
            bytes
        });
        let bytes: Vec<Vec<u8>> = bytes.collect();
        match &first {
            None => first = Some(bytes),
            Some(expected) => assert!(*expected == bytes, "{entry}: a repeat differs"),
        }
    }
    first
}
