//! `cvt`: every pair of types with every modifier that it has.

mod forms;
mod inputs;
pub(crate) mod packed;

use ptx_emu::{Checks, Schedule, Simd};

use crate::case::{Case, Ty, check, elementwise_for};
use crate::exact::{BF16, F16, F32, F64, Format, MODES, Mode, Number, Value};

/// A type of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Integer { bits: u32, signed: bool },
    Float(Format),
}

use Kind::{Float, Integer};

const KINDS: [(&str, Kind); 12] = [
    ("u8", unsigned(8)),
    ("u16", unsigned(16)),
    ("u32", unsigned(32)),
    ("u64", unsigned(64)),
    ("s8", signed(8)),
    ("s16", signed(16)),
    ("s32", signed(32)),
    ("s64", signed(64)),
    ("f16", Float(F16)),
    ("bf16", Float(BF16)),
    ("f32", Float(F32)),
    ("f64", Float(F64)),
];

const fn unsigned(bits: u32) -> Kind {
    Integer {
        bits,
        signed: false,
    }
}

const fn signed(bits: u32) -> Kind {
    Integer { bits, signed: true }
}

impl Kind {
    fn bits(self) -> u32 {
        match self {
            Integer { bits, .. } => bits,
            Float(format) => format.bits(),
        }
    }

    fn is_float(self) -> bool {
        matches!(self, Float(_))
    }

    /// Least and largest value of an integer type.
    fn range(self) -> (i128, i128) {
        match self {
            Integer { bits, signed: true } => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
            Integer { bits, .. } => (0, (1 << bits) - 1),
            Float(_) => (0, 0),
        }
    }

    /// What the low bits of a register mean.
    fn value(self, register: u64) -> Value {
        let low = register & (u64::MAX >> (64 - self.bits()));
        match self {
            Float(format) => format.decode(low),
            Integer { bits, signed } => {
                let negative = signed && low >> (bits - 1) == 1;
                let borrow = if negative { 1_i128 << bits } else { 0 };
                Value::Finite(Number::integer(i128::from(low) - borrow))
            }
        }
    }
}

/// The registers, the rounding and the other modifiers of a conversion.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "one for each modifier")]
struct Conversion {
    to: Kind,
    from: Kind,
    mode: Mode,
    /// To an integral value in the same type.
    integral: bool,
    ftz: bool,
    sat: bool,
    relu: bool,
    finite: bool,
    /// Width of the register that takes the result.
    register: u32,
}

impl Conversion {
    /// The bits of the register that takes the result.
    fn expected(&self, source: u64) -> u64 {
        let flushes = self.ftz && self.from == Float(F32);
        let source = if flushes {
            F32.flush(source & 0xffff_ffff)
        } else {
            source
        };
        let value = self.from.value(source);
        match self.to {
            Integer { bits, signed } => {
                let integer = self.integer(value, bits);
                let register = u64::MAX >> (64 - self.register);
                let low = integer & (u128::MAX >> (128 - bits));
                let extended = if signed && low >> (bits - 1) == 1 {
                    low | u128::MAX << bits
                } else {
                    low
                };
                u64::try_from(extended & u128::from(register)).unwrap()
            }
            Float(format) => self.float(value, format),
        }
    }

    /// As two's complement.
    fn integer(&self, value: Value, bits: u32) -> u128 {
        let (least, most) = self.to.range();
        let number = match value {
            Value::Nan if self.from != Float(F64) && bits != 64 => 0,
            Value::Nan => 1 << (bits - 1),
            Value::Infinite { negative } => {
                if negative {
                    least
                } else {
                    most
                }
            }
            Value::Finite(number) => {
                let whole = number.round(self.mode);
                if self.from.is_float() || self.sat {
                    whole.clamp(least, most)
                } else {
                    whole
                }
            }
        };
        number.cast_unsigned()
    }

    fn float(&self, value: Value, format: Format) -> u64 {
        let value = match value {
            Value::Finite(number) if self.integral => {
                let negative = number.negative;
                // At least one is lost where the exponent is negative, so the rest is small.
                let whole = if number.e < 0 {
                    Number::integer(number.round(self.mode))
                } else {
                    number
                };
                Value::Finite(Number { negative, ..whole })
            }
            other => other,
        };
        let mut bits = format.of(value, self.mode, self.finite);
        if self.ftz && format == F32 {
            bits = format.flush(bits);
        }
        if self.sat {
            bits = format.saturate(bits);
        }
        if self.relu {
            bits = format.relu(bits);
        }
        bits
    }

    fn right(&self, source: u64, found: u64) -> Result<(), String> {
        let expected = self.expected(source);
        // Which NaN is unspecified but with `.relu` and `.satfinite`.
        let any = match self.to {
            Float(format) if !self.relu && !self.finite => {
                format.is_nan(expected) && format.is_nan(found)
            }
            _ => false,
        };
        if any || found == expected {
            Ok(())
        } else {
            Err(format!("{found:#x}, expected {expected:#x}"))
        }
    }
}

fn ty(bits: u32) -> Ty {
    match bits {
        8 | 16 => Ty::B16,
        32 => Ty::B32,
        _ => Ty::B64,
    }
}

