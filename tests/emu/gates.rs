//! What the kernels of whole models move, launch by launch, against what they must.

use std::collections::BTreeMap;

use ptx_emu::{Checks, Report};
use pvt_cuda::DType;
use pvt_cuda::config::{Mode, Variant};
use pvt_cuda::executor::Run as _;
use pvt_cuda::launch::{Access, Arg, Launch};
use pvt_cuda::model::PlanSpec;
use pvt_cuda::plan::{BufferId, Plan};
use pvt_cuda::shape::ImageSize;
use pvt_cuda::target::emu::EmuDevice;
use pvt_testkit::hash;

use crate::contract::{Role, arrivals, reads};
use crate::support::executor;

/// Most distinct bytes, in per cent of those that are needed.
const DISTINCT: u64 = 102;
/// Most bytes requested of activations, in per cent of what the contract says.
const ACTIVATIONS: u64 = 115;
/// The same of weights, which are packed as they are copied.
const WEIGHTS: u64 = 102;
/// Most wavefronts that bank conflicts add, in per cent of all.
const CONFLICTS: u64 = 3;
/// Most that a recorded total may become, in per cent.
const TOTAL: u64 = 102;

/// A buffer of a launch: what is needed of it and what was done with it. Several arguments may be one buffer.
#[derive(Debug, Default)]
struct Account {
    /// Bytes that must be read, and written.
    needed: [u64; 2],
    /// Most bytes that may be requested to be read.
    most: u64,
    /// What it is read for, if it is read.
    role: Option<Role>,
    distinct: [u64; 2],
    requested: [u64; 2],
}

/// The account of every buffer of a launch.
fn accounts(plan: &Plan, launch: &Launch, report: &Report) -> BTreeMap<BufferId, Account> {
    let mut all: BTreeMap<BufferId, Account> = BTreeMap::new();
    let bytes = |id| plan.bytes_of(id).unwrap() as u64;
    for (index, arg) in launch.args.iter().enumerate() {
        let Arg::Buffer(id, access) = *arg else {
            continue;
        };
        if arrivals(launch) == Some(index) {
            continue; // atomics, which are counted apart
        }
        let account = all.entry(id).or_default();
        if access != Access::In {
            account.needed[1] = bytes(id);
        }
        for traffic in report.buffers.iter().filter(|b| b.argument == index) {
            let distinct = [traffic.distinct_bytes_read, traffic.distinct_bytes_written];
            let requested = [traffic.requested_read(), traffic.requested_written()];
            // the same for every argument that is this buffer
            account.distinct = distinct;
            for (sum, requested) in account.requested.iter_mut().zip(requested) {
                *sum += requested;
            }
        }
    }
    for read in reads(launch) {
        let Arg::Buffer(id, _) = launch.args[read.argument] else {
            continue;
        };
        let account = all.get_mut(&id).unwrap();
        let needed = read.bytes.unwrap_or(bytes(id));
        account.needed[0] = account.needed[0].max(needed);
        let room = match read.role {
            Role::Activation => ACTIVATIONS,
            Role::Weight | Role::Vector => WEIGHTS,
        };
        // a vector of a few channels may end within a sector
        account.role = Some(read.role);
        account.most += needed.next_multiple_of(32) * read.times * room / 100;
    }
    all
}

/// Sums over launches.
#[derive(Debug, Default)]
struct Sum {
    launches: u64,
    instructions: u64,
    /// Bytes requested: of activations with all that is stored, of weights, of vectors.
    requested: [u64; 3],
    distinct: u64,
    needed: u64,
    wavefronts: u64,
    conflicts: u64,
}

impl Sum {
    fn add(&mut self, report: &Report, accounts: &BTreeMap<BufferId, Account>) {
        let shared = report.counters.shared();
        self.launches += 1;
        self.instructions += report.counters.warp_instructions.total();
        for account in accounts.values() {
            let role = match account.role {
                Some(Role::Weight) => 1,
                Some(Role::Vector) => 2,
                Some(Role::Activation) | None => 0,
            };
            self.requested[role] += account.requested.iter().sum::<u64>();
        }
        self.distinct += report.counters.distinct_bytes();
        self.needed += accounts
            .values()
            .map(|a| a.needed.iter().sum::<u64>())
            .sum::<u64>();
        self.wavefronts += shared.wavefronts;
        self.conflicts += shared.conflicts();
    }

    fn print(&self, name: &str) {
        let [activations, weights, vectors] = self.requested;
        println!(
            "{name:33} {:3} {:10} {:10} {:10} {:10} {:10} {:10} {:4} of {:9}",
            self.launches,
            self.instructions,
            activations,
            weights,
            vectors,
            self.distinct,
            self.needed,
            self.conflicts,
            self.wavefronts
        );
    }
}

