//! `pvt features`: the four feature maps of a picture.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bytemuck::cast_slice;
use clap::ValueEnum;
use pvt_cuda::config::Mode;
use pvt_cuda::executor::Run;
use pvt_cuda::picture::{Picture, output_size, prepare, principal_colours};
use pvt_cuda::session::{FeatureMap, MapLayout};
use pvt_cuda::shape::ImageSize;
use safetensors::tensor::{Dtype, TensorView};
use serde::Serialize;

use crate::Outcome;
use crate::model::{Loaded, ModelArgs, parse_size, uncropped};
use crate::output;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// JPEG or PNG file
    #[arg(value_name = "IMG")]
    image: PathBuf,
    /// Where to write feature1..feature4 (safetensors, f32)
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Also write PREFIX{1..4}.png: three principal components of each map as red, green, blue
    #[arg(long, value_name = "PREFIX")]
    png: Option<String>,
    /// Resize the picture first: SIDE or HEIGHTxWIDTH; its own size otherwise
    #[arg(long, value_parser = parse_size)]
    size: Option<ImageSize>,
    /// Order of the axes
    #[arg(long, value_enum, default_value_t = Layout::Nchw)]
    layout: Layout,
    #[command(flatten)]
    model: ModelArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Layout {
    /// [1, C, H, W]
    Nchw,
    /// [1, H, W, C]
    Nhwc,
}

impl From<Layout> for MapLayout {
    fn from(layout: Layout) -> Self {
        match layout {
            Layout::Nchw => Self::Nchw,
            Layout::Nhwc => Self::Nhwc,
        }
    }
}

#[derive(Serialize)]
struct MapLine {
    name: String,
    stride: usize,
    shape: [usize; 4],
    #[serde(skip_serializing_if = "Option::is_none")]
    png: Option<String>,
}

#[derive(Serialize)]
struct Report {
    image: String,
    size: [usize; 2],
    out: String,
    maps: Vec<MapLine>,
}

pub(crate) fn run(args: &Args) -> Result<Outcome> {
    let Loaded {
        mut session,
        preprocess,
        ..
    } = args.model.load(Mode::Backbone)?;
    let name = || args.image.display().to_string();
    let picture = Picture::open(&args.image)?;
    let preprocess = uncropped(preprocess, args.size);
    let size = output_size(picture.size(), &preprocess).with_context(name)?;
    let pixels = prepare(&picture, &preprocess).with_context(name)?;
    let maps = session
        .features(1, size, &pixels, args.layout.into())
        .with_context(name)?;

    let mut lines = Vec::new();
    for map in &maps {
        let name = format!("feature{}", map.stage);
        let png = args
            .png
            .as_ref()
            .map(|prefix| format!("{prefix}{}.png", map.stage));
        if let Some(path) = &png {
            paint(session.executor(1, size)?, &name)?
                .enlarged(size)?
                .save_png(path)?;
        }
        lines.push(MapLine {
            name,
            stride: map.stride,
            shape: map.shape,
            png,
        });
    }
    write(args, &maps, &lines)?;
    let report = Report {
        image: name(),
        size: [size.height, size.width],
        out: args.out.display().to_string(),
        maps: lines,
    };
    if args.json {
        output::json(&report)?;
    } else {
        for map in &report.maps {
            let png = map.png.as_ref().map_or(String::new(), |p| format!("  {p}"));
            output::line(&format!(
                "{}  stride {:2}  {:?}{png}",
                map.name, map.stride, map.shape
            ))?;
        }
    }
    Ok(Outcome::Good)
}

/// The map called `name` of the latest run as a picture.
fn paint(executor: &dyn Run, name: &str) -> Result<Picture> {
    let output = executor
        .plan()
        .output(name)
        .context("the model has no such map")?;
    let channels_last = output.view.permuted(&[0, 2, 3, 1]);
    let (grid, channels) = (
        (channels_last.shape[1], channels_last.shape[2]),
        channels_last.shape[3],
    );
    Ok(principal_colours(
        &executor.read(&channels_last)?,
        grid,
        channels,
    )?)
}

/// Writes the maps under a temporary name and renames, so that no half file is ever left.
fn write(args: &Args, maps: &[FeatureMap], lines: &[MapLine]) -> Result<()> {
    let mut tensors = Vec::new();
    for (line, map) in lines.iter().zip(maps) {
        let view = TensorView::new(Dtype::F32, line.shape.to_vec(), cast_slice(&map.data))
            .context("feature maps cannot be written")?;
        tensors.push((line.name.clone(), view));
    }
    let partial = PathBuf::from(format!("{}.partial", args.out.display()));
    let failed = |path: &Path| format!("{}: cannot be written", path.display());
    safetensors::serialize_to_file(tensors, None, &partial).with_context(|| failed(&partial))?;
    std::fs::rename(&partial, &args.out).with_context(|| failed(&args.out))
}
