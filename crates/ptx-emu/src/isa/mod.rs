//! Instructions by family: how each form is decoded, and what it does to a warp.
//!
//! A family's `decode` takes the form apart, checks the operands and pushes an op with the handler
//! for exactly this form. Every modifier must be taken by someone: one that is left over is an
//! error, so nothing is run that is not understood.

pub(crate) mod barrier;
pub(crate) mod control;
pub(crate) mod memory;
pub(crate) mod moves;

use crate::ast::Instruction;
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};

/// Decodes one instruction.
pub(crate) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let form = Form::of(instruction);
    match form.name {
        "bra" | "brx" | "ret" | "exit" | "trap" | "call" | "nanosleep" => {
            control::decode(d, form, instruction)
        }
        "ld" | "ldu" | "st" => memory::decode(d, form, instruction),
        "mov" | "cvta" => moves::decode(d, form, instruction),
        "bar" | "barrier" => barrier::decode(d, form, instruction),
        _ => Err(form.unsupported("unknown instruction")),
    }
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
