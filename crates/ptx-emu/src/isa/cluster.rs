//! Clusters of blocks: `barrier.cluster` (PTX ISA 9.7.13), and `mapa`, `getctarank`, `isspacep`
//! (9.7.9), which tell whose memory an address is in.

use crate::ast::{Instruction, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::exec::cluster::{self, Wait as Outcome};
use crate::exec::collect::gather;
use crate::exec::warp::State;
use crate::exec::{Cx, Flow};
use crate::isa::lanes;
use crate::lanes::{Lane, mask_of};
use crate::memory::window;
use crate::program::{Constant, Op, Special};
use crate::report::ViolationKind;
use crate::simd::{Handler, Level};

/// Bits of `Op::aux` of the barrier.
const ALIGNED: u32 = 1;
const RELAXED: u32 = 2;

/// The part of a shared address that is the same in every block.
const WITHIN: u64 = (1 << window::RANK_SHIFT) - 1;

pub(crate) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    match form.name {
        "barrier" => barrier(d, form, instruction),
        "mapa" => map(d, form, instruction),
        "getctarank" => rank(d, form, instruction),
        _ => space(d, form, instruction),
    }
}

fn barrier<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    form.flag("cluster");
    let mut op = match form.choice(&["arrive", "wait"]) {
        Some("arrive") => {
            let mut op = d.op::<Arrive>();
            if form.choice(&["release", "relaxed"]) == Some("relaxed") {
                op.aux |= RELAXED;
            }
            op
        }
        Some(_) => {
            form.flag("acquire");
            d.op::<Wait>()
        }
        None => return Err(form.unsupported("neither `.arrive` nor `.wait`")),
    };
    if form.flag("aligned") {
        op.aux |= ALIGNED;
    }
    form.done()?;
    let [] = form.operands(instruction)?;
    d.push(op);
    Ok(())
}

fn misuse(cx: &mut Cx<'_>, op: &Op, lanes: u32, problem: &str) {
    if lanes != 0 {
        let kind = ViolationKind::BarrierMisuse {
            barrier: 0,
            problem: format!("of the cluster: {problem}"),
        };
        cx.violate(op, lanes.trailing_zeros() as usize, kind);
    }
}

/// Lanes that run must come to an aligned barrier together.
fn together(cx: &mut Cx<'_>, op: &Op) -> Result<(), Flow> {
    if op.aux & ALIGNED == 0 {
        return Ok(());
    }
    gather(cx, op, cx.warp.live)
}

struct Arrive;

impl Handler for Arrive {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        if let Err(flow) = together(cx, op) {
            return flow;
        }
        let again = cluster::arrive(cx, op.aux & RELAXED == 0);
        misuse(
            cx,
            op,
            again,
            "a thread arrives twice without a wait between",
        );
        Flow::Next
    }
}

struct Wait;

impl Handler for Wait {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        if let Err(flow) = together(cx, op) {
            return flow;
        }
        let (outcome, strange) = cluster::wait(cx);
        misuse(cx, op, strange, "a thread waits that has not arrived");
        match outcome {
            Outcome::Over => Flow::Next,
            Outcome::Phase(phase) => {
                cx.pc -= 1;
                cx.wait = State::Cluster { phase };
                Flow::Wait
            }
        }
    }
}

/// `mapa{.shared::cluster}.type d, a, b`
fn map<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let ty = address_type(&mut form)?;
    let [to, from, rank] = form.operands(instruction)?;
    // ranks that no cluster has lead outside of shared memory all the same
    let mut op = if ty == Type::U32 {
        lanes!(d, |a: u32, b: u32| -> u32 {
            a & 0xff_ffff | (b.min(254) + 1) << window::RANK_SHIFT
        })
    } else {
        lanes!(d, |a: u64, b: u32| -> u64 {
            a & !0xffff_ffff | a & WITHIN | u64::from(b.min(254) + 1) << window::RANK_SHIFT
        })
    };
    op.d = d.dst(&form, to, ty)?;
    op.a = d.src(&form, from, ty)?;
    op.b = d.src(&form, rank, Type::U32)?;
    d.push(op);
    Ok(())
}

