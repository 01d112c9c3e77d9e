//! Plans: steps, parameters, costs, memory, and what cannot be planned.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use pvt_cuda::Error;
use pvt_cuda::config::{ConfigError, LnEps, Mode, PvtConfig, StageConfig, Variant};
use pvt_cuda::model::PlanSpec;
use pvt_cuda::plan::Plan;
use pvt_cuda::shape::{ImageSize, ShapeError};
use pvt_cuda::weights::Manifest;

const MODES: [Mode; 2] = [Mode::Classify, Mode::Backbone];

fn plan(config: &PvtConfig, batch: usize, (height, width): (usize, usize), mode: Mode) -> Plan {
    Plan::new(
        config,
        PlanSpec::infer(batch, ImageSize { height, width }, mode),
    )
    .unwrap()
}

/// One block a stage, few channels, position tables for 64x64.
fn toy() -> PvtConfig {
    let stage = |embed_dim, num_heads, sr_ratio, patch_size| StageConfig {
        embed_dim,
        num_heads,
        depth: 1,
        mlp_ratio: 2,
        sr_ratio,
        patch_size,
    };
    PvtConfig {
        in_chans: 3,
        img_size: ImageSize::square(64),
        num_classes: 5,
        qkv_bias: true,
        ln_eps: LnEps::OFFICIAL,
        stages: [
            stage(8, 1, 8, 4),
            stage(16, 2, 4, 2),
            stage(24, 3, 1, 2),
            stage(32, 4, 1, 2),
        ],
        preprocess: None,
        labels: None,
    }
}

/// Compares with the file of that name; writes it instead where `PVT_BLESS` is set.
fn check_snapshot(name: &str, text: &str) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/plan");
    let path = folder.join(name);
    if std::env::var_os("PVT_BLESS").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = |(a, b): &(Option<&str>, Option<&str>)| a != b;
    let (mut left, mut right) = (want.lines(), text.lines());
    let pairs = std::iter::from_fn(|| match (left.next(), right.next()) {
        (None, None) => None,
        pair => Some(pair),
    });
    if let Some((at, (old, new))) = pairs.enumerate().find(|(_, pair)| differs(pair)) {
        panic!(
            "the plan is not that of tests/fixtures/plan/{name}, from line {}:\n  was {}\n  is  {}\n\
             set PVT_BLESS=1 to write the new plan, then review it with `git diff tests/fixtures/plan`",
            at + 1,
            old.unwrap_or("(end)"),
            new.unwrap_or("(end)")
        );
    }
}

#[test]
fn toy_plans_are_those_of_the_snapshots() {
    for (mode, name) in MODES.into_iter().zip(["classify.txt", "backbone.txt"]) {
        // 96x64: every position table is resized
        check_snapshot(name, &plan(&toy(), 2, (96, 64), mode).to_string());
    }
}

#[test]
fn parameters_of_a_plan_are_those_of_the_manifest() {
    let mut unbiased = toy();
    unbiased.qkv_bias = false;
    let variants = Variant::ALL.map(Variant::config).into_iter();
    for config in variants.chain([toy(), unbiased]) {
        for mode in MODES {
            let manifest = Manifest::for_config(&config, mode).unwrap();
            let want = manifest
                .params()
                .iter()
                .map(|p| (p.name.as_str(), p.shape.as_slice()));
            let plan = plan(&config, 1, (64, 96), mode);
            let found = plan
                .params()
                .iter()
                .map(|p| (p.name.as_str(), p.shape.as_slice()));
            assert_eq!(found.len(), want.len(), "one parameter twice");
            assert_eq!(
                found.collect::<BTreeSet<_>>(),
                want.collect::<BTreeSet<_>>()
            );
        }
    }
}

