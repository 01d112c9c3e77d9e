//! Steps of the backward pass. Gradients of parameters add up in a block of their own; gradients of
//! activations are new buffers, or are added to the gradient of the residual stream.

use super::{BufferId, Builder, Elements, Order, Target};
use crate::error::Result;
use crate::kernels::attention_bwd::launch_shape;
use crate::kernels::layernorm_bwd;
use crate::kernels::weight_grad::Weight;
use crate::ops::Norm;
use crate::ops::attention_bwd::AttentionBwd;
use crate::ops::fill::Fill;
use crate::ops::layernorm_bwd::LayerNormBwd;
use crate::ops::linear::{Epilogue, Linear};
use crate::ops::linear_bwd::{LinearBwd, Sizes};
use crate::ops::patch_conv::Pixels;
use crate::ops::patch_conv_bwd::{PatchConvBwdData, PatchConvBwdWeight};
use crate::ops::pos_embed_bwd::PosEmbedBwd;
use crate::ops::residual::Residual;
use crate::shape::elements;

/// Factors of residual branches, one for each image, and the first one of a branch.
pub type Factors = (BufferId, usize);

impl Builder {
    /// Scratch of a step on the CPU.
    fn scratch(&mut self, len: usize) -> Result<Option<BufferId>> {
        if self.kernels.is_some() {
            return Ok(None);
        }
        Ok(Some(self.activation(&[len])?))
    }

    /// Gradient of the input of a linear layer: dx [rows, inner] = dy [rows, cols]·W, with the weight of `label`,
    /// [cols, inner] in the checkpoint. `target` as for [`Builder::linear`].
    ///
    /// # Errors
    /// [`ShapeError`](crate::shape::ShapeError) where sizes overflow or a buffer is too short.
    pub fn linear_bwd_data(
        &mut self,
        label: &str,
        dy: BufferId,
        (rows, inner, cols): (usize, usize, usize),
        target: Target,
    ) -> Result<BufferId> {
        self.holds(label, dy, elements("gradient", &[rows, cols])?)?;
        let order = Order::Transposed { inner };
        let weight = self.param(format!("{label}.weight"), &[cols, inner], order)?;
        let (y, epilogue) = self.linear_output(label, (rows, inner), target)?;
        let parts = self.linear_parts(epilogue, (rows, cols, inner))?;
        let op = Linear {
            rows,
            inner: cols,
            cols: inner,
            epilogue,
            x: dy,
            weight,
            bias: None,
            y,
            norm: None,
            split: None,
            parts,
        };
        self.step(&format!("d {label}.input"), op)?;
        Ok(y)
    }

    /// Gradients of the parameters of the linear layer `label` from dy [rows, cols] and its input x [rows, inner].
    ///
    /// # Errors
    /// As [`Builder::linear_bwd_data`].
    pub fn linear_bwd(
        &mut self,
        label: &str,
        (dy, x): (BufferId, BufferId),
        (rows, inner, cols): (usize, usize, usize),
        bias: bool,
    ) -> Result<()> {
        self.holds(label, dy, elements("gradient", &[rows, cols])?)?;
        self.holds(
            label,
            x,
            elements("input of a linear layer", &[rows, inner])?,
        )?;
        let dweight = self.gradient(format!("{label}.weight"), &[cols, inner])?;
        let dbias = if bias {
            Some(self.gradient(format!("{label}.bias"), &[cols])?)
        } else {
            None
        };
        let scratch = self.scratch(LinearBwd::scratch_len(rows, inner, cols))?;
        let sizes = Sizes { rows, inner, cols };
        let shared = self.shared_by_rows(Weight::Linear, sizes)?;
        let op = LinearBwd {
            rows,
            inner,
            cols,
            dy,
            x,
            dweight,
            dbias,
            scratch,
            shared,
        };
        self.step(&format!("d {label}"), op)
    }

