//! `add sub mad` with `.cc`, and `addc subc madc` (PTX ISA 9.7.2). The carry flag of all lanes is
//! a predicate of the function.

use std::marker::PhantomData;

use crate::ast::{Instruction, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::exec::{Cx, Flow};
use crate::isa::operands::{no_type, push};
use crate::lanes::{Lane, mask_of};
use crate::num::wide;
use crate::program::Op;
use crate::simd::{Handler, Level};

/// Predicate that is never set, and the one that takes what nobody wants.
const NO_CARRY: u32 = 0;
const UNWANTED: u32 = 1;

pub(super) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let (base, takes) = match form.name {
        "addc" => ("add", true),
        "subc" => ("sub", true),
        "madc" => ("mad", true),
        name => (name, false),
    };
    let gives = form.flag("cc");
    let part = if base == "mad" {
        let part = form.choice(&["lo", "hi"]);
        part.ok_or_else(|| form.unsupported("it names none of `.lo`, `.hi`"))?
    } else {
        ""
    };
    let ty = form.ty()?;
    form.done()?;
    let mut op = match (base, part, ty) {
        ("add", _, Type::U32 | Type::S32) => d.op::<Chain<Add32>>(),
        ("add", _, Type::U64 | Type::S64) => d.op::<Chain<Add64>>(),
        ("sub", _, Type::U32 | Type::S32) => d.op::<Chain<Sub32>>(),
        ("sub", _, Type::U64 | Type::S64) => d.op::<Chain<Sub64>>(),
        ("mad", "lo", Type::U32 | Type::S32) => d.op::<Chain<MadLo32>>(),
        ("mad", "lo", Type::U64 | Type::S64) => d.op::<Chain<MadLo64>>(),
        ("mad", "hi", Type::U32) => d.op::<Chain<MadHiU32>>(),
        ("mad", "hi", Type::S32) => d.op::<Chain<MadHiS32>>(),
        ("mad", "hi", Type::U64) => d.op::<Chain<MadHiU64>>(),
        ("mad", "hi", Type::S64) => d.op::<Chain<MadHiS64>>(),
        _ => return Err(no_type(&form)),
    };
    let carry = d.carry();
    let from = if takes { carry } else { NO_CARRY };
    let to = if gives { carry } else { UNWANTED };
    op.list = d.list(&[from, to]);
    if base == "mad" {
        push(d, &form, instruction, op, [ty; 4])
    } else {
        push(d, &form, instruction, op, [ty; 3])
    }
}

/// One lane of an instruction with carry.
trait Step {
    type Word: Lane;
    /// Whether there is a third source.
    const THREE: bool;
    fn step(a: Self::Word, b: Self::Word, c: Self::Word, carry: bool) -> (Self::Word, bool);
}

macro_rules! steps {
    ($($name:ident $word:ident $three:literal
       |$a:ident, $b:ident, $c:ident, $carry:ident| $result:expr;)*) => { $(
        struct $name;

        impl Step for $name {
            type Word = $word;
            const THREE: bool = $three;
            #[inline(always)]
            fn step($a: $word, $b: $word, $c: $word, $carry: bool) -> ($word, bool) {
                $result
            }
        }
    )* };
}

steps! {
    Add32 u32 false |a, b, _c, carry| wide::add_carry_u32(a, b, carry);
    Add64 u64 false |a, b, _c, carry| wide::add_carry_u64(a, b, carry);
    Sub32 u32 false |a, b, _c, carry| wide::sub_borrow_u32(a, b, carry);
    Sub64 u64 false |a, b, _c, carry| wide::sub_borrow_u64(a, b, carry);
    MadLo32 u32 true |a, b, c, carry| wide::mad_lo_carry_u32(a, b, c, carry);
    MadLo64 u64 true |a, b, c, carry| wide::mad_lo_carry_u64(a, b, c, carry);
    MadHiU32 u32 true |a, b, c, carry| wide::mad_hi_carry_u32(a, b, c, carry);
    MadHiS32 u32 true |a, b, c, carry| wide::mad_hi_carry_s32(a, b, c, carry);
    MadHiU64 u64 true |a, b, c, carry| wide::mad_hi_carry_u64(a, b, c, carry);
    MadHiS64 u64 true |a, b, c, carry| wide::mad_hi_carry_s64(a, b, c, carry);
}

struct Chain<S>(PhantomData<S>);

impl<S: Step> Handler for Chain<S> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let program = cx.grid.program;
        let &[from, to] = program.list(op, 2) else {
            return Flow::Next;
        };
        let regs = &mut cx.warp.regs;
        let carries = regs.preds[from as usize];
        let a = S::Word::load(regs, op.a);
        let b = S::Word::load(regs, op.b);
        let c = if S::THREE {
            S::Word::load(regs, op.c)
        } else {
            a
        };
        let (mut sums, mut out) = (a, [false; 32]);
        for lane in 0..32 {
            let carry = carries >> lane & 1 != 0;
            (sums[lane], out[lane]) = S::step(a[lane], b[lane], c[lane], carry);
        }
        S::Word::store(regs, op.d, cx.mask, &sums);
        regs.set_pred(to, cx.mask, mask_of(&out));
        Flow::Next
    }
}
