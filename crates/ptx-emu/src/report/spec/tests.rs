use super::*;

fn all() -> [DeviceSpec; 3] {
    [
        DeviceSpec::h200(),
        DeviceSpec::a100(),
        DeviceSpec::rtx4090(),
    ]
}

/// Within one per cent of a data sheet's figure, which has three or four digits.
#[track_caller]
fn agrees(found: f64, data_sheet: f64) {
    assert!(
        (found / data_sheet - 1.0).abs() < 0.01,
        "{found:e} is not {data_sheet:e}"
    );
}

#[test]
fn vector_rates_are_those_of_the_data_sheets() {
    agrees(DeviceSpec::h200().f32_flops_per_s(), 67e12);
    // the data sheet rounds it to 34, the white paper gives 33.5
    agrees(DeviceSpec::h200().f64_flops_per_s(), 33.5e12);
    agrees(DeviceSpec::a100().f32_flops_per_s(), 19.5e12);
    agrees(DeviceSpec::a100().f64_flops_per_s(), 9.7e12);
    agrees(DeviceSpec::rtx4090().f32_flops_per_s(), 82.6e12);
    // 1/64 of the f32 rate
    agrees(DeviceSpec::rtx4090().f64_flops_per_s(), 82.6e12 / 64.0);
}

#[test]
fn matrix_rates_are_those_of_the_data_sheets() {
    use MatrixType::{Bf16, F16AccF16, F16AccF32, F64, Int8, Tf32};
    // the H200 data sheet gives rates with sparsity: twice the dense ones
    let h200 = DeviceSpec::h200().matrix_flops_per_s;
    for (ty, sparse) in [
        (F16AccF32, 1979e12),
        (F16AccF16, 1979e12),
        (Bf16, 1979e12),
        (Tf32, 989e12),
        (Int8, 3958e12),
        (F64, 2.0 * 67e12),
    ] {
        agrees(2.0 * h200[ty], sparse);
    }
    let a100 = DeviceSpec::a100().matrix_flops_per_s;
    for (ty, dense) in [
        (F16AccF32, 312e12),
        (F16AccF16, 312e12),
        (Bf16, 312e12),
        (Tf32, 156e12),
        (Int8, 624e12),
        (F64, 19.5e12),
    ] {
        agrees(a100[ty], dense);
    }
    let rtx4090 = DeviceSpec::rtx4090().matrix_flops_per_s;
    for (ty, dense) in [
        (F16AccF32, 165.2e12),
        (F16AccF16, 330.3e12),
        (Bf16, 165.2e12),
        (Tf32, 82.6e12),
        (Int8, 660.6e12),
    ] {
        agrees(rtx4090[ty], dense);
    }
}

#[test]
fn memory_rates_follow_from_buses() {
    // HBM2e: 5 stacks of 1024 bits at 3.186 Gbit/s; GDDR6X: 384 bits at 21 Gbit/s
    agrees(
        DeviceSpec::a100().dram_bytes_per_s,
        5.0 * 1024.0 / 8.0 * 3.186e9,
    );
    agrees(DeviceSpec::rtx4090().dram_bytes_per_s, 384.0 / 8.0 * 21e9);
    // ridge of the H200 in bf16: 206 FLOP per byte
    let h200 = DeviceSpec::h200();
    agrees(
        h200.matrix_flops_per_s[MatrixType::Bf16] / h200.dram_bytes_per_s,
        206.0,
    );
    // 5120 bytes per clock at 1410 MHz
    agrees(DeviceSpec::a100().l2_bytes_per_s(), 7.22e12);
}

#[test]
fn limits_are_consistent() {
    for spec in all() {
        // one block may have all that a multiprocessor has but for what the system keeps
        assert_eq!(
            spec.shared_bytes_per_block_opt_in + spec.shared_bytes_reserved_per_block,
            spec.shared_bytes_per_sm
        );
        assert_eq!(spec.shared_bytes_per_block, 49_152);
        // 32 banks of 4 bytes
        assert_eq!(spec.shared_bytes_per_clock_per_sm, 32 * 4);
        assert_eq!(spec.max_grid, [2_147_483_647, 65_535, 65_535]);
        assert_eq!(spec.max_block, [1024, 1024, 64]);
        assert!(spec.max_threads_per_sm() >= spec.max_threads_per_block);
        assert!(spec.l2_bytes_per_clock <= spec.multiprocessors * spec.l2_bytes_per_clock_per_sm);
        assert!(spec.l2_bytes_per_s() > spec.dram_bytes_per_s);
        assert!(spec.max_cluster_blocks <= spec.max_cluster_blocks_opt_in);
        // a lane of every type belongs to one of the schedulers
        assert_eq!(spec.f32_lanes_per_sm % spec.schedulers_per_sm, 0);
        assert_eq!(spec.special_lanes_per_sm % spec.schedulers_per_sm, 0);
    }
    assert_eq!(DeviceSpec::h200().max_threads_per_sm(), 2048);
    assert_eq!(DeviceSpec::rtx4090().max_threads_per_sm(), 1536);
    assert_eq!(DeviceSpec::rtx4090().l2_bytes, 73_728 * 1024);
    assert_eq!(DeviceSpec::a100().l2_bytes, 40_960 * 1024);
}

#[test]
fn residency_is_limited_by_whatever_runs_out_first() {
    let h200 = DeviceSpec::h200();
    assert_eq!(h200.resident_blocks(32, 0), 32, "blocks");
    assert_eq!(h200.resident_blocks(256, 0), 8, "warps");
    assert_eq!(h200.resident_blocks(33, 0), 32, "33 threads are 2 warps");
    assert_eq!(h200.resident_blocks(96, 0), 21, "3 warps: 64 / 3");
    assert_eq!(h200.resident_blocks(128, 75 * 1024), 3, "3 x 76 KiB = 228");
    assert_eq!(h200.resident_blocks(128, 75 * 1024 + 1), 2);
    assert_eq!(h200.resident_blocks(128, 227 * 1024), 1);
    assert_eq!(h200.resident_blocks(128, 227 * 1024 + 1), 0);
    assert_eq!(h200.resident_blocks(1025, 0), 0);
    assert_eq!(h200.resident_blocks(0, 0), 32, "no division by zero");
    assert_eq!(h200.resident_blocks(u32::MAX, u32::MAX), 0);
    assert_eq!(DeviceSpec::rtx4090().resident_blocks(1024, 0), 1);
}

#[test]
fn names_are_parsed() {
    for (name, spec) in DeviceSpec::NAMES.into_iter().zip(all()) {
        assert_eq!(name.parse::<DeviceSpec>(), Ok(spec));
    }
    assert_eq!("RTX 4090".parse(), Ok(DeviceSpec::rtx4090()));
    assert_eq!(
        "b300".parse::<DeviceSpec>().unwrap_err().to_string(),
        "no device `b300`: known are h200, a100, rtx4090"
    );
}

#[test]
fn displays_what_it_is() {
    assert_eq!(
        DeviceSpec::h200().to_string(),
        "NVIDIA H200 (compute capability 9.0, 132 multiprocessors at 1.98 GHz, 4.80 TB/s, \
         66.9 TFLOP/s in f32, 989 TFLOP/s in bf16)"
    );
}
