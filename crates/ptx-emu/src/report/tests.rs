use super::*;

/// Doubles 64 numbers in one block of two warps; the second statement never ran.
fn report() -> Report {
    let mut counters = Counters {
        launches: 1,
        blocks: 1,
        warps: 2,
        threads: 64,
        distinct_bytes_read: 256,
        distinct_bytes_written: 256,
        f32_flops: 64,
        param_loads: 2,
        branches: 2,
        ..Counters::default()
    };
    for (class, warps) in [(Class::Load, 4), (Class::F32, 2), (Class::Store, 2)] {
        counters.warp_instructions[class] = warps;
        counters.lane_instructions[class] = 32 * warps;
    }
    counters.warp_instructions[Class::Control] = 2;
    counters.lane_instructions[Class::Control] = 16;
    for traffic in [&mut counters.global_loads, &mut counters.global_stores] {
        traffic.requests = 2;
        traffic.sectors = 8;
        traffic.ideal_sectors = 8;
        traffic.lines = 2;
        traffic.bytes = 256;
    }
    counters.global_loads.sectors = 16;

    let line = |ptx_line, statement: &str, source_line, counts| LineCounters {
        ptx_line,
        statement: statement.to_owned(),
        source: Some(SourceLine::new("/a/double.cu", source_line, ptx_line)),
        counts,
    };
    let counts = |warps, sectors, ideal_sectors| LineCounts {
        warps,
        lanes: 32 * warps,
        requests: warps * u64::from(sectors > 0),
        sectors,
        ideal_sectors,
        ..LineCounts::default()
    };
    Report {
        kernel: "double".to_owned(),
        grid: [1, 1, 1],
        block: [64, 1, 1],
        shared_bytes: 0,
        counters,
        buffers: Vec::new(),
        violations: Vec::new(),
        violations_not_listed: 0,
        lines: vec![
            line(20, "ld.global.f32 %f1, [%rd1];", 3, counts(2, 16, 8)),
            line(21, "trap;", 2, counts(0, 0, 0)),
            line(22, "add.f32 %f2, %f1, %f1;", 3, counts(3, 0, 0)),
            line(23, "st.global.f32 [%rd1], %f2;", 3, counts(2, 8, 8)),
        ],
    }
}

fn trap(block: u32) -> Violation {
    Violation::new(ViolationKind::Trap, "double", 21, "trap;").at([block, 0, 0], [0; 3])
}

#[test]
fn clean_means_that_nothing_was_found() {
    let mut report = report();
    assert!(report.is_clean());
    report.violations_not_listed = 1;
    assert!(!report.is_clean());
    report.violations_not_listed = 0;
    report.violations.push(trap(0));
    assert!(!report.is_clean());
}

#[test]
fn hottest_statements_come_first() {
    let report = report();
    let places = |lines: Vec<&LineCounters>| -> Vec<u32> {
        lines.iter().map(|line| line.ptx_line).collect()
    };
    // 20 and 23 ran equally often: the earlier one first; 21 never ran
    assert_eq!(places(report.hottest(9)), [22, 20, 23]);
    assert_eq!(places(report.hottest(1)), [22]);
    assert_eq!(
        places(report.hottest_by(9, LineCounts::excess_sectors)),
        [20]
    );
    assert_eq!(places(report.not_executed().collect()), [21]);
}

#[test]
fn statements_of_one_source_line_are_summed() {
    let mut report = report();
    report.lines[3].source = None;
    let lines = report.by_source();
    assert_eq!(lines.len(), 2);
    assert_eq!((lines[0].source.line, lines[0].statements), (2, 1));
    assert_eq!((lines[1].source.line, lines[1].statements), (3, 2));
    assert_eq!(lines[1].source.column, 20, "the first column of the line");
    assert_eq!((lines[1].counts.warps, lines[1].counts.sectors), (5, 16));
    // the same line of a function that is inlined in two places is two lines
    for (line, place) in [(0, 70), (2, 80)] {
        let source = report.lines[line].source.as_mut().unwrap();
        source.inlined_at.push(CallSite {
            file: "main.cu".to_owned(),
            line: place,
            column: 1,
        });
    }
    let lines = report.by_source();
    assert_eq!(lines.len(), 3);
    assert_eq!((lines[1].counts.warps, lines[2].counts.warps), (2, 3));
}

#[test]
fn displays_a_clean_launch() {
    let expected = "\
double: grid 1 x 1 x 1, block 64 x 1 x 1 (1 block, 64 threads), 0 B shared
clean: the checks found nothing

instructions  warps    share  lanes   active
------------  -----  -------  -----  -------
f32               2   20.0 %     64  100.0 %
load              4   40.0 %    128  100.0 %
store             2   20.0 %     64  100.0 %
control           2   20.0 %     16   25.0 %
all              10  100.0 %    272   85.0 %

global memory  requests  sectors  ideal     used  lines  bytes
-------------  --------  -------  -----  -------  -----  -----
loads                 2       16      8   50.0 %      2  256 B
stores                2        8      8  100.0 %      2  256 B

other memory     requests  operations  passes  bytes
---------------  --------  ----------  ------  -----
parameter loads         2

distinct bytes   256 B read, 256 B written; 66.7 % of the sectors' bytes needed
arithmetic       64 FLOP; 0.12 FLOP per distinct byte
control          2 branches, 0 divergent; barriers: 0 block, 0 warp, 0 cluster

line  source       warps  lanes  sectors  ideal  wavefronts  extra  statement
----  -----------  -----  -----  -------  -----  ----------  -----  --------------------------
22    double.cu:3      3     96                                     add.f32 %f2, %f1, %f1;
20    double.cu:3      2     64       16      8                     ld.global.f32 %f1, [%rd1];
23    double.cu:3      2     64        8      8                     st.global.f32 [%rd1], %f2;
3 of 3 executed statements; 1 never executed";
    assert_eq!(report().to_string(), expected);
}

