//! Appends steps to a plan. Model code reads like the network; sizes are checked here.

use super::{BufferId, Order, Output, Param, Step, View};
use crate::ops::attention::Attention;
use crate::ops::layernorm::LayerNorm;
use crate::ops::linear::{Epilogue, Linear};
use crate::ops::mlp::Mlp;
use crate::ops::patch_conv::{PatchConv, Pixels};
use crate::ops::pos_embed::{PosEmbed, PosResize};
use crate::ops::residual::Residual;
use crate::shape::{ShapeError, elements};

/// Where a buffer will lie, before offsets are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Input,
    Param(usize),
    /// Written once at set-up; never shares memory.
    Persistent,
    Activation,
}

impl Kind {
    pub(super) fn in_workspace(self) -> bool {
        matches!(self, Self::Persistent | Self::Activation)
    }
}

/// Builds a [`Plan`](super::Plan) step by step.
#[derive(Debug, Default)]
pub struct Builder {
    pub(super) steps: Vec<Step>,
    pub(super) setup: Vec<Step>,
    pub(super) buffers: Vec<(usize, Kind)>,
    pub(super) params: Vec<Param>,
    pub(super) outputs: Vec<Output>,
    pub(super) input_len: usize,
    pub(super) params_len: usize,
}

impl Builder {
    /// An empty plan.
    pub fn new() -> Self {
        Self::default()
    }

    /// The input of the forward pass, `len` f32 elements that the caller brings.
    pub fn input(&mut self, len: usize) -> BufferId {
        self.input_len = len;
        self.buffer(len, Kind::Input)
    }

    /// Declares what can be read under `name` after a run. The buffer keeps its contents to the end.
    ///
    /// # Errors
    /// [`ShapeError`] where the view reaches beyond its buffer.
    pub fn output(&mut self, name: impl Into<String>, view: View) -> Result<(), ShapeError> {
        let name = name.into();
        let mut end = view.offset;
        for (&size, &stride) in view.shape.iter().zip(&view.strides) {
            let last = elements("output", &[size.saturating_sub(1), stride])?;
            end = end.saturating_add(last);
        }
        self.holds(&name, view.buffer, end.saturating_add(1))?;
        self.outputs.push(Output { name, view });
        Ok(())
    }

    /// LayerNorm of `rows` rows of `channels`, `x_stride` elements apart, with parameters
    /// `{label}.weight` and `{label}.bias`. Returns [rows, channels].
    ///
    /// # Errors
    /// [`ShapeError`] where sizes overflow or `x` is too short.
    pub fn layernorm(
        &mut self,
        label: &str,
        x: BufferId,
        (rows, channels, x_stride): (usize, usize, usize),
        eps: f32,
    ) -> Result<BufferId, ShapeError> {
        let last = elements("rows of a LayerNorm", &[rows.saturating_sub(1), x_stride])?;
        self.holds(label, x, last + channels)?;
        let gamma = self.param(format!("{label}.weight"), &[channels], Order::Vector)?;
        let beta = self.param(format!("{label}.bias"), &[channels], Order::Vector)?;
        let y = self.activation(&[rows, channels])?;
        self.step(
            label,
            LayerNorm {
                rows,
                channels,
                x_stride,
                eps,
                x,
                gamma,
                beta,
                y,
            },
        )?;
        Ok(y)
    }

