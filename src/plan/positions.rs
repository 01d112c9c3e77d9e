//! Steps that give tokens their positions.

use super::builder::Kind;
use super::{BufferId, Builder, Order};
use crate::error::Result;
use crate::ops::pos_embed::{PosEmbed, PosResize};
use crate::shape::elements;

impl Builder {
    /// Adds the position table `label` of grid `native` to `x` [batch, H·W, channels], after
    /// resizing it (once, at set-up) where `grid` differs; with `class_token` also joins that
    /// parameter in front, and the table has a row for it.
    ///
    /// # Errors
    /// [`ShapeError`](crate::shape::ShapeError) where sizes overflow or `x` is too short.
    pub fn pos_embed(
        &mut self,
        label: &str,
        x: BufferId,
        (batch, channels): (usize, usize),
        (native, grid): ((usize, usize), (usize, usize)),
        class_token: Option<&str>,
    ) -> Result<BufferId> {
        let tokens = elements("tokens", &[grid.0, grid.1])?;
        self.holds(label, x, elements("tokens", &[batch, tokens, channels])?)?;
        let (table, class_token) =
            self.position_params(label, channels, (native, grid), class_token)?;
        let rows = tokens + usize::from(class_token.is_some());
        let y = self.activation(&[batch, rows, channels])?;
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

    /// The position table of `grid` (resized at set-up where it is not `native`) and the class token.
    pub(super) fn position_params(
        &mut self,
        label: &str,
        channels: usize,
        (native, grid): ((usize, usize), (usize, usize)),
        class_token: Option<&str>,
    ) -> Result<(BufferId, Option<BufferId>)> {
        let tokens = elements("tokens", &[grid.0, grid.1])?;
        let class_rows = usize::from(class_token.is_some());
        let native_rows = elements("position table", &[native.0, native.1])? + class_rows;
        let mut table = self.param(label.to_owned(), &[1, native_rows, channels], Order::Tensor)?;
        if native != grid {
            let len = elements("position table", &[tokens + class_rows, channels])?;
            let y = self.buffer(len, self.tensor(), Kind::Persistent);
            let op = PosResize {
                class_rows,
                from: native,
                to: grid,
                channels,
                table,
                y,
            };
            let resize = self.finished_step(&format!("{label}.resized"), op.into())?;
            self.setup.push(resize);
            table = y;
        }
        let class_token = match class_token {
            Some(name) => Some(self.param(name.to_owned(), &[1, 1, channels], Order::Tensor)?),
            None => None,
        };
        Ok((table, class_token))
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