    /// Gradient of a LayerNorm of `rows` rows of `channels` of x, `x_stride` apart, from dy [rows, channels], whose images
    /// of `skip.0` rows have `skip.1` other rows in front of them. Added to `into`, or a new buffer like x.
    ///
    /// # Errors
    /// As [`Builder::layernorm`].
    pub fn layernorm_bwd(
        &mut self,
        label: &str,
        (x, dy): (BufferId, BufferId),
        (rows, channels, x_stride): (usize, usize, usize),
        skip: Option<(usize, usize)>,
        eps: f32,
        into: Option<BufferId>,
    ) -> Result<BufferId> {
        let last = elements("rows of a LayerNorm", &[rows.saturating_sub(1), x_stride])?;
        self.holds(label, x, last + channels)?;
        let Norm { gamma, .. } = self.norm(label, channels, eps)?;
        let dx = match into {
            Some(dx) => dx,
            None => self.activation(&[rows, x_stride])?,
        };
        let op = LayerNormBwd {
            rows,
            channels,
            x_stride,
            skip,
            eps,
            x,
            gamma,
            dy,
            dx,
            accumulate: into.is_some(),
            dgamma: self.gradient(format!("{label}.weight"), &[channels])?,
            dbeta: self.gradient(format!("{label}.bias"), &[channels])?,
            scratch: self.scratch(LayerNormBwd::scratch_len(rows, channels))?,
            shared: match self.kernels {
                Some(dtype) => {
                    let partials = layernorm_bwd::partials(dtype, rows, channels);
                    let counters = layernorm_bwd::counters(dtype, rows, channels);
                    self.shared_by_blocks(partials, counters)?
                }
                None => None,
            },
        };
        let dy_rows = op.dy_row(rows.saturating_sub(1)) + 1;
        self.holds(label, dy, elements("gradient", &[dy_rows, channels])?)?;
        self.holds(label, dx, last + channels)?;
        self.step(&format!("d {label}"), op)?;
        Ok(dx)
    }

    /// Gradients of queries [batch, queries, heads·head_dim] and of keys with values [batch, keys, 2·heads·head_dim]
    /// from that of what attention gave. `saved` is what it gave and its log-sum-exp, which kernels need for many keys.
    ///
    /// # Errors
    /// As [`Builder::attention`].
    pub fn attention_bwd(
        &mut self,
        label: &str,
        (q, kv, dy): (BufferId, BufferId, BufferId),
        saved: Option<(BufferId, BufferId)>,
        (batch, queries, keys): (usize, usize, usize),
        (heads, head_dim): (usize, usize),
    ) -> Result<(BufferId, BufferId)> {
        let q_len = elements("queries", &[batch, queries, heads, head_dim])?;
        let kv_len = elements("keys and values", &[batch, keys, 2, heads, head_dim])?;
        for (buffer, len) in [(q, q_len), (dy, q_len), (kv, kv_len)] {
            self.holds(label, buffer, len)?;
        }
        let (dq, dkv) = (self.activation(&[q_len])?, self.activation(&[kv_len])?);
        let mut op = AttentionBwd {
            batch,
            queries,
            keys,
            heads,
            head_dim,
            q,
            kv,
            saved,
            dy,
            dq,
            dkv,
            shared: None,
        };
        let shape = self
            .kernels
            .and_then(|dtype| launch_shape(dtype, op.size()));
        if let Some(shape) = shape {
            op.shared = self.shared_by_blocks(shape.scratch, shape.counters)?;
        }
        self.step(&format!("d {label}"), op)?;
        Ok((dq, dkv))
    }

    /// Gradients of the parameters of the patch convolution `label` from dy [batch, tokens, out_chans] and its input x.
    ///
    /// # Errors
    /// As [`Builder::patch_conv`].
    pub fn patch_conv_bwd(
        &mut self,
        label: &str,
        (dy, x): (BufferId, BufferId),
        (batch, grid, in_chans): (usize, (usize, usize), usize),
        (patch, out_chans): (usize, usize),
        pixels: Pixels,
    ) -> Result<()> {
        let (h, w) = grid;
        self.holds(label, x, elements("input", &[batch, h, w, in_chans])?)?;
        let out = elements("gradient", &[batch, h / patch, w / patch, out_chans])?;
        self.holds(label, dy, out)?;
        let shape = [out_chans, in_chans, patch, patch];
        let mut op = PatchConvBwdWeight {
            batch,
            grid,
            in_chans,
            patch,
            out_chans,
            pixels,
            dy,
            x,
            dweight: self.gradient(format!("{label}.weight"), &shape)?,
            dbias: self.gradient(format!("{label}.bias"), &[out_chans])?,
            scratch: None,
            shared: None,
        };
        op.scratch = self.scratch(op.scratch_len())?;
        let kind = match pixels {
            Pixels::Nhwc => Weight::Tokens,
            Pixels::Nchw => Weight::Pixels,
        };
        op.shared = self.shared_by_rows(kind, op.sizes())?;
        self.step(&format!("d {label}"), op)
    }

