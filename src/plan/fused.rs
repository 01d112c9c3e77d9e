//! Steps that are several operators in one kernel. Plans for the CPU, and shapes that a kernel has no
//! room for, get the operators one by one; the parameters are the same, and in the same order.

use super::builder::{Kind, Slot};
use super::{BufferId, Builder, Elements, Order, Target};
use crate::error::Result;
use crate::kernels::tiles::{conv_has_norm, linear_tile};
use crate::ops::head::Head;
use crate::ops::layernorm::LayerNorm;
use crate::ops::linear::{Epilogue, Linear};
use crate::ops::patch_conv::{PatchConv, Pixels};
use crate::ops::preprocess::Preprocess;
use crate::ops::{Norm, Positions};
use crate::shape::{ShapeError, elements};

/// LayerNorm in front of something.
#[derive(Debug, Clone, Copy)]
pub struct NormSpec<'a> {
    /// Prefix of its parameters.
    pub label: &'a str,
    /// Added to the variance.
    pub eps: f32,
    /// Whether its result is needed elsewhere too.
    pub keep: bool,
}

impl Builder {
    /// Declares the parameters of a LayerNorm over `channels`.
    ///
    /// # Errors
    /// [`crate::shape::ShapeError`] where another parameter has one of their names.
    pub fn norm_params(&mut self, label: &str, channels: usize) -> Result<()> {
        self.norm(label, channels, 0.0).map(|_| ())
    }

    pub(super) fn norm(&mut self, label: &str, channels: usize, eps: f32) -> Result<Norm> {
        let gamma = self.param(format!("{label}.weight"), &[channels], Order::Vector)?;
        let beta = self.param(format!("{label}.bias"), &[channels], Order::Vector)?;
        Ok(Norm { gamma, beta, eps })
    }

    /// LayerNorm of `x` [rows, inner] and a linear layer on it; with the normalised rows if they are
    /// to be kept, or are there anyway.
    ///
    /// # Errors
    /// As [`Builder::layernorm`] and [`Builder::linear`].
    pub fn normed_linear(
        &mut self,
        norm: NormSpec<'_>,
        label: &str,
        x: BufferId,
        (rows, inner, cols): (usize, usize, usize),
        bias: bool,
        target: Target,
    ) -> Result<(BufferId, Option<BufferId>)> {
        let fits = |dtype| linear_tile(dtype, rows, inner, cols, true).is_some();
        if !self.kernels.is_some_and(fits) {
            let normed = self.layernorm(norm.label, x, (rows, inner, inner), norm.eps)?;
            let y = self.linear(label, normed, (rows, inner, cols), bias, target)?;
            return Ok((y, Some(normed)));
        }
        self.holds(
            label,
            x,
            elements("input of a linear layer", &[rows, inner])?,
        )?;
        let own = self.norm(norm.label, inner, norm.eps)?;
        let kept = if norm.keep {
            Some(self.activation(&[rows, inner])?)
        } else {
            None
        };
        let (weight, bias) = self.linear_params(label, (inner, cols), bias)?;
        let (y, epilogue) = self.linear_output(label, (rows, cols), target)?;
        let op = Linear {
            rows,
            inner,
            cols,
            epilogue,
            x,
            weight,
            bias,
            y,
            norm: Some((own, kept)),
            split: None,
            parts: None,
        };
        self.step(label, op)?;
        Ok((y, kept))
    }

    /// Declares the parameters of `{label}.q` and `{label}.kv` so that one product can read both.
    ///
    /// # Errors
    /// [`crate::shape::ShapeError`] where sizes overflow.
    pub fn join_qkv(&mut self, label: &str, channels: usize, bias: bool) -> Result<()> {
        let matrix = Order::Matrix { inner: channels };
        for (name, cols) in [("q", channels), ("kv", 2 * channels)] {
            self.param(format!("{label}.{name}.weight"), &[cols, channels], matrix)?;
        }
        for (name, cols) in [("q", channels), ("kv", 2 * channels)] {
            if bias {
                self.param(format!("{label}.{name}.bias"), &[cols], Order::Vector)?;
            }
        }
        Ok(())
    }

    /// Whether [`Builder::qkv`] has a kernel for these sizes. Queries and keys begin at whole
    /// units of packed weights.
    pub fn has_qkv(&self, rows: usize, channels: usize) -> bool {
        self.kernels.is_some_and(|dtype| {
            channels.is_multiple_of(64)
                && linear_tile(dtype, rows, channels, 3 * channels, true).is_some()
        })
    }

    /// LayerNorm of `x` [rows, channels], then queries [rows, channels] and keys with values
    /// [rows, 2·channels] in one product, where [`Builder::has_qkv`] says so.
    ///
    /// # Errors
    /// [`crate::shape::ShapeError`] where sizes overflow or `x` is too short.
    pub fn qkv(
        &mut self,
        norm: NormSpec<'_>,
        label: &str,
        x: BufferId,
        (rows, channels): (usize, usize),
        bias: bool,
    ) -> Result<(BufferId, BufferId)> {
        self.holds(
            label,
            x,
            elements("input of a linear layer", &[rows, channels])?,
        )?;
        let own = self.norm(norm.label, channels, norm.eps)?;
        self.join_qkv(label, channels, bias)?;
        let both = |first: BufferId, second: BufferId, builder: &mut Self| {
            let (a, b) = (
                &builder.buffers[first.index()],
                &builder.buffers[second.index()],
            );
            let (kind, elements) = (a.kind, a.elements);
            let (len, bytes) = (a.len + b.len, a.bytes + b.bytes);
            builder.slot(Slot {
                len,
                bytes,
                elements,
                kind,
            })
        };
        let (qw, qb) = self.linear_params(&format!("{label}.q"), (channels, channels), bias)?;
        let (kvw, kvb) =
            self.linear_params(&format!("{label}.kv"), (channels, 2 * channels), bias)?;
        let weight = both(qw, kvw, self);
        let bias = qb.zip(kvb).map(|(q, kv)| both(q, kv, self));
        let q = self.activation(&[rows, channels])?;
        let kv = self.activation(&[rows, 2, channels])?;
        let op = Linear {
            rows,
            inner: channels,
            cols: 3 * channels,
            epilogue: Epilogue::Store,
            x,
            weight,
            bias,
            y: q,
            norm: Some((own, None)),
            split: Some((channels, kv)),
            parts: None,
        };
        self.step(&format!("{label}.qkv"), op)?;
        Ok((q, kv))
    }

