//! Training on emulated devices.

use ptx_emu::Schedule;
use pvt_cuda::model::Keep;
use pvt_cuda::shape::ImageSize;
use pvt_cuda::target::Target;
use pvt_cuda::target::cpu::CpuTarget;
use pvt_cuda::target::emu::EmuDevice;
use pvt_cuda::train::recipe::stage_prefixes;
use pvt_cuda::train::{Batch, CpuLearner, Learner, LearnerState, StepOptions, StepReport, learner};
use pvt_cuda::{DType, Error};
use pvt_testkit::hash;

use crate::ten_steps::{STEPS, TenSteps};

const DTYPES: [DType; 4] = [DType::F32, DType::Tf32, DType::F16, DType::Bf16];

/// Where runs begin. Gradients of this case have norms up to 369: in f16 the first loss scales leave out steps, which
/// has a test of its own.
fn begin(case: &TenSteps, dtype: DType) -> LearnerState {
    LearnerState {
        loss_scale: if dtype == DType::F16 { 1024.0 } else { 1.0 },
        ..case.state.clone()
    }
}

fn on(case: &TenSteps, state: &LearnerState, device: &EmuDevice, dtype: DType) -> Box<dyn Learner> {
    let target = Target::Emu(device.clone(), dtype);
    learner(&case.config, &case.spec, state, &target).unwrap()
}

fn steps(
    case: &TenSteps,
    learner: &mut dyn Learner,
    range: std::ops::Range<usize>,
) -> Vec<StepReport> {
    range
        .map(|step| {
            let (batch, options) = case.step(step);
            learner.step(&batch, &options).unwrap()
        })
        .collect()
}

/// Every bit of a state.
fn bits(state: &LearnerState) -> Vec<u32> {
    let mut all = vec![
        u32::try_from(state.steps).unwrap(),
        state.loss_scale.to_bits(),
        state.clean_steps,
    ];
    for param in &state.params {
        let moments = param.moments.iter().flat_map(|m| [&m.first, &m.second]);
        for values in [&param.value].into_iter().chain(moments) {
            all.extend(values.iter().map(|v| v.to_bits()));
        }
    }
    all
}

#[test]
fn ten_steps_in_f32_follow_pytorch() {
    const MOST: f64 = 1e-5;
    let case = TenSteps::new(Keep::Everything);
    let mut learner = on(&case, &case.state, &EmuDevice::new(0), DType::F32);
    for step in 0..STEPS {
        let (batch, options) = case.step(step);
        let report = learner.step(&batch, &options).unwrap();
        let found = (f64::from(report.loss), f64::from(report.grad_norm));
        case.check_step(step, found, MOST);
        assert!(!report.skipped && report.loss_scale.to_bits() == 1f32.to_bits());
    }
    let state = learner.state().unwrap();
    assert_eq!(state.steps, 10);
    let value = |name: &str| {
        let param = state.params.iter().find(|p| p.name == name).unwrap();
        param.value.clone()
    };
    case.check_norms(value, MOST);
}

/// Losses of ten steps on the CPU in f64, from weights that went through `round`.
fn on_cpu(case: &TenSteps, round: impl Fn(f32) -> f32) -> Vec<f64> {
    let mut state = case.state.clone();
    for param in &mut state.params {
        param.value.iter_mut().for_each(|v| *v = round(*v));
    }
    let target = CpuTarget::new(2).unwrap();
    let (config, spec) = (case.config.clone(), case.spec.clone());
    let mut learner = CpuLearner::<f64>::new(config, spec, &state, target).unwrap();
    (0..STEPS)
        .map(|step| {
            let (batch, options) = case.step(step);
            learner.train(&batch, &options).unwrap().0
        })
        .collect()
}

/// Rounds to so many bits behind the first.
fn rounded(value: f32, bits: u32) -> f32 {
    let cut = 23 - bits;
    let half = 1 << (cut - 1);
    f32::from_bits((value.to_bits() + half) & !((1 << cut) - 1))
}