    /// Gradient of the input of the patch convolution `label`: added to `into`, or a new buffer.
    ///
    /// # Errors
    /// As [`Builder::patch_conv`].
    pub fn patch_conv_bwd_data(
        &mut self,
        label: &str,
        dy: BufferId,
        (batch, grid, in_chans): (usize, (usize, usize), usize),
        (patch, out_chans): (usize, usize),
        pixels: Pixels,
        into: Option<BufferId>,
    ) -> Result<BufferId> {
        let (h, w) = grid;
        let len = elements("input", &[batch, h, w, in_chans])?;
        let out = elements("gradient", &[batch, h / patch, w / patch, out_chans])?;
        self.holds(label, dy, out)?;
        let shape = [out_chans, in_chans, patch, patch];
        let order = match pixels {
            Pixels::Nhwc => Order::ChannelsLastTransposed { in_chans, patch },
            Pixels::Nchw if self.kernels.is_none() => Order::Tensor,
            Pixels::Nchw => Order::Transposed {
                inner: in_chans * patch * patch,
            },
        };
        let weight = self.param(format!("{label}.weight"), &shape, order)?;
        let dx = match (into, pixels) {
            (Some(dx), _) => dx,
            (None, Pixels::Nhwc) => self.activation(&[len])?,
            (None, Pixels::Nchw) => self.f32s(len),
        };
        self.holds(label, dx, len)?;
        let op = PatchConvBwdData {
            batch,
            grid,
            in_chans,
            patch,
            out_chans,
            pixels,
            dy,
            weight,
            dx,
            accumulate: into.is_some(),
        };
        self.step(&format!("d {label}.input"), op)?;
        Ok(dx)
    }

    /// Gradients of the position table `label` of grid `native`, and of the class token, from that of the tokens of
    /// `grid` [batch, rows, channels].
    ///
    /// # Errors
    /// As [`Builder::pos_embed`].
    pub fn pos_embed_bwd(
        &mut self,
        label: &str,
        d: BufferId,
        (batch, channels): (usize, usize),
        (native, grid): ((usize, usize), (usize, usize)),
        class_token: Option<&str>,
    ) -> Result<()> {
        let class_rows = usize::from(class_token.is_some());
        let rows = elements("position table", &[native.0, native.1])? + class_rows;
        let dtable = self.gradient(label.to_owned(), &[1, rows, channels])?;
        let dclass = match class_token {
            Some(name) => Some(self.gradient(name.to_owned(), &[1, 1, channels])?),
            None => None,
        };
        let mut op = PosEmbedBwd {
            batch,
            channels,
            from: native,
            to: grid,
            d,
            dtable,
            dclass,
            scratch: None,
        };
        let image = elements("tokens", &[op.rows(), channels])?;
        self.holds(label, d, elements("gradient", &[batch, image])?)?;
        op.scratch = self.scratch(image)?;
        self.step(&format!("d {label}"), op)
    }

    /// `b` [images, …] in a new buffer, each image times its factor.
    ///
    /// # Errors
    /// As [`Builder::residual`].
    pub fn scaled(
        &mut self,
        label: &str,
        b: BufferId,
        len: usize,
        factors: Option<Factors>,
    ) -> Result<BufferId> {
        self.add_scaled(label, (None, b), len, factors)
    }

    /// y = a + m·b with a factor m for each image.
    ///
    /// # Errors
    /// As [`Builder::residual`].
    pub fn add_scaled(
        &mut self,
        label: &str,
        (a, b): (Option<BufferId>, BufferId),
        len: usize,
        factors: Option<Factors>,
    ) -> Result<BufferId> {
        for buffer in a.into_iter().chain([b]) {
            self.holds(label, buffer, len)?;
        }
        let images = self.images.max(1);
        if let Some((buffer, first)) = factors {
            self.holds(label, buffer, first + images)?;
        }
        let factors = factors.map(|(buffer, first)| (buffer, first, images));
        let y = self.activation(&[len])?;
        let op = Residual {
            len,
            a,
            b,
            factors,
            y,
        };
        self.step(label, op)?;
        Ok(y)
    }

    /// A new buffer of `len` zeros.
    ///
    /// # Errors
    /// As [`Builder::residual`].
    pub fn zeros(&mut self, label: &str, len: usize) -> Result<BufferId> {
        let y = self.activation(&[len])?;
        // zeros of any type are those of f32
        let len = self.buffers[y.index()].bytes.div_ceil(size_of::<f32>());
        self.step(label, Fill { len, value: 0.0, y })?;
        Ok(y)
    }

    pub(super) fn f32s(&mut self, len: usize) -> BufferId {
        self.buffer(len, Elements::F32, super::builder::Kind::Activation)
    }

    /// Parts of the inner dimension of a linear layer, where its epilogue allows them.
    pub(super) fn linear_parts(
        &mut self,
        epilogue: Epilogue,
        (rows, inner, cols): (usize, usize, usize),
    ) -> Result<Option<crate::ops::InParts>> {
        match epilogue {
            Epilogue::Gelu(_) | Epilogue::GeluSlope(_) => Ok(None),
            Epilogue::Store | Epilogue::Accumulate | Epilogue::Sum(_) => {
                let images = self.images_of(rows);
                self.in_parts(crate::kernels::parts::Family::Linear, images, inner, cols)
            }
        }
    }
}
