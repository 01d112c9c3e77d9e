//! The four feature maps of a picture of any size: `cargo run --release --example 02_features`.

use pvt_cuda::DType;
use pvt_cuda::config::{Mode, Variant};
use pvt_cuda::session::{MapLayout, Session};
use pvt_cuda::shape::ImageSize;
use pvt_cuda::target::TargetKind;

fn main() -> pvt_cuda::Result<()> {
    let target = TargetKind::Auto.open(DType::F32, 0)?;
    println!("running on {}", target.describe());
    // random weights; `Session::new` takes a checkpoint
    let mut backbone = Session::random(Variant::Tiny.config(), Mode::Backbone, target);

    let size = ImageSize {
        height: 200,
        width: 264,
    };
    let pixels = vec![0.5; 3 * size.height * size.width]; // [1, 3, H, W], normalised
    for map in backbone.features(1, size, &pixels, MapLayout::Nchw)? {
        println!(
            "stage {}: stride {:2}, [B, C, H, W] = {:?}",
            map.stage, map.stride, map.shape
        );
    }
    Ok(())
}
