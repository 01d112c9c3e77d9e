//! Learned positions of PVT v1: adding the table, joining the class token, resizing the table.
//!
//! `pos_embed`: `y[b, t] = tokens[t] + table[t]`, where the tokens of an image are the class token, if
//! there is one, and then `x[b]`.
//!
//! | tensor | shape | |
//! | --- | --- | --- |
//! | x | [B, N, C] | in |
//! | class_token | `[C]` or none | in |
//! | table | [k + N, C], k = 1 with a class token, else 0 | in |
//! | y | [B, k + N, C] | out |
//!
//! `pos_resize`: bilinear resize of a table from its own grid to another, half-pixel centres, two
//! taps per axis and no area filter when shrinking (`torch.nn.functional.interpolate` with
//! `mode="bilinear"`, `align_corners=False`). The class token's row is copied.

mod cpu;
mod launch;

pub(crate) use cpu::{resize, taps};

use super::{Op, OpSpec};
use crate::cpu::Real;
use crate::dtype::DType;
use crate::launch::{Launch, LaunchError};
use crate::plan::BufferId;
use crate::target::cpu::{Lanes, Memory};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PosEmbed {
    pub(crate) batch: usize,
    pub(crate) tokens: usize,
    pub(crate) channels: usize,
    pub(crate) x: BufferId,
    pub(crate) class_token: Option<BufferId>,
    pub(crate) table: BufferId,
    pub(crate) y: BufferId,
}

impl OpSpec for PosEmbed {
    const NAME: &'static str = "pos_embed";

    fn reads(&self) -> Vec<BufferId> {
        [self.x, self.table]
            .into_iter()
            .chain(self.class_token)
            .collect()
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.y]
    }

    fn macs(&self) -> u64 {
        0
    }

    fn shapes(&self) -> String {
        let class = if self.class_token.is_some() {
            " +class"
        } else {
            ""
        };
        format!("x[{},{},{}]{class}", self.batch, self.tokens, self.channels)
    }

    fn launches(&self, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
        launch::add(self, dtype)
    }

    fn run<T: Real>(&self, memory: &mut Memory<'_, T>, _: &Lanes<T>) {
        if let Some(class) = self.class_token {
            let ([x, table, class], [y]) = memory.bind([self.x, self.table, class], [self.y]);
            cpu::add(self, x, Some(class), table, y);
        } else {
            let ([x, table], [y]) = memory.bind([self.x, self.table], [self.y]);
            cpu::add(self, x, None, table, y);
        }
    }
}

impl From<PosEmbed> for Op {
    fn from(op: PosEmbed) -> Self {
        Self::PosEmbed(op)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PosResize {
    pub(crate) class_rows: usize,
    pub(crate) from: (usize, usize),
    pub(crate) to: (usize, usize),
    pub(crate) channels: usize,
    pub(crate) table: BufferId,
    pub(crate) y: BufferId,
}

impl OpSpec for PosResize {
    const NAME: &'static str = "pos_resize";

    fn reads(&self) -> Vec<BufferId> {
        vec![self.table]
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.y]
    }

    fn macs(&self) -> u64 {
        0
    }

    fn shapes(&self) -> String {
        let ((h, w), (oh, ow)) = (self.from, self.to);
        format!("{h}x{w} -> {oh}x{ow}, {} channels", self.channels)
    }

    fn launches(&self, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
        launch::resize(self, dtype)
    }

    fn run<T: Real>(&self, memory: &mut Memory<'_, T>, _: &Lanes<T>) {
        let ([table], [y]) = memory.bind([self.table], [self.y]);
        let (from, to) = (self.from, self.to);
        cpu::resize(self.class_rows, from, to, self.channels, table, y);
    }
}

impl From<PosResize> for Op {
    fn from(op: PosResize) -> Self {
        Self::PosResize(op)
    }
}