/// Multiply-adds of one image by the role of the product, from closed forms.
fn macs(
    variant: Variant,
    (height, width): (usize, usize),
    mode: Mode,
) -> BTreeMap<&'static str, u64> {
    let (dims, depths) = match variant {
        Variant::Tiny => ([64, 128, 320, 512], [2, 2, 2, 2]),
        Variant::Small => ([64, 128, 320, 512], [3, 4, 6, 3]),
        Variant::Medium => ([64, 128, 320, 512], [3, 4, 18, 3]),
        Variant::Large => ([64, 128, 320, 512], [3, 8, 27, 3]),
        Variant::Huge => ([128, 256, 512, 768], [3, 10, 60, 3]),
    };
    let mut sums = BTreeMap::new();
    let mut add = |role, macs: usize| *sums.entry(role).or_insert(0) += macs as u64;
    for (s, (stride, (patch, (sr, ratio)))) in [4, 8, 16, 32]
        .into_iter()
        .zip(
            [4, 2, 2, 2]
                .into_iter()
                .zip([8, 4, 2, 1].into_iter().zip([8, 8, 4, 4])),
        )
        .enumerate()
    {
        let (h, w, c) = (height / stride, width / stride, dims[s]);
        let class = usize::from(mode == Mode::Classify && s == 3);
        let n = h * w + class;
        let m = if sr > 1 { (h / sr) * (w / sr) } else { n };
        let before = if s == 0 { 3 } else { dims[s - 1] };
        add("patch embed", h * w * patch * patch * before * c);
        let blocks = depths[s];
        add("q", blocks * n * c * c);
        add(
            "sr",
            if sr > 1 {
                blocks * m * sr * sr * c * c
            } else {
                0
            },
        );
        add("kv", blocks * m * 2 * c * c);
        add("attention", blocks * 2 * n * m * c);
        add("proj", blocks * n * c * c);
        add("fc1", blocks * n * ratio * c * c);
        add("fc2", blocks * n * ratio * c * c);
    }
    if mode == Mode::Classify {
        add("head", dims[3] * 1000);
    }
    sums
}

/// The role of a step, by its label.
fn role(label: &str) -> &'static str {
    match label.rsplit('.').next().unwrap() {
        "proj" if label.starts_with("patch_embed") => "patch embed",
        "attn" => "attention",
        other => ["q", "sr", "kv", "proj", "fc1", "fc2", "head"]
            .into_iter()
            .find(|role| *role == other)
            .unwrap_or_else(|| panic!("{label} has multiply-adds and no role")),
    }
}

#[test]
fn multiply_adds_by_role_are_those_of_closed_forms() {
    for variant in Variant::ALL {
        for (image, mode) in [
            ((224, 224), Mode::Classify),
            ((224, 224), Mode::Backbone),
            ((800, 1280), Mode::Backbone),
            ((100, 130), Mode::Classify),
        ] {
            let spec = PlanSpec {
                trace: true,
                ..PlanSpec::infer(
                    1,
                    ImageSize {
                        height: image.0,
                        width: image.1,
                    },
                    mode,
                )
            };
            let plan = Plan::new(&variant.config(), spec).unwrap();
            let mut found = BTreeMap::new();
            for step in plan.steps().iter().filter(|s| s.cost().macs > 0) {
                *found.entry(role(step.label())).or_insert(0) += step.cost().macs;
            }
            let want = macs(variant, image, mode);
            assert_eq!(found, want, "{variant} at {image:?}");
            assert_eq!(plan.cost().macs, want.values().sum::<u64>());
        }
    }
}

#[test]
fn multiply_adds_are_those_published_for_the_variants() {
    let published = [
        (Variant::Tiny, 1.933, 69.493),
        (Variant::Small, 3.816, 134.144),
        (Variant::Medium, 6.659, 221.389),
        (Variant::Large, 9.814, 323.260),
        (Variant::Huge, 50.493, 1392.759),
    ];
    for (variant, at_224, at_800) in published {
        for (image, mode, billions) in [
            ((224, 224), Mode::Classify, at_224),
            ((800, 1280), Mode::Backbone, at_800),
        ] {
            let found = plan(&variant.config(), 1, image, mode).cost().macs as f64 / 1e9;
            assert!(
                (found - billions).abs() <= 0.0005,
                "{variant} at {image:?}: {found}"
            );
        }
    }
}

#[test]
fn multiply_adds_grow_with_the_batch_and_not_with_fusion() {
    let config = Variant::Small.config();
    let one = plan(&config, 1, (96, 96), Mode::Classify);
    let eight = plan(&config, 8, (96, 96), Mode::Classify);
    assert!(
        eight.steps().len() < one.steps().len(),
        "more rows allow more fused MLPs"
    );
    assert_eq!(eight.cost().macs, 8 * one.cost().macs);
}

/// Bytes of workspace buffers that matter at the same time, at most: from their first step to their
/// last, results to the end, and what is made at set-up always.
fn peak(plan: &Plan) -> usize {
    let mut lives: BTreeMap<_, (usize, usize, usize)> = BTreeMap::new();
    let end = plan.steps().len();
    // a description names a buffer by place and size, such as `ws+0x1c00[200704]`
    let len = |id| {
        let text = plan.describe(id);
        let len = text.strip_prefix("ws+").and_then(|t| t.split_once('['));
        len.map(|(_, len)| len.trim_end_matches(']').parse::<usize>().unwrap())
    };
    let mut touch = |id, at: usize| {
        if let Some(len) = len(id) {
            let life = lives.entry(id).or_insert((at, at, len));
            *life = (life.0.min(at), life.1.max(at), len);
        }
    };
    for id in plan.setup().iter().flat_map(|step| step.buffers().1) {
        touch(id, 0);
        touch(id, end);
    }
    for (at, step) in plan.steps().iter().enumerate() {
        let (reads, writes) = step.buffers();
        reads.into_iter().chain(writes).for_each(|id| touch(id, at));
    }
    plan.outputs()
        .iter()
        .for_each(|o| touch(o.view.buffer, end));
    let live = |at: usize| {
        let alive = lives
            .values()
            .filter(|(first, last, _)| (*first..=*last).contains(&at));
        alive.map(|(.., len)| len * size_of::<f32>()).sum()
    };
    (0..=end).map(live).max().unwrap()
}

