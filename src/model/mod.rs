//! The Pyramid Vision Transformer (Wang et al. 2021), in the order in which data flows:
//!
//! ```text
//! pixels ─► patch_embed ─► block … block ─► patch_embed ─► … (four stages) ─► head ─► logits
//!             │              │                  ▲
//!             │              ├─ attention       └── each stage ends in a feature map
//!             │              └─ mlp
//!             └─ convolution, LayerNorm, positions (and the class token in stage 4)
//! ```
//!
//! Each file appends its part of the network to a [`Builder`]. Labels are the key names of the
//! published code, so a step's label is also the prefix of its parameters.

mod attention;
mod block;
mod head;
pub mod loss;
mod mlp;
mod patch_embed;
mod stage;
mod train;

use train::Branch;

pub use train::{Keep, Train};

use crate::config::{Mode, PvtConfig, StageConfig, StageShape};
use crate::dtype::DType;
use crate::error::Result;
use crate::plan::{BufferId, Builder, NormSpec, Plan, Target, View};
use crate::shape::{ImageSize, ShapeError, elements};

/// What the input of a plan is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Input {
    /// f32 [batch, in_chans, H, W], normalised.
    Normalised,
    /// Bytes [batch, H, W, 3] as a decoder gives them, normalised on the device: (x / 255 - mean) / std.
    /// Only plans of kernels take them.
    Bytes {
        /// Mean of each channel, for values in 0..=1.
        mean: [f32; 3],
        /// Standard deviation of each channel.
        std: [f32; 3],
    },
}

/// The sizes a plan is made for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlanSpec {
    /// Images per forward pass, at least 1.
    pub batch: usize,
    /// Height and width of the images.
    pub image: ImageSize,
    /// Class logits, or four feature maps.
    pub mode: Mode,
    /// Whether every intermediate tensor can be read afterwards. A trace runs in more and smaller
    /// steps and needs far more memory. Its results differ from those of a plain run by rounding
    /// (below 1e-6, relative): each branch of a block is rounded before it joins the stream.
    pub trace: bool,
    /// What the caller brings.
    pub input: Input,
    /// The type of GPU kernels to plan for; `None` plans for the CPU, which computes in f32.
    pub kernels: Option<DType>,
    /// Whether gradients follow, and how.
    pub train: Option<Train>,
}

impl PlanSpec {
    /// Plain inference.
    pub const fn infer(batch: usize, image: ImageSize, mode: Mode) -> Self {
        Self {
            batch,
            image,
            mode,
            trace: false,
            input: Input::Normalised,
            kernels: None,
            train: None,
        }
    }

    /// A forward and a backward pass.
    pub const fn train(batch: usize, image: ImageSize, mode: Mode, train: Train) -> Self {
        Self {
            train: Some(train),
            ..Self::infer(batch, image, mode)
        }
    }

    /// The same for GPU kernels that compute in `dtype`.
    #[must_use]
    pub const fn kernels(self, dtype: DType) -> Self {
        Self {
            kernels: Some(dtype),
            ..self
        }
    }
}

