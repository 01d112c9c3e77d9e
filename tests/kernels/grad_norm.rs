//! `grad_norm_fwd`

use ptx_emu::{Launch, Report};
use pvt_cuda::DType;
use pvt_cuda::kernels::adamw::{CONTROL_WORDS, LossScale, control, norm_blocks};
use pvt_cuda::kernels::tuning::NORM_THREADS;

use crate::run::{Value, random, rounded, run_entry};

pub(crate) const BETAS: (f64, f64) = (0.9, 0.999);

/// Runs it on a gradient, from the words of a control block: what they are then.
pub(crate) fn run(
    g: &[f32],
    hyper: [f32; 3],
    words: [u32; CONTROL_WORDS],
    scale: LossScale,
) -> ([u32; CONTROL_WORDS], Report) {
    let blocks = norm_blocks(g.len());
    let arguments = [
        Value::In(rounded("f32", g).0),
        Value::In(rounded("f32", &hyper).0),
        Value::Out(4 * blocks),
        Value::InOut(vec![0; 4]),
        Value::InOut(words.iter().flat_map(|w| w.to_le_bytes()).collect()),
        Value::U64(g.len() as u64),
        Value::U64(BETAS.0.to_bits()),
        Value::U64(BETAS.1.to_bits()),
        Value::U32(scale.growth),
        Value::F32(scale.most),
    ];
    let launch = Launch {
        grid: [u32::try_from(blocks).unwrap(), 1, 1],
        block: [NORM_THREADS, 1, 1],
        shared: 0,
        cluster: None,
    };
    let (outputs, report) = run_entry(("grad_norm", "grad_norm_fwd", "f32"), &launch, &arguments);
    assert_eq!(outputs[1], [0; 4], "the counter");
    let words = outputs[2].as_chunks().0.iter();
    let words: Vec<u32> = words.map(|w| u32::from_le_bytes(*w)).collect();
    (words.try_into().unwrap(), report)
}

fn float(word: u32) -> f64 {
    f64::from(f32::from_bits(word))
}

fn assert_near(found: u32, exact: f64, bound: f64, what: &str) {
    let found = float(found);
    assert!(
        (found - exact).abs() <= bound * exact.abs(),
        "{what}: {found}, {exact}"
    );
}

fn norm(g: &[f32]) -> f64 {
    g.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn any_length_any_clip() {
    let scale = LossScale::of(DType::F32);
    for len in [
        1, 3, 4, 5, 1023, 1024, 1025, 32_767, 32_768, 32_769, 100_003,
    ] {
        let g = random(len as u64, len, 4.0, 0.3);
        let exact = norm(&g);
        for clip in [0.0, 1.0, 1e9] {
            let (words, _) = run(&g, [0.01, 0.05, clip], control(scale), scale);
            assert_near(words[1], exact, 1e-6, "norm");
            assert_eq!(words[2], 1);
            let clip = f64::from(clip);
            let coefficient = (clip / (exact + 1e-6)).min(1.0);
            let factor = if clip > 0.0 { coefficient } else { 1.0 };
            assert_near(words[3], factor, 1e-6, "factor");
            assert_eq!(words[0], 1.0_f32.to_bits());
            assert_eq!(words[4..6], [1, 1]);
            assert_near(words[6], 0.01 / (1.0 - 0.9), 1e-6, "step size");
            assert_near(words[7], (1.0 / (1.0_f64 - 0.999)).sqrt(), 1e-6, "root");
            assert_near(words[8], 1.0 - 0.01 * 0.05, 1e-7, "decay");
        }
    }
}

/// The bias correction follows the steps that were taken, to the last bit that f32 has.
#[test]
fn steps_are_counted() {
    let scale = LossScale::of(DType::Bf16);
    let mut words = control(scale);
    for step in 1..=20 {
        (words, _) = run(&[0.5; 16], [1e-3, 0.05, 0.0], words, scale);
        assert_eq!(words[5], step);
        let t = i32::try_from(step).unwrap();
        assert_near(words[6], 1e-3 / (1.0 - 0.9_f64.powi(t)), 1e-6, "step size");
        assert_near(
            words[7],
            (1.0 - 0.999_f64.powi(t)).sqrt().recip(),
            1e-6,
            "root",
        );
    }
}

#[test]
fn what_is_not_finite_leaves_the_step_out() {
    for len in [1, 1000, 70_001] {
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in [0, len / 2, len - 1] {
                let mut g = random(7, len, 1.0, 0.0);
                g[at] = wrong;
                for dtype in [DType::F16, DType::F32] {
                    let scale = LossScale::of(dtype);
                    let before = control(scale);
                    let (words, _) = run(&g, [0.1; 3], before, scale);
                    assert_eq!(words[2], 0, "{len} {wrong} at {at}");
                    let halved: f32 = if dtype == DType::F16 { 32_768.0 } else { 1.0 };
                    assert_eq!(words[0], halved.to_bits());
                    assert_eq!(words[4..6], [0, 0]);
                    assert_eq!(words[6..], before[6..]);
                }
            }
        }
    }
}

#[test]
fn the_scale_grows_after_clean_steps_and_has_bounds() {
    let scale = LossScale {
        first: 4.0,
        growth: 3,
        most: 8.0,
    };
    let mut words = control(scale);
    let mut scales = Vec::new();
    for step in 0..14 {
        let bad = matches!(step, 1 | 9..=13);
        let g = [if bad { f32::NAN } else { 8.0 }, 0.0];
        let now = float(words[0]);
        (words, _) = run(&g, [0.1, 0.0, 1.0], words, scale);
        if !bad {
            assert_near(words[1], 8.0 / now, 1e-6, "norm without the scale");
            let factor = (now / (8.0 + 1e-6 * now)).min(1.0) / now;
            assert_near(words[3], factor, 1e-6, "factor");
        }
        scales.push(float(words[0]));
    }
    let expected = [
        4.0, 2.0, 2.0, 2.0, 4.0, 4.0, 4.0, 8.0, 8.0, 4.0, 2.0, 1.0, 1.0, 1.0,
    ];
    assert_eq!(scales, expected);
    assert_eq!(words[5], 8);
}

#[test]
fn the_gradient_is_read_once() {
    let scale = LossScale::of(DType::F32);
    let len = 3 * 32_768;
    let (_, report) = run(&random(3, len, 1.0, 0.0), [0.1; 3], control(scale), scale);
    let counters = &report.counters;
    let sectors = counters.global_loads.sectors * 32;
    let tensor = (4 * len) as u64;
    assert!(
        (tensor..tensor + tensor / 50).contains(&sectors),
        "{sectors}, {tensor}"
    );
    let banks = counters.shared();
    assert!(banks.conflicts() * 100 <= banks.wavefronts * 3, "{banks:?}");
}
