//! Comparison and selection (PTX ISA 9.7.6 and 9.7.7): `setp set selp slct`.

mod select;
mod test;

use crate::ast::{Instruction, Operand, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::isa::operands::no_type;
use crate::num::compare::Compare;
use crate::program::Op;

pub(crate) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    match form.name {
        "setp" => to_predicate(d, form, instruction),
        "set" => to_register(d, form, instruction),
        "selp" => select::by_predicate(d, form, instruction),
        _ => select::by_sign(d, form, instruction),
    }
}

/// What a comparison is, apart from where its result goes.
struct Comparison {
    name: &'static str,
    compare: Compare,
    /// `and`, `or`, `xor` with a third source.
    combine: Option<&'static str>,
    ftz: bool,
}

const OPERATORS: [&str; 18] = [
    "eq", "ne", "lt", "le", "gt", "ge", "lo", "ls", "hi", "hs", "equ", "neu", "ltu", "leu", "gtu",
    "geu", "num", "nan",
];

impl Comparison {
    fn of(form: &mut Form<'_>) -> Result<Self, LoadError> {
        let name = form.choice(&OPERATORS);
        let name = name.ok_or_else(|| form.unsupported("it names no comparison"))?;
        let compare = Compare::named(name);
        Ok(Self {
            name,
            compare: compare.ok_or_else(|| form.unsupported("it names no comparison"))?,
            combine: form.choice(&["and", "or", "xor"]),
            ftz: form.flag("ftz"),
        })
    }

    /// That the comparison exists for values of type `ty`.
    fn check(&self, form: &Form<'_>, ty: Type) -> Result<(), LoadError> {
        let sized = matches!(self.name, "eq" | "ne");
        let ordered = sized || matches!(self.name, "lt" | "le" | "gt" | "ge");
        let below = matches!(self.name, "lo" | "ls" | "hi" | "hs");
        let exists = match ty {
            Type::B16 | Type::B32 | Type::B64 => sized,
            Type::S16 | Type::S32 | Type::S64 => ordered,
            Type::U16 | Type::U32 | Type::U64 => ordered || below,
            Type::F16 | Type::F16x2 | Type::Bf16 | Type::Bf16x2 | Type::F32 | Type::F64 => !below,
            _ => return Err(no_type(form)),
        };
        if !exists {
            let reason = format!("`.{}` does not exist for this type", self.name);
            return Err(form.unsupported(&reason));
        }
        if self.ftz && !matches!(ty, Type::F16 | Type::F16x2 | Type::F32) {
            return Err(form.unsupported("`.ftz` does not exist for this type"));
        }
        Ok(())
    }

    /// Sources of the comparison, and the list that `test::combined` reads: the third source as
    /// predicate and flip, and two masks that make the operation out of `and` and `xor`.
    fn sources<'a>(
        &self,
        d: &mut Decoder<'_, 'a>,
        form: &Form<'a>,
        op: &mut Op,
        sources: &[Operand<'a>],
        ty: Type,
        second: u32,
    ) -> Result<(), LoadError> {
        let (a, b, c) = match (sources, self.combine) {
            ([a, b], None) => (a, b, None),
            ([a, b, c], Some(_)) => (a, b, Some(c)),
            _ => {
                let wanted = if self.combine.is_some() { "4" } else { "3" };
                return Err(form.operand(format!("{} operands", sources.len() + 1), wanted));
            }
        };
        op.a = d.src(form, a, ty)?;
        op.b = d.src(form, b, ty)?;
        let (c, flip) = match c {
            Some(c) => d.pred_src(form, c)?,
            None => (0, u32::MAX),
        };
        let (both, odd) = match self.combine {
            Some("or") => (u32::MAX, u32::MAX),
            Some("xor") => (0, u32::MAX),
            _ => (u32::MAX, 0),
        };
        op.list = d.list(&[second, c, flip, both, odd]);
        Ok(())
    }
}

/// `setp.CmpOp{.BoolOp}{.ftz}.type p{|q}, a, b{, c}`
fn to_predicate<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let comparison = Comparison::of(&mut form)?;
    let ty = form.ty()?;
    form.done()?;
    comparison.check(&form, ty)?;
    let Some((result, sources)) = instruction.operands.split_first() else {
        return Err(form.operand("no operands", "a predicate"));
    };
    let pairs = matches!(ty, Type::F16x2 | Type::Bf16x2);
    let halves = matches!(ty, Type::F16 | Type::Bf16);
    let (p, q) = match result {
        Operand::Pair(p, q) if !halves => (&**p, &**q),
        p if !pairs => (p, &Operand::Sink),
        p => return Err(form.operand(format!("{p:?}"), "two predicates `p|q`")),
    };
    let mut op =
        test::setp(d, comparison.compare, comparison.ftz, ty).ok_or_else(|| no_type(&form))?;
    op.d = d.pred_dst(&form, p)?;
    let q = d.pred_dst(&form, q)?;
    comparison.sources(d, &form, &mut op, sources, ty, q)?;
    d.push(op);
    Ok(())
}

/// What `set` writes where the comparison is true; for pairs, in each half.
fn truth(to: Type, ty: Type) -> Option<i64> {
    let pair = matches!(ty, Type::F16x2 | Type::Bf16x2);
    let half = matches!(ty, Type::F16 | Type::Bf16);
    let exists = match to {
        Type::U32 | Type::S32 => true,
        Type::U16 | Type::S16 => half,
        Type::F32 => !half && !pair,
        Type::F16 => !pair && ty != Type::Bf16,
        Type::Bf16 => !pair,
        Type::F16x2 | Type::Bf16x2 => to == ty,
        _ => false,
    };
    exists.then_some(match to {
        Type::U32 | Type::S32 if !pair => 0xffff_ffff,
        Type::U16 | Type::S16 | Type::U32 | Type::S32 => 0xffff,
        Type::F32 => 0x3f80_0000,
        Type::Bf16 | Type::Bf16x2 => 0x3f80,
        _ => 0x3c00,
    })
}

/// `set.CmpOp{.BoolOp}{.ftz}.dtype.stype d, a, b{, c}`
fn to_register<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    let comparison = Comparison::of(&mut form)?;
    let (to, ty) = (form.ty()?, form.ty()?);
    form.done()?;
    comparison.check(&form, ty)?;
    if comparison.ftz && to == Type::Bf16 {
        return Err(form.unsupported("`.ftz` does not exist for this type"));
    }
    let truth = truth(to, ty).ok_or_else(|| no_type(&form))?;
    let Some((result, sources)) = instruction.operands.split_first() else {
        return Err(form.operand("no operands", "a register"));
    };
    let mut op = test::set(d, comparison.ftz, ty).ok_or_else(|| no_type(&form))?;
    op.d = d.dst(&form, result, to)?;
    op.x = truth;
    op.aux = test::outcomes(comparison.compare);
    comparison.sources(d, &form, &mut op, sources, ty, 0)?;
    d.push(op);
    Ok(())
}
