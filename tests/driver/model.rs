//! Whole models through the driver: the reference cases, and passes inside another engine.
#![allow(
    unsafe_code,
    reason = "queues work on streams and addresses of its own choice"
)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use pvt_cuda::config::{Mode, PvtConfig};
use pvt_cuda::embed::{Bindings, DevicePtr, Enqueue, OutputDescriptor};
use pvt_cuda::model::PlanSpec;
use pvt_cuda::plan::Plan;
use pvt_cuda::session::Session;
use pvt_cuda::shape::ImageSize;
use pvt_cuda::target::TargetKind;
use pvt_cuda::target::cuda::{CudaDevice, CudaMemory};
use pvt_cuda::target::device::Device as _;
use pvt_cuda::verify::{VerifyOptions, verify};
use pvt_cuda::weights::{LoadOptions, Weights};
use pvt_cuda::{DType, Error};
use pvt_testkit::hash;

use crate::child::{Library, folder_with, on_stand_in};
use crate::stand_in::{Counters, StandIn, host_allocations};

const CASE: &str = "tests/fixtures/reference/v1-micro";
const DTYPES: [DType; 4] = [DType::F32, DType::Tf32, DType::F16, DType::Bf16];
const SIDE: usize = 72; // position tables are resized
const RED: u8 = 0xa5;

fn config() -> PvtConfig {
    PvtConfig::from_file(format!("{CASE}/config.json")).unwrap()
}

fn weights(mode: Mode) -> Weights {
    let file = format!("{CASE}/model.safetensors");
    Weights::open(file, &config(), mode, &LoadOptions::default()).unwrap()
}

#[test]
fn a_reference_case_passes() {
    on_stand_in(&[], || {
        for dtype in DTYPES {
            let report = verify(&VerifyOptions {
                case: Path::new(CASE).to_path_buf(),
                weights: None,
                config: None,
                target: TargetKind::Cuda(0),
                dtype,
                threads: 0,
            });
            let report = report.unwrap();
            assert_eq!(report.target, "cuda");
            assert!(report.pass, "{dtype}: {report:?}");
        }
    });
}

#[test]
fn auto_takes_the_gpu_and_says_so() {
    on_stand_in(&[], || {
        let (target, why) = TargetKind::choose(DType::F16, 0).unwrap();
        assert_eq!(target.name(), "cuda");
        assert!(why.contains("cuda:0"), "{why}");
    });
}

/// An engine that owns its memory, with room around the workspace that nobody may touch.
struct Engine {
    ready: Enqueue,
    device: CudaDevice,
    _kept: [CudaMemory; 2],
    workspace: CudaMemory,
    bindings: Bindings,
}

impl Engine {
    fn new(device: &CudaDevice, dtype: DType, mode: Mode) -> Self {
        let spec = PlanSpec::infer(2, ImageSize::square(SIDE), mode).kernels(dtype);
        let plan = Arc::new(Plan::new(&config(), spec).unwrap());
        let ready = Enqueue::new(device, &plan).unwrap();
        let weights = weights(mode);
        let image = ready.param_image(|p, out| Ok(weights.read(&p.name, out)?));
        let params = device
            .alloc("parameters", plan.param_bytes() as u64)
            .unwrap();
        device.write(&params, 0, &image.unwrap()).unwrap();
        let input = device.alloc("input", 4 * plan.input_len() as u64).unwrap();
        let pixels = hash::image(plan.input_len());
        device
            .write(&input, 0, bytemuck::cast_slice(&pixels))
            .unwrap();
        let needed = plan.workspace_bytes() as u64;
        let workspace = device.alloc("workspace", needed + 512).unwrap();
        device
            .write(&workspace, 0, &vec![RED; plan.workspace_bytes() + 512])
            .unwrap();
        let whole = |memory: &CudaMemory| DevicePtr {
            address: memory.address(),
            bytes: memory.bytes(),
        };
        let bindings = Bindings {
            input: whole(&input),
            params: whole(&params),
            workspace: DevicePtr {
                address: workspace.address() + 256,
                bytes: needed,
            },
        };
        let engine = Self {
            ready,
            device: device.clone(),
            _kept: [input, params],
            workspace,
            bindings,
        };
        // SAFETY: memory and stream are those of the living device.
        unsafe { engine.ready.set_up(device.stream(), &engine.bindings) }.unwrap();
        device.finish().unwrap();
        engine
    }

