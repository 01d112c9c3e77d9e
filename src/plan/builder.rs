//! Appends steps to a plan. Model code reads like the network; sizes are checked here.

use super::{BufferId, Elements, Gradient, Input, Order, Output, Param, Step, View};
use crate::dtype::DType;
use crate::error::Result;
use crate::ops::Norm;
use crate::ops::layernorm::LayerNorm;
use crate::ops::linear::{Epilogue, Linear};
use crate::ops::mlp::Mlp;
use crate::ops::patch_conv::{PatchConv, Pixels};
use crate::ops::residual::Residual;
use crate::shape::elements;

/// A buffer before it has a place.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) len: usize,
    pub(super) bytes: usize,
    pub(super) elements: Elements,
    pub(super) kind: Kind,
}

/// Where a buffer will lie, before offsets are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Input(usize),
    Param(usize),
    /// Gradient of a parameter, which runs add to.
    Grad(usize),
    /// Written once at set-up; never shares memory.
    Persistent,
    Activation,
}

impl Kind {
    pub(super) fn in_workspace(self) -> bool {
        matches!(self, Self::Persistent | Self::Activation)
    }

    /// Whether steps write to it.
    pub(super) fn is_written(self) -> bool {
        self.in_workspace() || matches!(self, Self::Grad(_))
    }
}

/// Builds a [`Plan`](super::Plan) step by step.
#[derive(Debug, Default)]
pub struct Builder {
    pub(super) steps: Vec<Step>,
    pub(super) setup: Vec<Step>,
    pub(super) buffers: Vec<Slot>,
    pub(super) params: Vec<Param>,
    pub(super) outputs: Vec<Output>,
    pub(super) inputs: Vec<Input>,
    pub(super) input_bytes: usize,
    pub(super) params_bytes: usize,
    pub(super) gradients: Vec<Gradient>,
    pub(super) grad_bytes: usize,
    pub(super) kernels: Option<DType>,
    /// Images that rows of products belong to, as many to each; 0 as 1.
    pub(super) images: usize,
    /// What blocks that share a tile count with, once a step does.
    pub(super) arrived: Option<BufferId>,
    /// Steps of the forward pass, once it is complete and a backward pass follows.
    pub(super) backward: Option<usize>,
}

impl Builder {
    /// An empty plan for the CPU.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty plan for GPU kernels that compute in `dtype`.
    pub fn for_kernels(dtype: DType) -> Self {
        Self {
            kernels: Some(dtype),
            ..Self::default()
        }
    }

    /// The input of the forward pass, `len` f32 elements that the caller brings.
    pub fn input(&mut self, len: usize) -> BufferId {
        self.named_input("pixels", &[len], Elements::F32)
    }