impl Plan {
    /// Plans the forward pass of `config`, and the backward pass if asked for ([`Train`]). The input is [batch, in_chans, height, width]; the outputs
    /// are `logits` [batch, classes] in [`Mode::Classify`] and `feature1`..`feature4`
    /// [batch, C, H, W] at the patch strides (4, 8, 16, 32) in [`Mode::Backbone`], where `feature{s}` is the
    /// residual stream after the last block of stage s, without a norm.
    ///
    /// # Errors
    /// A configuration that is not valid, an image too small or too large for it, batch 0, or sizes
    /// that overflow.
    pub fn new(config: &PvtConfig, spec: PlanSpec) -> Result<Self> {
        let shapes = config.stage_shapes(spec.image, spec.mode)?; // validates the configuration
        if spec.batch == 0 {
            return Err(ShapeError::EmptyBatch.into());
        }
        let mut net = Net {
            builder: spec
                .kernels
                .map_or_else(Builder::new, Builder::for_kernels)
                .images(spec.batch),
            config,
            spec,
            drop_path: None,
        };
        let ImageSize { height, width } = spec.image;
        let mut x = match spec.input {
            Input::Normalised => {
                let pixels = elements("input", &[spec.batch, config.in_chans, height, width])?;
                net.builder.input(pixels)
            }
            Input::Bytes { mean, std } if config.in_chans == 3 => {
                let pictures = (spec.batch, height, width);
                net.builder.pictures(pictures, mean, std)?
            }
            Input::Bytes { .. } => {
                let found = config.in_chans;
                return Err(ShapeError::Channels { found }.into());
            }
        };
        let given = net.training_inputs(&shapes)?;
        let (mut grid, mut stages) = ((height, width), Vec::new());
        for (index, shape) in shapes.iter().enumerate() {
            let stage = Stage {
                index,
                config: &config.stages[index],
                shape,
                in_grid: grid,
            };
            let (y, saved) = stage::forward(&mut net, &stage, x)?;
            stages.push((stage, saved));
            x = y;
            grid = shape.grid;
        }
        let head = match spec.mode {
            Mode::Classify => Some(head::forward(&mut net, &shapes[3], x)?),
            Mode::Backbone => None,
        };
        if let Some(given) = given {
            net.backward(&given, stages, head)?;
        }
        Ok(net.builder.finish()?)
    }
}

/// What every part of the network needs while it is appended.
struct Net<'a> {
    builder: Builder,
    config: &'a PvtConfig,
    spec: PlanSpec,
    /// Factors of residual branches, where they are asked for.
    drop_path: Option<BufferId>,
}

impl Net<'_> {
    /// Makes `x` [batch, …] readable as `name`, in traces only.
    fn trace(&mut self, name: String, x: BufferId, shape: &[usize]) -> Result<()> {
        if self.spec.trace && !self.trains() {
            let shape = [&[self.spec.batch], shape].concat();
            self.builder.output(name, View::contiguous(x, &shape))?;
        }
        Ok(())
    }
}

impl Net<'_> {
    /// Whether steps may be several operators in one kernel.
    fn fused(&self) -> bool {
        self.spec.kernels.is_some() && (!self.spec.trace || self.trains())
    }

    /// LayerNorm of `x` [B, tokens, inner], traced as `name`, and a linear layer on it. Also gives the
    /// normalised tokens, if they were asked for or are there anyway.
    fn normed_linear(
        &mut self,
        (norm, name): (NormSpec<'_>, String),
        label: &str,
        x: BufferId,
        (tokens, inner, cols): (usize, usize, usize),
        bias: bool,
        target: Target,
    ) -> Result<(BufferId, Option<BufferId>)> {
        let rows = self.spec.batch * tokens;
        if self.fused() {
            let dims = (rows, inner, cols);
            return self
                .builder
                .normed_linear(norm, label, x, dims, bias, target);
        }
        let normed = self
            .builder
            .layernorm(norm.label, x, (rows, inner, inner), norm.eps)?;
        self.trace(name, normed, &[tokens, inner])?;
        let y = self
            .builder
            .linear(label, normed, (rows, inner, cols), bias, target)?;
        Ok((y, Some(normed)))
    }
}

/// One stage while it is appended.
struct Stage<'a> {
    /// 0 to 3.
    index: usize,
    config: &'a StageConfig,
    shape: &'a StageShape,
    in_grid: (usize, usize),
}

impl Stage<'_> {
    /// 1 to 4, as key names count.
    fn number(&self) -> usize {
        self.index + 1
    }

    /// Whether the class token takes part in this stage.
    fn has_class_token(&self, mode: Mode) -> bool {
        mode == Mode::Classify && self.index == 3
    }
}
