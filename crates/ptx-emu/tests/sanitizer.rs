//! One planted fault per kernel: the sanitizer names it and the line it is on, and nothing
//! that does not follow from it.

mod support;

use bytemuck::cast_slice;
use ptx_emu::{
    Arg, Device, DeviceSpec, LaunchError, Module, Report, Schedule, Violation, ViolationKind,
};

use support::compile::ptx;
use support::data::uniform;
use support::faults::{FAULTS, Fault, Given, Wrong};

/// The report of a fault's kernel, or why it was not launched.
fn report(fault: &Fault, schedule: Schedule) -> Result<Report, LaunchError> {
    let mut device = Device::new(DeviceSpec::h200());
    device.set_schedule(schedule);
    device.set_budget(1 << 20);
    let module = Module::parse(&ptx(&fault.file(), &[], 80));
    let module = module.unwrap_or_else(|error| panic!("{}: {error}", fault.name));
    let mut arguments = Vec::new();
    for (number, given) in fault.given.iter().enumerate() {
        arguments.push(argument(&mut device, number, *given));
    }
    device.launch(&module, fault.name, &fault.shape.launch(), &arguments)
}

fn argument(device: &mut Device, number: usize, given: Given) -> Arg {
    let words = |words: Vec<u32>| cast_slice(&words).to_vec();
    let end = |n: usize| u32::try_from(n).unwrap();
    let bytes: Vec<u8> = match given {
        Given::F32(n) => cast_slice(&uniform(number as u64, n)).to_vec(),
        Given::Cycle(n, modulus) => words((0..end(n)).map(|i| i % modulus).collect()),
        Given::Reversed(n) => words((0..end(n)).rev().collect()),
        Given::Halves(n) => {
            let sign = |i| if i < n / 2 { 1.0_f32 } else { -1.0 };
            cast_slice(&(0..n).map(sign).collect::<Vec<_>>()).to_vec()
        }
        Given::InOut(n) | Given::Freed(n) => vec![0; n],
        Given::Out(n) => return Arg::output(&device.alloc(n as u64).unwrap()),
        Given::Unwritten(n) => return Arg::input(&device.alloc(n as u64).unwrap()),
        Given::Null => return Arg::null(),
    };
    let buffer = device.alloc(bytes.len() as u64).unwrap();
    device.write(&buffer, &bytes).unwrap();
    match given {
        Given::InOut(_) => Arg::in_out(&buffer),
        Given::Freed(_) => {
            device.free(buffer).unwrap();
            Arg::input(&buffer)
        }
        _ => Arg::input(&buffer),
    }
}

/// Whether a violation is of the planted sort.
fn is(wrong: Wrong, kind: &ViolationKind) -> bool {
    use ViolationKind as Kind;
    match wrong {
        Wrong::OutOfBounds => matches!(kind, Kind::OutOfBounds { .. }),
        Wrong::Null => matches!(kind, Kind::NullAddress { .. }),
        Wrong::Misaligned => matches!(kind, Kind::Misaligned { .. }),
        Wrong::UseAfterFree => matches!(kind, Kind::UseAfterFree { .. }),
        Wrong::Uninitialised => matches!(kind, Kind::Uninitialised { .. }),
        Wrong::WriteToInput => matches!(kind, Kind::WriteToInput { argument: 0, .. }),
        Wrong::SharedRace => matches!(kind, Kind::SharedRace { .. }),
        Wrong::CopyPending => matches!(kind, Kind::CopyNotAwaited { .. }),
        Wrong::GlobalConflict => matches!(kind, Kind::GlobalConflict { .. }),
        Wrong::Barrier => matches!(
            kind,
            Kind::DivergentBarrier { .. } | Kind::PartialBarrier { .. } | Kind::Deadlock { .. }
        ),
        Wrong::WarpSync => matches!(
            kind,
            Kind::InactiveLanes { .. } | Kind::ShuffleFromInactive { .. }
        ),
        Wrong::NoProgress => matches!(kind, Kind::RunAway { .. }),
        Wrong::Launch => false,
    }
}

/// Whether a violation is what the planted fault brings about: who loses a race reads too early.
fn follows(wrong: Wrong, kind: &ViolationKind) -> bool {
    let early = matches!(kind, ViolationKind::Uninitialised { .. });
    // a copy that races is seen under way in some orders, and after its end in others
    let copy = matches!(kind, ViolationKind::CopyNotAwaited { .. });
    early && matches!(wrong, Wrong::SharedRace | Wrong::CopyPending)
        || copy && wrong == Wrong::SharedRace
}

fn is_marked(fault: &Fault, violation: &Violation) -> bool {
    let Some(source) = &violation.source else {
        return false;
    };
    source.file.ends_with(&fault.file()) && fault.lines().contains(&source.line)
}

/// What is wrong with the reports of this fault; nothing where all is right.
fn complaint(fault: &Fault, schedule: Schedule) -> Option<String> {
    let found = match (report(fault, schedule), fault.wrong) {
        (Err(_), Wrong::Launch) => return None,
        (Err(error), _) => return Some(format!("{}: not launched: {error}", fault.name)),
        (Ok(found), _) => found,
    };
    let planted = |v: &&Violation| is(fault.wrong, &v.kind) && is_marked(fault, v);
    let other = |v: &&Violation| !planted(v) && !follows(fault.wrong, &v.kind);
    let mut violations = found.violations.iter();
    if violations.clone().any(|v| planted(&v)) && !violations.any(|v| other(&v)) {
        return None;
    }
    let all: Vec<_> = found.violations.iter().map(ToString::to_string).collect();
    Some(format!(
        "{} ({:?}, lines {:?}, {schedule:?}): {} reports:\n{}",
        fault.name,
        fault.wrong,
        fault.lines(),
        all.len(),
        all.join("\n")
    ))
}

fn every_fault_is_found(schedule: Schedule) {
    let complaints: Vec<_> = FAULTS
        .iter()
        .filter_map(|fault| complaint(fault, schedule))
        .collect();
    assert!(
        complaints.is_empty(),
        "{} of {} faults\n{}",
        complaints.len(),
        FAULTS.len(),
        complaints.join("\n\n")
    );
}

#[test]
fn every_fault_is_found_forward() {
    every_fault_is_found(Schedule::Forward);
}

#[test]
fn every_fault_is_found_in_reverse() {
    every_fault_is_found(Schedule::Reverse);
}

#[test]
fn every_fault_is_found_shuffled() {
    for seed in 0..4 {
        every_fault_is_found(Schedule::Shuffle(seed));
    }
}

#[test]
fn refused_launches_say_why() {
    let refused = |name: &str| {
        let fault = FAULTS.iter().find(|fault| fault.name == name).unwrap();
        report(fault, Schedule::Forward).unwrap_err()
    };
    assert!(matches!(
        refused("launch_shared_limit"),
        LaunchError::SharedMemory { .. }
    ));
    assert!(matches!(
        refused("launch_block_limit"),
        LaunchError::Block { .. }
    ));
    assert!(matches!(
        refused("launch_bounds"),
        LaunchError::LaunchBounds { .. }
    ));
}