    /// Linear layer on `x` [rows, inner] with parameters `{label}.weight` and, if `bias`,
    /// `{label}.bias`. Returns [rows, cols]: a new buffer, or `into` where the result is added.
    ///
    /// # Errors
    /// [`ShapeError`] where sizes overflow or a buffer is too short.
    pub fn linear(
        &mut self,
        label: &str,
        x: BufferId,
        (rows, inner, cols): (usize, usize, usize),
        bias: bool,
        target: Target,
    ) -> Result<BufferId, ShapeError> {
        self.holds(
            label,
            x,
            elements("input of a linear layer", &[rows, inner])?,
        )?;
        let weight = self.param(
            format!("{label}.weight"),
            &[cols, inner],
            Order::Matrix { inner },
        )?;
        let bias = if bias {
            Some(self.param(format!("{label}.bias"), &[cols], Order::Vector)?)
        } else {
            None
        };
        let (y, epilogue) = match target {
            Target::New => (self.activation(&[rows, cols])?, Epilogue::Store),
            Target::NewGelu => (self.activation(&[rows, cols])?, Epilogue::Gelu),
            Target::AddTo(y) => (y, Epilogue::Accumulate),
        };
        self.holds(
            label,
            y,
            elements("output of a linear layer", &[rows, cols])?,
        )?;
        self.step(
            label,
            Linear {
                rows,
                inner,
                cols,
                epilogue,
                x,
                weight,
                bias,
                y,
            },
        )?;
        Ok(y)
    }

    /// The MLP branch of a block on the residual stream `x` [rows, channels], in place, with
    /// parameters `{label}.norm2`, `{label}.mlp.fc1` and `{label}.mlp.fc2`.
    ///
    /// # Errors
    /// [`ShapeError`] where sizes overflow or `x` is too short.
    pub fn mlp(
        &mut self,
        label: &str,
        x: BufferId,
        (rows, channels, hidden): (usize, usize, usize),
        eps: f32,
    ) -> Result<(), ShapeError> {
        self.holds(label, x, elements("residual stream", &[rows, channels])?)?;
        let gamma = self.param(format!("{label}.norm2.weight"), &[channels], Order::Vector)?;
        let beta = self.param(format!("{label}.norm2.bias"), &[channels], Order::Vector)?;
        let (fc1, fc2) = (format!("{label}.mlp.fc1"), format!("{label}.mlp.fc2"));
        let w1 = self.param(
            format!("{fc1}.weight"),
            &[hidden, channels],
            Order::Matrix { inner: channels },
        )?;
        let b1 = self.param(format!("{fc1}.bias"), &[hidden], Order::Vector)?;
        let w2 = self.param(
            format!("{fc2}.weight"),
            &[channels, hidden],
            Order::Matrix { inner: hidden },
        )?;
        let b2 = self.param(format!("{fc2}.bias"), &[channels], Order::Vector)?;
        let op = Mlp {
            rows,
            channels,
            hidden,
            eps,
            x,
            gamma,
            beta,
            w1,
            b1,
            w2,
            b2,
        };
        self.step(&format!("{label}.mlp"), op)?;
        Ok(())
    }

    /// Patch convolution (kernel = stride = `patch`) with parameters `{label}.weight` and
    /// `{label}.bias`. Returns tokens [batch, ⌊H/patch⌋·⌊W/patch⌋, out_chans].
    ///
    /// # Errors
    /// [`ShapeError`] where sizes overflow or `x` is too short.
    pub fn patch_conv(
        &mut self,
        label: &str,
        x: BufferId,
        (batch, grid, in_chans): (usize, (usize, usize), usize),
        (patch, out_chans): (usize, usize),
        pixels: Pixels,
    ) -> Result<BufferId, ShapeError> {
        let len = elements("input of a convolution", &[batch, grid.0, grid.1, in_chans])?;
        self.holds(label, x, len)?;
        let order = match pixels {
            Pixels::Nchw => Order::Matrix {
                inner: elements("patch", &[in_chans, patch, patch])?,
            },
            Pixels::Nhwc => Order::ChannelsLast { in_chans, patch },
        };
        let weight = self.param(
            format!("{label}.weight"),
            &[out_chans, in_chans, patch, patch],
            order,
        )?;
        let bias = self.param(format!("{label}.bias"), &[out_chans], Order::Vector)?;
        let y = self.activation(&[batch, grid.0 / patch, grid.1 / patch, out_chans])?;
        let op = PatchConv {
            batch,
            grid,
            in_chans,
            patch,
            out_chans,
            pixels,
            x,
            weight,
            bias,
            y,
        };
        self.step(label, op)?;
        Ok(y)
    }

