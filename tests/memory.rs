//! Memory of plans with a backward pass, before anything is taken: closed forms, and what another program needs.

use pvt_cuda::DType;
use pvt_cuda::config::{Mode, PvtConfig, Variant};
use pvt_cuda::model::{Keep, PlanSpec, Train};
use pvt_cuda::plan::{BufferId, Memory, Plan, Step};
use pvt_cuda::shape::ImageSize;
use pvt_cuda::weights::Manifest;

const KEEPS: [Keep; 3] = [Keep::Everything, Keep::Recompute, Keep::Blocks];
const SIDE: ImageSize = ImageSize::square(224);

/// Batch, and megabytes that eager PyTorch saves for the backward pass of PVT-Small at 224 in bf16.
const EAGER: [(usize, f64); 3] = [(1, 69.0), (32, 2207.0), (256, 17658.0)];
/// Most that is saved with [`Keep::Recompute`], as a share of that.
const SHARE: f64 = 0.25;

fn plan(config: &PvtConfig, batch: usize, train: Train) -> Plan {
    let spec = PlanSpec::train(batch, SIDE, Mode::Classify, train).kernels(DType::Bf16);
    Plan::new(config, spec).unwrap()
}

fn keeping(keep: Keep) -> Train {
    Train {
        keep,
        ..Train::default()
    }
}

/// Bytes saved for one image in bf16, where no stage has more keys than a tile.
fn saved(config: &PvtConfig, keep: Keep) -> usize {
    let shapes = config.stage_shapes(SIDE, Mode::Classify).unwrap();
    let mut elements = 0;
    for (shape, stage) in shapes.iter().zip(&config.stages) {
        let (n, m, c) = (shape.tokens, shape.keys, shape.channels);
        let reduces = stage.sr_ratio > 1;
        // inputs of blocks
        let mut block = n * c;
        if keep != Keep::Blocks {
            // the stream between branches; keys and values; reduced tokens
            block += n * c + 2 * m * c + if reduces { m * c } else { 0 };
            if keep == Keep::Everything || shape.grid.0 <= 14 {
                block += n * stage.hidden_dim();
            }
            if keep == Keep::Everything || !reduces {
                block += n * c; // queries
            }
        }
        if keep == Keep::Everything {
            // heads joined, what the MLP reads, and what queries are made of if that is written at all
            block += 2 * n * c + if reduces { n * c } else { 0 };
        }
        // what the patch embedding convolves to, and what the next stage or the head reads
        elements += stage.depth * block + shape.grid.0 * shape.grid.1 * c + n * c;
    }
    elements * DType::Bf16.bytes() + config.num_classes * size_of::<f32>()
}

#[test]
fn what_is_saved_follows_from_the_shapes() {
    for variant in [Variant::Tiny, Variant::Small, Variant::Large] {
        let config = variant.config();
        for keep in KEEPS {
            for batch in [1, 3, 256] {
                let found = plan(&config, batch, keeping(keep)).memory().saved;
                let want = batch * saved(&config, keep);
                assert_eq!(found, want, "{variant} {keep} batch {batch}");
                // factors of branches come with each run, and what they multiply is not kept
                let dropping = Train {
                    drop_path: true,
                    ..keeping(keep)
                };
                let found = plan(&config, batch, dropping).memory().saved;
                assert_eq!(found, want, "{variant} {keep} batch {batch}, drop path");
            }
        }
    }
}

#[test]
fn small_saves_a_quarter_of_what_pytorch_does() {
    let megabytes = |bytes: usize| bytes as f64 / 1e6;
    println!(
        "batch  keep        parameters  gradients      saved  workspace  optimiser  inputs    of eager"
    );
    for (batch, eager) in EAGER {
        for keep in KEEPS {
            let memory = plan(&Variant::Small.config(), batch, keeping(keep)).memory();
            let share = megabytes(memory.saved) / eager;
            println!(
                "{batch:5}  {keep:10}  {:10.1}  {:9.1}  {:9.1}  {:9.1}  {:9.1}  {:6.1}  {share:10.3}",
                megabytes(memory.parameters),
                megabytes(memory.gradients),
                megabytes(memory.saved),
                megabytes(memory.workspace),
                megabytes(memory.optimizer),
                megabytes(memory.inputs),
            );
            assert!(
                keep != Keep::Recompute || share <= SHARE,
                "batch {batch}: {share:.3} of {eager} MB"
            );
        }
    }
}

