//! Attention as steps.

use super::{BufferId, Builder};
use crate::error::Result;
use crate::kernels::tuning::ATT_KEYS;
use crate::ops::attention::Attention;
use crate::shape::elements;

impl Builder {
    /// Attention of `q` [batch, queries, heads·head_dim] over `kv` [batch, keys, 2·heads·head_dim].
    /// Returns [batch, queries, heads·head_dim].
    ///
    /// # Errors
    /// [`ShapeError`](crate::shape::ShapeError) where sizes overflow or a buffer is too short.
    pub fn attention(
        &mut self,
        label: &str,
        (q, kv): (BufferId, BufferId),
        (batch, queries, keys): (usize, usize, usize),
        (heads, head_dim): (usize, usize),
    ) -> Result<BufferId> {
        let sizes = (batch, queries, keys);
        let (y, _) = self.attention_kept(label, (q, kv), sizes, (heads, head_dim), false)?;
        Ok(y)
    }

    /// [`Builder::attention`], and the log-sum-exp of its scores [batch, heads, queries] if a backward pass `follows` and
    /// its kernels need it.
    ///
    /// # Errors
    /// As [`Builder::attention`].
    pub fn attention_kept(
        &mut self,
        label: &str,
        (q, kv): (BufferId, BufferId),
        (batch, queries, keys): (usize, usize, usize),
        (heads, head_dim): (usize, usize),
        follows: bool,
    ) -> Result<(BufferId, Option<BufferId>)> {
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
        let scratch = if self.kernels.is_some() {
            None
        } else {
            Some(self.activation(&[batch, Attention::scratch_len(keys, channels)])?)
        };
        let y = self.activation(&[batch, queries, channels])?;
        let needed = follows && self.kernels.is_some() && keys > ATT_KEYS as usize;
        let lse = needed.then(|| self.f32s(batch * heads * queries));
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
            lse,
        };
        self.step(label, op)?;
        Ok((y, lse))
    }
}
