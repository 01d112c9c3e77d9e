//! Roots, reciprocals, transcendental functions and tests of a number (PTX ISA 9.7.3 and 9.7.4).

use crate::ast::{Instruction, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::exec::{Cx, Flow};
use crate::isa::constant::{by_flag, by_mode, push, rounding};
use crate::isa::lanes;
use crate::isa::single::flush;
use crate::lanes::{Lane, each, mask_of};
use crate::num::single::Property;
use crate::num::{Round, approx, bf16, double, f16, packed, single, trig};
use crate::program::Op;
use crate::simd::{Handler, Level};

pub(crate) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    if form.name == "testp" {
        return test(d, form, instruction);
    }
    let ty = form.ty()?;
    let mode = if form.flag("approx") {
        None
    } else {
        let mode = rounding(&mut form);
        Some(mode.ok_or_else(|| form.unsupported("it names neither .approx nor a rounding"))?)
    };
    let ftz = form.flag("ftz");
    form.done()?;
    let op = match (ty, mode) {
        (Type::F32, None) => approximate(d, form.name, ftz),
        (Type::F32, Some(mode)) => rounded(d, form.name, mode, ftz),
        (Type::F64, None) => approximate_double(d, form.name, ftz),
        (Type::F64, Some(mode)) => rounded_double(d, form.name, mode, ftz),
        (_, None) => halves(d, form.name, ty, ftz),
        _ => None,
    };
    let op = op.ok_or_else(|| form.unsupported("there is no such form"))?;
    push(d, &form, instruction, op, 1, ty)
}

/// `.approx{.ftz}.f32`
fn approximate(d: &Decoder<'_, '_>, name: &str, ftz: bool) -> Option<Op> {
    macro_rules! op {
        ($($wide:ident)? : $f:path) => {
            by_flag!(ftz, FTZ => lanes!(d, $($wide)? |a: f32| -> f32 {
                flush::<FTZ>($f(flush::<FTZ>(a)))
            }))
        };
    }
    Some(match name {
        "rcp" => op!(: approx::rcp),
        "sqrt" => op!(: approx::sqrt),
        "rsqrt" => op!(: approx::rsqrt),
        // of a subnormal operand the result is 1, flushed or not
        "ex2" => by_flag!(ftz, FTZ => lanes!(d, wide |a: f32| -> f32 {
            flush::<FTZ>(approx::ex2(a))
        })),
        "lg2" => op!(wide: approx::lg2),
        "sin" => op!(wide: trig::sin),
        "cos" => op!(wide: trig::cos),
        "tanh" if !ftz => lanes!(d, wide |a: f32| -> f32 { approx::tanh(a) }),
        _ => return None,
    })
}

/// `.rnd{.ftz}.f32`
fn rounded(d: &Decoder<'_, '_>, name: &str, mode: Round, ftz: bool) -> Option<Op> {
    macro_rules! op {
        ($f:path) => {
            by_mode!(mode, MODE => by_flag!(ftz, FTZ => lanes!(d, |a: f32| -> f32 {
                flush::<FTZ>($f(flush::<FTZ>(a), MODE))
            })))
        };
    }
    Some(match name {
        "rcp" => op!(single::rcp),
        "sqrt" => op!(single::sqrt),
        _ => return None,
    })
}

/// `rcp.approx.ftz.f64`, `rsqrt.approx{.ftz}.f64`
fn approximate_double(d: &Decoder<'_, '_>, name: &str, ftz: bool) -> Option<Op> {
    Some(match (name, ftz) {
        ("rcp", true) => lanes!(d, |a: f64| -> f64 { double::rcp_approx_ftz(a) }),
        ("rsqrt", true) => lanes!(d, |a: f64| -> f64 { double::rsqrt_approx_ftz(a) }),
        ("rsqrt", false) => lanes!(d, |a: f64| -> f64 { double::rsqrt_approx(a) }),
        _ => return None,
    })
}

