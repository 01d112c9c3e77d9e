//! Operands of the instructions whose form says it all: registers in, one register out.

use crate::ast::{Instruction, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::program::Op;
use crate::simd::Handler;

/// Pushes an op with one result and up to three sources, of these types in the order of the text.
pub(crate) fn push<'a, const N: usize>(
    d: &mut Decoder<'_, 'a>,
    form: &Form<'a>,
    instruction: &Instruction<'a>,
    mut op: Op,
    types: [Type; N],
) -> Result<(), LoadError> {
    let [result, sources @ ..] = form.operands::<N>(instruction)?.as_slice() else {
        return Err(form.operand("no operands", "a result"));
    };
    op.d = d.dst(form, result, types[0])?;
    let slots = [&mut op.a, &mut op.b, &mut op.c];
    for ((slot, source), ty) in slots.into_iter().zip(sources).zip(&types[1..]) {
        *slot = d.src(form, source, *ty)?;
    }
    d.push(op);
    Ok(())
}

/// Pushes an op without operands; the form must be taken to its end.
pub(crate) fn alone<'a, H: Handler>(
    d: &mut Decoder<'_, 'a>,
    form: &Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    form.done()?;
    let [] = form.operands(instruction)?;
    let op = d.op::<H>();
    d.push(op);
    Ok(())
}

/// Pushes a wait for all but the last groups, whose number is in `x`.
pub(crate) fn wait_group<'a, H: Handler>(
    d: &mut Decoder<'_, 'a>,
    form: &Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    form.done()?;
    let [groups] = form.operands(instruction)?;
    let mut op = d.op::<H>();
    op.x = form.number(groups)?;
    if !(0..=i64::from(u32::MAX)).contains(&op.x) {
        return Err(form.operand(op.x.to_string(), "a number of groups"));
    }
    d.push(op);
    Ok(())
}

/// Whether values of the type are copied as they are: bits, integers, `f32` and `f64`, of 8 to 64
/// bits. Smaller floats are moved as bits.
pub(crate) fn plain(ty: Type) -> bool {
    let small = matches!(
        ty,
        Type::F16 | Type::F16x2 | Type::Bf16 | Type::Bf16x2 | Type::Tf32
    );
    !small && matches!(ty.bytes(), 1 | 2 | 4 | 8)
}

/// That the type of an instruction is none that it has.
pub(crate) fn no_type(form: &Form<'_>) -> LoadError {
    form.unsupported("it does not exist for this type")
}

/// The op of an instruction by its type, with one body for all types:
/// `each!(d, form, ty, |a, b| a.wrapping_add(b), U16: u16, U32: u32)`,
/// or with one function each: `each!(d, form, ty, |a, b| U16: u16 => div_u16)`.
macro_rules! each {
    ($d:ident, $form:ident, $ty:expr, |$x:ident| $body:expr, $($named:ident: $t:ty),+) => {
        match $ty {
            $(Type::$named => $crate::isa::lanes!($d, |$x: $t| -> $t { $body }),)+
            _ => return Err($crate::isa::operands::no_type(&$form)),
        }
    };
    ($d:ident, $form:ident, $ty:expr, |$x:ident, $y:ident| $body:expr,
     $($named:ident: $t:ty),+) => {
        match $ty {
            $(Type::$named => $crate::isa::lanes!($d, wide |$x: $t, $y: $t| -> $t { $body }),)+
            _ => return Err($crate::isa::operands::no_type(&$form)),
        }
    };
    ($d:ident, $form:ident, $ty:expr, |$x:ident, $y:ident, $z:ident| $body:expr,
     $($named:ident: $t:ty),+) => {
        match $ty {
            $(Type::$named => {
                $crate::isa::lanes!($d, |$x: $t, $y: $t, $z: $t| -> $t { $body })
            })+
            _ => return Err($crate::isa::operands::no_type(&$form)),
        }
    };
    ($d:ident, $form:ident, $ty:expr, |$x:ident, $y:ident|
     $($named:ident: $t:ty => $f:expr),+) => {
        match $ty {
            $(Type::$named => $crate::isa::lanes!($d, |$x: $t, $y: $t| -> $t { $f($x, $y) }),)+
            _ => return Err($crate::isa::operands::no_type(&$form)),
        }
    };
    ($d:ident, $form:ident, $ty:expr, |$x:ident, $y:ident, $z:ident|
     $($named:ident: $t:ty => $f:expr),+) => {
        match $ty {
            $(Type::$named => {
                $crate::isa::lanes!($d, |$x: $t, $y: $t, $z: $t| -> $t { $f($x, $y, $z) })
            })+
            _ => return Err($crate::isa::operands::no_type(&$form)),
        }
    };
}
pub(crate) use each;
