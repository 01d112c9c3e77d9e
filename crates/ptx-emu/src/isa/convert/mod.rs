//! `cvt` and `cvt.pack` (PTX ISA 9.7.9.21, 9.7.9.22): which forms there are.

mod float;
mod integer;
mod number;
mod packed;
mod registers;

use crate::ast::{Instruction, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::num::Round;

/// Formats that only processors after Hopper convert.
const LATER: [&str; 12] = [
    "e2m1x2", "e2m3x2", "e3m2x2", "ue8m0x2", "s2f6x2", "e2m1x4", "e4m3x4", "e5m2x4", "e2m3x4",
    "e3m2x4", "f4x2", "f6x2",
];

/// Types that are no `Type`: pairs of 8-bit numbers.
const BYTES: [&str; 2] = ["e4m3x2", "e5m2x2"];

const TYPES: [&str; 15] = [
    "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "f16", "bf16", "f32", "f64", "f16x2",
    "bf16x2", "tf32",
];

/// What a type is, for the rules on modifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Integer,
    Float,
}

/// Modifiers of a conversion other than its types.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "one for each modifier")]
struct Modifiers {
    rounding: Option<&'static str>,
    ftz: bool,
    sat: bool,
    relu: bool,
    finite: bool,
}

impl Modifiers {
    /// The floating-point rounding modifier, if that is what stands there.
    fn float(self) -> Option<Round> {
        let name = self.rounding.filter(|name| name.len() == 2)?;
        Round::named(name)
    }

    /// The integer rounding modifier.
    fn integral(self) -> Option<Round> {
        let name = self.rounding.filter(|name| name.ends_with('i'))?;
        Round::named(name)
    }

    /// `.rn` or `.rz`, the only ones of conversions to formats narrower than f32 with `.relu` or
    /// `.satfinite`, or of two values at once.
    fn near_or_zero(self) -> Option<Round> {
        self.float()
            .filter(|mode| matches!(mode, Round::Near | Round::Zero))
    }
}

pub(crate) fn decode<'a>(
    d: &mut Decoder<'_, 'a>,
    mut form: Form<'a>,
    instruction: &Instruction<'a>,
) -> Result<(), LoadError> {
    if form.flag("pack") {
        return integer::pack(d, form, instruction);
    }
    let roundings = [
        "rn", "rz", "rm", "rp", "rni", "rzi", "rmi", "rpi", "rna", "rs",
    ];
    let modifiers = Modifiers {
        rounding: form.choice(&roundings),
        ftz: form.flag("ftz"),
        sat: form.flag("sat"),
        relu: form.flag("relu"),
        finite: form.flag("satfinite"),
    };
    if modifiers.rounding == Some("rs") {
        return Err(form.unsupported("stochastic rounding, which starts with sm_100"));
    }
    if let Some(name) = LATER.iter().find(|name| form.has(name)) {
        return Err(form.unsupported(&format!("`.{name}`, which starts with sm_100")));
    }
    let names: [&str; 17] = std::array::from_fn(|i| match TYPES.get(i) {
        Some(name) => *name,
        None => BYTES[i - TYPES.len()],
    });
    let missing = "it does not name two types that can be converted";
    let to = form
        .choice(&names)
        .ok_or_else(|| form.unsupported(missing))?;
    let from = form
        .choice(&names)
        .ok_or_else(|| form.unsupported(missing))?;
    form.done()?;
    match (to, from) {
        ("f16x2" | "bf16x2", "f32") => packed::pair(d, &form, instruction, modifiers, to),
        ("e4m3x2" | "e5m2x2", _) => packed::to_bytes(d, &form, instruction, modifiers, to, from),
        ("f16x2", "e4m3x2" | "e5m2x2") => {
            packed::from_bytes(d, &form, instruction, modifiers, from)
        }
        ("tf32", "f32") => packed::tf32(d, &form, instruction, modifiers),
        _ => match (Number::named(to), Number::named(from)) {
            (Some(to), Some(from)) => numbers(d, &form, instruction, modifiers, to, from),
            _ => Err(form.unsupported(&format!("there is no conversion of `.{from}` to `.{to}`"))),
        },
    }
}

