//! Every launch that a plan can make, against the kernels' own PTX: arguments by number, size and kind,
//! threads of a block, shared memory. No device is needed.

use std::collections::{BTreeMap, BTreeSet};

use pvt_cuda::DType;
use pvt_cuda::config::{Mode, PvtConfig, Variant};
use pvt_cuda::launch::{Arg, Launch, MOST_ARGS};
use pvt_cuda::model::{Input, Keep, PlanSpec, Train};
use pvt_cuda::plan::{Plan, Step};
use pvt_cuda::shape::ImageSize;

use crate::table::built;

const DTYPES: [DType; 4] = [DType::F32, DType::Tf32, DType::F16, DType::Bf16];

const KEEPS: [Keep; 3] = [Keep::Everything, Keep::Recompute, Keep::Blocks];

/// Modules of no plan, with the reason; their launches are held to their kernels beside them.
const OF_NO_PLAN: [(&str, &str); 2] = [
    ("grad_norm", "works on the gradients of a run, after it"),
    ("adamw", "updates parameters between runs"),
];

const BYTES: Input = Input::Bytes {
    mean: [0.5; 3],
    std: [0.25; 3],
};

/// What PTX says of an entry.
#[derive(Debug)]
struct Entry {
    params: Vec<String>,
    most_threads: u32,
}

/// All entries of this build.
fn entries() -> BTreeMap<String, Entry> {
    let mut all = BTreeMap::new();
    for module in built() {
        for text in module.ptx.split(".entry ").skip(1) {
            let (name, rest) = text.split_once('(').unwrap();
            let (params, rest) = rest.split_once(')').unwrap();
            let kinds = params.lines().filter_map(|line| {
                let mut words = line.split_whitespace();
                (words.next() == Some(".param")).then(|| words.next().unwrap().to_owned())
            });
            let (head, _) = rest.split_once('{').unwrap();
            let threads = head.split(".maxntid").nth(1).expect("launch bounds");
            let threads = threads.lines().next().unwrap().split(',');
            let threads = threads.map(|n| n.trim().parse::<u32>().unwrap());
            let entry = Entry {
                params: kinds.collect(),
                most_threads: threads.product(),
            };
            all.insert(name.trim().to_owned(), entry);
        }
    }
    all
}

fn micro() -> Vec<PvtConfig> {
    [
        "v1-micro",
        "v1-micro-rect",
        "v1-micro-d64",
        "v1-micro-lowvar",
    ]
    .map(|case| {
        let path = format!("tests/fixtures/reference/{case}/config.json");
        PvtConfig::from_file(path).unwrap()
    })
    .into()
}

/// Heads of 32 and of 128 channels.
fn widths() -> [PvtConfig; 2] {
    [2, 1].map(|heads| {
        let mut config = Variant::Tiny.config();
        for (stage, (channels, heads)) in [(64, 2), (128, 4), (256, 2 * heads), (512, 4 * heads)]
            .into_iter()
            .enumerate()
        {
            config.stages[stage].embed_dim = channels;
            config.stages[stage].num_heads = heads;
        }
        config
    })
}

/// Training in every way: what is kept, with and without stochastic depth and the gradient of the pixels, with frozen
/// stages; traces have all of it.
fn training() -> impl Iterator<Item = (bool, Option<Train>)> {
    KEEPS.into_iter().flat_map(|keep| {
        let plain = Train {
            keep,
            ..Train::default()
        };
        let all = Train {
            drop_path: true,
            input_gradient: true,
            label_smoothing: 0.1,
            ..plain
        };
        let frozen = Train {
            frozen_stages: 2,
            ..plain
        };
        [(false, plain), (false, all), (false, frozen), (true, all)]
            .map(|(trace, train)| (trace, Some(train)))
    })
}

