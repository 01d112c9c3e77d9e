//! Gradients of whole models: the same bits in every order of blocks and warps, where buffers lie and how often a step runs;
//! and those of the CPU where attention is over more keys than a tile has.

use std::collections::BTreeMap;
use std::sync::Arc;

use ptx_emu::{Checks, Schedule};
use pvt_cuda::config::{Mode, PvtConfig};
use pvt_cuda::executor::{Executor, Params, Run};
use pvt_cuda::model::{Keep, PlanSpec, Train};
use pvt_cuda::plan::Plan;
use pvt_cuda::shape::ImageSize;
use pvt_cuda::target::cpu::CpuTarget;
use pvt_cuda::target::emu::EmuDevice;
use pvt_cuda::{DType, Error};
use pvt_testkit::{compare, hash};

use crate::support::{Executor as Emulated, executor, training_inputs};

const DTYPES: [DType; 4] = [DType::F32, DType::Tf32, DType::F16, DType::Bf16];

fn config(case: &str) -> PvtConfig {
    let path = format!("tests/fixtures/reference/{case}/config.json");
    PvtConfig::from_file(path).unwrap()
}

fn step(run: &mut dyn Run) {
    let inputs = training_inputs(run.plan());
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    run.run_inputs(&inputs).unwrap();
}

fn outputs(run: &dyn Run) -> Vec<(String, Vec<f32>)> {
    let all = run.plan().outputs().iter();
    all.map(|o| (o.name.clone(), run.read(&o.view).unwrap()))
        .collect()
}

fn same(found: &[(String, Vec<f32>)], want: &[(String, Vec<f32>)], case: &str) {
    assert_eq!(found.len(), want.len(), "{case}");
    for ((name, found), (other, want)) in found.iter().zip(want) {
        assert_eq!(name, other);
        assert_eq!(found.len(), want.len(), "{case}: {name}");
        let differ = found.iter().zip(want);
        let differ = differ.filter(|(a, b)| a.to_bits() != b.to_bits()).count();
        assert_eq!(differ, 0, "{case}: {name}, of {}", want.len());
    }
}

/// Everything at once that a step may have.
fn training(keep: Keep) -> Train {
    Train {
        keep,
        label_smoothing: 0.1,
        drop_path: true,
        input_gradient: true,
        ..Train::default()
    }
}

fn after_a_step(device: &EmuDevice, spec: PlanSpec) -> (Emulated, Vec<(String, Vec<f32>)>) {
    let mut run = executor(device, &config("v1-micro"), spec);
    step(&mut run);
    let found = outputs(&run);
    (run, found)
}

fn quick() -> EmuDevice {
    let device = EmuDevice::new(0);
    device.set_checks(Checks::NONE);
    device
}

#[test]
fn every_order_of_blocks_and_warps_gives_the_same_bits() {
    for dtype in DTYPES {
        for (mode, keep) in [
            (Mode::Classify, Keep::Everything),
            (Mode::Backbone, Keep::Recompute),
        ] {
            let image = ImageSize {
                height: 72,
                width: 100,
            };
            let spec = PlanSpec::train(2, image, mode, training(keep)).kernels(dtype);
            let (_, forward) = after_a_step(&quick(), spec);
            for schedule in [
                Schedule::Reverse,
                Schedule::Shuffle(3),
                Schedule::Shuffle(11),
            ] {
                let device = quick();
                device.set_schedule(schedule);
                let (_, found) = after_a_step(&device, spec);
                same(&found, &forward, &format!("{dtype} {mode:?} {schedule:?}"));
            }
        }
    }
}

