//! Classifies a picture: `cargo run --release --example 01_classify [PICTURE]`. Runs on a GPU if there is
//! one, else on the CPU.

use pvt_cuda::DType;
use pvt_cuda::config::{Mode, Preprocess, PvtConfig};
use pvt_cuda::picture::{Picture, prepare};
use pvt_cuda::session::{Session, top_k};
use pvt_cuda::target::TargetKind;
use pvt_cuda::weights::{LoadOptions, Weights};

fn main() -> pvt_cuda::Result<()> {
    let path = std::env::args().nth(1);
    let path = path.unwrap_or_else(|| "assets/digits/test/3/0059.png".to_owned());

    let config = PvtConfig::from_file("assets/digits/config.json")?;
    let file = "assets/digits/model.safetensors";
    let weights = Weights::open(file, &config, Mode::Classify, &LoadOptions::default())?;
    let (target, why) = TargetKind::choose(DType::F32, 0)?;
    println!("running on {why}");

    let size = config.img_size;
    let how = config
        .preprocess
        .unwrap_or(Preprocess::official(size.height));
    let pixels = prepare(&Picture::open(&path)?, &how)?; // [3, H, W], normalised
    let mut session = Session::new(config, Mode::Classify, weights, target);
    let logits = session.classify(1, size, &pixels)?;
    for (class, probability) in top_k(&logits, 3) {
        println!("{path}: class {class}, probability {probability:.3}");
    }
    Ok(())
}
