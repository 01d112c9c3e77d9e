//! What the kernels of a training step move, against recorded numbers.

use std::collections::BTreeMap;

use ptx_emu::Report;
use pvt_cuda::DType;
use pvt_cuda::config::{Mode, PvtConfig};
use pvt_cuda::executor::Run as _;
use pvt_cuda::launch::{Access, Arg, Launch};
use pvt_cuda::model::{Keep, PlanSpec, Train};
use pvt_cuda::plan::Plan;
use pvt_cuda::target::emu::EmuDevice;

use crate::support::{executor, training_inputs};

/// Most wavefronts that bank conflicts add to those of a step, in per cent of all.
const CONFLICTS: u64 = 3;

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

/// What is written as a whole, if a launch writes it at all: results and gradients, not what blocks share.
fn unwritten(plan: &Plan, launch: &Launch, report: &Report) -> Vec<String> {
    let outputs = launch.args.iter().enumerate();
    let outputs = outputs.filter_map(|(at, arg)| match arg {
        Arg::Buffer(id, Access::Out) => Some((at, *id)),
        _ => None,
    });
    let mut wrong = Vec::new();
    for (at, id) in outputs {
        let bytes = plan.bytes_of(id).unwrap() as u64;
        let traffic = report.buffers.iter().find(|b| b.argument == at);
        let written = traffic.map_or(0, |b| b.distinct_bytes_written);
        if written > bytes.next_multiple_of(32) {
            wrong.push(format!("argument {at}: {written} of {bytes}"));
        }
    }
    wrong
}

/// A step of `v1-micro` with all checks on, two images; sums of all launches, by kernel and in all.
fn step(dtype: DType, keep: Keep, threads: usize) -> (Sum, u64) {
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

    let mut kernels: BTreeMap<String, Sum> = BTreeMap::new();
    let mut sum = Sum::default();
    for (launch, (kernel, report)) in plan.launches().zip(&reports) {
        assert_eq!(launch.kernel, *kernel);
        assert!(report.violations.is_empty(), "{kernel}");
        let wrong = unwritten(plan, launch, report);
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
    assert!(
        sum.conflicts * 100 <= sum.wavefronts * CONFLICTS,
        "{} conflicts of {}",
        sum.conflicts,
        sum.wavefronts
    );
    (sum, plan.memory().saved as u64)
}

#[test]
fn zzz() {
    for dtype in [DType::Bf16, DType::F32] {
        for threads in [1, 2] {
            let _ = step(dtype, Keep::Everything, threads);
        }
    }
}
