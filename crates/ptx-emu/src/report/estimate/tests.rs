use super::*;

#[track_caller]
fn agrees(found: f64, by_hand: f64) {
    assert!(
        (found / by_hand - 1.0).abs() < 1e-5,
        "{found:e} is not {by_hand:e}"
    );
}

/// C = A B in f32, all 256 x 256, one thread for each element of C, blocks of 16 x 16 threads
/// that step through K in tiles of 16 held in shared memory.
fn gemm() -> (Counters, LaunchShape) {
    let shape = LaunchShape {
        grid: [16, 16, 1],
        block: [16, 16, 1],
        shared_bytes: 2 * 16 * 16 * 4,
    };
    let mut counters = Counters {
        launches: 1,
        f32_flops: 2 * 256 * 256 * 256,
        distinct_bytes_read: 2 * 256 * 256 * 4,
        distinct_bytes_written: 256 * 256 * 4,
        ..Counters::default()
    };
    // 256 blocks of 8 warps; per tile and thread two loads from global, two stores to shared, 32
    // loads from shared, all without conflicts, and 16 fma
    let steps = 256 * 8 * 16;
    counters.warp_instructions[Class::F32] = 16 * steps;
    counters.warp_instructions[Class::SharedLoad] = 32 * steps;
    counters.warp_instructions[Class::SharedStore] = 2 * steps;
    counters.warp_instructions[Class::Load] = 2 * steps;
    counters.shared_loads.wavefronts = 32 * steps;
    counters.shared_stores.wavefronts = 2 * steps;
    // two rows of 64 bytes for each warp
    counters.global_loads.sectors = 2 * steps * 4;
    counters.global_stores.sectors = 256 * 8 * 4;
    (counters, shape)
}

#[test]
fn gemm_is_bound_by_shared_memory() {
    let (counters, shape) = gemm();
    let bound = LowerBound::new(&counters, &shape, &DeviceSpec::h200());
    assert_eq!(bound.binding, Term::Shared);
    // 34 x 32768 wavefronts by 132 multiprocessors at 1.98 GHz
    agrees(bound.seconds, 4.262_749e-6);
    agrees(bound.term(Term::Shared), 4.262_749e-6);
    // 52 x 32768 instructions by 528 schedulers
    agrees(bound.term(Term::Issue), 1.629_874_5e-6);
    // 256^3 lanes by 132 x 128
    agrees(bound.term(Term::F32), 5.014_998e-7);
    // 786432 bytes at 4.8 TB/s, and at 8448 bytes per clock
    agrees(bound.term(Term::Dram), 1.638_4e-7);
    agrees(bound.term(Term::L2), 4.701_561e-8);
    // 270336 sectors of 32 bytes
    agrees(bound.l2_without_l1_seconds, 5.171_718e-7);
    assert_eq!(bound.terms.len(), 5, "terms of zero are left out");
    assert!(bound.terms.is_sorted_by(|a, b| a.1 >= b.1));
    agrees(bound.warm_seconds(), bound.seconds);
    assert_eq!(
        (
            bound.busy_multiprocessors,
            bound.resident_blocks,
            bound.waves
        ),
        (132, 8, 1)
    );
}

/// 2 x 1024^3 FLOP in 64 blocks: 44 of the 108 multiprocessors of an A100 have nothing to do.
#[test]
fn idle_multiprocessors_lengthen_matrix_work() {
    let mut counters = Counters::default();
    counters.matrix_flops[MatrixType::Bf16] = 2 << 30;
    let mut shape = LaunchShape {
        grid: [8, 8, 1],
        block: [256, 1, 1],
        shared_bytes: 0,
    };
    let a100 = DeviceSpec::a100();
    let few = LowerBound::new(&counters, &shape, &a100);
    // by 64 x 2048 FLOP per clock at 1.41 GHz
    agrees(few.seconds, 1.161_987e-5);
    assert_eq!(few.binding, Term::Matrix(MatrixType::Bf16));
    assert_eq!(few.busy_multiprocessors, 64);
    shape.grid = [16, 16, 1];
    let many = LowerBound::new(&counters, &shape, &a100);
    // 312 TFLOP/s
    agrees(many.seconds, 6.885_849e-6);
    assert_eq!(many.busy_multiprocessors, 108);
}