/// `.rnd.f64`
fn rounded_double(d: &Decoder<'_, '_>, name: &str, mode: Round, ftz: bool) -> Option<Op> {
    Some(match name {
        _ if ftz => return None,
        "rcp" => by_mode!(mode, MODE => lanes!(d, |a: f64| -> f64 { double::rcp(a, MODE) })),
        "sqrt" => by_mode!(mode, MODE => lanes!(d, |a: f64| -> f64 { double::sqrt(a, MODE) })),
        _ => return None,
    })
}

/// `ex2.approx{.ftz}` and `tanh.approx` of halves and their pairs; `ex2` flushes bf16, and only
/// that.
fn halves(d: &Decoder<'_, '_>, name: &str, ty: Type, ftz: bool) -> Option<Op> {
    macro_rules! one {
        ($f:path) => {
            lanes!(d, wide |a: u16| -> u16 { $f(a) })
        };
    }
    macro_rules! both {
        ($f:path) => {
            lanes!(d, wide |a: u32| -> u32 { $f(a) })
        };
    }
    Some(match (name, ty, ftz) {
        ("ex2", Type::F16, false) => one!(f16::ex2),
        ("ex2", Type::F16x2, false) => both!(packed::f16x2::ex2),
        ("ex2", Type::Bf16, true) => one!(bf16::ex2_ftz),
        ("ex2", Type::Bf16x2, true) => both!(packed::bf16x2::ex2_ftz),
        ("tanh", Type::F16, false) => one!(f16::tanh),
        ("tanh", Type::F16x2, false) => both!(packed::f16x2::tanh),
        ("tanh", Type::Bf16, false) => one!(bf16::tanh),
        ("tanh", Type::Bf16x2, false) => both!(packed::bf16x2::tanh),
        _ => return None,
    })
}

/// A property of an f32 or an f64 as a predicate.
trait Test {
    type Source: Lane;
    fn holds(a: Self::Source) -> bool;
}

struct Testp<T>(std::marker::PhantomData<T>);

impl<T: Test> Handler for Testp<T> {
    #[inline(always)]
    fn run<L: Level>(cx: &mut Cx<'_>, op: &Op) -> Flow {
        let a = T::Source::load(&cx.warp.regs, op.a);
        let holds = mask_of(&each(|lane| T::holds(a[lane])));
        let into = &mut cx.warp.regs.preds[op.d as usize];
        *into = *into & !cx.mask | holds & cx.mask;
        Flow::Next
    }
}

/// `testp.property.{f32,f64} p, a`
fn test<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    const PROPERTIES: [&str; 6] = [
        "finite",
        "infinite",
        "number",
        "notanumber",
        "normal",
        "subnormal",
    ];
    macro_rules! op {
        ($ty:ty, $f:path, $property:ident) => {{
            struct Is;
            impl Test for Is {
                type Source = $ty;
                #[inline(always)]
                fn holds(a: $ty) -> bool {
                    $f(a, Property::$property)
                }
            }
            d.op::<Testp<Is>>()
        }};
        ($ty:ty, $f:path, in $property:expr) => {
            match $property {
                Property::Finite => op!($ty, $f, Finite),
                Property::Infinite => op!($ty, $f, Infinite),
                Property::Number => op!($ty, $f, Number),
                Property::NotANumber => op!($ty, $f, NotANumber),
                Property::Normal => op!($ty, $f, Normal),
                Property::Subnormal => op!($ty, $f, Subnormal),
            }
        };
    }
    let property = form.choice(&PROPERTIES).and_then(Property::named);
    let property = property.ok_or_else(|| form.unsupported("it names no property"))?;
    let ty = form.ty()?;
    form.done()?;
    let mut op = match ty {
        Type::F32 => op!(f32, single::testp, in property),
        Type::F64 => op!(f64, double::testp, in property),
        _ => return Err(form.unsupported("it tests f32 and f64 only")),
    };
    let [to, from] = form.operands(instruction)?;
    op.a = d.src(&form, from, ty)?;
    op.d = d.pred_dst(&form, to)?;
    d.push(op);
    Ok(())
}
