//! The matrices of `wgmma` in shared memory, and the checks of their bytes.

use crate::exec::Cx;
use crate::exec::access::{Kind, Place, Request, reach, reach_lane};
use crate::isa::wgmma::{N_SHIFT, NEGATE_A, NEGATE_B, SHARED_A, TRANS_A, TRANS_B};
use crate::lanes::lanes_of;
use crate::matrix::descriptor::{Chunk, Major, MatrixDescriptor};
use crate::matrix::wgmma::SharedMatrix;
use crate::matrix::{Bf16, F16, Format, Tf32};
use crate::memory::window;
use crate::program::Op;
use crate::report::MatrixType;
use crate::simd::Level;

fn matrix(op: &Op, bits: u64, trans: u32, negate: u32) -> SharedMatrix {
    SharedMatrix {
        descriptor: MatrixDescriptor::decode(bits),
        major: if op.aux & trans == 0 {
            Major::K
        } else {
            Major::Mn
        },
        negate: op.aux & negate != 0,
    }
}

pub(super) fn a(op: &Op, bits: u64) -> SharedMatrix {
    matrix(op, bits, TRANS_A, NEGATE_A)
}

pub(super) fn b(op: &Op, bits: u64) -> SharedMatrix {
    matrix(op, bits, TRANS_B, NEGATE_B)
}

/// 16 bytes of the block's shared memory; zeros beyond its end, which is reported elsewhere.
#[inline(always)]
pub(super) fn read(cx: &Cx<'_>, address: u32) -> [u8; 16] {
    let view = cx.blocks[cx.rank].shared.view();
    match address.checked_sub(window::SHARED_START) {
        Some(at) if at as usize + 16 <= view.len() => view.read(at as usize),
        _ => [0; 16],
    }
}

/// The checks at the start of a product.
#[inline(never)]
pub(super) fn begin<L: Level, F: Format>(
    cx: &mut Cx<'_>,
    op: &Op,
    a_bits: Option<u64>,
    b_bits: u64,
) {
    if let Some(bits) = a_bits {
        let own = cx.warp.index % 4;
        touch::<L>(cx, op, 0, Kind::Peek, a(op, bits).chunks_of_a::<F>(own));
    }
    let n = op.aux >> N_SHIFT;
    touch::<L>(cx, op, 1, Kind::Peek, b(op, b_bits).chunks_of_b::<F>(n));
}

/// The groups of products before number `commits` are over. The first warp that knows of it has
/// read the matrices, the others synchronise with it.
#[inline(never)]
pub(super) fn end<L: Level>(cx: &mut Cx<'_>, commits: u32) {
    let (group, warp) = (cx.warp.index as usize / 4, cx.warp.index);
    let seen = cx.block().products[group].seen;
    let products = std::mem::take(&mut cx.warp.products);
    if commits > seen {
        for product in products
            .iter()
            .filter(|p| (seen..commits).contains(&p.group))
        {
            let op = &cx.grid.program.ops[product.op as usize];
            match op.matrix {
                Some(MatrixType::Tf32) => again::<L, Tf32>(cx, op, product.a, product.b),
                Some(MatrixType::Bf16) => again::<L, Bf16>(cx, op, product.a, product.b),
                _ => again::<L, F16>(cx, op, product.a, product.b),
            }
        }
        let block = cx.block();
        block.products[group].seen = commits;
        let clock = &mut block.products[group].clock;
        block.order.arrival(warp, clock);
    }
    let block = cx.block();
    block.order.acquire(warp, &block.products[group].clock);
    cx.warp.products = products;
    cx.warp.products.retain(|product| product.group >= commits);
}

/// The checks at the end of a product, for all four warps.
fn again<L: Level, F: Format>(cx: &mut Cx<'_>, op: &Op, a_bits: Option<u64>, b_bits: u64) {
    if let Some(bits) = a_bits.filter(|_| op.aux & SHARED_A != 0) {
        for warp in 0..4 {
            touch::<L>(cx, op, 0, Kind::Read, a(op, bits).chunks_of_a::<F>(warp));
        }
    }
    let n = op.aux >> N_SHIFT;
    touch::<L>(cx, op, 1, Kind::Read, b(op, b_bits).chunks_of_b::<F>(n));
}

/// Checks chunks of 16 bytes, 32 at a time.
fn touch<L: Level>(
    cx: &mut Cx<'_>,
    op: &Op,
    which: u8,
    kind: Kind,
    mut chunks: impl Iterator<Item = Chunk>,
) {
    loop {
        let mut mask = 0_u32;
        let mut addresses = [0; 32];
        for (lane, chunk) in chunks.by_ref().take(32).enumerate() {
            addresses[lane] = u64::from(chunk.address);
            mask |= 1 << lane;
        }
        if mask == 0 {
            return;
        }
        let request = Request {
            which,
            place: Place::Shared,
            kind,
            bytes: 16,
            mask,
        };
        cx.worker.addresses = addresses;
        if reach::<L>(cx, op, &request).is_none() {
            cx.worker.addresses = addresses;
            for lane in lanes_of(mask) {
                reach_lane(cx, op, &request, lane);
            }
        }
        if mask != u32::MAX {
            return;
        }
    }
}
