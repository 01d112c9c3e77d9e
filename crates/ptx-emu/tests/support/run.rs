//! One launch on a fresh device: arguments as bytes in, outputs as bytes out.

use bytemuck::{Pod, cast_slice, pod_collect_to_vec};
use ptx_emu::{Arg, Buffer, Device, DeviceSpec, Launch, Module, Report, Schedule};

use super::compile::ptx;
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
        let module = Module::parse(&ptx(file, options, arch));
        Self {
            module: module.unwrap_or_else(|error| panic!("{file}: {error}")),
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
        let outputs = outputs.iter().map(|b| device.read(b).unwrap()).collect();
        Outcome { report, outputs }
    }
}

fn filled(device: &mut Device, bytes: &[u8]) -> Buffer {
    let buffer = device.alloc(bytes.len() as u64).unwrap();
    device.write(&buffer, bytes).unwrap();
    buffer
}