    /// Start of a stage: patch convolution, LayerNorm, positions, class token; one step where a kernel
    /// holds whole rows, else two or, on the CPU, three. Returns [batch, tokens, out_chans], and what the convolution
    /// gave where that was written: always if the norm is to be kept.
    ///
    /// # Errors
    /// As [`Builder::patch_conv`], [`Builder::layernorm`] and [`Builder::pos_embed`].
    pub fn patch_embedding(
        &mut self,
        (conv, norm, positions): (&str, NormSpec<'_>, &str),
        x: BufferId,
        (batch, grid, in_chans): (usize, (usize, usize), usize),
        (patch, out_chans): (usize, usize),
        pixels: Pixels,
        (native, class_token): ((usize, usize), Option<&str>),
    ) -> Result<(BufferId, Option<BufferId>)> {
        let out = (grid.0 / patch, grid.1 / patch);
        let tokens = elements("tokens", &[out.0, out.1])?;
        let Some(dtype) = self.kernels else {
            let convolved =
                self.patch_conv(conv, x, (batch, grid, in_chans), (patch, out_chans), pixels)?;
            let rows = elements("rows of a LayerNorm", &[batch, tokens])?;
            let y = self.layernorm(
                norm.label,
                convolved,
                (rows, out_chans, out_chans),
                norm.eps,
            )?;
            let grids = (native, out);
            let y = self.pos_embed(positions, y, (batch, out_chans), grids, class_token)?;
            return Ok((y, Some(convolved)));
        };
        let whole_rows = conv_has_norm(dtype, out_chans) && !norm.keep;
        let (mut op, convolved) = self.conv(
            conv,
            x,
            (batch, grid, in_chans),
            (patch, out_chans),
            pixels,
            !whole_rows,
        )?;
        let own = self.norm(norm.label, out_chans, norm.eps)?;
        let (table, class_token) =
            self.position_params(positions, out_chans, (native, out), class_token)?;
        let rows = tokens + usize::from(class_token.is_some());
        let y = self.activation(&[batch, rows, out_chans])?;
        let positions = Positions { table, class_token };
        if whole_rows {
            op = PatchConv {
                y,
                norm: Some((own, Some(positions))),
                ..op
            };
        }
        let op = self.conv_in_parts(op)?;
        self.step(conv, op)?;
        if whole_rows {
            return Ok((y, None));
        }
        let op = LayerNorm {
            rows: batch * tokens,
            channels: out_chans,
            x_stride: out_chans,
            eps: own.eps,
            x: convolved,
            gamma: own.gamma,
            beta: own.beta,
            y,
            positions: Some((positions, tokens)),
        };
        self.step(norm.label, op)?;
        Ok((y, Some(convolved)))
    }

    /// Pictures [batch, H, W, 3] as bytes, which the caller brings, as the input of a network
    /// [batch, 3, H, W]: (x / 255 - mean) / std.
    ///
    /// # Errors
    /// [`crate::shape::ShapeError::BytesOnCpu`] in a plan for the CPU; sizes that overflow.
    pub fn pictures(
        &mut self,
        (batch, height, width): (usize, usize, usize),
        mean: [f32; 3],
        std: [f32; 3],
    ) -> Result<BufferId> {
        if self.kernels.is_none() {
            return Err(ShapeError::BytesOnCpu.into());
        }
        let len = elements("input", &[batch, height, width, 3])?;
        let x = self.named_input("pictures", &[batch, height, width, 3], Elements::Bytes);
        let y = self.buffer(len, Elements::F32, Kind::Activation);
        let op = Preprocess {
            batch,
            size: (height, width),
            mean,
            std,
            x,
            y,
        };
        self.step("preprocess", op)?;
        Ok(y)
    }

    /// The classifier: LayerNorm of `batch` rows of `x`, `x_stride` apart, and a linear
    /// layer to f32 logits [batch, classes].
    ///
    /// # Errors
    /// [`crate::shape::ShapeError`] where sizes overflow or `x` is too short.
    pub fn head(
        &mut self,
        norm: NormSpec<'_>,
        label: &str,
        x: BufferId,
        (batch, channels, x_stride): (usize, usize, usize),
        classes: usize,
    ) -> Result<BufferId> {
        let last = elements("class tokens", &[batch.saturating_sub(1), x_stride])?;
        self.holds(label, x, last + channels)?;
        let own = self.norm(norm.label, channels, norm.eps)?;
        let weight = self.param(
            format!("{label}.weight"),
            &[classes, channels],
            Order::Tensor,
        )?;
        let bias = self.param(format!("{label}.bias"), &[classes], Order::Vector)?;
        let len = elements("logits", &[batch, classes])?;
        let logits = self.buffer(len, Elements::F32, Kind::Activation);
        let op = Head {
            batch,
            channels,
            classes,
            x_stride,
            x,
            norm: own,
            weight,
            bias,
            logits,
        };
        self.step(label, op)?;
        Ok(logits)
    }
}
