//! Instructions by family: how each form is decoded, and what it does to a warp.
//!
//! A family's `decode` takes the form apart, checks the operands and pushes an op with the handler
//! for exactly this form. Every modifier must be taken by someone: one that is left over is an
//! error, so nothing is run that is not understood.

mod atomic;
pub(crate) mod barrier;
mod bulk;
mod cluster;
mod compare;
pub(crate) mod control;
mod convert;
mod copy;
mod double;
mod fence;
mod half;
mod hints;
mod integer;
mod logic;
mod matrix;
pub(crate) mod mbarrier;
pub(crate) mod memory;
mod mma;
mod moves;
mod operands;
mod param;
mod single;
mod special;
mod warp;
mod wgmma;

use crate::ast::Instruction;
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::report::Class;

/// Decodes one instruction.
pub(crate) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let form = Form::of(instruction);
    let family = match form.name {
        "bra" | "brx" | "ret" | "exit" | "trap" | "call" | "nanosleep" => control::decode,
        "ld" | "ldu" | "st" => memory::decode,
        "mov" | "cvta" => moves::decode,
        "barrier" if form.has("cluster") => cluster::decode,
        "bar" | "barrier" => barrier::decode,
        "and" | "or" | "xor" | "not" | "cnot" | "lop3" | "shl" | "shr" | "shf" | "prmt" | "bfe"
        | "bfi" | "bmsk" | "szext" | "brev" | "popc" | "clz" | "bfind" | "fns" => logic::decode,
        "setp" | "set" | "selp" | "slct" => compare::decode,
        "cvt" => convert::decode,
        "rcp" | "sqrt" | "rsqrt" | "ex2" | "lg2" | "sin" | "cos" | "tanh" | "testp" => {
            special::decode
        }
        "atom" | "red" => atomic::decode,
        "shfl" | "vote" | "match" | "redux" | "activemask" | "elect" => warp::decode,
        "cp" if form.has("bulk") => bulk::decode,
        "cp" => copy::decode,
        "ldmatrix" | "stmatrix" | "movmatrix" => matrix::decode,
        "mma" => mma::decode,
        "mbarrier" => mbarrier::decode,
        "wgmma" | "setmaxnreg" => wgmma::decode,
        "mapa" | "getctarank" | "isspacep" => cluster::decode,
        "fence" | "membar" => fence::decode,
        "prefetch" | "prefetchu" | "createpolicy" | "griddepcontrol" | "applypriority"
        | "discard" | "pmevent" => hints::decode,
        "add" | "addc" | "sub" | "subc" | "mul" | "mul24" | "mad" | "mad24" | "madc" | "fma"
        | "div" | "rem" | "min" | "max" | "abs" | "neg" | "sad" | "dp2a" | "dp4a" | "copysign" => {
            match Class::of(instruction.opcode) {
                Class::F32 => single::decode,
                Class::F64 => double::decode,
                Class::Half => half::decode,
                _ => integer::decode,
            }
        }
        _ => return Err(form.unsupported("unknown instruction")),
    };
    family(d, form, instruction)
}

/// An op that computes each lane by itself: `lanes!(d, |a: u32, b: u32| -> u32 { … })`,
/// with one to three sources of any type that registers hold. The caller sets the slots.
macro_rules! lanes {
    ($d:expr, |$x:ident: $a:ty| -> $r:ty $body:block) => {{
        struct Form;
        impl $crate::simd::Handler for Form {
            #[inline(always)]
            fn run<L: $crate::simd::Level>(
                cx: &mut $crate::exec::Cx<'_>,
                op: &$crate::program::Op,
            ) -> $crate::exec::Flow {
                let a: [$a; 32] = $crate::lanes::Lane::load(&cx.warp.regs, op.a);
                let result: [$r; 32] = std::array::from_fn(|lane| {
                    let $x = a[lane];
                    $body
                });
                $crate::lanes::Lane::store(&mut cx.warp.regs, op.d, cx.mask, &result);
                $crate::exec::Flow::Next
            }
        }
        $d.op::<Form>()
    }};
    ($d:expr, |$x:ident: $a:ty, $y:ident: $b:ty| -> $r:ty $body:block) => {{
        struct Form;
        impl $crate::simd::Handler for Form {
            #[inline(always)]
            fn run<L: $crate::simd::Level>(
                cx: &mut $crate::exec::Cx<'_>,
                op: &$crate::program::Op,
            ) -> $crate::exec::Flow {
                let a: [$a; 32] = $crate::lanes::Lane::load(&cx.warp.regs, op.a);
                let b: [$b; 32] = $crate::lanes::Lane::load(&cx.warp.regs, op.b);
                let result: [$r; 32] = std::array::from_fn(|lane| {
                    let ($x, $y) = (a[lane], b[lane]);
                    $body
                });
                $crate::lanes::Lane::store(&mut cx.warp.regs, op.d, cx.mask, &result);
                $crate::exec::Flow::Next
            }
        }
        $d.op::<Form>()
    }};
    ($d:expr, |$x:ident: $a:ty, $y:ident: $b:ty, $z:ident: $c:ty| -> $r:ty $body:block) => {{
        struct Form;
        impl $crate::simd::Handler for Form {
            #[inline(always)]
            fn run<L: $crate::simd::Level>(
                cx: &mut $crate::exec::Cx<'_>,
                op: &$crate::program::Op,
            ) -> $crate::exec::Flow {
                let a: [$a; 32] = $crate::lanes::Lane::load(&cx.warp.regs, op.a);
                let b: [$b; 32] = $crate::lanes::Lane::load(&cx.warp.regs, op.b);
                let c: [$c; 32] = $crate::lanes::Lane::load(&cx.warp.regs, op.c);
                let result: [$r; 32] = std::array::from_fn(|lane| {
                    let ($x, $y, $z) = (a[lane], b[lane], c[lane]);
                    $body
                });
                $crate::lanes::Lane::store(&mut cx.warp.regs, op.d, cx.mask, &result);
                $crate::exec::Flow::Next
            }
        }
        $d.op::<Form>()
    }};
}
pub(crate) use lanes;
