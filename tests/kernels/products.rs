//! What the tests of kernels with matrix products share: launches with every kind of argument, and operands that
//! are rounded as the kernels see them.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

use ptx_emu::{Arg, Device, DeviceSpec, Launch, Module, Report};
use pvt_cuda::kernels::module;
use pvt_cuda::kernels::pack::{pack, to_tf32};
use pvt_cuda::target::DType;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::run::{ORDERS, rounded};

pub(crate) const DTYPES: [DType; 4] = [DType::F32, DType::Tf32, DType::F16, DType::Bf16];

/// An argument of a kernel.
pub(crate) enum Value {
    /// Bytes that it reads.
    In(Vec<u8>),
    /// So many bytes that it writes.
    Out(usize),
    /// Bytes that it reads and writes.
    InOut(Vec<u8>),
    /// The buffer of an earlier argument, read and written.
    Same(usize),
    Null,
    U32(u32),
    F32(f32),
}

/// Largest relative L2 distance from f64.
pub(crate) fn tolerance(dtype: DType) -> f64 {
    match dtype {
        DType::F32 => 2e-6,
        DType::Tf32 | DType::F16 => 1e-3,
        DType::Bf16 => 6e-3,
    }
}

/// The type's name, which is that of a module.
pub(crate) fn name(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "f32",
        DType::Tf32 => "tf32",
        DType::F16 => "f16",
        DType::Bf16 => "bf16",
    }
}

/// Bytes of an element.
pub(crate) fn size(dtype: DType) -> usize {
    match dtype {
        DType::F32 | DType::Tf32 => 4,
        DType::F16 | DType::Bf16 => 2,
    }
}

/// Random numbers of a seed.
pub(crate) struct Random(StdRng);

impl Random {
    pub(crate) fn new(seed: usize) -> Self {
        Self(StdRng::seed_from_u64(seed as u64))
    }

    /// `count` values in around ± scale / 2.
    pub(crate) fn values(&mut self, count: usize, scale: f32, around: f32) -> Vec<f32> {
        let one = || around + scale * (self.0.random::<f32>() - 0.5);
        std::iter::repeat_with(one).take(count).collect()
    }

    /// The same in the type: bytes, and what they are.
    pub(crate) fn tensor(
        &mut self,
        dtype: DType,
        count: usize,
        scale: f32,
        around: f32,
    ) -> (Vec<u8>, Vec<f64>) {
        rounded(name(dtype), &self.values(count, scale, around))
    }

    /// A weight [cols, inner] whose products of values around 1 are around 1: packed, and what it is after rounding.
    pub(crate) fn weight(
        &mut self,
        dtype: DType,
        (cols, inner): (usize, usize),
        order: impl Fn(usize) -> usize,
    ) -> (Vec<u8>, Vec<f64>) {
        let values = self.values(cols * inner, 4.0 / (inner as f32).sqrt(), 0.0);
        let exact = match dtype {
            DType::Tf32 => values.iter().map(|&v| f64::from(to_tf32(v))).collect(),
            _ => rounded(name(dtype), &values).1,
        };
        (pack(dtype, &values, cols, inner, order), exact)
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

/// Runs an entry in every order with all checks on, and demands that nothing is found and that every order gives
/// the same bytes. What it writes, in the order of the arguments, and the report of the first order.
pub(crate) fn run(
    (module, entry, dtype): (&'static str, &str, DType),
    launch: &Launch,
    values: &[Value],
) -> (Vec<Vec<u8>>, Report) {
    let code = parsed(module, name(dtype));
    let entry = format!("{entry}_{}", name(dtype));
    let mut first = None;
    for order in ORDERS {
        let mut device = Device::new(DeviceSpec::h200());
        device.set_schedule(order);
        let (mut buffers, mut outputs, mut arguments) = (Vec::new(), Vec::new(), Vec::new());
        for value in values {
            let (buffer, argument) = match value {
                Value::In(bytes) | Value::InOut(bytes) => {
                    let buffer = device.alloc(bytes.len() as u64).unwrap();
                    device.write(&buffer, bytes).unwrap();
                    let reads = matches!(value, Value::In(_));
                    if !reads {
                        outputs.push(buffer);
                    }
                    let argument = if reads { Arg::input } else { Arg::in_out };
                    (Some(buffer), argument(&buffer))
                }
                Value::Out(bytes) => {
                    let buffer = device.alloc(*bytes as u64).unwrap();
                    outputs.push(buffer);
                    (Some(buffer), Arg::output(&buffer))
                }
                Value::Same(at) => {
                    let buffer: ptx_emu::Buffer = buffers.get(*at).copied().flatten().unwrap();
                    (None, Arg::in_out(&buffer))
                }
                Value::Null => (None, Arg::null()),
                Value::U32(value) => (None, Arg::u32(*value)),
                Value::F32(value) => (None, Arg::f32(*value)),
            };
            buffers.push(buffer);
            arguments.push(argument);
        }
        let report = device.launch(&code, &entry, launch, &arguments).unwrap();
        assert!(report.is_clean(), "{entry} {order:?}: {report}");
        let bytes: Vec<_> = outputs.iter().map(|b| device.read(b).unwrap()).collect();
        match &first {
            None => first = Some((bytes, report)),
            Some((expected, _)) => assert!(*expected == bytes, "{entry}: {order:?} differs"),
        }
    }
    first.unwrap()
}
