//! Where buffers lie, how many images there are, and in which order blocks run: none of it changes a bit.

use ptx_emu::Schedule;
use pvt_cuda::DType;
use pvt_cuda::config::{Mode, PvtConfig};
use pvt_cuda::executor::Run as _;
use pvt_cuda::model::{Input, PlanSpec};
use pvt_cuda::plan::Plan;
use pvt_cuda::shape::ImageSize;
use pvt_cuda::target::emu::EmuDevice;
use pvt_testkit::{compare, hash};

use crate::support::executor;

const DTYPES: [DType; 4] = [DType::F32, DType::Tf32, DType::F16, DType::Bf16];

fn config() -> PvtConfig {
    PvtConfig::from_file("tests/fixtures/reference/v1-micro/config.json").unwrap()
}

/// All outputs of a run of `images` different images on `device`, image by image.
fn outputs(device: &EmuDevice, spec: PlanSpec, pixels: &[f32]) -> Vec<Vec<f32>> {
    let mut run = executor(device, &config(), spec);
    run.run(pixels).unwrap();
    run.run(pixels).unwrap(); // what the first left behind must not matter
    let names = run.plan().outputs().iter().map(|o| o.name.clone());
    let names: Vec<String> = names.collect();
    let outputs = names.iter().map(|name| run.output(name).unwrap().unwrap());
    outputs.collect()
}

fn bits(all: &[Vec<f32>]) -> Vec<Vec<u32>> {
    let one = |values: &Vec<f32>| values.iter().map(|v| v.to_bits()).collect();
    all.iter().map(one).collect()
}

#[test]
fn a_shared_workspace_gives_the_same_bits() {
    for dtype in DTYPES {
        for mode in [Mode::Classify, Mode::Backbone] {
            let spec = PlanSpec::infer(2, ImageSize::square(64), mode).kernels(dtype);
            let pixels = hash::image(2 * 3 * 64 * 64);
            let apart = outputs(&EmuDevice::new(0), spec, &pixels);
            let device = EmuDevice::new(0).with_buffers_apart(false);
            let shared = outputs(&device, spec, &pixels);
            assert!(bits(&apart) == bits(&shared), "{dtype} {mode:?}");
        }
    }
}

#[test]
fn an_image_alone_and_in_a_batch_gives_the_same_bits() {
    let image = ImageSize {
        height: 72,
        width: 100,
    };
    let len = 3 * 72 * 100;
    let pixels = hash::image(3 * len);
    for dtype in DTYPES {
        for mode in [Mode::Classify, Mode::Backbone] {
            let spec = |batch| PlanSpec::infer(batch, image, mode).kernels(dtype);
            let together = outputs(&EmuDevice::new(0), spec(3), &pixels);
            for (at, pixels) in pixels.chunks_exact(len).enumerate() {
                let alone = outputs(&EmuDevice::new(0), spec(1), pixels);
                for (alone, together) in alone.iter().zip(&together) {
                    let own = &together[at * alone.len()..][..alone.len()];
                    let same = own
                        .iter()
                        .zip(alone)
                        .all(|(a, b)| a.to_bits() == b.to_bits());
                    assert!(same, "{dtype} {mode:?}: image {at}");
                }
            }
        }
    }
}

#[test]
fn every_order_of_blocks_and_warps_gives_the_same_bits() {
    let pixels = hash::image(3 * 64 * 64);
    for dtype in DTYPES {
        let spec = PlanSpec::infer(1, ImageSize::square(64), Mode::Classify).kernels(dtype);
        let forward = outputs(&EmuDevice::new(0), spec, &pixels);
        for schedule in [Schedule::Reverse, Schedule::Shuffle(3)] {
            let device = EmuDevice::new(0);
            device.set_schedule(schedule);
            let found = outputs(&device, spec, &pixels);
            assert!(bits(&forward) == bits(&found), "{dtype} {schedule:?}");
        }
    }
}

/// Pictures as bytes, normalised on the device, against the same pictures normalised beforehand.
#[test]
fn pictures_may_be_bytes() {
    let (mean, std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    let (batch, side) = (2, 64);
    let area = side * side;
    let pictures: Vec<u8> = (0..batch * area * 3)
        .map(|i| u8::try_from(i * 37 % 251).unwrap())
        .collect();
    let pixels: Vec<f32> = (0..pictures.len())
        .map(|i| {
            let (b, c, p) = (i / (3 * area), i / area % 3, i % area);
            (f32::from(pictures[(b * area + p) * 3 + c]) / 255.0 - mean[c]) / std[c]
        })
        .collect();
    let plain = PlanSpec::infer(batch, ImageSize::square(side), Mode::Classify).kernels(DType::F32);
    let spec = PlanSpec {
        input: Input::Bytes { mean, std },
        ..plain
    };
    let want = outputs(&EmuDevice::new(0), plain, &pixels);
    let mut run = executor(&EmuDevice::new(0), &config(), spec);
    run.run_bytes(&pictures).unwrap();
    let found = run.output("logits").unwrap().unwrap();
    let error = compare::rel_l2(&found, &compare::widen(&want[0]));
    assert!(error < 2e-6, "{error:e}");

    assert!(run.run(&pixels).is_err(), "the plan reads bytes");
    assert!(run.run_bytes(&pictures[1..]).is_err());
    let cpu = PlanSpec {
        kernels: None,
        ..spec
    };
    let problem = Plan::new(&config(), cpu).unwrap_err().to_string();
    assert!(problem.contains("picture::prepare"), "{problem}");
}