/// A type of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Number {
    ty: Type,
    class: Class,
    bits: u32,
    signed: bool,
}

impl Number {
    fn named(name: &str) -> Option<Self> {
        let ty = Type::named(name)?;
        let class = match ty {
            Type::F16 | Type::Bf16 | Type::F32 | Type::F64 => Class::Float,
            Type::F16x2 | Type::Bf16x2 | Type::Tf32 => return None,
            _ => Class::Integer,
        };
        Some(Self {
            ty,
            class,
            bits: ty.bytes() * 8,
            signed: name.starts_with('s'),
        })
    }

    fn integer(self) -> bool {
        self.class == Class::Integer
    }

    /// Whether every value of `other` is one of this integer type.
    fn holds(self, other: Self) -> bool {
        match (self.signed, other.signed) {
            (true, false) => self.bits > other.bits,
            (false, true) => false,
            _ => self.bits >= other.bits,
        }
    }
}

/// Conversions of one number: checks the modifiers against the rules for the two types.
fn numbers<'a>(
    d: &mut Decoder<'_, 'a>,
    form: &Form<'a>,
    instruction: &Instruction<'a>,
    modifiers: Modifiers,
    to: Number,
    from: Number,
) -> Result<(), LoadError> {
    let no = |reason: &str| Err(form.unsupported(reason));
    let brain = to.ty == Type::Bf16 || from.ty == Type::Bf16;
    if modifiers.relu || modifiers.finite {
        let half = matches!(to.ty, Type::F16 | Type::Bf16) && from.ty == Type::F32;
        if !half || modifiers.near_or_zero().is_none() || modifiers.ftz || modifiers.sat {
            return no(
                "`.relu` and `.satfinite` go with `.rn` or `.rz` and no other modifier, \
                 from `.f32` to narrower types",
            );
        }
    }
    if modifiers.ftz && to.ty != Type::F32 && from.ty != Type::F32 {
        return no("`.ftz` is for conversions to or from `.f32`");
    }
    if modifiers.sat && brain {
        return no("`.sat` does not go with `.bf16`");
    }
    if modifiers.sat && to.integer() && from.integer() && to.holds(from) {
        return no("`.sat` where every value fits");
    }
    let ends = registers::ends(d, form, instruction, to.ty, from.ty)?;
    match (to.class, from.class) {
        (Class::Integer, Class::Integer) => {
            if modifiers.rounding.is_some() {
                return no("a rounding modifier between integers");
            }
            integer::resize(d, ends, modifiers.sat, to, from);
        }
        (Class::Integer, Class::Float) => {
            let Some(mode) = modifiers.integral() else {
                return no("it needs one of `.rni`, `.rzi`, `.rmi`, `.rpi`");
            };
            number::to_integer(d, ends, modifiers, mode, to, from);
        }
        (Class::Float, Class::Integer) => {
            let Some(mode) = modifiers.float() else {
                return no("it needs one of `.rn`, `.rz`, `.rm`, `.rp`");
            };
            number::to_float(d, ends, modifiers, mode, to, from);
        }
        (Class::Float, Class::Float) => {
            let exact = to.bits > from.bits;
            let mode = match (modifiers.rounding, modifiers.float(), modifiers.integral()) {
                (None, ..) if exact || to == from => None,
                // Accepted by ptxas, as in an example of the ISA; nothing is rounded.
                (_, Some(_), _) if exact && from.ty == Type::Bf16 => None,
                (_, Some(mode), _) if !exact && to != from => Some(mode),
                (_, _, Some(mode)) if to == from => Some(mode),
                _ if exact => return no("an exact conversion takes no rounding modifier"),
                _ if to == from => return no("it takes none but `.rni`, `.rzi`, `.rmi`, `.rpi`"),
                _ => return no("it needs one of `.rn`, `.rz`, `.rm`, `.rp`"),
            };
            float::convert(d, ends, modifiers, mode, to, from);
        }
    }
    Ok(())
}
