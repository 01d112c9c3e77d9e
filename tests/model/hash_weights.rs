//! PVT-Tiny with weights defined by hashes, against float64 values of the published code.

use pvt_cuda::config::{Mode, Variant};
use pvt_cuda::executor::Executor;
use pvt_cuda::model::PlanSpec;
use pvt_cuda::shape::ImageSize;
use pvt_testkit::compare;

use crate::support::{run, size};

fn tiny(spec: PlanSpec) -> Executor {
    run(&Variant::Tiny.config(), spec)
}

/// A tensor by its norm and some elements: (distance from the first, or from the last if negative, value).
struct Tensor {
    name: &'static str,
    shape: &'static [usize],
    norm: f64,
    elements: [f64; 3],
}

const fn tensor(
    name: &'static str,
    shape: &'static [usize],
    norm: f64,
    elements: [f64; 3],
) -> Tensor {
    Tensor {
        name,
        shape,
        norm,
        elements,
    }
}

/// Compares the norm and three elements (index 0, 1 and the last).
fn check(executor: &Executor, tensors: &[Tensor]) {
    for t in tensors {
        let output = executor.plan().output(t.name);
        let view = &output
            .unwrap_or_else(|| panic!("no output {}", t.name))
            .view;
        assert_eq!(view.shape, t.shape, "{}", t.name);
        let values = executor.read(view);
        let norm = compare::norm(&values);
        assert!(
            (norm / t.norm - 1.0).abs() < 1e-6,
            "{}: norm {norm}, {}",
            t.name,
            t.norm
        );
        let found = [values[0], values[1], values[values.len() - 1]];
        // elements of order 1, after up to 8 blocks in f32
        for (found, want) in found.map(f64::from).into_iter().zip(t.elements) {
            assert!(
                (found - want).abs() < 1e-5,
                "{}: {found}, expected {want}",
                t.name
            );
        }
    }
}

#[test]
fn tiny_at_224_gives_the_published_logits() {
    let spec = PlanSpec::infer(2, ImageSize::square(224), Mode::Classify);
    let logits = tiny(spec).output("logits").unwrap();
    let first = [
        -1.951_606_299,
        6.667_082_239e-1,
        -2.203_523_569e-1,
        7.411_549_111e-1,
        1.469_869_973e-2,
    ];
    let last = [
        -5.054_558_505e-1,
        2.346_964_130,
        -2.102_895_893e-1,
        -3.170_588_620e-1,
        1.145_981_152,
    ];
    for (found, want) in logits[..5]
        .iter()
        .zip(first)
        .chain(logits[1995..].iter().zip(last))
    {
        assert!((f64::from(*found) - want).abs() < 4e-6, "{found} {want}");
    }
    assert!((compare::norm(&logits) - 4.338_225_060e1).abs() < 1e-5);
}