#[test]
fn ten_steps_in_other_types_stay_near() {
    let case = TenSteps::new(Keep::Everything);
    let exact = on_cpu(&case, |v| v);
    for (dtype, bits) in [(DType::Tf32, 10), (DType::F16, 10), (DType::Bf16, 7)] {
        let worst = |losses: &[f64]| {
            let errors = losses.iter().zip(&exact).map(|(f, e)| (f / e - 1.0).abs());
            errors.fold(0.0, f64::max)
        };
        let alone = worst(&on_cpu(&case, |v| rounded(v, bits)));
        let mut learner = on(&case, &begin(&case, dtype), &EmuDevice::new(0), dtype);
        let reports = steps(&case, &mut *learner, 0..STEPS);
        assert!(reports.iter().all(|r| !r.skipped), "{dtype}: {reports:?}");
        let losses: Vec<f64> = reports.iter().map(|r| f64::from(r.loss)).collect();
        let found = worst(&losses);
        println!("{dtype}: {found:.1e}, with rounded weights alone {alone:.1e}");
        assert!(found < 4.0 * alone, "{dtype}: {found:e}, {alone:e}");
    }
}

#[test]
fn every_order_of_blocks_gives_the_same_bits() {
    let case = TenSteps::new(Keep::Recompute);
    for dtype in DTYPES {
        let run = |schedule| {
            let device = EmuDevice::new(0);
            device.set_schedule(schedule);
            let mut learner = on(&case, &begin(&case, dtype), &device, dtype);
            steps(&case, &mut *learner, 0..2);
            bits(&learner.state().unwrap())
        };
        let first = run(Schedule::Forward);
        assert!(first == run(Schedule::Forward), "{dtype}: twice");
        for schedule in [Schedule::Reverse, Schedule::Shuffle(7)] {
            assert!(first == run(schedule), "{dtype} {schedule:?}");
        }
    }
}

#[test]
fn a_resumed_run_has_the_same_bits() {
    let case = TenSteps::new(Keep::Everything);
    for dtype in DTYPES {
        let device = EmuDevice::new(0);
        let mut whole = on(&case, &begin(&case, dtype), &device, dtype);
        steps(&case, &mut *whole, 0..2);
        let middle = whole.state().unwrap();
        for (after, before) in middle.params.iter().zip(&case.state.params) {
            assert!(after.value != before.value, "{dtype}: {} stays", after.name);
        }
        let pixels = case.step(0).0.pixels;
        let logits = whole.logits(&pixels, 2).unwrap();
        let reports = steps(&case, &mut *whole, 2..4);
        let end = bits(&whole.state().unwrap());
        assert!(bits(&middle) != end);

        // in a new learner, and in one that has gone another way
        let mut anew = on(&case, &middle, &device, dtype);
        assert!(bits(&anew.state().unwrap()) == bits(&middle), "{dtype}");
        let mut other = on(&case, &begin(&case, dtype), &device, dtype);
        steps(&case, &mut *other, 5..6);
        assert!(other.logits(&pixels, 2).unwrap() != logits);
        other.restore(&middle).unwrap();
        for learner in [&mut anew, &mut other] {
            assert!(learner.logits(&pixels, 2).unwrap() == logits, "{dtype}");
            let again = steps(&case, &mut **learner, 2..4);
            assert_eq!(again, reports, "{dtype}");
            assert!(bits(&learner.state().unwrap()) == end, "{dtype}");
        }
        let values: Vec<_> = whole
            .state()
            .unwrap()
            .params
            .into_iter()
            .map(|p| p.value)
            .collect();
        assert!(whole.weights().unwrap() == values);
    }
}