    /// Declares what can be read under `name` after a run. The buffer keeps its contents to the end.
    ///
    /// # Errors
    /// [`ShapeError`](crate::shape::ShapeError) where the view reaches beyond its buffer.
    pub fn output(&mut self, name: impl Into<String>, view: View) -> Result<()> {
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
    /// [`ShapeError`](crate::shape::ShapeError) where sizes overflow or `x` is too short.
    pub fn layernorm(
        &mut self,
        label: &str,
        x: BufferId,
        (rows, channels, x_stride): (usize, usize, usize),
        eps: f32,
    ) -> Result<BufferId> {
        let last = elements("rows of a LayerNorm", &[rows.saturating_sub(1), x_stride])?;
        self.holds(label, x, last + channels)?;
        let Norm { gamma, beta, eps } = self.norm(label, channels, eps)?;
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
                positions: None,
            },
        )?;
        Ok(y)
    }

    /// Linear layer on `x` [rows, inner] with parameters `{label}.weight` and, if `bias`,
    /// `{label}.bias`. Returns [rows, cols]: a new buffer, or `into` where the result is added.
    ///
    /// # Errors
    /// [`ShapeError`](crate::shape::ShapeError) where sizes overflow or a buffer is too short.
    pub fn linear(
        &mut self,
        label: &str,
        x: BufferId,
        (rows, inner, cols): (usize, usize, usize),
        bias: bool,
        target: Target,
    ) -> Result<BufferId> {
        self.holds(
            label,
            x,
            elements("input of a linear layer", &[rows, inner])?,
        )?;
        let (weight, bias) = self.linear_params(label, (inner, cols), bias)?;
        let (y, epilogue) = self.linear_output(label, (rows, cols), target)?;
        let parts = self.linear_parts(epilogue, (rows, inner, cols))?;
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
                norm: None,
                split: None,
                parts,
            },
        )?;
        Ok(y)
    }

    pub(super) fn linear_params(
        &mut self,
        label: &str,
        (inner, cols): (usize, usize),
        bias: bool,
    ) -> Result<(BufferId, Option<BufferId>)> {
        let order = Order::Matrix { inner };
        let weight = self.param(format!("{label}.weight"), &[cols, inner], order)?;
        let bias = if bias {
            Some(self.param(format!("{label}.bias"), &[cols], Order::Vector)?)
        } else {
            None
        };
        Ok((weight, bias))
    }

    pub(super) fn linear_output(
        &mut self,
        label: &str,
        (rows, cols): (usize, usize),
        target: Target,
    ) -> Result<(BufferId, Epilogue)> {
        let (y, epilogue) = match target {
            Target::New => (self.activation(&[rows, cols])?, Epilogue::Store),
            Target::NewGelu => (self.activation(&[rows, cols])?, Epilogue::Gelu(None)),
            Target::NewGeluOf(hidden) => {
                self.holds(label, hidden, elements("hidden layer", &[rows, cols])?)?;
                (
                    self.activation(&[rows, cols])?,
                    Epilogue::Gelu(Some(hidden)),
                )
            }
            Target::NewSum(residual) => {
                self.holds(label, residual, elements("residual", &[rows, cols])?)?;
                (self.activation(&[rows, cols])?, Epilogue::Sum(residual))
            }
            Target::NewGeluSlope(hidden) => {
                self.holds(label, hidden, elements("hidden layer", &[rows, cols])?)?;
                (self.activation(&[rows, cols])?, Epilogue::GeluSlope(hidden))
            }
            Target::AddTo(y) => (y, Epilogue::Accumulate),
        };
        let len = elements("output of a linear layer", &[rows, cols])?;
        self.holds(label, y, len)?;
        Ok((y, epilogue))
    }

    /// The MLP branch of a block on the residual stream `x` [rows, channels], in place, with
    /// parameters `{label}.norm2`, `{label}.mlp.fc1` and `{label}.mlp.fc2`.
    ///
    /// # Errors
    /// [`ShapeError`](crate::shape::ShapeError) where sizes overflow or `x` is too short.
    pub fn mlp(
        &mut self,
        label: &str,
        x: BufferId,
        (rows, channels, hidden): (usize, usize, usize),
        eps: f32,
    ) -> Result<()> {
        self.holds(label, x, elements("residual stream", &[rows, channels])?)?;
        let Norm { gamma, beta, eps } = self.norm(&format!("{label}.norm2"), channels, eps)?;
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
    /// [`ShapeError`](crate::shape::ShapeError) where sizes overflow or `x` is too short.
    pub fn patch_conv(
        &mut self,
        label: &str,
        x: BufferId,
        (batch, grid, in_chans): (usize, (usize, usize), usize),
        (patch, out_chans): (usize, usize),
        pixels: Pixels,
    ) -> Result<BufferId> {
        let (op, y) = self.conv(
            label,
            x,
            (batch, grid, in_chans),
            (patch, out_chans),
            pixels,
            true,
        )?;
        let op = self.conv_in_parts(op)?;
        self.step(label, op)?;
        Ok(y)
    }

    /// A convolution that is no step yet, and its output: a new buffer if `store`, else `x`, which
    /// the caller replaces.
    pub(super) fn conv(
        &mut self,
        label: &str,
        x: BufferId,
        (batch, grid, in_chans): (usize, (usize, usize), usize),
        (patch, out_chans): (usize, usize),
        pixels: Pixels,
        store: bool,
    ) -> Result<(PatchConv, BufferId)> {
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
        let y = if store {
            self.activation(&[batch, grid.0 / patch, grid.1 / patch, out_chans])?
        } else {
            x
        };
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
            norm: None,
            parts: None,
        };
        Ok((op, y))
    }

    /// y = a + b, elementwise over `len` elements.
    ///
    /// # Errors
    /// [`ShapeError`](crate::shape::ShapeError) where a buffer is too short.
    pub fn residual(
        &mut self,
        label: &str,
        (a, b): (BufferId, BufferId),
        len: usize,
    ) -> Result<BufferId> {
        self.holds(label, a, len)?;
        self.holds(label, b, len)?;
        let y = self.activation(&[len])?;
        self.step(label, Residual::sum(len, (a, b), y))?;
        Ok(y)
    }
}

/// Where a linear layer writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A new buffer.
    New,
    /// A new buffer, through GELU.
    NewGelu,
    /// A new buffer, through GELU; what GELU is applied to is kept in this buffer.
    NewGeluOf(BufferId),
    /// A new buffer, added to what stands in this one.
    NewSum(BufferId),
    /// A new buffer: times GELU' of what stands in this one, which becomes GELU of it.
    NewGeluSlope(BufferId),
    /// Added to what stands in this buffer: the residual connection.
    AddTo(BufferId),
}
