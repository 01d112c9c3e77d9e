//! One launch on a fresh device: arguments as bytes in, outputs as bytes out.

use std::sync::Arc;

use bytemuck::{Pod, cast_slice, pod_collect_to_vec};
use ptx_emu::{Arg, Buffer, Device, DeviceSpec, Launch, Module, Report, Schedule};

use super::compile::ptx;
use super::driver::{Gpu, Value};
use super::kernels::Shape;

impl Shape {
    /// As the device takes it.
    pub(crate) fn launch(self) -> Launch {
        Launch {
            grid: self.grid,
            block: self.block,
            shared: self.shared,
            cluster: None,
        }
    }
}

/// Where this variable is set, the outputs are those of a real GPU, and where nothing that the kernel
/// does is approximate they are also those of the emulator, bit for bit.
const ON_GPU: &str = "PTX_EMU_TEST_GPU";

/// One argument.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    In(Vec<u8>),
    InOut(Vec<u8>),
    /// So many bytes, which the host does not write.
    Out(usize),
    U32(u32),
    F32(f32),
}

/// An input of these values.
pub(crate) fn given<T: Pod>(values: &[T]) -> Data {
    Data::In(cast_slice(values).to_vec())
}

/// A buffer that begins with these values and is read back.
pub(crate) fn in_out<T: Pod>(values: &[T]) -> Data {
    Data::InOut(cast_slice(values).to_vec())
}

/// An output of `len` values.
pub(crate) fn out<T>(len: usize) -> Data {
    Data::Out(len * size_of::<T>())
}

/// What one launch gave: its report, and every output in the order of the arguments.
pub(crate) struct Outcome {
    pub(crate) report: Report,
    outputs: Vec<Vec<u8>>,
}

impl Outcome {
    /// The output of this number.
    pub(crate) fn output<T: Pod>(&self, number: usize) -> Vec<T> {
        pod_collect_to_vec(&self.outputs[number])
    }
}

/// A kernel of a source, compiled.
pub(crate) struct Kernel {
    module: Module,
    ptx: Arc<str>,
    entry: &'static str,
    schedule: Schedule,
}

impl Kernel {
    /// The entry of a source under `tests`, for compute capability 8.0.
    pub(crate) fn new(file: &str, options: &[&str], entry: &'static str) -> Self {
        Self::for_arch(file, options, entry, 80)
    }

    /// The same for another compute capability.
    pub(crate) fn for_arch(file: &str, options: &[&str], entry: &'static str, arch: u32) -> Self {
        let ptx = ptx(file, options, arch);
        let module = Module::parse(&ptx);
        Self {
            module: module.unwrap_or_else(|error| panic!("{file}: {error}")),
            ptx,
            entry,
            schedule: Schedule::Forward,
        }
    }

    /// The same in another order.
    pub(crate) fn in_order(self, schedule: Schedule) -> Self {
        Self { schedule, ..self }
    }

    /// Runs it, and demands that the sanitizer finds nothing.
    ///
    /// # Panics
    /// With the report, where there is a violation.
    #[track_caller]
    pub(crate) fn run(&self, shape: Shape, data: &[Data]) -> Outcome {
        let mut device = Device::new(DeviceSpec::h200());
        device.set_schedule(self.schedule);
        let (mut arguments, mut outputs) = (Vec::new(), Vec::<Buffer>::new());
        for item in data {
            arguments.push(match item {
                Data::In(bytes) => Arg::input(&filled(&mut device, bytes)),
                Data::InOut(bytes) => {
                    outputs.push(filled(&mut device, bytes));
                    Arg::in_out(&outputs[outputs.len() - 1])
                }
                Data::Out(bytes) => {
                    outputs.push(device.alloc(*bytes as u64).unwrap());
                    Arg::output(&outputs[outputs.len() - 1])
                }
                Data::U32(value) => Arg::u32(*value),
                Data::F32(value) => Arg::f32(*value),
            });
        }
        let report = device
            .launch(&self.module, self.entry, &shape.launch(), &arguments)
            .unwrap();
        assert!(report.is_clean(), "{}: {report}", self.entry);
        let read = |buffer| device.read(buffer).unwrap();
        let mut outputs: Vec<Vec<u8>> = outputs.iter().map(read).collect();
        if std::env::var_os(ON_GPU).is_some() {
            let found = self.on_gpu(shape, data);
            if self.is_exact() {
                assert!(found == outputs, "{}: the GPU has other bits", self.entry);
            }
            outputs = found;
        }
        Outcome { report, outputs }
    }

    /// Whether nothing that the kernel does leaves a GPU a choice: an approximation, the order of
    /// the sums in a matrix product.
    fn is_exact(&self) -> bool {
        let loose = [
            ".approx",
            ".full",
            "mma.",
            "atom.global.add.f",
            "red.global.add.f",
        ];
        !loose.iter().any(|part| self.ptx.contains(part))
    }

    /// The outputs of a real GPU.
    fn on_gpu(&self, shape: Shape, data: &[Data]) -> Vec<Vec<u8>> {
        let gpu = Gpu::open().unwrap_or_else(|reason| panic!("{ON_GPU} is set, but {reason}"));
        let mut data = data.to_vec();
        for item in &mut data {
            if let Data::Out(bytes) = item {
                *item = Data::InOut(vec![0; *bytes]);
            }
        }
        let values = data.iter_mut().map(|item| match item {
            Data::In(bytes) | Data::InOut(bytes) => Value::Buffer(bytes),
            Data::U32(value) => Value::Word(value.to_le_bytes()),
            Data::F32(value) => Value::Word(value.to_le_bytes()),
            Data::Out(_) => unreachable!("made a buffer above"),
        });
        let mut values: Vec<Value<'_>> = values.collect();
        gpu.run(&self.ptx, self.entry, &shape.launch(), &mut values)
            .unwrap_or_else(|problem| panic!("{}: {problem}", self.entry));
        let outputs = data.into_iter().filter_map(|item| match item {
            Data::InOut(bytes) => Some(bytes),
            _ => None,
        });
        outputs.collect()
    }
}

fn filled(device: &mut Device, bytes: &[u8]) -> Buffer {
    let buffer = device.alloc(bytes.len() as u64).unwrap();
    device.write(&buffer, bytes).unwrap();
    buffer
}