#[test]
fn tiny_at_224_gives_the_published_intermediate_tensors() {
    let spec = PlanSpec {
        trace: true,
        ..PlanSpec::infer(2, ImageSize::square(224), Mode::Classify)
    };
    let run = tiny(spec);
    check(
        &run,
        &[
            tensor(
                "patch_embed1.tokens",
                &[2, 3136, 64],
                6.306_153_588e2,
                [2.220_281_511e-1, 6.186_320_449e-1, -1.999_413_906e-1],
            ),
            tensor(
                "stage1.input",
                &[2, 3136, 64],
                6.563_491_070e2,
                [-7.964_885_575e-2, 9.745_427_462e-1, -5.051_990_678e-2],
            ),
            tensor(
                "block1.0.norm1",
                &[2, 3136, 64],
                6.291_589_120e2,
                [-1.573_697_228e-1, 7.378_796_619e-1, 4.342_746_400e-2],
            ),
            tensor(
                "block1.0.attn.q",
                &[2, 1, 3136, 64],
                6.177_673_719e2,
                [2.617_919_469e-1, 9.430_267_907e-1, -1.384_983_663e-2],
            ),
            tensor(
                "block1.0.attn.kv_tokens",
                &[2, 49, 64],
                7.868_042_858e1,
                [2.716_021_273e-1, -2.814_099_895e-1, 1.789_426_282],
            ),
            tensor(
                "block1.0.attn.out",
                &[2, 3136, 64],
                1.689_101_425e2,
                [-5.467_986_545e-2, -4.598_177_117e-2, -2.058_630_147e-2],
            ),
            tensor(
                "block1.0.norm2",
                &[2, 3136, 64],
                6.327_172_920e2,
                [-1.944_531_154e-1, 9.895_118_704e-1, -1.911_412_445e-2],
            ),
            tensor(
                "block1.0.out",
                &[2, 3136, 64],
                7.928_993_192e2,
                [-3.365_076_902e-1, 1.492_544_836, 1.222_013_508e-1],
            ),
            tensor(
                "block1.1.out",
                &[2, 3136, 64],
                9.371_233_827e2,
                [-1.092_726_560, 8.883_672_892e-1, -1.036_633_701e-1],
            ),
            tensor(
                "block2.1.out",
                &[2, 784, 128],
                7.340_380_994e2,
                [6.827_573_996e-1, 5.162_798_493e-1, 2.010_689_498],
            ),
            tensor(
                "block3.1.out",
                &[2, 196, 320],
                6.433_776_713e2,
                [-3.543_565_135, 3.235_264_087, -1.733_713_993e-1],
            ),
            tensor(
                "stage4.input",
                &[2, 50, 512],
                2.341_823_066e2,
                [-8.873_489_785e-1, 4.591_788_966e-1, -3.291_006_076e-1],
            ),
            tensor(
                "block4.0.attn.out",
                &[2, 50, 512],
                1.820_226_793e2,
                [-5.977_486_214e-2, -7.813_452_568e-1, 7.470_855_216e-1],
            ),
            tensor(
                "block4.1.out",
                &[2, 50, 512],
                3.968_883_221e2,
                [7.948_119_419e-2, 6.391_817_212e-1, 2.027_476_853],
            ),
            tensor(
                "final_norm",
                &[2, 50, 512],
                2.276_000_338e2,
                [3.891_948_457e-2, 2.502_811_575e-1, 1.209_806_373],
            ),
        ],
    );
    // published channels first: [2, 64, 7, 7]
    let conv = run.output("block1.0.attn.sr_conv").unwrap();
    assert!((compare::norm(&conv) / 7.893_196_709e1 - 1.0).abs() < 1e-6);
    let found = [conv[0], conv[64], conv[conv.len() - 1]];
    let want = [4.256_877_903e-1, 1.868_968_857e-1, 1.816_867_344];
    for (found, want) in found.map(f64::from).into_iter().zip(want) {
        assert!((found - want).abs() < 1e-5, "{found} {want}");
    }
    // published as one tensor [2, 49, 128], keys then values
    let (k, v) = (
        run.output("block1.0.attn.k").unwrap(),
        run.output("block1.0.attn.v").unwrap(),
    );
    let norm = compare::norm(&k).hypot(compare::norm(&v));
    assert!((norm / 1.106_569_810e2 - 1.0).abs() < 1e-6);
    let found = [k[0], k[1], v[v.len() - 1]];
    let want = [-1.948_587_950, -5.850_517_582e-1, 1.474_211_250e-1];
    for (found, want) in found.map(f64::from).into_iter().zip(want) {
        assert!((found - want).abs() < 1e-5, "{found} {want}");
    }
}

#[test]
fn tiny_resizes_its_position_tables_as_published() {
    let trace = |mode, image| {
        tiny(PlanSpec {
            trace: true,
            ..PlanSpec::infer(1, image, mode)
        })
    };
    let first = |grid, norm, elements| tensor("pos_embed1.resized", grid, norm, elements);
    check(
        &trace(Mode::Classify, size(100, 130)),
        &[first(
            &[1, 800, 64],
            4.319_867_297e1,
            [8.764_490_213e-3, -1.226_593_717e-1, -1.087_836_537e-1],
        )],
    );
    check(
        &trace(Mode::Backbone, size(256, 320)),
        &[first(
            &[1, 5120, 64],
            1.106_478_749e2,
            [-3.016_770_069e-1, 3.559_107_013e-1, 1.494_214_839e-1],
        )],
    );
    // the published values are those of the table that has a class row, which comes first here
    let run = trace(Mode::Classify, size(100, 130));
    let table = run.output("pos_embed4.resized").unwrap();
    assert_eq!(table.len(), 13 * 512);
    let grid = &table[512..];
    assert!((compare::norm(grid) / 1.533_339_292e1 - 1.0).abs() < 1e-6);
    let found = [grid[0], grid[1], grid[grid.len() - 1]];
    let want = [6.258_957_012e-2, -5.837_672_016e-2, 1.722_050_975e-1];
    for (found, want) in found.map(f64::from).into_iter().zip(want) {
        assert!((found - want).abs() < 1e-6, "{found} {want}");
    }
}

#[test]
fn tiny_at_100x130_gives_the_published_logits() {
    let run = tiny(PlanSpec::infer(1, size(100, 130), Mode::Classify));
    let logits = run.output("logits").unwrap();
    let first = [
        -1.567_722_436,
        1.847_121_634,
        7.939_625_190e-1,
        -4.162_812_314e-1,
        4.368_781_158e-2,
    ];
    let last = [
        -6.523_620_350e-1,
        2.002_308_984,
        2.644_139_420e-1,
        -2.118_524_910e-1,
        1.646_166_387,
    ];
    for (found, want) in logits[..5]
        .iter()
        .zip(first)
        .chain(logits[995..].iter().zip(last))
    {
        assert!((f64::from(*found) - want).abs() < 5e-6, "{found} {want}");
    }
    assert!((compare::norm(&logits) - 3.096_895_086e1).abs() < 1e-5);
    let sum: f64 = compare::widen(&logits).iter().sum();
    assert!((sum - 2.959_498_942e1).abs() < 2e-4, "{sum}");
    assert_eq!(
        (0..1000).max_by(|&a, &b| logits[a].total_cmp(&logits[b])),
        Some(890)
    );
}