/// What steps have left in the images of weights is what loading the same weights puts there: inference and one more
/// step agree with those of a learner made from the state. Sizes whose position tables are resized.
#[test]
fn images_and_resized_tables_follow_the_weights() {
    let mut case = TenSteps::new(Keep::Blocks);
    let image = ImageSize {
        height: 72,
        width: 100,
    };
    case.spec.image = image;
    let pixels = hash::image(2 * 3 * 72 * 100);
    for dtype in DTYPES {
        let device = EmuDevice::new(0);
        let mut one = on(&case, &begin(&case, dtype), &device, dtype);
        let step = |learner: &mut dyn Learner, at: usize| {
            let (batch, options) = case.step(at);
            let batch = Batch {
                pixels: pixels.clone(),
                ..batch
            };
            learner.step(&batch, &options).unwrap()
        };
        step(&mut *one, 9);
        step(&mut *one, 9);
        let mut other = on(&case, &one.state().unwrap(), &device, dtype);
        assert_eq!(step(&mut *one, 3), step(&mut *other, 3), "{dtype}");
        assert!(bits(&one.state().unwrap()) == bits(&other.state().unwrap()));
        // of another size of batch, one at a time
        let both = one.logits(&pixels, 2).unwrap();
        let len = pixels.len() / 2;
        for _ in 0..2 {
            let alone: Vec<f32> = [0, 1]
                .iter()
                .flat_map(|at| one.logits(&pixels[at * len..][..len], 1).unwrap())
                .collect();
            assert!(alone == both, "{dtype}");
        }
        step(&mut *one, 9);
        let alone = one.logits(&pixels[..len], 1).unwrap();
        let later = one.logits(&pixels, 2).unwrap();
        assert!(
            later != both && alone[..] == later[..alone.len()],
            "{dtype}"
        );
    }
}

/// Leading stages, and one between others, whose gradients are there.
#[test]
fn frozen_stages_stay_and_do_not_count() {
    for (frozen, dtype) in [(vec![1, 2], DType::F32), (vec![1, 3], DType::F16)] {
        let mut case = TenSteps::new(Keep::Everything);
        case.spec.optimizer.frozen = frozen.iter().flat_map(|&s| stage_prefixes(s)).collect();
        let mut learner = on(&case, &begin(&case, dtype), &EmuDevice::new(0), dtype);
        let reports = steps(&case, &mut *learner, 0..3);
        let (config, spec) = (case.config.clone(), case.spec.clone());
        let target = CpuTarget::new(2).unwrap();
        let mut cpu = CpuLearner::<f64>::new(config, spec, &case.state, target).unwrap();
        for (step, report) in reports.iter().enumerate() {
            let (batch, options) = case.step(step);
            let (loss, norm) = cpu.train(&batch, &options).unwrap();
            let most = if dtype == DType::F32 { 1e-5 } else { 1e-2 };
            for (found, exact) in [(report.loss, loss), (report.grad_norm, norm)] {
                let error = (f64::from(found) / exact - 1.0).abs();
                assert!(error < most, "{dtype} step {step}: {found}, {exact}");
            }
        }
        let state = learner.state().unwrap();
        for (after, before) in state.params.iter().zip(&case.state.params) {
            let still = case.spec.optimizer.is_frozen(&after.name);
            assert_eq!(after.value == before.value, still, "{}", after.name);
            assert_eq!(after.moments.is_none(), still, "{}", after.name);
        }
    }
}

/// Branches that are left out, as on the CPU.
#[test]
fn factors_of_branches_are_read() {
    let mut case = TenSteps::new(Keep::Recompute);
    case.spec.drop_path = true;
    let branches: usize = 2 * case.config.stages.iter().map(|s| s.depth).sum::<usize>();
    let factors: Vec<f32> = (0..2 * branches)
        .map(|i| if i % 5 == 3 { 0.0 } else { 1.25 })
        .collect();
    let (batch, options) = case.step(9);
    let options = StepOptions {
        drop_path: factors,
        ..options
    };
    let target = CpuTarget::new(2).unwrap();
    let (config, spec) = (case.config.clone(), case.spec.clone());
    let mut cpu = CpuLearner::<f64>::new(config, spec, &case.state, target).unwrap();
    let (loss, norm) = cpu.train(&batch, &options).unwrap();
    for (dtype, most) in [(DType::F32, 1e-5), (DType::Bf16, 2e-2)] {
        let mut learner = on(&case, &begin(&case, dtype), &EmuDevice::new(0), dtype);
        let report = learner.step(&batch, &options).unwrap();
        for (found, exact) in [(report.loss, loss), (report.grad_norm, norm)] {
            let error = (f64::from(found) / exact - 1.0).abs();
            assert!(error < most, "{dtype}: {found}, {exact}");
        }
        let short = StepOptions {
            drop_path: Vec::new(),
            ..options
        };
        assert!(learner.step(&batch, &short).is_err());
    }
}