/// A workspace as on a GPU, where buffers share memory, and a second step: what is written has the same bits, and
/// gradients of parameters are twice as large, as each step adds its own.
#[test]
fn a_shared_workspace_and_another_step_give_the_same_bits() {
    for dtype in DTYPES {
        for keep in [Keep::Everything, Keep::Recompute, Keep::Blocks] {
            let image = ImageSize::square(64);
            let spec = PlanSpec::train(2, image, Mode::Classify, training(keep)).kernels(dtype);
            let (_, apart) = after_a_step(&EmuDevice::new(0), spec);
            let (mut run, shared) = after_a_step(&quick().with_buffers_apart(false), spec);
            same(&shared, &apart, &format!("{dtype} {keep}"));
            step(&mut run);
            let added: Vec<String> = run
                .plan()
                .gradients()
                .iter()
                .map(|g| g.name.clone())
                .collect();
            let is_added = |name: &str| {
                let name = name.strip_prefix("grad.");
                name.is_some_and(|name| added.iter().any(|a| a == name))
            };
            let want: Vec<_> = apart
                .into_iter()
                .map(|(name, values)| {
                    let times = if is_added(&name) { 2.0 } else { 1.0 };
                    let values = values.into_iter().map(|v| times * v).collect();
                    (name, values)
                })
                .collect();
            let again = outputs(&run);
            same(&again, &want, &format!("{dtype} {keep} again"));
        }
    }
}

/// Gradients and results of a step on the CPU, in f32.
fn on_cpu(config: &PvtConfig, spec: PlanSpec) -> Vec<(String, Vec<f32>)> {
    let plan = Arc::new(Plan::new(config, spec).unwrap());
    let params = Params::<f32>::load(&plan, |p, out| {
        hash::parameter(&p.name, &p.shape, out);
        Ok::<_, Error>(())
    });
    let target = CpuTarget::new(2).unwrap();
    let mut run = Executor::new(plan, params.unwrap(), target).unwrap();
    step(&mut run);
    outputs(&run)
}

/// Most relative error of one gradient, and of all together.
const WORST: f64 = 1e-4;
const ALL: f64 = 1e-5;

/// Images whose attention has more keys than a tile, so that the kernels for many keys run.
#[test]
fn many_keys_give_the_gradients_of_the_cpu() {
    for (case, image) in [("v1-micro", (288, 320)), ("v1-micro-d64", (288, 288))] {
        for keep in [Keep::Everything, Keep::Recompute] {
            let (config, (height, width)) = (config(case), image);
            let image = ImageSize { height, width };
            let spec = PlanSpec::train(1, image, Mode::Classify, training(keep));
            let device = quick();
            let mut run = executor(&device, &config, spec.kernels(DType::F32));
            let launches = run.plan().launches();
            let long = launches.filter(|l| l.kernel.entry.starts_with("attention_bwd_long_dkv"));
            let blocks: usize = config.stages.iter().map(|s| s.depth).sum();
            assert_eq!(long.count(), blocks, "{case}: every block has many keys");
            step(&mut run);
            let (mut error, mut norm, mut worst) = (0.0, 0.0, (0.0, String::new()));
            let found = outputs(&run);
            let exact: BTreeMap<_, _> = on_cpu(&config, spec).into_iter().collect();
            assert_eq!(found.len(), exact.len());
            for (name, mut found) in found {
                let mut exact = compare::widen(&exact[&name]);
                if name.ends_with("attn.kv.bias") {
                    // a constant added to all keys changes nothing: that gradient is rounding alone
                    let half = found.len() / 2;
                    (found, exact) = (found.split_off(half), exact.split_off(half));
                }
                let relative = compare::rel_l2(&found, &exact);
                assert!(relative <= WORST, "{case} {keep}: {name} {relative:e}");
                let squares: f64 = exact.iter().map(|e| e * e).sum();
                (error, norm) = (error + relative * relative * squares, norm + squares);
                if relative > worst.0 {
                    worst = (relative, name);
                }
            }
            let all = (error / norm).sqrt();
            println!(
                "{case} {keep}: all {all:.1e}, worst {:.1e} {}",
                worst.0, worst.1
            );
            assert!(all <= ALL, "{case} {keep}: {all:e}");
        }
    }
}