/// Plans that between them use every kernel: models, sizes, batches, modes, traces, training.
fn launches(mut look: impl FnMut(&Launch)) {
    let square = ImageSize::square;
    let odd = ImageSize {
        height: 100,
        width: 132,
    };
    let published = Variant::ALL.map(Variant::config);
    let configs = published.into_iter().chain(micro()).chain(widths());
    let ways: Vec<_> = [(false, None), (true, None)]
        .into_iter()
        .chain(training())
        .collect();
    for config in configs {
        for (image, batch) in [
            (square(224), 1),
            (square(224), 32),
            (square(224), 1024),
            (square(64), 3),
            (odd, 2),
            (square(448), 1),
        ] {
            for dtype in DTYPES {
                for mode in [Mode::Classify, Mode::Backbone] {
                    for &(trace, train) in &ways {
                        let spec = PlanSpec {
                            trace,
                            input: if trace { BYTES } else { Input::Normalised },
                            train,
                            ..PlanSpec::infer(batch, image, mode).kernels(dtype)
                        };
                        let plan = Plan::new(&config, spec).unwrap();
                        plan.setup()
                            .iter()
                            .flat_map(Step::launches)
                            .for_each(&mut look);
                        plan.launches().for_each(&mut look);
                    }
                }
            }
        }
    }
}

#[test]
fn every_launch_is_what_its_kernel_takes() {
    let entries = entries();
    let mut used = BTreeSet::new();
    launches(|launch| {
        let name = launch.kernel.to_string();
        let entry = entries
            .get(&name)
            .unwrap_or_else(|| panic!("no entry {name}"));
        let kinds = launch.args.iter().map(|arg| match arg {
            Arg::Buffer(..) | Arg::Null | Arg::U64(_) => ".u64",
            Arg::U32(_) => ".u32",
            Arg::F32(_) => ".f32",
        });
        assert!(
            kinds.eq(entry.params.iter().map(String::as_str)),
            "{launch:?}: {entry:?}"
        );
        assert!(launch.args.len() <= MOST_ARGS, "{launch:?}");
        assert!(launch.threads() <= entry.most_threads, "{launch:?}");
        assert!(launch.threads().is_multiple_of(32), "{launch:?}");
        assert!(launch.grid.iter().all(|&n| n > 0), "{launch:?}");
        assert!(
            launch.grid[1] <= 0xffff && launch.grid[2] <= 0xffff,
            "{launch:?}"
        );
        assert!(launch.shared <= 99 * 1024, "{launch:?}");
        used.insert(name);
    });
    let excused = |name: &str| OF_NO_PLAN.iter().any(|(m, _)| name.starts_with(m));
    let of_no_plan = used.iter().filter(|name| excused(name));
    assert_eq!(of_no_plan.count(), 0, "an exception is not needed");
    let idle: Vec<&String> = entries
        .keys()
        .filter(|name| !used.contains(*name) && !excused(name))
        .collect();
    assert!(idle.is_empty(), "{idle:?}");
}

/// The launches of a forward pass are a gate: fewer is better, more needs a reason.
#[test]
fn forward_passes_have_few_launches() {
    for (variant, most) in [(Variant::Tiny, 60), (Variant::Small, 110)] {
        let spec = PlanSpec::infer(1, ImageSize::square(224), Mode::Classify);
        for dtype in DTYPES {
            let plan = Plan::new(&variant.config(), spec.kernels(dtype)).unwrap();
            let found = plan.launches().count();
            println!("{variant} {dtype}: {found} launches");
            assert!(
                found <= most,
                "{variant} {dtype}: {found} launches, at most {most}"
            );
        }
    }
}

/// The same for a step of training, by what is kept.
#[test]
fn training_steps_have_few_launches() {
    // batch, launches where everything, what costs most to compute, and inputs of blocks alone are kept
    for (batch, most) in [(1, [397, 442, 487]), (32, [397, 442, 487])] {
        for (keep, most) in KEEPS.into_iter().zip(most) {
            let train = Train {
                keep,
                ..Train::default()
            };
            let image = ImageSize::square(224);
            let spec = PlanSpec::train(batch, image, Mode::Classify, train).kernels(DType::Bf16);
            let plan = Plan::new(&Variant::Small.config(), spec).unwrap();
            let (found, steps) = (plan.launches().count(), plan.steps().len());
            println!("batch {batch}, {keep}: {found} launches of {steps} steps");
            assert!(
                found <= most,
                "batch {batch}, {keep}: {found} launches, at most {most}"
            );
        }
    }
}
