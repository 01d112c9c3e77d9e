//! `selp` and `slct`

use crate::ast::{Instruction, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::decode::operand::wide;
use crate::exec::{Cx, Flow};
use crate::isa::lanes;
use crate::isa::operands::{no_type, plain, push};
use crate::lanes::{Lane, choose, choose_double};
use crate::num::single;
use crate::program::Op;
use crate::simd::{Handler, Level};

/// That values of this type are selected: those of 16, 32 or 64 bits, not the small floats.
fn selectable(form: &Form<'_>, ty: Type) -> Result<(), LoadError> {
    if plain(ty) && ty.bytes() > 1 {
        Ok(())
    } else {
        Err(no_type(form))
    }
}

/// `selp.type d, a, b, c`
pub(super) fn by_predicate<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let ty = form.ty()?;
    form.done()?;
    selectable(&form, ty)?;
    let [result, a, b, c] = form.operands(instruction)?;
    let mut op = if wide(ty) {
        d.op::<Select64>()
    } else {
        d.op::<Select32>()
    };
    op.d = d.dst(&form, result, ty)?;
    op.a = d.src(&form, a, ty)?;
    op.b = d.src(&form, b, ty)?;
    (op.c, op.aux) = d.pred_src(&form, c)?;
    d.push(op);
    Ok(())
}

macro_rules! selects {
    ($($name:ident $word:ident $choose:ident)*) => { $(
        struct $name;

        impl Handler for $name {
            #[inline(always)]
            fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
                let regs = &mut cx.warp.regs;
                let a = $word::load(regs, op.a);
                let b = $word::load(regs, op.b);
                let first = regs.preds[op.c as usize] ^ op.aux;
                let result = $choose(first, &a, &b);
                $word::store(regs, op.d, cx.mask, &result);
                Flow::Next
            }
        }
    )* };
}

selects! { Select32 u32 choose Select64 u64 choose_double }

/// `slct.dtype.s32` and `slct{.ftz}.dtype.f32`
pub(super) fn by_sign<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let ftz = form.flag("ftz");
    let (ty, by) = (form.ty()?, form.ty()?);
    form.done()?;
    selectable(&form, ty)?;
    macro_rules! slct {
        ($c:ident: $by:ty => $first:expr) => {
            if wide(ty) {
                lanes!(d, |a: u64, b: u64, $c: $by| -> u64 {
                    if $first { a } else { b }
                })
            } else {
                lanes!(d, |a: u32, b: u32, $c: $by| -> u32 {
                    if $first { a } else { b }
                })
            }
        };
    }
    let op = match (by, ftz) {
        (Type::S32, false) => slct!(c: i32 => c >= 0),
        (Type::F32, false) => slct!(c: f32 => single::slct(c)),
        (Type::F32, true) => slct!(c: f32 => single::slct(single::ftz(c))),
        _ => return Err(no_type(&form)),
    };
    push(d, &form, instruction, op, [ty, ty, ty, by])
}