/// What one launch does that it must not.
fn excesses(
    launch: &Launch,
    report: &Report,
    accounts: &BTreeMap<BufferId, Account>,
) -> Vec<String> {
    let mut found = Vec::new();
    let mut at_most = |what: &str, value: u64, most: u64| {
        if value > most {
            found.push(format!("{what}: {value}, at most {most}"));
        }
    };
    for (id, account) in accounts {
        let argument = launch
            .args
            .iter()
            .position(|a| matches!(a, Arg::Buffer(b, _) if b == id));
        let name = |what: &str| format!("argument {}, {what}", argument.unwrap_or_default());
        let [read, write] = account.needed.map(|bytes| bytes.next_multiple_of(32));
        at_most(
            &name("distinct bytes read"),
            account.distinct[0],
            read * DISTINCT / 100,
        );
        at_most(
            &name("distinct bytes written"),
            account.distinct[1],
            write * DISTINCT / 100,
        );
        at_most(&name("bytes left unwritten"), write, account.distinct[1]);
        at_most(&name("bytes requested"), account.requested[0], account.most);
        at_most(
            &name("bytes stored"),
            account.requested[1],
            write * ACTIVATIONS / 100,
        );
    }
    let counters = &report.counters;
    let mut listed: u64 = accounts.values().flat_map(|a| a.requested).sum();
    let counted = arrivals(launch);
    let atomics = report
        .buffers
        .iter()
        .filter(|b| Some(b.argument) == counted);
    listed += atomics
        .map(|b| b.requested_read() + b.requested_written())
        .sum::<u64>();
    // an atomic operation is listed as what it reads and what it writes
    let sectors = counters.global().sectors + 2 * counters.global_atomics.sectors;
    at_most("bytes of no argument", 32 * sectors, listed);
    let shared = counters.shared();
    at_most(
        "conflicts",
        shared.conflicts() * 100,
        shared.wavefronts * CONFLICTS,
    );
    let local = counters.local_loads.requests + counters.local_stores.requests;
    at_most("requests of local memory", local, 0);
    let blocks: u64 = launch.grid.into_iter().map(u64::from).product();
    let most = counted.map_or(0, |_| blocks); // each block of a shared tile arrives once
    at_most("atomics", counters.global_atomics.requests, most);
    found
}

/// One forward pass with nothing but counters, every launch held to its contract; the sum.
fn check(variant: Variant, batch: usize, dtype: DType) -> Sum {
    let device = EmuDevice::new(2);
    device.set_checks(Checks {
        counters: true,
        ..Checks::NONE
    });
    device.keep_reports();
    let spec = PlanSpec::infer(batch, ImageSize::square(224), Mode::Classify);
    let mut run = executor(&device, &variant.config(), spec.kernels(dtype));
    let input = hash::image(run.plan().input_len());
    device.take_reports();
    run.run(&input).unwrap();
    let reports = device.take_reports();
    let plan = run.plan();
    assert_eq!(reports.len(), plan.launches().count());

    let mut kernels: BTreeMap<String, Sum> = BTreeMap::new();
    let (mut sum, mut wrong) = (Sum::default(), Vec::new());
    let steps = plan.steps().iter();
    let launches = steps.flat_map(|step| step.launches().iter().map(move |launch| (step, launch)));
    for ((step, launch), (kernel, report)) in launches.zip(&reports) {
        assert_eq!(launch.kernel, *kernel);
        let accounts = accounts(plan, launch, report);
        sum.add(report, &accounts);
        let of_kernel = kernels.entry(kernel.to_string()).or_default();
        of_kernel.add(report, &accounts);
        for excess in excesses(launch, report, &accounts) {
            let (label, grid) = (step.label(), launch.grid);
            wrong.push(format!(
                "{label} {} {kernel} {grid:?}: {excess}",
                step.shapes()
            ));
        }
    }
    println!("{variant} at batch {batch} in {dtype}");
    println!(
        "{:33} {:>3} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10} conflicts of wavefronts",
        "kernel", "", "warp instr", "tensors", "weights", "vectors", "distinct", "needed"
    );
    for (name, sum) in &kernels {
        sum.print(name);
    }
    sum.print("all");
    assert!(
        wrong.is_empty(),
        "{} times too much:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    sum
}

#[test]
fn small_in_bf16_alone() {
    let sum = check(Variant::Small, 1, DType::Bf16);
    let at_most = |what: &str, value: u64, recorded: u64| {
        let most = recorded * TOTAL / 100;
        assert!(value <= most, "{what}: {value}, at most {most}");
    };
    at_most("launches", sum.launches, 110);
    at_most("distinct bytes", sum.distinct, 122_976_000);
    at_most("warp instructions", sum.instructions, 53_549_207);
}

#[test]
fn tiny_in_f16_four_at_once() {
    check(Variant::Tiny, 4, DType::F16);
}

#[test]
fn tiny_in_f32_four_at_once() {
    check(Variant::Tiny, 4, DType::F32);
}
