//! `pvt features`: the four feature maps of a picture.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bytemuck::cast_slice;
use clap::ValueEnum;
use pvt_cuda::config::Mode;
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
    // the pictures need channels last, and transposing once is cheaper than running twice
    let maps = session
        .features(1, size, &pixels, MapLayout::Nhwc)
        .with_context(name)?;

    let mut lines = Vec::new();
    for map in &maps {
        let [_, h, w, c] = map.shape;
        let png = args
            .png
            .as_ref()
            .map(|prefix| format!("{prefix}{}.png", map.stage));
        if let Some(path) = &png {
            let colours = principal_colours(&map.data, (h, w), c)?;
            colours.enlarged(size)?.save_png(path)?;
        }
        let shape = match args.layout {
            Layout::Nchw => [1, c, h, w],
            Layout::Nhwc => map.shape,
        };
        lines.push(MapLine {
            name: format!("feature{}", map.stage),
            stride: map.stride,
            shape,
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

/// Writes the maps under a temporary name and renames, so that no half file is ever left.
fn write(args: &Args, maps: &[FeatureMap], lines: &[MapLine]) -> Result<()> {
    let data: Vec<Vec<f32>> = maps
        .iter()
        .map(|map| match args.layout {
            Layout::Nhwc => map.data.clone(),
            Layout::Nchw => {
                let [_, h, w, c] = map.shape;
                (0..c)
                    .flat_map(|k| (0..h * w).map(move |p| map.data[p * c + k]))
                    .collect()
            }
        })
        .collect();
    let mut tensors = Vec::new();
    for (line, values) in lines.iter().zip(&data) {
        let view = TensorView::new(Dtype::F32, line.shape.to_vec(), cast_slice(values))
            .context("feature maps cannot be written")?;
        tensors.push((line.name.clone(), view));
    }
    let partial = PathBuf::from(format!("{}.partial", args.out.display()));
    let failed = |path: &Path| format!("{}: cannot be written", path.display());
    safetensors::serialize_to_file(tensors, None, &partial).with_context(|| failed(&partial))?;
    std::fs::rename(&partial, &args.out).with_context(|| failed(&args.out))
}
