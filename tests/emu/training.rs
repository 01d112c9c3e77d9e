//! What the kernels of a training step move, against recorded numbers.

use std::collections::{BTreeMap, BTreeSet};

use ptx_emu::Report;
use pvt_cuda::DType;
use pvt_cuda::config::{Mode, PvtConfig};
use pvt_cuda::executor::Run as _;
use pvt_cuda::launch::{Access, Arg, Launch};
use pvt_cuda::model::{Keep, PlanSpec, Train};
use pvt_cuda::plan::{BufferId, Plan};
use pvt_cuda::target::emu::EmuDevice;

use crate::support::{executor, training_inputs};

/// Most that recorded instructions may become, in per cent.
const INSTRUCTIONS: u64 = 102;

/// Sums over launches.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Sum {
    launches: u64,
    instructions: u64,
    /// Distinct bytes read and written.
    distinct: [u64; 2],
    wavefronts: u64,
    conflicts: u64,
    local: u64,
}

impl Sum {
    fn add(&mut self, report: &Report) {
        let counters = &report.counters;
        let shared = counters.shared();
        self.launches += 1;
        self.instructions += counters.warp_instructions.total();
        for buffer in &report.buffers {
            self.distinct[0] += buffer.distinct_bytes_read;
            self.distinct[1] += buffer.distinct_bytes_written;
        }
        self.wavefronts += shared.wavefronts;
        self.conflicts += shared.conflicts();
        self.local += counters.local_loads.requests + counters.local_stores.requests;
    }

    fn print(&self, name: &str) {
        let [read, written] = self.distinct;
        println!(
            "{name:37} {:3} {:10} {read:10} {written:10} {:6} of {:8} {:4}",
            self.launches, self.instructions, self.conflicts, self.wavefronts, self.local
        );
    }
}

/// Arguments that a launch leaves unwritten in part, though a later step or the caller reads them. What blocks of a
/// launch share is read by nobody else and may be larger than what they need.
fn unwritten(
    wanted: &BTreeSet<BufferId>,
    plan: &Plan,
    launch: &Launch,
    report: &Report,
) -> Vec<String> {
    let args = launch.args.iter().enumerate();
    let outputs = args.filter_map(|(at, arg)| match arg {
        Arg::Buffer(id, Access::Out) if wanted.contains(id) => Some((at, *id)),
        _ => None,
    });
    let partly = outputs.filter_map(|(at, id)| {
        let bytes = plan.bytes_of(id)? as u64;
        let traffic = report.buffers.iter().find(|b| b.argument == at);
        let written = traffic.map_or(0, |b| b.distinct_bytes_written);
        (written != bytes.next_multiple_of(32))
            .then(|| format!("argument {at}: {written} of {bytes}"))
    });
    partly.collect()
}

/// A step of `v1-micro` with all checks on, two images: the sum of all launches.
fn step(dtype: DType, keep: Keep, threads: usize) -> Sum {
    let config = PvtConfig::from_file("tests/fixtures/reference/v1-micro/config.json").unwrap();
    let train = Train {
        keep,
        ..Train::default()
    };
    let spec = PlanSpec::train(2, config.img_size, Mode::Classify, train).kernels(dtype);
    let device = EmuDevice::new(threads);
    device.keep_reports();
    let mut run = executor(&device, &config, spec);
    let inputs = training_inputs(run.plan());
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    device.take_reports();
    run.run_inputs(&inputs).unwrap(); // a violation is an error
    let reports = device.take_reports();
    let plan = run.plan();
    assert_eq!(reports.len(), plan.launches().count());

    let reads = plan.steps().iter().flat_map(|step| step.buffers().0);
    let outputs = plan.outputs().iter().map(|output| output.view.buffer);
    let wanted = reads.chain(outputs).collect();
    let mut kernels: BTreeMap<String, Sum> = BTreeMap::new();
    let mut sum = Sum::default();
    for (launch, (kernel, report)) in plan.launches().zip(&reports) {
        assert_eq!(launch.kernel, *kernel);
        assert!(report.violations.is_empty(), "{kernel}");
        let wrong = unwritten(&wanted, plan, launch, report);
        assert!(wrong.is_empty(), "{kernel}: {wrong:?}");
        sum.add(report);
        kernels.entry(kernel.to_string()).or_default().add(report);
    }
    println!("a step of v1-micro with two images in {dtype}, {keep}");
    for (name, sum) in &kernels {
        sum.print(name);
    }
    sum.print("all");
    assert_eq!(sum.local, 0, "requests of local memory");
    sum
}

/// Numbers of a step with everything kept. Launches and distinct bytes follow from the plan and from tiles, so that they
/// are exact, and any change of them is one of plans or kernels. Instructions are the compiler's choice, and have room.
/// No kernel has bank conflicts at these sizes: layouts of shared memory are padded or swizzled.
fn check(dtype: DType, launches: u64, distinct: [u64; 2], instructions: u64) {
    let sum = step(dtype, Keep::Everything, 2);
    assert_eq!(sum.launches, launches, "launches");
    assert_eq!(sum.distinct, distinct, "distinct bytes read and written");
    let most = instructions * INSTRUCTIONS / 100;
    let found = sum.instructions;
    assert!(found <= most, "{found} warp instructions, at most {most}");
    assert_eq!(
        sum.conflicts, 0,
        "conflicts of {} wavefronts",
        sum.wavefronts
    );
    // nothing of it depends on how many threads emulate blocks
    assert_eq!(step(dtype, Keep::Everything, 1), sum);
}

#[test]
fn a_step_in_bf16() {
    check(DType::Bf16, 143, [5_228_992, 2_816_992], 2_155_256);
}

#[test]
fn a_step_in_f32() {
    check(DType::F32, 143, [9_040_256, 4_843_424], 5_874_668);
}

/// What is computed once more is launches and instructions more, and nothing else changes.
#[test]
fn steps_that_keep_less_do_more() {
    let all = step(DType::Bf16, Keep::Everything, 2);
    let some = step(DType::Bf16, Keep::Recompute, 2);
    let blocks = step(DType::Bf16, Keep::Blocks, 2);
    for (less, more) in [(&all, &some), (&some, &blocks)] {
        assert!(less.launches < more.launches);
        assert!(less.instructions < more.instructions);
        assert_eq!(more.conflicts, 0);
    }
}