#[test]
fn the_workspace_is_hardly_larger_than_what_is_alive_at_once() {
    for variant in [Variant::Tiny, Variant::Small, Variant::Large] {
        for mode in MODES {
            for (batch, image) in [
                (1, (224, 224)),
                (8, (224, 224)),
                (1, (100, 130)),
                (1, (800, 1280)),
            ] {
                let plan = plan(&variant.config(), batch, image, mode);
                let (peak, workspace) = (peak(&plan), plan.workspace_bytes());
                let case = format!("{variant} {mode:?} {batch}x{image:?}: {workspace} of {peak}");
                assert!(peak <= workspace, "{case}");
                assert!(workspace as f64 <= 1.15 * peak as f64, "{case}");
            }
        }
    }
}

#[test]
fn buffers_of_the_workspace_end_where_it_ends() {
    for (mode, trace) in [(Mode::Classify, false), (Mode::Backbone, true)] {
        let spec = PlanSpec {
            trace,
            ..PlanSpec::infer(2, ImageSize::square(96), mode)
        };
        let plan = Plan::new(&toy(), spec).unwrap();
        let steps = plan.setup().iter().chain(plan.steps());
        let ids = steps.flat_map(|s| [s.buffers().0, s.buffers().1].concat());
        let ends = ids.filter_map(|id| {
            let text = plan.describe(id);
            let (offset, len) = text.strip_prefix("ws+0x")?.split_once('[')?;
            let len: usize = len.trim_end_matches(']').parse().unwrap();
            Some(usize::from_str_radix(offset, 16).unwrap() + len * size_of::<f32>())
        });
        let last = ends.max().unwrap();
        // buffers start at multiples of 256 bytes
        assert_eq!(
            last.next_multiple_of(256),
            plan.workspace_bytes(),
            "{mode:?}"
        );
    }
}

fn refused(config: &PvtConfig, batch: usize, image: ImageSize, mode: Mode) -> Error {
    for trace in [false, true] {
        let spec = PlanSpec {
            trace,
            ..PlanSpec::infer(batch, image, mode)
        };
        assert!(Plan::new(config, spec).is_err(), "{spec:?}");
    }
    Plan::new(config, PlanSpec::infer(batch, image, mode)).unwrap_err()
}

#[test]
fn a_batch_of_nothing_is_refused() {
    for mode in MODES {
        let error = refused(&toy(), 0, ImageSize::square(64), mode);
        assert!(
            matches!(error, Error::Shape(ShapeError::EmptyBatch)),
            "{error}"
        );
    }
}

#[test]
fn a_batch_that_memory_cannot_hold_is_refused() {
    for mode in MODES {
        for variant in Variant::ALL {
            for batch in [
                usize::MAX,
                usize::MAX / 2,
                usize::MAX / 4,
                1 << 50,
                1 << 44,
                1 << 42,
            ] {
                let error = refused(&variant.config(), batch, ImageSize::square(224), mode);
                let overflow = matches!(error, Error::Shape(ShapeError::Overflow { .. }));
                assert!(overflow, "{batch} images: {error}");
            }
        }
    }
}

#[test]
fn an_image_too_small_or_too_large_is_refused() {
    for mode in MODES {
        for (height, width) in [(0, 0), (31, 32), (32, 31), (1, 10_000), (0, 64)] {
            let error = refused(
                &Variant::Tiny.config(),
                1,
                ImageSize { height, width },
                mode,
            );
            assert!(
                matches!(
                    error,
                    Error::Config(ConfigError::ImageTooSmall { min_side: 32, .. })
                ),
                "{error}"
            );
        }
        for side in [16_385, usize::MAX] {
            let error = refused(&Variant::Tiny.config(), 1, ImageSize::square(side), mode);
            let too_large = matches!(error, Error::Config(ConfigError::ImageTooLarge { .. }));
            assert!(too_large, "{error}");
        }
    }
}

#[test]
fn plans_are_equal_when_made_twice() {
    let make = || plan(&Variant::Small.config(), 3, (100, 130), Mode::Backbone);
    assert_eq!(make(), make());
}
