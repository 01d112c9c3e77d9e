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
mod constant;
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
mod single;
mod special;
mod warp;
mod wgmma;

pub(crate) use warp::settle_shuffle;

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
/// with one to three sources of any type that registers hold. The caller sets the slots. `wide`
/// before the block also builds it for AVX-512, which pays for long computations.
///
/// A plain loop, not `array::from_fn`: the compiler vectorises that one only where the body is
/// short.
macro_rules! lanes {
    ($d:expr, |$x:ident: $a:ty| -> $r:ty $body:block) => {
        $crate::isa::lanes!(@ $d, false, $r, $body, $x: $a = a)
    };
    ($d:expr, wide |$x:ident: $a:ty| -> $r:ty $body:block) => {
        $crate::isa::lanes!(@ $d, true, $r, $body, $x: $a = a)
    };
    (
        $d:expr,
        |$x:ident: $a:ty, $y:ident: $b:ty| -> $r:ty $body:block
    ) => {
        $crate::isa::lanes!(@ $d, false, $r, $body, $x: $a = a, $y: $b = b)
    };
    (
        $d:expr, wide
        |$x:ident: $a:ty, $y:ident: $b:ty| -> $r:ty $body:block
    ) => {
        $crate::isa::lanes!(@ $d, true, $r, $body, $x: $a = a, $y: $b = b)
    };
    (
        $d:expr,
        |$x:ident: $a:ty, $y:ident: $b:ty, $z:ident: $c:ty| -> $r:ty $body:block
    ) => {
        $crate::isa::lanes!(@ $d, false, $r, $body, $x: $a = a, $y: $b = b, $z: $c = c)
    };
    (
        $d:expr, wide
        |$x:ident: $a:ty, $y:ident: $b:ty, $z:ident: $c:ty| -> $r:ty $body:block
    ) => {
        $crate::isa::lanes!(@ $d, true, $r, $body, $x: $a = a, $y: $b = b, $z: $c = c)
    };
    (@ $d:expr, $wide:literal, $r:ty, $body:block, $($x:ident: $t:ty = $slot:ident),+) => {{
        struct Form;
        impl $crate::simd::Handler for Form {
            const WIDE: bool = $wide;

            #[inline(always)]
            fn run<L: $crate::simd::Level>(
                cx: &mut $crate::exec::Cx<'_>,
                op: &$crate::program::Op,
            ) -> $crate::exec::Flow {
                $(let $x: [$t; 32] = $crate::lanes::Lane::load(&cx.warp.regs, op.$slot);)+
                let mut result = [<$r as $crate::lanes::Lane>::ZERO; 32];
                for (lane, result) in result.iter_mut().enumerate() {
                    $(let $x = $x[lane];)+
                    *result = $body;
                }
                $crate::lanes::Lane::store(&mut cx.warp.regs, op.d, cx.mask, &result);
                $crate::exec::Flow::Next
            }
        }
        $d.op::<Form>()
    }};
}
pub(crate) use lanes;
