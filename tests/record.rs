//! A device that runs nothing and notes everything, as another engine could bring one: what a plan asks of a
//! device, and that it asks for nothing else.

use std::sync::{Arc, Mutex};

use pvt_cuda::config::{Mode, Variant};
use pvt_cuda::executor::{DeviceExecutor, DeviceParams, Run as _};
use pvt_cuda::launch::{Access, Kernel, Launch};
use pvt_cuda::model::PlanSpec;
use pvt_cuda::plan::Plan;
use pvt_cuda::shape::ImageSize;
use pvt_cuda::target::device::{Bound, Device, DeviceLimits};
use pvt_cuda::{DType, Result};

#[derive(Debug, Clone, PartialEq)]
enum Call {
    Alloc(&'static str, u64),
    Write(u64, usize),
    Read(u64, usize),
    Function(Kernel),
    Launch(Kernel, Vec<Bound>),
    Finish,
}

#[derive(Debug, Clone, Default)]
struct Recorder {
    calls: Arc<Mutex<Vec<Call>>>,
    next: Arc<Mutex<u64>>,
}

/// Address of the first piece of memory; every other follows, with a gap.
const BASE: u64 = 1 << 32;

impl Recorder {
    fn note(&self, call: Call) {
        self.calls.lock().unwrap().push(call);
    }

    fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

impl Device for Recorder {
    type Memory = (u64, u64);
    type Function = Kernel;

    fn describe(&self) -> String {
        "recorder".to_owned()
    }

    fn limits(&self) -> DeviceLimits {
        DeviceLimits {
            capability: 80,
            multiprocessors: 108,
            shared_per_block: 163 * 1024,
        }
    }

    fn alloc(&self, what: &'static str, bytes: u64) -> Result<(u64, u64)> {
        self.note(Call::Alloc(what, bytes));
        let mut next = self.next.lock().unwrap();
        let address = BASE + *next;
        *next += bytes.next_multiple_of(256) + 4096;
        Ok((address, bytes))
    }

    fn address(&self, memory: &(u64, u64)) -> u64 {
        memory.0
    }

    fn write(&self, memory: &(u64, u64), offset: u64, bytes: &[u8]) -> Result<()> {
        self.note(Call::Write(memory.0 + offset, bytes.len()));
        Ok(())
    }

    fn read(&self, memory: &(u64, u64), offset: u64, bytes: &mut [u8]) -> Result<()> {
        self.note(Call::Read(memory.0 + offset, bytes.len()));
        bytes.fill(0);
        Ok(())
    }

    fn function(&self, launch: &Launch) -> Result<Kernel> {
        self.note(Call::Function(launch.kernel));
        Ok(launch.kernel)
    }

    fn launch(&self, function: &Kernel, launch: &Launch, args: &[Bound]) -> Result<()> {
        assert_eq!(*function, launch.kernel);
        assert_eq!(args.len(), launch.args.len());
        self.note(Call::Launch(launch.kernel, args.to_vec()));
        Ok(())
    }

    fn finish(&self) -> Result<()> {
        self.note(Call::Finish);
        Ok(())
    }
}

fn executor(device: &Recorder, image: ImageSize) -> DeviceExecutor<Recorder> {
    let spec = PlanSpec::infer(2, image, Mode::Classify).kernels(DType::Bf16);
    let plan = Arc::new(Plan::new(&Variant::Tiny.config(), spec).unwrap());
    let params = DeviceParams::load(device, &plan, &mut |_, out| {
        out.fill(0.5);
        Ok(())
    });
    DeviceExecutor::new(device, &plan, params.unwrap()).unwrap()
}

/// Memory is taken for parameters, input and workspace, as much as the plan says, and kernels are loaded; later
/// nothing of that.
#[test]
fn memory_is_taken_once() {
    let device = Recorder::default();
    let mut run = executor(&device, ImageSize::square(224));
    let taken: Vec<Call> = device.take();
    let plan = run.plan();
    let bytes = |n: usize| n as u64;
    let wanted = [
        Call::Alloc("parameters", bytes(plan.param_bytes())),
        Call::Alloc("input", bytes(plan.input_bytes())),
        Call::Alloc("workspace", bytes(plan.workspace_bytes())),
    ];
    let allocs = taken.iter().filter(|c| matches!(c, Call::Alloc(..)));
    assert!(allocs.eq(&wanted), "{taken:?}");
    let launches: Vec<Kernel> = plan.launches().map(|l| l.kernel).collect();
    let pixels = vec![0.0; plan.input_len()];
    for _ in 0..2 {
        run.run(&pixels).unwrap();
        let calls = device.take();
        assert!(matches!(calls[0], Call::Write(_, n) if n == 4 * pixels.len()));
        assert_eq!(calls.last(), Some(&Call::Finish));
        let launched = calls[1..calls.len() - 1].iter().map(|call| match call {
            Call::Launch(kernel, _) => *kernel,
            other => panic!("{other:?} in a forward pass"),
        });
        assert!(launched.eq(launches.iter().copied()));
    }
}

/// Buffers lie inside the memory that was taken, at multiples of 256 bytes; what one launch writes is nothing else
/// that it uses.
#[test]
fn buffers_of_a_launch_are_apart() {
    let device = Recorder::default();
    let image = ImageSize {
        height: 200,
        width: 264,
    };
    let mut run = executor(&device, image);
    let resized = device.take();
    let resized = resized.iter().filter(|c| matches!(c, Call::Launch(..)));
    assert!(
        resized.count() >= 4,
        "position tables of another grid are resized"
    );
    let pixels = vec![0.0; run.plan().input_len()];
    run.run(&pixels).unwrap();
    let mut looked_at = 0;
    for call in device.take() {
        let Call::Launch(kernel, args) = call else {
            continue;
        };
        let buffers = args.iter().filter_map(|arg| match *arg {
            Bound::Buffer {
                address,
                bytes,
                access,
            } => Some((address, address + bytes, access)),
            _ => None,
        });
        let buffers: Vec<(u64, u64, Access)> = buffers.collect();
        for (i, a) in buffers.iter().enumerate() {
            assert!(
                a.0.is_multiple_of(256) && a.0 >= BASE && a.1 > a.0,
                "{kernel}: {a:?}"
            );
            for b in &buffers[i + 1..] {
                let one = a.0 == b.0 && a.1 == b.1 && (a.2, b.2) == (Access::InOut, Access::InOut);
                let reads = a.2 == Access::In && b.2 == Access::In;
                assert!(
                    one || reads || a.1 <= b.0 || b.1 <= a.0,
                    "{kernel}: {a:?} and {b:?}"
                );
                looked_at += 1;
            }
        }
    }
    assert!(looked_at > 100);
}
