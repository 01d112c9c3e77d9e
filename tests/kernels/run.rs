//! One launch on the emulator.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

use crate::gpu;
use half::{bf16, f16};
use ptx_emu::{Arg, Device, DeviceSpec, Launch, Module, Report, Schedule};
use pvt_cuda::DType;
use pvt_cuda::kernels::module;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// Orders of blocks and warps in which every kernel must give the same bits.
pub(crate) const ORDERS: [Schedule; 3] =
    [Schedule::Forward, Schedule::Reverse, Schedule::Shuffle(7)];

/// An argument of a kernel, by its role.
pub(crate) enum Value {
    /// Bytes that it reads.
    In(Vec<u8>),
    /// So many bytes that it writes.
    Out(usize),
    /// Bytes that it reads and writes.
    InOut(Vec<u8>),
    /// The buffer of an earlier argument once more.
    Again(usize),
    /// A pointer to nothing.
    Null,
    U32(u32),
    U64(u64),
    F32(f32),
}

/// `count` values around `around`, `width` apart at most, always the same for a seed.
pub(crate) fn random(seed: u64, count: usize, width: f32, around: f32) -> Vec<f32> {
    let mut rng = StdRng::seed_from_u64(seed);
    let one = || around + width * (rng.random::<f32>() - 0.5);
    std::iter::repeat_with(one).take(count).collect()
}

/// Bytes of an element.
pub(crate) fn size_of(dtype: &str) -> usize {
    if matches!(dtype, "f16" | "bf16") {
        2
    } else {
        4
    }
}

/// Most relative distance from f64 of an operator that rounds its result once: half a unit in the last
/// place, and a little for the arithmetic in f32.
pub(crate) fn rounding(dtype: &str) -> f64 {
    match dtype {
        "f16" => 2.0_f64.powi(-11) + 1e-6,
        "bf16" => 2.0_f64.powi(-8) + 1e-6,
        _ => 1e-6,
    }
}

/// Values in a type of tensors, and what they are after rounding to it.
pub(crate) fn rounded(dtype: &str, values: &[f32]) -> (Vec<u8>, Vec<f64>) {
    let one = |v: &f32| match dtype {
        "f16" => (
            f16::from_f32(*v).to_le_bytes().to_vec(),
            f16::from_f32(*v).to_f64(),
        ),
        "bf16" => (
            bf16::from_f32(*v).to_le_bytes().to_vec(),
            bf16::from_f32(*v).to_f64(),
        ),
        _ => (v.to_le_bytes().to_vec(), f64::from(*v)),
    };
    let (bytes, wide): (Vec<_>, Vec<_>) = values.iter().map(one).unzip();
    (bytes.concat(), wide)
}

/// The reverse.
pub(crate) fn values(dtype: &str, bytes: &[u8]) -> Vec<f32> {
    match dtype {
        "f16" => bytes
            .as_chunks()
            .0
            .iter()
            .map(|b| f16::from_le_bytes(*b).to_f32())
            .collect(),
        "bf16" => bytes
            .as_chunks()
            .0
            .iter()
            .map(|b| bf16::from_le_bytes(*b).to_f32())
            .collect(),
        _ => bytes
            .as_chunks()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b))
            .collect(),
    }
}

/// Those in f64 as f32.
#[expect(clippy::cast_possible_truncation, reason = "values of f32")]
pub(crate) fn f32s(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&v| v as f32).collect()
}

/// A size.
pub(crate) fn word(value: usize) -> Value {
    Value::U32(u32::try_from(value).unwrap())
}

/// The type by its name.
pub(crate) fn kind(dtype: &str) -> DType {
    match dtype {
        "tf32" => DType::Tf32,
        "f16" => DType::F16,
        "bf16" => DType::Bf16,
        _ => DType::F32,
    }
}

/// The module, parsed once.
pub(crate) fn parsed(name: &'static str, dtype: &'static str) -> Module {
    type Parsed = Mutex<HashMap<(&'static str, &'static str), Module>>;
    static PARSED: OnceLock<Parsed> = OnceLock::new();
    let mut all = PARSED.get_or_init(Parsed::default).lock().unwrap();
    let parse = || Module::parse(module(name, dtype).unwrap().unwrap().ptx).unwrap();
    all.entry((name, dtype)).or_insert_with(parse).clone()
}

/// Runs `<name>_<what>_<dtype>` as [`run_entry`]; what it writes, all outputs joined, and the report.
pub(crate) fn run(
    (name, what, dtype): (&'static str, &str, &'static str),
    launch: &Launch,
    values: &[Value],
) -> (Vec<u8>, Report) {
    let (outputs, report) = run_entry((name, &format!("{name}_{what}"), dtype), launch, values);
    (outputs.concat(), report)
}

/// Runs `<entry>_<dtype>` of a module in every order with all checks on, and demands that nothing is found
/// and that every order gives the same bytes. What it writes, in the order of the arguments, and the
/// report of the first order. With a GPU (`PVT_TEST_GPU`) what that writes instead.
pub(crate) fn run_entry(
    (name, entry, dtype): (&'static str, &str, &'static str),
    launch: &Launch,
    values: &[Value],
) -> (Vec<Vec<u8>>, Report) {
    let module = parsed(name, dtype);
    let kernel = format!("{entry}_{dtype}");
    let on_gpu = gpu::run((name, entry, dtype), launch, values);
    let mut first = None;
    for order in ORDERS {
        let mut device = Device::new(DeviceSpec::h200());
        device.set_schedule(order);
        let mut outputs = Vec::new();
        let mut arguments: Vec<Arg> = Vec::new();
        for value in values {
            arguments.push(match value {
                Value::In(bytes) => {
                    let buffer = device.alloc(bytes.len() as u64).unwrap();
                    device.write(&buffer, bytes).unwrap();
                    Arg::input(&buffer)
                }
                Value::Out(bytes) => {
                    let buffer = device.alloc(*bytes as u64).unwrap();
                    let argument = Arg::output(&buffer);
                    outputs.push(buffer);
                    argument
                }
                Value::InOut(bytes) => {
                    let buffer = device.alloc(bytes.len() as u64).unwrap();
                    device.write(&buffer, bytes).unwrap();
                    let argument = Arg::in_out(&buffer);
                    outputs.push(buffer);
                    argument
                }
                Value::Again(earlier) => arguments[*earlier].clone(),
                Value::Null => Arg::null(),
                Value::U32(value) => Arg::u32(*value),
                Value::U64(value) => Arg::u64(*value),
                Value::F32(value) => Arg::f32(*value),
            });
        }
        let report = device.launch(&module, &kernel, launch, &arguments).unwrap();
        assert!(report.is_clean(), "{kernel} {order:?}: {report}");
        let read = |buffer| device.read(buffer).unwrap();
        let bytes: Vec<Vec<u8>> = outputs.iter().map(read).collect();
        match &first {
            None => first = Some((bytes, report)),
            Some((expected, _)) => assert!(*expected == bytes, "{kernel}: {order:?} differs"),
        }
        if on_gpu.is_some() && gpu::only() {
            break; // one order, for its report
        }
    }
    let (bytes, report) = first.unwrap();
    (on_gpu.unwrap_or(bytes), report)
}