    fn enqueue(&self, queue: &CudaDevice, bindings: &Bindings) -> Result<(), Error> {
        // SAFETY: memory and stream are those of the living device, or are refused.
        unsafe { self.ready.enqueue(queue.stream(), bindings) }
    }

    /// The bytes of the first element to the last of a result.
    fn read(&self, output: &OutputDescriptor) -> Vec<u8> {
        let size = match output.elements {
            pvt_cuda::plan::Elements::Tensor(dtype) => dtype.bytes(),
            _ => 4,
        };
        let last: usize = output
            .shape
            .iter()
            .zip(&output.strides)
            .map(|(n, s)| (n - 1) * s)
            .sum();
        let mut bytes = vec![0; (last + 1) * size];
        self.device
            .read(&self.workspace, 256 + output.byte_offset, &mut bytes)
            .unwrap();
        bytes
    }

    fn outputs(&self) -> Vec<Vec<u8>> {
        self.ready
            .outputs()
            .iter()
            .map(|output| self.read(output))
            .collect()
    }
}

/// No allocation, copy or wait by host or device; the caller's stream and context; one call per launch.
#[test]
fn a_pass_in_another_engine_is_quiet() {
    on_stand_in(&[], || {
        let device = CudaDevice::open(0).unwrap();
        let other = device.new_queue().unwrap();
        let engine = Engine::new(&device, DType::F16, Mode::Classify);
        let stand_in = StandIn::new();
        let context = stand_in.current();
        let launches = engine.ready.plan().launches().count() as u64;
        let (before, allocated) = (stand_in.counters(), host_allocations());
        let done = engine.enqueue(&other, &engine.bindings);
        assert_eq!(host_allocations(), allocated);
        done.unwrap();
        let quiet = Counters {
            launches,
            calls: launches + 2,
            ..Counters::default()
        };
        assert_eq!(stand_in.counters() - before, quiet);
        assert_eq!(stand_in.launches_on(other.stream()), launches);
        assert_eq!(stand_in.current(), context);
    });
}

/// The same bits as a session has; nothing outside the workspace is touched; a graph replays them.
#[test]
fn a_pass_in_another_engine_gives_the_bits_of_a_session() {
    on_stand_in(&[], || {
        let device = CudaDevice::open(0).unwrap();
        for dtype in DTYPES {
            let engine = Engine::new(&device, dtype, Mode::Classify);
            engine.enqueue(&device, &engine.bindings).unwrap();
            device.finish().unwrap();
            let direct = engine.outputs();
            let image = ImageSize::square(SIDE);
            let target = TargetKind::Cuda(0).open(dtype, 0).unwrap();
            let mut session =
                Session::new(config(), Mode::Classify, weights(Mode::Classify), target);
            let pixels = hash::image(2 * 3 * SIDE * SIDE);
            let logits = session.classify(2, image, &pixels).unwrap();
            assert!(
                direct[0] == bytemuck::cast_slice::<f32, u8>(&logits),
                "{dtype}"
            );

            // SAFETY: the memory lives until the replay was waited for.
            let graph = unsafe { engine.ready.capture(&engine.bindings) }.unwrap();
            let needed = engine.ready.plan().workspace_bytes();
            let mut around = vec![0; needed + 512];
            device.read(&engine.workspace, 0, &mut around).unwrap();
            assert!(
                around[..256].iter().all(|&b| b == RED),
                "{dtype}: before the workspace"
            );
            assert!(
                around[256 + needed..].iter().all(|&b| b == RED),
                "{dtype}: behind it"
            );
            // SAFETY: as above.
            unsafe { graph.launch(device.stream()) }.unwrap();
            device.finish().unwrap();
            assert!(
                engine.outputs() == direct,
                "{dtype}: a graph gives other bits"
            );
        }
    });
}

