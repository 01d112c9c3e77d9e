//! Programs that do something wrong, and what is found.

use ptx_emu::{
    Arg, Device, DeviceSpec, Launch, LoadError, Module, Report, Schedule, ViolationKind,
};

/// Runs kernel `t` of a text with one buffer of `words` words, all zero.
pub(crate) fn report(ptx: &str, launch: &Launch, words: u64, schedule: Schedule) -> Report {
    let module = Module::parse(ptx).unwrap_or_else(|error| panic!("{error}\n{ptx}"));
    let mut device = Device::new(DeviceSpec::h200());
    device.set_schedule(schedule);
    device.set_budget(100_000);
    let buffer = device.alloc(4 * words).unwrap();
    device
        .write(&buffer, &vec![0; usize::try_from(4 * words).unwrap()])
        .unwrap();
    let report = device.launch(&module, "t", launch, &[Arg::in_out(&buffer)]);
    report.unwrap()
}

/// What was found, in order and without data: `SharedRace`, `Deadlock` …
pub(crate) fn kinds(report: &Report) -> Vec<String> {
    let name = |kind: &ViolationKind| {
        let text = format!("{kind:?}");
        let end = text.find([' ', '{']).unwrap_or(text.len());
        text[..end].to_owned()
    };
    report.violations.iter().map(|v| name(&v.kind)).collect()
}

/// Asserts that a program violates exactly these rules, in each order of blocks and warps.
pub(crate) fn finds(ptx: &str, launch: &Launch, expected: &[&str]) {
    for schedule in crate::case::SCHEDULES {
        let report = report(ptx, launch, 4096, schedule);
        assert_eq!(
            kinds(&report),
            expected,
            "with {schedule:?}\n{report}\n{ptx}"
        );
    }
}

/// Asserts that a program violates a rule, whatever else it does.
pub(crate) fn finds_among(ptx: &str, launch: &Launch, expected: &str) {
    for schedule in crate::case::SCHEDULES {
        let report = report(ptx, launch, 4096, schedule);
        let found = kinds(&report).iter().any(|kind| kind == expected);
        assert!(found, "no {expected} with {schedule:?}\n{report}\n{ptx}");
    }
}

/// Asserts that a program violates one rule, once or more.
pub(crate) fn finds_only(ptx: &str, launch: &Launch, expected: &str) {
    for schedule in crate::case::SCHEDULES {
        let report = report(ptx, launch, 4096, schedule);
        let mut kinds = kinds(&report);
        kinds.dedup();
        assert_eq!(kinds, [expected], "with {schedule:?}\n{report}\n{ptx}");
    }
}

/// Asserts that an instruction is refused, in a kernel with registers `%h %r %x %p` of each size.
pub(crate) fn refuses(target: &str, instruction: &str) {
    let body = format!(
        ".reg .b16 %h<8>; .reg .b32 %r<8>; .reg .b64 %x<8>; .reg .pred %p<4>;\n\
         .shared .align 16 .b8 s[64];\n{instruction};"
    );
    match Module::parse(&crate::case::module(target, 1, &body)) {
        Ok(_) => panic!("{instruction} is taken"),
        Err(LoadError::Parse(error)) => panic!("{instruction}: {error}"),
        Err(_) => {}
    }
}
