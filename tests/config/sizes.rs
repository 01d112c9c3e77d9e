//! Sizes that no model can have.

use pvt_cuda::config::{LnEps, Preprocess, PvtConfig, Variant};
use pvt_cuda::shape::ImageSize;

use crate::refusals::{Kind, OUT_OF_RANGE, TOO_LARGE, TOO_SMALL, refused};

#[test]
fn sizes_no_model_can_have() {
    type Change = fn(&mut PvtConfig);
    let cases: &[(Change, Kind, &[&str])] = &[
        (
            |c| c.in_chans = 0,
            OUT_OF_RANGE,
            &["in_chans is 0", "1 to 65536"],
        ),
        (
            |c| c.in_chans = 65_537,
            OUT_OF_RANGE,
            &["in_chans is 65537"],
        ),
        (
            |c| c.num_classes = 0,
            OUT_OF_RANGE,
            &["num_classes is 0", "1000000"],
        ),
        (
            |c| c.num_classes = 1_000_001,
            OUT_OF_RANGE,
            &["num_classes is 1000001"],
        ),
        (
            |c| c.stages[0].embed_dim = 0,
            OUT_OF_RANGE,
            &["embed_dim of stage 1 is 0"],
        ),
        (
            |c| c.stages[1].embed_dim = usize::MAX,
            OUT_OF_RANGE,
            &["embed_dim of stage 2", "65536"],
        ),
        (
            |c| c.stages[2].embed_dim = 321,
            OUT_OF_RANGE,
            &["embed_dim of stage 3 is 321", "num_heads, 5"],
        ),
        (
            |c| c.stages[3].num_heads = 0,
            OUT_OF_RANGE,
            &["num_heads of stage 4 is 0"],
        ),
        (
            |c| c.stages[0].num_heads = 3,
            OUT_OF_RANGE,
            &["embed_dim of stage 1 is 64", "3"],
        ),
        (
            |c| c.stages[0].depth = 0,
            OUT_OF_RANGE,
            &["depth of stage 1 is 0"],
        ),
        (
            |c| c.stages[0].depth = 1025,
            OUT_OF_RANGE,
            &["depth of stage 1 is 1025", "1024"],
        ),
        (
            |c| c.stages[0].mlp_ratio = 0,
            OUT_OF_RANGE,
            &["mlp_ratio of stage 1 is 0"],
        ),
        (
            |c| c.stages[0].mlp_ratio = usize::MAX,
            OUT_OF_RANGE,
            &["mlp_ratio of stage 1"],
        ),
        (
            |c| c.stages[0].sr_ratio = 0,
            OUT_OF_RANGE,
            &["sr_ratio of stage 1 is 0"],
        ),
        (
            |c| c.stages[0].sr_ratio = 65,
            OUT_OF_RANGE,
            &["sr_ratio of stage 1 is 65", "64"],
        ),
        (
            |c| c.stages[3].sr_ratio = 2,
            OUT_OF_RANGE,
            &["sr_ratio of stage 4 is 2", "class token"],
        ),
        (
            |c| c.stages[1].patch_size = 0,
            OUT_OF_RANGE,
            &["patch_size of stage 2 is 0"],
        ),
        (
            |c| c.stages[1].patch_size = 65,
            OUT_OF_RANGE,
            &["patch_size of stage 2 is 65"],
        ),
        (
            |c| c.stages[2].sr_ratio = 15,
            TOO_SMALL,
            &["224x224", "stage 3", "14x14", "240"],
        ),
        (
            |c| c.stages[3].patch_size = 15,
            TOO_SMALL,
            &["224x224", "stage 4", "0x0", "240"],
        ),
        (|c| c.img_size = ImageSize::square(0), TOO_SMALL, &["0x0"]),
        (
            |c| c.img_size = ImageSize::square(usize::MAX),
            TOO_LARGE,
            &["16384"],
        ),
        (
            |c| c.ln_eps = LnEps::uniform(f32::NAN),
            OUT_OF_RANGE,
            &["ln_eps.patch_embed is NaN"],
        ),
        (
            |c| c.ln_eps.sr = f32::INFINITY,
            OUT_OF_RANGE,
            &["ln_eps.sr is inf"],
        ),
        (
            |c| c.ln_eps.final_norm = -1e-6,
            OUT_OF_RANGE,
            &["ln_eps.final is -0.000001"],
        ),
        (
            |c| c.labels = Some(vec![]),
            OUT_OF_RANGE,
            &["labels is 0", "1000"],
        ),
        (
            |c| c.preprocess = Some(Preprocess::hf(0)),
            OUT_OF_RANGE,
            &["resize[0] is 0"],
        ),
    ];
    for (index, (change, kind, parts)) in cases.iter().enumerate() {
        let mut config = Variant::Tiny.config();
        change(&mut config);
        let error = config.validate().unwrap_err();
        refused(&error, *kind, parts, &format!("case {index}"));
        // Whatever the sizes, nothing that takes the same description may panic.
        let _ = config.min_side();
        let _ = config.native_grid(3);
        let _ = config.stages.map(|s| (s.head_dim(), s.hidden_dim()));
    }
}