#[test]
fn feature_maps_are_described() {
    on_stand_in(&[], || {
        let device = CudaDevice::open(0).unwrap();
        let engine = Engine::new(&device, DType::Bf16, Mode::Backbone);
        engine.enqueue(&device, &engine.bindings).unwrap();
        device.finish().unwrap();
        let maps = engine.ready.outputs();
        let shapes: Vec<_> = maps.iter().map(|m| m.shape.clone()).collect();
        assert_eq!(
            shapes,
            [[2, 16, 18, 18], [2, 32, 9, 9], [2, 48, 4, 4], [2, 64, 2, 2]]
        );
        assert_eq!(maps[1].strides, [81 * 32, 1, 9 * 32, 32]);
        let end = |m: &OutputDescriptor| m.byte_offset + engine.read(m).len() as u64;
        let needed = engine.ready.plan().workspace_bytes() as u64;
        assert!(maps.iter().all(|m| end(m) <= needed));
    });
}

#[test]
fn memory_that_is_too_short_or_misplaced_is_refused_before_anything_runs() {
    on_stand_in(&[], || {
        let device = CudaDevice::open(0).unwrap();
        let engine = Engine::new(&device, DType::F32, Mode::Classify);
        let stand_in = StandIn::new();
        let before = stand_in.counters();
        let refused = |change: &dyn Fn(&mut Bindings), words: &[&str]| {
            let mut bindings = engine.bindings;
            change(&mut bindings);
            let text = engine.enqueue(&device, &bindings).unwrap_err().to_string();
            assert!(words.iter().all(|word| text.contains(word)), "{text}");
        };
        let needed = engine.ready.plan().workspace_bytes();
        let (one_less, needed) = ((needed - 1).to_string(), needed.to_string());
        refused(
            &|b| b.workspace.bytes -= 1,
            &["workspace", &one_less, &needed],
        );
        refused(&|b| b.input.bytes = 3, &["input", "input_bytes"]);
        refused(&|b| b.params.bytes -= 1, &["parameters", "param_bytes"]);
        refused(
            &|b| b.workspace.address += 16,
            &["workspace", "multiple of 256"],
        );
        refused(&|b| b.input.address = 0, &["input", "not null"]);
        assert_eq!(stand_in.counters() - before, Counters::default());
    });
}

/// Plans are shared by threads; each pass has its own stream and workspace.
#[test]
fn passes_run_on_streams_of_their_own() {
    fn shared<T: Send + Sync>(_: &T) {}
    on_stand_in(&[], || {
        let device = CudaDevice::open(0).unwrap();
        let engines = [DType::F16, DType::F32].map(|t| Engine::new(&device, t, Mode::Backbone));
        shared(&engines[0].ready);
        shared(&device);
        let alone = engines.each_ref().map(|engine| {
            engine.enqueue(&device, &engine.bindings).unwrap();
            device.finish().unwrap();
            engine.outputs()
        });
        std::thread::scope(|scope| {
            for (engine, alone) in engines.iter().zip(&alone) {
                let queue = device.new_queue().unwrap();
                scope.spawn(move || {
                    engine.enqueue(&queue, &engine.bindings).unwrap();
                    queue.finish().unwrap();
                    assert!(engine.outputs() == *alone);
                });
            }
        });
    });
}

/// The examples of this crate that need a GPU.
#[test]
fn examples_run() {
    if pvt_cuda::kernels::modules().is_err() {
        println!("skipped: no kernels in this build");
        return;
    }
    let folder = folder_with(&Library::StandIn);
    for (name, said) in [
        ("03_own_stream", "feature4"),
        ("04_cuda_graph", "per forward pass"),
    ] {
        let tests = std::env::current_exe().unwrap();
        let built = tests.parent().unwrap().parent().unwrap();
        let example = built.join("examples").join(name);
        if !example.is_file() {
            println!("skipped: {name} is not built; a whole `cargo test` builds it");
            continue;
        }
        let output = Command::new(example)
            .env("LD_LIBRARY_PATH", folder.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && text.contains(said),
            "{name}: {text}{errors}"
        );
    }
}
