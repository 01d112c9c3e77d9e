//! Feature maps of PVT-Tiny with hash weights, against float64 values of the published code.
//!
//! The published backbone takes the table of stage 4 from the classifier and drops the row of the
//! class token; here that row is no parameter, so the hash values are those behind it.

use std::sync::Arc;

use pvt_cuda::Error;
use pvt_cuda::config::{Mode, Variant};
use pvt_cuda::executor::{Executor, Params};
use pvt_cuda::model::PlanSpec;
use pvt_cuda::plan::Plan;
use pvt_cuda::shape::ImageSize;
use pvt_cuda::target::cpu::CpuTarget;
use pvt_testkit::{compare, hash};

use crate::support::size;

/// Shape, sum, norm, elements [0,0,0,0], [0,1,0,1] and the last.
type Map = ([usize; 4], f64, f64, [f64; 3]);

fn check(image: ImageSize, maps: &[Map; 4]) {
    let spec = PlanSpec::infer(1, image, Mode::Backbone);
    let plan = Arc::new(Plan::new(&Variant::Tiny.config(), spec).unwrap());
    let params = Params::load(&plan, |p, out| {
        let class_rows = usize::from(p.name == "pos_embed4");
        let mut values = vec![0.0; class_rows * p.shape[p.shape.len() - 1] + out.len()];
        hash::parameter(&p.name, &p.shape, &mut values);
        out.copy_from_slice(&values[values.len() - out.len()..]);
        Ok::<_, Error>(())
    });
    let input = hash::image(plan.input_len());
    let mut run = Executor::new(plan, params.unwrap(), CpuTarget::new(2).unwrap()).unwrap();
    run.run(&input).unwrap();
    for (s, &(shape, sum, norm, elements)) in (1..).zip(maps) {
        let output = run.plan().output(&format!("feature{s}")).unwrap();
        assert_eq!(output.view.shape, shape, "feature{s}");
        let values = run.read(&output.view);
        let found = compare::norm(&values);
        assert!(
            (found / norm - 1.0).abs() < 1e-6,
            "feature{s}: norm {found}, {norm}"
        );
        let found: f64 = compare::widen(&values).iter().sum();
        assert!(
            (found - sum).abs() < 1e-5 * norm,
            "feature{s}: sum {found}, {sum}"
        );
        let found = [
            values[0],
            values[shape[2] * shape[3] + 1],
            values[values.len() - 1],
        ];
        for (found, want) in found.map(f64::from).into_iter().zip(elements) {
            assert!((found - want).abs() < 1e-5, "feature{s}: {found}, {want}");
        }
    }
}

#[test]
fn tiny_backbone_at_100x130_gives_the_published_maps() {
    check(
        size(100, 130),
        &[
            (
                [1, 64, 25, 32],
                3.971_082_798e2,
                3.402_286_565e2,
                [1.047_721_478e-1, -1.007_003_883, 7.764_330_180e-1],
            ),
            (
                [1, 128, 12, 16],
                -2.907_890_329e3,
                2.762_394_825e2,
                [1.725_317_494, 2.322_628_624, -2.768_331_534e-1],
            ),
            (
                [1, 320, 6, 8],
                3.469_043_842e2,
                2.264_035_187e2,
                [-1.098_515_867, 4.258_956_641, -5.853_530_630e-1],
            ),
            (
                [1, 512, 3, 4],
                7.627_744_482e1,
                1.447_468_666e2,
                [-4.228_004_215e-1, -2.043_637_089, -4.594_195_509e-1],
            ),
        ],
    );
}

#[test]
fn tiny_backbone_at_256x320_gives_the_published_maps() {
    check(
        size(256, 320),
        &[
            (
                [1, 64, 64, 80],
                3.021_362_592e4,
                8.321_373_798e2,
                [-1.030_792_668, -7.106_243_742e-1, -1.301_913_364],
            ),
            (
                [1, 128, 32, 40],
                -1.153_667_901e4,
                6.555_636_107e2,
                [4.428_336_589, -2.963_251_484e-1, -4.868_629_687e-1],
            ),
            (
                [1, 320, 16, 20],
                3.357_062_733e2,
                5.901_398_005e2,
                [-4.400_566_323, 6.715_087_182e-1, -3.833_448_614e-1],
            ),
            (
                [1, 512, 8, 10],
                5.102_402_830e2,
                3.635_686_660e2,
                [4.996_189_740e-1, -1.081_415_089, 1.456_102_553],
            ),
        ],
    );
}