/// The form `cvt{modifiers}.to.from`, in registers of the width of the types, or of 64 bits.
fn case(modifiers: &str, to: (&str, Kind), from: (&str, Kind), wide: bool) -> Case {
    let has = |part: &str| modifiers.split('.').any(|p| p == part);
    let rounding = MODES[1..]
        .iter()
        .find(|(name, _)| modifiers.starts_with(name));
    let brain = to.1 == Float(BF16) || from.1 == Float(BF16);
    let register = |kind: Kind| if wide { 64 } else { kind.bits().max(16) };
    let conversion = Conversion {
        to: to.1,
        from: from.1,
        mode: rounding.map_or(Mode::Near, |(_, mode)| *mode),
        integral: to == from && rounding.is_some(),
        ftz: has("ftz"),
        sat: has("sat"),
        relu: has("relu"),
        finite: has("satfinite"),
        register: register(to.1),
    };
    let form = format!("cvt{modifiers}.{}.{}", to.0, from.0);
    // With bf16, ptxas takes registers of exactly 8 bits.
    let body = match (to.1.bits(), from.1.bits()) {
        (_, 8) if brain => format!(".reg .b8 %q; cvt.u8.u16 %q, %a; {form} %d, %q;"),
        (8, _) if brain => {
            let widen = if to.0 == "s8" { "s16.s8" } else { "u16.u8" };
            format!(".reg .b8 %q; {form} %q, %a; cvt.{widen} %d, %q;")
        }
        _ => format!("{form} %d, %a;"),
    };
    let source = register(from.1);
    elementwise_for(
        "sm_90",
        &body,
        &[ty(source)],
        ty(conversion.register),
        &inputs::inputs(from.1, source, !wide),
        move |row, found| conversion.right(row[0], found),
    )
}

/// The modifiers that a pair of types has (PTX ISA 9.7.9.21; ptxas agrees).
fn modifiers(to: Kind, from: Kind) -> Vec<String> {
    let brain = to == Float(BF16) || from == Float(BF16);
    let single = to == Float(F32) || from == Float(F32);
    let names = |suffix: &str| -> Vec<_> {
        let named = MODES[1..].iter();
        named.map(|(name, _)| format!("{name}{suffix}")).collect()
    };
    let roundings = match (to, from) {
        (Integer { .. }, Integer { .. }) => vec![String::new()],
        (Integer { .. }, Float(_)) => names("i"),
        (Float(a), Float(b)) if a == b => [vec![String::new()], names("i")].concat(),
        (Float(a), Float(b)) if a.bits() > b.bits() => {
            let mut list = vec![String::new()];
            if b == BF16 {
                list.extend(names(""));
            }
            list
        }
        _ => names(""),
    };
    let saturates = match (to, from) {
        _ if brain => false,
        (Integer { .. }, Integer { .. }) => {
            let ((least, most), (low, high)) = (to.range(), from.range());
            low < least || high > most
        }
        _ => true,
    };
    let mut list = Vec::new();
    for rounding in roundings {
        list.push(rounding.clone());
        if saturates {
            list.push(format!("{rounding}.sat"));
        }
        if single {
            list.push(format!("{rounding}.ftz"));
        }
        if single && saturates {
            list.push(format!("{rounding}.ftz.sat"));
        }
        let narrows = matches!(to, Float(F16 | BF16)) && from == Float(F32);
        if narrows && [".rn", ".rz"].contains(&rounding.as_str()) {
            for rest in [".relu", ".satfinite", ".relu.satfinite"] {
                list.push(format!("{rounding}{rest}"));
            }
        }
    }
    list
}

/// All forms of which `chosen` says so.
fn of(chosen: impl Fn(Kind, Kind) -> bool) -> Vec<Case> {
    let mut all = Vec::new();
    for to in KINDS {
        for from in KINDS {
            if !chosen(to.1, from.1) {
                continue;
            }
            let brain = to.1 == Float(BF16) || from.1 == Float(BF16);
            let natural = to.1.bits() == 64 && from.1.bits() == 64;
            for modifiers in modifiers(to.1, from.1) {
                all.push(case(&modifiers, to, from, false));
                if !brain && !natural && modifiers.len() < 5 {
                    all.push(case(&modifiers, to, from, true));
                }
            }
        }
    }
    all
}

/// Whether all 65536 inputs are tried.
fn exhaustive(from: Kind) -> bool {
    matches!(from, Float(F16 | BF16))
}

/// All programs.
pub(crate) fn cases() -> Vec<Case> {
    let mut all = of(|_, _| true);
    all.extend(packed::cases());
    all
}

/// As `check`, in one order only: for programs of many threads that do not talk to each other.
fn check_once(cases: &[Case]) {
    for case in cases {
        for simd in Simd::available() {
            let found = case.run(simd, Schedule::Forward, Checks::NONE);
            if let Err(problem) = (case.check)(&found) {
                panic!("{}\nwith {simd:?}: {problem}", case.name);
            }
        }
    }
}

#[test]
fn integers_to_integers() {
    check(&of(|to, from| !to.is_float() && !from.is_float()));
}

#[test]
fn integers_to_floats() {
    check(&of(|to, from| to.is_float() && !from.is_float()));
}

#[test]
fn floats_to_integers() {
    check(&of(|to, from| {
        !to.is_float() && from.is_float() && !exhaustive(from)
    }));
}

#[test]
fn floats_to_floats() {
    check(&of(|to, from| {
        to.is_float() && from.is_float() && !exhaustive(from)
    }));
}

#[test]
fn every_half_to_integers() {
    check_once(&of(|to, from| !to.is_float() && exhaustive(from)));
}

#[test]
fn every_half_to_floats() {
    check_once(&of(|to, from| to.is_float() && exhaustive(from)));
}
