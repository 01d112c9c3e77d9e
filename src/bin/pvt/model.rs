//! Which model, with which weights, on which target: options that the commands share.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use pvt_cuda::DType;
use pvt_cuda::config::{Mode, Preprocess, Preset, PvtConfig, Resize, Variant};
use pvt_cuda::hub::{HubClient, ModelId};
use pvt_cuda::session::Session;
use pvt_cuda::shape::ImageSize;
use pvt_cuda::target::{Target, TargetKind};
use pvt_cuda::weights::{LoadOptions, TensorFile, Weights};

use crate::output::note;

/// The digits model that comes with the program.
const EMBEDDED_CONFIG: &str = include_str!("../../../assets/digits/config.json");
const EMBEDDED_WEIGHTS: &[u8] = include_bytes!("../../../assets/digits/model.safetensors");
/// Names of the ImageNet-1K classes, in order.
const IMAGENET_LABELS: &str = include_str!("../../../assets/imagenet1k.txt");

/// Arguments that contradict each other.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

#[derive(Args)]
pub(crate) struct ModelArgs {
    /// Weights in safetensors, or a folder with model.safetensors; config.json is looked for beside it
    #[arg(long, value_name = "FILE|DIR")]
    weights: Option<PathBuf>,
    /// Model description (own schema or Hugging Face)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["variant", "model"])]
    config: Option<PathBuf>,
    /// Published model: tiny, small, medium, large, huge
    #[arg(long, value_name = "NAME", conflicts_with = "model")]
    variant: Option<Variant>,
    /// Hugging Face model such as Zetatech/pvt-tiny-224, optionally @REVISION
    #[arg(long, value_name = "HUB_NAME", conflicts_with = "weights")]
    model: Option<ModelId>,
    /// How pictures are prepared: official, timm, hf or model; the model's own way if it has one,
    /// else `official`
    #[arg(long)]
    preset: Option<Preset>,
    /// Load weights with NaN or infinite values
    #[arg(long)]
    allow_non_finite: bool,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

#[derive(Args)]
pub(crate) struct TargetArgs {
    /// Where to run: auto, cpu, cuda, cuda:N, or emu (the GPU's kernels in the emulator)
    #[arg(long, default_value_t)]
    pub(crate) target: TargetKind,
    /// Arithmetic: f32, tf32, f16 or bf16; the CPU has f32
    #[arg(long, default_value_t)]
    pub(crate) dtype: DType,
    /// CPU threads, 0 for one per core
    #[arg(long, default_value_t = 0)]
    pub(crate) threads: usize,
}

impl TargetArgs {
    /// The target; `auto` says what it took, and why.
    pub(crate) fn open(&self) -> Result<Target> {
        if self.target != TargetKind::Auto {
            return Ok(self.target.open(self.dtype, self.threads)?);
        }
        let (target, why) = TargetKind::choose(self.dtype, self.threads)?;
        note(&format!("running on {why}"));
        Ok(target)
    }
}

/// A model ready to run, and how its pictures are prepared.
pub(crate) struct Loaded {
    pub(crate) session: Session,
    pub(crate) preprocess: Preprocess,
    pub(crate) labels: Option<Vec<String>>,
}

/// The files or bytes that make a model.
struct Sources {
    config: PvtConfig,
    weights: TensorFile,
    preprocess: Option<Preprocess>,
    imagenet: bool,
}

impl ModelArgs {
    pub(crate) fn load(&self, mode: Mode) -> Result<Loaded> {
        let target = self.target.open()?;
        let Sources {
            config,
            weights,
            preprocess,
            imagenet,
        } = self.sources()?;
        let options = LoadOptions {
            allow_non_finite: self.allow_non_finite,
        };
        let weights = Weights::from_file(weights, &config, mode, &options)?;
        if mode == Mode::Classify && !weights.ignored().is_empty() {
            note(&format!(
                "{} keys of the checkpoint are not used",
                weights.ignored().len()
            ));
        }
        let preprocess = self.preprocess(&config, preprocess)?;
        let labels = match &config.labels {
            None if imagenet => Some(IMAGENET_LABELS.lines().map(str::to_owned).collect()),
            labels => labels.clone(),
        };
        Ok(Loaded {
            session: Session::new(config, mode, weights, target),
            preprocess,
            labels,
        })
    }

    fn sources(&self) -> Result<Sources> {
        if let Some(id) = &self.model {
            return download(id);
        }
        let Some(path) = &self.weights else {
            if self.config.is_some() || self.variant.is_some() {
                let what = "--config or --variant names a model but no weights; add --weights FILE, \
                            or --model NAME to download one";
                return Err(UsageError(what.to_owned()).into());
            }
            note("no model given: using the digits model that comes with the program (0 to 9)");
            return Ok(Sources {
                config: PvtConfig::from_json(EMBEDDED_CONFIG)
                    .context("the embedded config.json")?,
                weights: TensorFile::from_bytes(EMBEDDED_WEIGHTS.to_vec(), "embedded weights")?,
                preprocess: None,
                imagenet: false,
            });
        };
        let path = &weights_file(path);
        let weights = TensorFile::open(path)?;
        let beside = path.with_file_name("config.json");
        let config = match (&self.config, self.variant) {
            (Some(config), _) => config_file(config)?,
            (None, Some(variant)) => variant.config(),
            (None, None) if beside.is_file() => config_file(&beside)?,
            (None, None) => {
                let text = format!(
                    "there is no {} to say what model {} is; add --config FILE or --variant NAME",
                    beside.display(),
                    path.display()
                );
                return Err(UsageError(text).into());
            }
        };
        let imagenet =
            self.variant.is_some() && config.num_classes == IMAGENET_LABELS.lines().count();
        Ok(Sources {
            config,
            weights,
            preprocess: None,
            imagenet,
        })
    }