    /// Attention of `q` [batch, queries, heads·head_dim] over `kv` [batch, keys, 2·heads·head_dim].
    /// Returns [batch, queries, heads·head_dim].
    ///
    /// # Errors
    /// [`ShapeError`] where sizes overflow or a buffer is too short.
    pub fn attention(
        &mut self,
        label: &str,
        (q, kv): (BufferId, BufferId),
        (batch, queries, keys): (usize, usize, usize),
        (heads, head_dim): (usize, usize),
    ) -> Result<BufferId, ShapeError> {
        self.holds(
            label,
            q,
            elements("queries", &[batch, queries, heads, head_dim])?,
        )?;
        self.holds(
            label,
            kv,
            elements("keys and values", &[batch, keys, 2, heads, head_dim])?,
        )?;
        let channels = heads * head_dim;
        let scratch = self.activation(&[batch, Attention::scratch_len(keys, channels)])?;
        let y = self.activation(&[batch, queries, channels])?;
        let op = Attention {
            batch,
            queries,
            keys,
            heads,
            head_dim,
            q,
            kv,
            scratch,
            y,
        };
        self.step(label, op)?;
        Ok(y)
    }

    /// Adds the position table `label` of grid `native` to `x` [batch, H·W, channels], after
    /// resizing it (once, at set-up) where `grid` differs; with `class_token` also joins that
    /// parameter in front, and the table has a row for it.
    ///
    /// # Errors
    /// [`ShapeError`] where sizes overflow or `x` is too short.
    pub fn pos_embed(
        &mut self,
        label: &str,
        x: BufferId,
        (batch, channels): (usize, usize),
        (native, grid): ((usize, usize), (usize, usize)),
        class_token: Option<&str>,
    ) -> Result<BufferId, ShapeError> {
        let tokens = elements("tokens", &[grid.0, grid.1])?;
        self.holds(label, x, elements("tokens", &[batch, tokens, channels])?)?;
        let class_rows = usize::from(class_token.is_some());
        let native_rows = elements("position table", &[native.0, native.1])? + class_rows;
        let mut table = self.param(label.to_owned(), &[1, native_rows, channels], Order::Vector)?;
        if native != grid {
            let y = self.buffer(
                elements("position table", &[tokens + class_rows, channels])?,
                Kind::Persistent,
            );
            let op = PosResize {
                class_rows,
                from: native,
                to: grid,
                channels,
                table,
                y,
            };
            let resize = self.finished_step(&format!("{label}.resized"), op.into());
            self.setup.push(resize);
            table = y;
        }
        let class_token = match class_token {
            Some(name) => Some(self.param(name.to_owned(), &[1, 1, channels], Order::Vector)?),
            None => None,
        };
        let y = self.activation(&[batch, tokens + class_rows, channels])?;
        self.step(
            label,
            PosEmbed {
                batch,
                tokens,
                channels,
                x,
                class_token,
                table,
                y,
            },
        )?;
        Ok(y)
    }

    /// y = a + b, elementwise over `len` elements.
    ///
    /// # Errors
    /// [`ShapeError`] where a buffer is too short.
    pub fn residual(
        &mut self,
        label: &str,
        (a, b): (BufferId, BufferId),
        len: usize,
    ) -> Result<BufferId, ShapeError> {
        self.holds(label, a, len)?;
        self.holds(label, b, len)?;
        let y = self.activation(&[len])?;
        self.step(label, Residual { len, a, b, y })?;
        Ok(y)
    }

    /// The table that the latest set-up step wrote, if it is that of `label`.
    pub(crate) fn resized(&self, label: &str) -> Option<BufferId> {
        let step = self
            .setup
            .iter()
            .find(|s| s.label == format!("{label}.resized"))?;
        step.op.writes().first().copied()
    }
}

/// Where a linear layer writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A new buffer.
    New,
    /// A new buffer, through GELU.
    NewGelu,
    /// Added to what stands in this buffer: the residual connection.
    AddTo(BufferId),
}