#[test]
fn parts_are_those_of_the_model() {
    let config = Variant::Small.config();
    let parameters = Manifest::for_config(&config, Mode::Classify)
        .unwrap()
        .num_parameters();
    let memory = plan(&config, 32, Train::default()).memory();
    let Memory {
        inputs, gradients, ..
    } = memory;
    assert_eq!(memory.optimizer, 12 * parameters);
    assert_eq!(inputs, 4 * (32 * 3 * 224 * 224 + 32), "pixels and labels");
    let least = 4 * parameters;
    let most = least
        + 256
            * Manifest::for_config(&config, Mode::Classify)
                .unwrap()
                .params()
                .len();
    assert!((least..=most).contains(&gradients), "{gradients}");
    let inference = PlanSpec::infer(32, SIDE, Mode::Classify).kernels(DType::Bf16);
    let inference = Plan::new(&config, inference).unwrap();
    assert_eq!(inference.first_backward_step(), None);
    let plain = inference.memory();
    assert_eq!((plain.saved, plain.gradients, plain.optimizer), (0, 0, 0));
    assert_eq!(plain.parameters, inference.param_bytes());
    assert_eq!(plain.workspace, inference.workspace_bytes());
    // matrices of products twice, but for the first convolution; nothing else
    let (one, two) = (plain.parameters, memory.parameters);
    assert!(two > one * 19 / 10 && two < 2 * one, "{one} and {two}");
    assert!(memory.saved < memory.workspace);
    let parts = inputs + two + gradients + memory.workspace + memory.optimizer;
    assert_eq!(memory.total(), parts);
}

#[test]
fn a_frozen_stage_saves_nothing() {
    let config = Variant::Tiny.config();
    let saved = |frozen_stages, input_gradient| {
        let train = Train {
            frozen_stages,
            input_gradient,
            ..Train::default()
        };
        let plan = plan(&config, 2, train);
        // nor does it write the hidden layer of its MLPs, as stages with gradients do
        let kept = plan
            .steps()
            .iter()
            .filter(|s| s.shapes().contains("gelu kept"));
        let first = if input_gradient { 0 } else { frozen_stages };
        let trained: usize = config.stages[first..].iter().map(|s| s.depth).sum();
        assert_eq!(kept.count(), trained, "{frozen_stages} stages");
        plan.memory()
    };
    let all = saved(0, false);
    let mut before = all;
    for frozen in 1..=4 {
        let memory = saved(frozen, false);
        assert!(memory.saved < before.saved, "{frozen} stages");
        assert!(memory.gradients < before.gradients, "{frozen} stages");
        assert!(memory.optimizer < before.optimizer, "{frozen} stages");
        before = memory;
    }
    // the class token's row of the last stage, in whole, and the logits
    assert_eq!(before.saved, 2 * (50 * 512 * 2 + 1000 * 4));
    assert_eq!(
        saved(2, true).saved,
        all.saved,
        "the way to the pixels needs all"
    );
}

/// A buffer that the backward pass writes before it reads it need not be kept.
#[test]
fn all_that_is_saved_is_read_by_the_backward_pass_first() {
    for kernels in [None, Some(DType::Bf16), Some(DType::F32)] {
        for mode in [Mode::Classify, Mode::Backbone] {
            for keep in KEEPS {
                for image in [SIDE, ImageSize::square(320)] {
                    let spec = PlanSpec {
                        kernels,
                        ..PlanSpec::train(2, image, mode, keeping(keep))
                    };
                    let plan = Plan::new(&Variant::Tiny.config(), spec).unwrap();
                    let at = plan.first_backward_step().unwrap();
                    let (forward, backward) = plan.steps().split_at(at);
                    let touches = |step: &&Step, id: &BufferId| {
                        let (reads, writes) = step.buffers();
                        reads.contains(id) || writes.contains(id)
                    };
                    let saved = plan.saved();
                    assert!(!saved.is_empty());
                    for id in &saved {
                        let made = forward.iter().find(|s| touches(s, id)).unwrap();
                        let used = backward.iter().find(|s| touches(s, id)).unwrap();
                        let gelu = used.shapes().contains("gelu'"); // takes it as it stands
                        assert!(
                            used.buffers().0.contains(id) || gelu,
                            "{kernels:?} {mode:?} {keep}: {} of {} is written by {}",
                            plan.describe(*id),
                            made.label(),
                            used.label()
                        );
                    }
                }
            }
        }
    }
}