/// `{.shared::cluster}.type`, the rest of the form.
fn address_type(form: &mut Form<'_>) -> Result<Type, LoadError> {
    let generic = !form.flag("shared::cluster");
    let ty = form.ty()?;
    form.done()?;
    match ty {
        Type::U32 if generic => Err(form.unsupported("generic addresses have 64 bits")),
        Type::U32 | Type::U64 => Ok(ty),
        _ => Err(form.unsupported("addresses have the types `.u32` and `.u64`")),
    }
}

/// `getctarank{.shared::cluster}.type d, a`
fn rank<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let ty = address_type(&mut form)?;
    let [to, from] = form.operands(instruction)?;
    let mut op = if ty == Type::U32 {
        lanes!(d, |a: u32, own: u32| -> u32 {
            match a >> window::RANK_SHIFT {
                0 => own,
                far => far - 1,
            }
        })
    } else {
        lanes!(d, |a: u64, own: u32| -> u32 {
            match (a >> window::RANK_SHIFT & 0xff) as u32 {
                0 => own,
                far => far - 1,
            }
        })
    };
    op.d = d.dst(&form, to, Type::U32)?;
    op.a = d.src(&form, from, ty)?;
    op.b = d.constant(Constant::Special(Special::ClusterCtaRank));
    d.push(op);
    Ok(())
}

/// `isspacep.space p, a`
fn space<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let mut op = match form.choice(&[
        "const",
        "global",
        "local",
        "param",
        "param::entry",
        "shared",
        "shared::cta",
        "shared::cluster",
    ]) {
        Some("const") => d.op::<IsIn<CONST>>(),
        Some("global") => d.op::<IsIn<GLOBAL>>(),
        Some("local") => d.op::<IsIn<LOCAL>>(),
        Some("param" | "param::entry") => d.op::<IsIn<PARAM>>(),
        Some("shared::cluster") => d.op::<IsIn<CLUSTER>>(),
        Some(_) => d.op::<IsIn<SHARED>>(),
        None => return Err(form.unsupported("it names no state space")),
    };
    form.done()?;
    let [to, from] = form.operands(instruction)?;
    op.d = d.pred_dst(&form, to)?;
    op.a = d.src(&form, from, Type::U64)?;
    d.push(op);
    Ok(())
}

const CONST: u8 = 0;
const GLOBAL: u8 = 1;
const LOCAL: u8 = 2;
const PARAM: u8 = 3;
const SHARED: u8 = 4;
const CLUSTER: u8 = 5;

/// Whether generic addresses lie in the window of a space.
struct IsIn<const SPACE: u8>;

impl<const SPACE: u8> Handler for IsIn<SPACE> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let own = cx.rank as u64 + 1;
        let blocks = u64::from(cx.grid.blocks_per_cluster());
        let memory = cx.grid.memory;
        let inside = u64::load(&cx.warp.regs, op.a).map(|address| {
            let far = (address & 0xffff_ffff) >> window::RANK_SHIFT;
            match SPACE {
                // constant variables lie in global memory here
                CONST => memory
                    .find(address, address)
                    .is_some_and(|index| memory.allocations[index].read_only),
                // the window of parameters is part of the global one
                GLOBAL => !(window::SHARED..window::PARAM).contains(&address),
                LOCAL => address >> 32 == window::LOCAL >> 32,
                PARAM => address >> 32 == window::PARAM >> 32,
                SHARED => address >> 32 == window::SHARED >> 32 && (far == 0 || far == own),
                _ => address >> 32 == window::SHARED >> 32 && far <= blocks,
            }
        });
        let inside = mask_of(&inside);
        let pred = &mut cx.warp.regs.preds[op.d as usize];
        *pred = *pred & !cx.mask | inside & cx.mask;
        Flow::Next
    }
}