#[test]
fn displays_violations() {
    let mut report = Report {
        counters: Counters::default(),
        lines: Vec::new(),
        ..report()
    };
    report.violations = vec![trap(0), trap(7)];
    report.violations_not_listed = 1998;
    assert_eq!(
        report.to_string(),
        "\
double: grid 1 x 1 x 1, block 64 x 1 x 1 (1 block, 64 threads), 0 B shared
2,000 violations
[1] memcheck: trap: `trap` was executed: a failed assertion of the kernel
    in double, block (0, 0, 0), thread (0, 0, 0)
    PTX line 21: trap;
[2] memcheck: trap: `trap` was executed: a failed assertion of the kernel
    in double, block (7, 0, 0), thread (0, 0, 0)
    PTX line 21: trap;
and 1,998 not listed"
    );
}

#[test]
fn long_statements_are_cut_between_characters() {
    let mut report = report();
    report.lines.truncate(1);
    report.lines[0].statement = "ä".repeat(61);
    let text = report.to_string();
    assert!(text.contains(&format!("  {}…\n", "ä".repeat(60))));
    report.lines[0].statement.truncate(2 * 60);
    assert!(!report.to_string().contains('…'));
}

#[test]
fn json_has_every_part() {
    let mut report = report();
    report.violations.push(trap(0));
    let json = report.to_json();
    let keys: Vec<_> = json.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "block",
            "buffers",
            "clean",
            "counters",
            "grid",
            "kernel",
            "lines",
            "shared_bytes",
            "violations",
            "violations_not_listed"
        ]
    );
    assert_eq!(json["clean"], false);
    assert_eq!(json["counters"]["global_loads"]["sectors"], 16);
    assert_eq!(json["violations"][0]["data"], serde_json::Value::Null);
    assert_eq!(
        json["lines"][0].to_string(),
        concat!(
            r#"{"divergent":0,"ideal_sectors":8,"lanes":64,"min_wavefronts":0,"ptx_line":20,"#,
            r#""requests":2,"sectors":16,"source":{"column":20,"file":"/a/double.cu","#,
            r#""inlined_at":[],"line":3},"statement":"ld.global.f32 %f1, [%rd1];","warps":2,"#,
            r#""wavefronts":0}"#
        )
    );
}

#[test]
fn bound_of_a_report_is_that_of_its_launch() {
    let bound = report().lower_bound(&DeviceSpec::h200());
    // 512 distinct bytes at 4.8 TB/s, against 10 instructions by 2 schedulers at 1.98 GHz, against
    // 512 bytes at 64 per clock: 4.04 ns
    assert_eq!(bound.binding, Term::L2);
    assert!((bound.seconds - 512.0 / 64.0 / 1.98e9).abs() < 1e-15);
    assert_eq!(bound.busy_multiprocessors, 1);
}

#[test]
fn summary_sums_launches_by_kernel() {
    let mut summary = Summary::for_device(DeviceSpec::h200());
    let mut other = report();
    other.kernel = "other".to_owned();
    other.violations.push(trap(0));
    other.violations_not_listed = 4;
    summary.extend([report(), report(), other]);
    assert!(!summary.is_clean());
    let double = summary.kernel("double").unwrap();
    assert_eq!((double.launches, double.violations), (2, 0));
    assert_eq!(double.counters.f32_flops, 128);
    assert_eq!(summary.total().counters.launches, 3);
    assert_eq!(summary.total().violations, 5);
    let expected = "\
kernel  launches  instructions  arithmetic  distinct  sectors    used  conflicts  violations  at least
------  --------  ------------  ----------  --------  -------  ------  ---------  ----------  --------
double         2            20    128 FLOP  1.00 KiB       48  66.7 %          0           0   8.08 ns
other          1            10     64 FLOP     512 B       24  66.7 %          0           5   4.04 ns
all            3            30    192 FLOP  1.50 KiB       72  66.7 %          0           5   12.1 ns
least times on NVIDIA H200, without launches";
    assert_eq!(summary.to_string(), expected);

    let json = summary.to_json();
    assert_eq!(json["clean"], false);
    assert_eq!(json["total"]["launches"], 3);
    assert_eq!(json["kernels"]["other"]["violations"], 5);
    assert_eq!(json["device"]["compute_capability"][0], 9);
}

#[test]
fn summary_without_a_device_has_no_times() {
    let mut summary = Summary::new();
    summary.add(&report());
    assert!(summary.is_clean());
    let text = summary.to_string();
    assert!(!text.contains("at least") && !text.contains("least times"));
    assert_eq!(text.lines().count(), 4);
    assert!(text.starts_with("kernel  launches  instructions"));
}
