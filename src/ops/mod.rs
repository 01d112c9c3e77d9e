//! The operators of the network. One folder per operator: `mod.rs` is its contract (equation,
//! tensors, cost, source), `cpu.rs` computes it on the CPU, `launch.rs` says which kernel runs it on a GPU.
//!
//! Letters: B batch, N query tokens, M key tokens, C channels, E hidden channels, R rows (B·N).
//! Tokens [B, N, C] with N = H·W are the same memory as an NHWC map [B, H, W, C].

pub(crate) mod attention;
pub(crate) mod attention_bwd;
pub(crate) mod fill;
pub(crate) mod head;
#[cfg(test)]
mod launch_check;
pub(crate) mod layernorm;
pub(crate) mod linear;
pub(crate) mod mlp;
pub(crate) mod patch_conv;
pub(crate) mod pos_embed;
pub(crate) mod preprocess;
pub(crate) mod residual;

use crate::dtype::DType;
use crate::kernels::parts::PartsTile;
use crate::launch::{Launch, LaunchError};
use crate::plan::BufferId;
use crate::target::cpu::{Lanes, Memory};

/// What a step costs at least: every operand read or written once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Multiply-adds of matrix products and convolutions; norms, GELU and softmax count nothing.
    pub macs: u64,
    /// Bytes of all operands, weights included, each counted once.
    pub bytes: u64,
}

impl Cost {
    /// Floating-point operations of the matrix products: two per multiply-add.
    pub fn flops(&self) -> u64 {
        self.macs.saturating_mul(2)
    }
}

/// Product of sizes; the largest count there is where it would overflow, as it can before a plan
/// is found to be too large.
pub(crate) fn count(sizes: &[usize]) -> u64 {
    sizes.iter().fold(1, |n, &s| n.saturating_mul(s as u64))
}

/// One operator with its sizes and buffers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Op {
    PatchConv(patch_conv::PatchConv),
    LayerNorm(layernorm::LayerNorm),
    PosResize(pos_embed::PosResize),
    PosEmbed(pos_embed::PosEmbed),
    Linear(linear::Linear),
    Attention(attention::Attention),
    AttentionBwd(attention_bwd::AttentionBwd),
    Mlp(mlp::Mlp),
    Residual(residual::Residual),
    Head(head::Head),
    Preprocess(preprocess::Preprocess),
    Fill(fill::Fill),
}

/// What every operator tells the plan and the executor.
pub(crate) trait OpSpec {
    /// The operator's one name.
    const NAME: &'static str;
    /// Buffers read, in the order of the contract.
    fn reads(&self) -> Vec<BufferId>;
    /// Buffers written or updated.
    fn writes(&self) -> Vec<BufferId>;
    /// Multiply-adds of matrix products.
    fn macs(&self) -> u64;
    /// Sizes for people, such as `x[3136,64] w[64,512]`.
    fn shapes(&self) -> String;
    /// f32 elements of private scratch that each CPU worker needs.
    fn lane_len(&self) -> usize {
        0
    }
    /// What a GPU runs for it, in order, with kernels that compute in `dtype`.
    fn launches(&self, dtype: DType) -> Result<Vec<Launch>, LaunchError>;
    /// Computes the operator on the CPU.
    fn run(&self, memory: &mut Memory<'_>, lanes: &Lanes);
}

/// LayerNorm of the rows that an operator reads or writes, as part of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Norm {
    pub(crate) gamma: BufferId,
    pub(crate) beta: BufferId,
    pub(crate) eps: f32,
}

/// What is added to the tokens at the start of a stage: a row of the table for each, the class
/// token's first if there is one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Positions {
    pub(crate) table: BufferId,
    pub(crate) class_token: Option<BufferId>,
}

/// How a product is computed whose inner dimension is added in parts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct InParts {
    pub(crate) tile: PartsTile,
    /// Where several blocks share a tile: their sums, and how many have stored theirs.
    pub(crate) shared: Option<(BufferId, BufferId)>,
}

impl InParts {
    /// Buffers written.
    fn writes(self) -> impl Iterator<Item = BufferId> {
        self.shared
            .into_iter()
            .flat_map(|(partials, arrived)| [partials, arrived])
    }

    /// For people.
    fn shapes(self) -> String {
        let PartsTile { parts, blocks, .. } = self.tile;
        format!(" in {parts} parts by {blocks}")
    }
}

macro_rules! each_op {
    ($self:expr, $op:ident => $body:expr) => {
        match $self {
            Op::PatchConv($op) => $body,
            Op::LayerNorm($op) => $body,
            Op::PosResize($op) => $body,
            Op::PosEmbed($op) => $body,
            Op::Linear($op) => $body,
            Op::Attention($op) => $body,
            Op::AttentionBwd($op) => $body,
            Op::Mlp($op) => $body,
            Op::Residual($op) => $body,
            Op::Head($op) => $body,
            Op::Preprocess($op) => $body,
            Op::Fill($op) => $body,
        }
    };
}

impl Op {
    pub(crate) fn name(&self) -> &'static str {
        fn of<T: OpSpec>(_: &T) -> &'static str {
            T::NAME
        }
        each_op!(self, op => of(op))
    }

    pub(crate) fn reads(&self) -> Vec<BufferId> {
        each_op!(self, op => op.reads())
    }

    pub(crate) fn writes(&self) -> Vec<BufferId> {
        each_op!(self, op => op.writes())
    }

    pub(crate) fn macs(&self) -> u64 {
        each_op!(self, op => op.macs())
    }

    pub(crate) fn shapes(&self) -> String {
        each_op!(self, op => op.shapes())
    }

    pub(crate) fn lane_len(&self) -> usize {
        each_op!(self, op => op.lane_len())
    }

    pub(crate) fn launches(&self, dtype: DType) -> Result<Vec<Launch>, LaunchError> {
        each_op!(self, op => op.launches(dtype))
    }

    pub(crate) fn run(&self, memory: &mut Memory<'_>, lanes: &Lanes) {
        each_op!(self, op => op.run(memory, lanes));
    }
}