    fn preprocess(&self, config: &PvtConfig, own: Option<Preprocess>) -> Result<Preprocess> {
        let side = config.img_size.height.min(config.img_size.width);
        let own = own.or(config.preprocess);
        Ok(match (self.preset, own) {
            (Some(Preset::Official), _) | (None, None) => Preprocess::official(side),
            (Some(Preset::Timm), _) => Preprocess::timm(side),
            (Some(Preset::Hf), _) => Preprocess::hf(side),
            (Some(Preset::Model) | None, Some(own)) => own,
            (Some(Preset::Model), None) => {
                let text = format!(
                    "--preset {}: the model's configuration does not say how pictures are prepared; \
                     use --preset {}, {} or {}",
                    Preset::Model,
                    Preset::Official,
                    Preset::Timm,
                    Preset::Hf
                );
                return Err(UsageError(text).into());
            }
        })
    }
}

/// The weights in a folder that has some, such as that of a training run; else `path` itself.
pub(crate) fn weights_file(path: &Path) -> PathBuf {
    let inside = path.join("model.safetensors");
    if inside.is_file() {
        inside
    } else {
        path.to_owned()
    }
}

/// Reads a configuration; errors name the file.
pub(crate) fn config_file(path: &Path) -> Result<PvtConfig> {
    PvtConfig::from_file(path).with_context(|| path.display().to_string())
}

/// A model without weights, and the images it is looked at with.
#[derive(Args)]
pub(crate) struct DescribedArgs {
    /// Published model: tiny, small, medium, large, huge
    #[arg(long, value_name = "NAME")]
    variant: Option<Variant>,
    /// Model description instead of a published one
    #[arg(long, value_name = "FILE", conflicts_with = "variant")]
    config: Option<PathBuf>,
    /// Image size: SIDE or HEIGHTxWIDTH; the model's own otherwise
    #[arg(long, value_parser = parse_size)]
    size: Option<ImageSize>,
    /// The four feature maps, without class token and head
    #[arg(long)]
    backbone: bool,
}

/// What [`DescribedArgs`] describe.
pub(crate) struct Described {
    pub(crate) name: String,
    pub(crate) config: PvtConfig,
    pub(crate) size: ImageSize,
    pub(crate) mode: Mode,
}

impl DescribedArgs {
    pub(crate) fn read(&self) -> Result<Described> {
        let (name, config) = match (self.variant, &self.config) {
            (Some(variant), _) => (variant.to_string(), variant.config()),
            (None, Some(path)) => (path.display().to_string(), config_file(path)?),
            (None, None) => {
                let text = "no model given; add --variant NAME or --config FILE";
                return Err(UsageError(text.to_owned()).into());
            }
        };
        let size = self.size.unwrap_or(config.img_size);
        let mode = if self.backbone {
            Mode::Backbone
        } else {
            Mode::Classify
        };
        Ok(Described {
            name,
            config,
            size,
            mode,
        })
    }
}

impl Described {
    /// The mode in the words of the options.
    pub(crate) fn mode_name(&self) -> &'static str {
        match self.mode {
            Mode::Classify => "classify",
            Mode::Backbone => "backbone",
        }
    }
}

fn download(id: &ModelId) -> Result<Sources> {
    let client = HubClient::from_env(|name| std::env::var(name).ok())?;
    let bar = ProgressBar::new(0).with_style(bytes_style());
    let files = client.model(id, |progress| {
        bar.set_message(progress.file.to_owned());
        bar.set_length(progress.total.unwrap_or(progress.bytes));
        bar.set_position(progress.bytes);
    });
    bar.finish_and_clear();
    let files = files?;
    if !files.confirmed {
        note(&format!(
            "the hub was not asked; using commit {} from the cache",
            files.commit
        ));
    }
    let preprocess = match &files.preprocessor {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            Some(Preprocess::from_hf_json(&text).with_context(|| path.display().to_string())?)
        }
        None => None,
    };
    let weights = TensorFile::open(&files.weights)?;
    Ok(Sources {
        config: config_file(&files.config)?,
        weights,
        preprocess,
        imagenet: false,
    })
}

fn bytes_style() -> ProgressStyle {
    ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Parses `224` or `512x1568` (height x width).
pub(crate) fn parse_size(text: &str) -> Result<ImageSize, String> {
    let side = |s: &str| {
        s.parse::<usize>()
            .map_err(|_| format!("`{text}` is not SIDE or HEIGHTxWIDTH in pixels"))
    };
    Ok(match text.split_once('x') {
        Some((height, width)) => ImageSize {
            height: side(height)?,
            width: side(width)?,
        },
        None => ImageSize::square(side(text)?),
    })
}

/// How a picture is prepared for features: its own size, or the one asked for; never cropped.
pub(crate) fn uncropped(preprocess: Preprocess, size: Option<ImageSize>) -> Preprocess {
    let resize = size.map_or(Resize::None, Resize::Exact);
    Preprocess {
        resize,
        crop: None,
        ..preprocess
    }
}
