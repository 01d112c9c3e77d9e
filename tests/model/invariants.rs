//! What must not change a single bit, and sizes of any ratio.

use pvt_cuda::config::{Mode, PvtConfig, Variant};
use pvt_cuda::model::PlanSpec;
use pvt_cuda::shape::ImageSize;
use pvt_testkit::{compare, hash};

use crate::support::{executor, narrow, outputs, size};

/// Whether two results are equal bit for bit.
fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

const MODES: [Mode; 2] = [Mode::Classify, Mode::Backbone];

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    for mode in MODES {
        let spec = PlanSpec::infer(2, size(100, 130), mode);
        let run = |threads| {
            let mut executor = executor(&Variant::Tiny.config(), spec, threads);
            let input = hash::image(executor.plan().input_len());
            executor.run(&input).unwrap();
            outputs(&executor)
        };
        let one = run(1);
        for threads in [2, 3] {
            for ((name, want), (_, found)) in one.iter().zip(run(threads)) {
                assert!(
                    same_bits(want, &found),
                    "{name} with {threads} threads, {mode:?}"
                );
            }
        }
    }
}

/// Runs each image alone and all together.
fn check_batches(config: &PvtConfig, image: ImageSize, batches: &[usize]) {
    for mode in MODES {
        let mut alone = executor(config, PlanSpec::infer(1, image, mode), 2);
        let len = alone.plan().input_len();
        for &batch in batches {
            let input = hash::image(batch * len);
            let mut together = executor(config, PlanSpec::infer(batch, image, mode), 2);
            together.run(&input).unwrap();
            let together = outputs(&together);
            for (b, input) in input.chunks(len).enumerate() {
                alone.run(input).unwrap();
                for ((name, found), (_, all)) in outputs(&alone).iter().zip(&together) {
                    let want = &all[b * found.len()..][..found.len()];
                    assert!(
                        same_bits(found, want),
                        "{name}, image {b} of {batch}, {mode:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn an_image_has_the_same_bits_alone_and_in_a_batch() {
    check_batches(&narrow(), size(70, 97), &[3, 8]);
    check_batches(&Variant::Tiny.config(), size(100, 130), &[3]);
    check_batches(&Variant::Tiny.config(), size(64, 32), &[8]);
}

#[test]
fn a_trace_gives_the_results_of_a_plain_run() {
    // at 224x224 the plain plan of PVT-Tiny has the MLPs of stage 1 and 2 as one step each
    for (config, image) in [
        (Variant::Tiny.config(), size(224, 224)),
        (narrow(), size(100, 130)),
    ] {
        for mode in MODES {
            let spec = PlanSpec::infer(1, image, mode);
            let mut plain = executor(&config, spec, 2);
            let mut trace = executor(
                &config,
                PlanSpec {
                    trace: true,
                    ..spec
                },
                2,
            );
            let fused = plain
                .plan()
                .steps()
                .iter()
                .filter(|s| s.op() == "mlp")
                .count();
            assert!(image.height < 224 || fused >= 2, "{fused} fused MLPs");
            assert!(trace.plan().steps().iter().all(|s| s.op() != "mlp"));
            let input = hash::image(plain.plan().input_len());
            plain.run(&input).unwrap();
            trace.run(&input).unwrap();
            for (name, found) in outputs(&plain) {
                // not the same bits: a trace rounds a branch before adding it to the stream
                let traced = compare::widen(&trace.output(&name).unwrap());
                let error = compare::rel_l2(&found, &traced);
                assert!(error < 1e-6, "{name}, {mode:?}: {error:e}");
            }
        }
    }
}

#[test]
fn a_batch_that_fuses_has_the_bits_of_images_that_do_not() {
    // one image of 96x96 has 576 rows in stage 1, too few for a fused MLP; four have enough
    let steps = |batch| {
        let spec = PlanSpec::infer(batch, ImageSize::square(96), Mode::Backbone);
        let executor = executor(&Variant::Tiny.config(), spec, 1);
        executor
            .plan()
            .steps()
            .iter()
            .filter(|s| s.op() == "mlp")
            .count()
    };
    assert!(steps(1) == 0 && steps(4) > 0);
    check_batches(&Variant::Tiny.config(), ImageSize::square(96), &[4]);
}

#[test]
fn images_of_any_ratio_run_in_both_modes() {
    for (image, config) in [
        (size(32, 32), Variant::Tiny.config()),
        (size(33, 47), Variant::Tiny.config()),
        (size(100, 130), narrow()),
        (size(448, 448), narrow()),
        (size(512, 1568), narrow()),
        (size(224, 448), Variant::Tiny.config()),
        (size(32, 1000), narrow()),
        (size(1000, 33), narrow()),
    ] {
        for mode in MODES {
            let mut executor = executor(&config, PlanSpec::infer(1, image, mode), 2);
            let input = hash::image(executor.plan().input_len());
            executor.run(&input).unwrap();
            let stages = config.stages.iter().zip([4, 8, 16, 32]);
            let maps = stages.map(|(s, stride)| {
                vec![1, s.embed_dim, image.height / stride, image.width / stride]
            });
            let want: Vec<Vec<usize>> = match mode {
                Mode::Classify => vec![vec![1, config.num_classes]],
                Mode::Backbone => maps.collect(),
            };
            let views = executor
                .plan()
                .outputs()
                .iter()
                .map(|o| o.view.shape.clone());
            assert_eq!(views.collect::<Vec<_>>(), want, "{image}, {mode:?}");
            for (name, values) in outputs(&executor) {
                assert!(
                    values.iter().all(|v| v.is_finite()),
                    "{name} of {image}, {mode:?}"
                );
            }
        }
    }
}

#[test]
fn a_second_run_has_the_bits_of_the_first() {
    let spec = PlanSpec::infer(1, size(70, 97), Mode::Backbone);
    let mut executor = executor(&narrow(), spec, 2);
    let input = hash::image(executor.plan().input_len());
    executor.run(&input).unwrap();
    let first = outputs(&executor);
    executor.run(&vec![1e3; input.len()]).unwrap();
    executor.run(&input).unwrap();
    for ((name, want), (_, found)) in first.iter().zip(outputs(&executor)) {
        assert!(same_bits(want, &found), "{name}");
    }
}
