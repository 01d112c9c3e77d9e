//! Models of any sizes against a forward pass in f64 that shares no code with the crate.

use pvt_cuda::config::{ConfigError, LnEps, Mode, PvtConfig, STAGES};
use pvt_cuda::model::PlanSpec;
use pvt_cuda::plan::Plan;
use pvt_cuda::shape::ImageSize;
use pvt_testkit::oracle_model::{Eps, Model, Output, Stage};
use pvt_testkit::{compare, hash};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::support::{narrow, run, size, stage};

/// Relative L2 error of a whole network in f32: some ten operators deep a block, each good to 5e-7.
const TOLERANCE: f64 = 5e-6;

fn exact(config: &PvtConfig, spec: PlanSpec) -> Output {
    let param = |name: &str, shape: &[usize]| {
        let mut values = vec![0.0; shape.iter().product()];
        hash::parameter(name, shape, &mut values);
        compare::widen(&values)
    };
    let eps = config.ln_eps;
    let model = Model {
        in_chans: config.in_chans,
        img_size: (config.img_size.height, config.img_size.width),
        classes: config.num_classes,
        qkv_bias: config.qkv_bias,
        eps: Eps {
            patch_embed: eps.patch_embed.into(),
            sr: eps.sr.into(),
            block: eps.block.into(),
            last: eps.final_norm.into(),
        },
        stages: config.stages.map(|s| Stage {
            dim: s.embed_dim,
            heads: s.num_heads,
            depth: s.depth,
            hidden: s.embed_dim * s.mlp_ratio,
            sr: s.sr_ratio,
            patch: s.patch_size,
        }),
        param: &param,
    };
    let ImageSize { height, width } = spec.image;
    let image = hash::image(spec.batch * config.in_chans * height * width);
    let classify = spec.mode == Mode::Classify;
    model.forward(
        &compare::widen(&image),
        [spec.batch, height, width],
        classify,
    )
}

/// Runs both modes; classification as a trace too, whose features are those with a class token.
fn check(config: &PvtConfig, batch: usize, image: ImageSize) {
    for mode in [Mode::Classify, Mode::Backbone] {
        let spec = PlanSpec::infer(batch, image, mode);
        let exact = exact(config, spec);
        for trace in [false, true] {
            let found = run(config, PlanSpec { trace, ..spec });
            let compare = |name: &str, exact: &[f64]| {
                let error = compare::rel_l2(&found.output(name).unwrap(), exact);
                assert!(
                    error <= TOLERANCE,
                    "{name} of {image}, {mode:?}, trace {trace}: error {error:e}; {config:?}"
                );
            };
            if mode == Mode::Classify {
                compare("logits", &exact.logits);
            }
            if mode == Mode::Backbone || trace {
                for (s, feature) in (1..).zip(&exact.features) {
                    compare(&format!("feature{s}"), feature);
                }
            }
        }
    }
}

#[test]
fn agrees_at_the_native_size_and_in_a_batch() {
    check(&narrow(), 1, ImageSize::square(224));
    check(&narrow(), 3, size(96, 64));
}

#[test]
fn agrees_where_a_later_grid_has_as_many_positions_as_the_first_native_one() {
    // 56·56 = 3136 positions belong to stage 1 at 224x224, and here to stage 2
    for image in [size(448, 448), size(512, 392), size(224, 896)] {
        let shapes = narrow().stage_shapes(image, Mode::Backbone).unwrap();
        assert_eq!(shapes[1].tokens, 3136);
        check(&narrow(), 1, image);
    }
}

#[test]
fn agrees_where_a_grid_has_as_many_positions_as_its_own_native_one_in_another_shape() {
    // 28·112 = 56·56: the table has the right length and still has to be resized
    check(&narrow(), 1, size(112, 448));
}

#[test]
fn agrees_at_sizes_that_leave_rests() {
    for image in [size(32, 32), size(33, 47), size(100, 130), size(63, 255)] {
        check(&narrow(), 2, image);
    }
}

#[test]
fn agrees_without_biases_of_queries_keys_and_values() {
    let mut config = narrow();
    config.qkv_bias = false;
    check(&config, 1, size(64, 96));
}

#[test]
fn agrees_with_a_large_eps_in_any_one_norm() {
    let field: [fn(&mut LnEps) -> &mut f32; 4] = [
        |e| &mut e.patch_embed,
        |e| &mut e.sr,
        |e| &mut e.block,
        |e| &mut e.final_norm,
    ];
    for field in field {
        let mut config = narrow();
        *field(&mut config.ln_eps) = 0.5;
        check(&config, 1, size(64, 64));
    }
}

#[test]
fn agrees_for_random_odd_models() {
    let mut rng = StdRng::seed_from_u64(1);
    let mut pick = |from: usize, to: usize| rng.random_range(from..=to);
    for _ in 0..40 {
        let mut config = narrow();
        config.in_chans = pick(1, 5);
        config.num_classes = [1, 2, 7, 65][pick(0, 3)];
        config.qkv_bias = pick(0, 1) == 1;
        for (index, s) in config.stages.iter_mut().enumerate() {
            // at least 10 channels: a norm of two or three is close to a step function, which makes
            // a large error of any rounding before it
            let (heads, width) = ([2, 3, 5, 12][pick(0, 3)], [1, 2, 5, 8, 17][pick(0, 4)]);
            let heads = if heads * width < 10 { 10 } else { heads };
            let sr = if index == STAGES - 1 { 1 } else { pick(1, 4) };
            *s = stage([heads * width, heads, pick(1, 2), pick(1, 3), sr, pick(1, 3)]);
        }
        let least = config.min_side();
        let mut sides = [0; 4].map(|_: usize| least + pick(0, 20));
        sides.sort_unstable();
        config.img_size = size(sides[1], sides[2]);
        check(&config, pick(1, 3), size(sides[3], sides[0]));
    }
}

#[test]
fn a_reduced_last_stage_is_refused() {
    let mut config = narrow();
    config.stages[3].sr_ratio = 2;
    let spec = PlanSpec::infer(1, ImageSize::square(224), Mode::Classify);
    let error = Plan::new(&config, spec).unwrap_err();
    let config_error = matches!(
        &error,
        pvt_cuda::Error::Config(ConfigError::OutOfRange { field, found, .. })
            if field == "sr_ratio of stage 4" && found == "2"
    );
    assert!(config_error, "{error}");
}

#[test]
fn a_stage_without_blocks_is_refused() {
    let mut config = narrow();
    config.stages[1].depth = 0;
    let spec = PlanSpec::infer(1, ImageSize::square(224), Mode::Backbone);
    let text = Plan::new(&config, spec).unwrap_err().to_string();
    assert_eq!(text, "depth of stage 2 is 0; expected 1 to 1024");
}