/// One warp has one scheduler, a quarter of the lanes, and one port into L2.
#[test]
fn one_warp_has_one_scheduler() {
    let mut counters = Counters::default();
    counters.warp_instructions[Class::F32] = 1_980_000;
    counters.warp_instructions[Class::Special] = 1_980_000;
    counters.distinct_bytes_read = 64 * 1_980_000;
    let shape = LaunchShape {
        grid: [1, 1, 1],
        block: [32, 1, 1],
        shared_bytes: 0,
    };
    let bound = LowerBound::new(&counters, &shape, &DeviceSpec::h200());
    agrees(bound.term(Term::Issue), 2e-3);
    agrees(bound.term(Term::F32), 1e-3);
    // 4 lanes of special functions: 8 clocks for a warp
    agrees(bound.term(Term::Special), 8e-3);
    agrees(bound.term(Term::L2), 1e-3);
    assert_eq!(bound.binding, Term::Special);
}

#[test]
fn launches_of_any_shape_have_a_bound() {
    let (mut counters, shape) = gemm();
    counters.launches = 3;
    let h200 = DeviceSpec::h200();
    agrees(
        LowerBound::new(&counters, &shape, &h200).launch_seconds,
        6e-6,
    );
    let nothing = LowerBound::new(&Counters::default(), &LaunchShape::default(), &h200);
    assert_eq!((nothing.seconds, nothing.binding), (0.0, Term::Issue));
    assert!(nothing.terms.is_empty());
    assert_eq!(nothing.waves, 0);
    let huge = LaunchShape {
        grid: [u32::MAX; 3],
        block: [u32::MAX; 3],
        shared_bytes: u32::MAX,
    };
    let huge = LowerBound::new(&counters, &huge, &h200);
    assert!(huge.seconds.is_finite());
    assert_eq!((huge.resident_blocks, huge.waves), (0, 0));
    // 1057 blocks where 1056 fit at once
    let shape = LaunchShape {
        grid: [1057, 1, 1],
        ..shape
    };
    assert_eq!(LowerBound::new(&counters, &shape, &h200).waves, 2);
}

/// Traffic that L1 cannot answer: 10 sectors written, 6 copied around L1, 3 of atomics; 2 distinct
/// ones are read.
#[test]
fn l2_counts_what_passes_l1() {
    let mut counters = Counters {
        distinct_bytes_read: 2 * 32,
        ..Counters::default()
    };
    counters.global_loads.sectors = 1000;
    counters.global_stores.sectors = 9;
    counters.async_stores.sectors = 1;
    counters.async_loads.sectors = 6;
    counters.global_atomics.sectors = 3;
    assert_eq!(beyond_l1(&counters), 19);
    counters.distinct_bytes_read = 8 * 32;
    assert_eq!(beyond_l1(&counters), 21);
    assert_eq!(all_sectors(&counters), 1019);
}

#[test]
fn displays_the_binding_term_first() {
    let (counters, shape) = gemm();
    let bound = LowerBound::new(&counters, &shape, &DeviceSpec::h200());
    assert_eq!(
        bound.to_string(),
        "\
at least 4.26 µs on NVIDIA H200, bound by shared (no timing model: see LowerBound)
term       time    share  counted in
------  -------  -------  ----------------
shared  4.26 µs  100.0 %
issue   1.63 µs   38.2 %  PTX instructions
f32      501 ns   11.8 %  PTX instructions
dram     164 ns    3.8 %
l2      47.0 ns    1.1 %
132 multiprocessors busy, 8 blocks resident on each at most, 1 wave; l2 517 ns if L1 never hit; about 2.00 µs more from launch to launch"
    );
}

#[test]
fn json_has_terms_by_name() {
    let mut counters = Counters::default();
    counters.matrix_flops[MatrixType::Tf32] = 1;
    counters.distinct_bytes_read = 48;
    let shape = LaunchShape {
        grid: [132, 1, 1],
        block: [128, 1, 1],
        shared_bytes: 0,
    };
    let mut spec = DeviceSpec::h200();
    spec.dram_bytes_per_s = 16.0;
    spec.matrix_flops_per_s[MatrixType::Tf32] = 2.0;
    spec.l2_bytes_per_clock = 1;
    spec.clock_hz = 32.0;
    spec.launch_seconds = 0.25;
    assert_eq!(
        serde_json::to_string(&LowerBound::new(&counters, &shape, &spec)).unwrap(),
        r#"{"device":"NVIDIA H200","seconds":3.0,"warm_seconds":1.0,"binding":"dram","terms":{"dram":3.0,"l2":1.0,"matrix_tf32":0.5},"l2_without_l1_seconds":0.0,"launch_seconds":0.25,"busy_multiprocessors":132,"resident_blocks":16,"waves":1}"#
    );
    let names = MatrixType::ALL.iter().map(|ty| Term::Matrix(*ty).name());
    for (term, ty) in names.zip(MatrixType::ALL) {
        assert_eq!(term, format!("matrix_{ty}"));
    }
}