#[test]
fn a_loss_scale_beyond_the_type_is_halved_and_the_step_left_out() {
    const ABSURD: f32 = 1_073_741_824.0;
    let case = TenSteps::new(Keep::Everything);
    let device = EmuDevice::new(0);
    let scale = |x: f32| x.to_bits();
    let fresh = on(&case, &case.state, &device, DType::F16);
    assert_eq!(scale(fresh.state().unwrap().loss_scale), scale(65_536.0));
    let state = LearnerState {
        loss_scale: ABSURD,
        clean_steps: 5,
        ..case.state.clone()
    };
    let mut learner = on(&case, &state, &device, DType::F16);
    let report = steps(&case, &mut *learner, 0..1)[0];
    assert!(report.skipped && report.loss.is_finite());
    assert_eq!(scale(report.loss_scale), scale(ABSURD));
    let after = learner.state().unwrap();
    assert_eq!(scale(after.loss_scale), scale(ABSURD / 2.0));
    assert_eq!((after.steps, after.clean_steps), (0, 0));
    for (after, before) in after.params.iter().zip(&case.state.params) {
        assert!(after.value == before.value, "{}", after.name);
        let moments = after.moments.as_ref().unwrap();
        assert!(
            moments
                .first
                .iter()
                .chain(&moments.second)
                .all(|v| *v == 0.0)
        );
    }
    // nothing of it is left in gradients: a step at a fit scale is as in a new learner
    let sane = LearnerState {
        loss_scale: 1024.0,
        ..after
    };
    let mut one = on(&case, &sane, &device, DType::F16);
    learner.restore(&sane).unwrap();
    assert_eq!(
        steps(&case, &mut *one, 0..1),
        steps(&case, &mut *learner, 0..1)
    );
    assert_eq!(one.state().unwrap().clean_steps, 1);
    // without restoring either: down to a scale at which the step is made
    let mut learner = on(&case, &state, &device, DType::F16);
    let mut skipped = 0;
    while steps(&case, &mut *learner, 0..1)[0].skipped {
        skipped += 1;
        assert!(skipped < 30);
    }
    let state = learner.state().unwrap();
    assert_eq!((state.steps, state.clean_steps), (1, 1));
    assert_eq!(scale(state.loss_scale), scale(ABSURD / 2f32.powi(skipped)));
    let mut fresh = on(
        &case,
        &LearnerState {
            loss_scale: state.loss_scale,
            ..case.state.clone()
        },
        &device,
        DType::F16,
    );
    steps(&case, &mut *fresh, 0..1);
    assert!(bits(&fresh.state().unwrap()) == bits(&state));
}

#[test]
fn what_does_not_fit_is_refused() {
    let case = TenSteps::new(Keep::Everything);
    let target = Target::Emu(EmuDevice::new(0), DType::F16);
    let refused = |state: &LearnerState, word: &str| {
        let error = learner(&case.config, &case.spec, state, &target)
            .err()
            .unwrap();
        assert!(matches!(error, Error::Train(_)));
        assert!(error.to_string().contains(word), "{error}");
    };
    let odd = LearnerState {
        loss_scale: 3.0,
        ..case.state.clone()
    };
    refused(&odd, "power of two");
    refused(
        &LearnerState {
            loss_scale: f32::NAN,
            ..odd.clone()
        },
        "power of two",
    );
    let late = LearnerState {
        steps: 1 << 40,
        ..case.state.clone()
    };
    refused(&late, "2^32");
    let mut short = case.state.clone();
    short.params.pop();
    refused(&short, "missing");
    let mut learner = learner(&case.config, &case.spec, &case.state, &target).unwrap();
    assert!(learner.restore(&odd).is_err());
    let (mut batch, options) = case.step(0);
    batch.labels[1] = u32::try_from(case.config.num_classes).unwrap();
    let error = learner.step(&batch, &options).unwrap_err().to_string();
    assert!(error.contains("picture 1"), "{error}");
}
