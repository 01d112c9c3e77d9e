//! What the forms of `ld`, `st` and their kin have in common: state spaces, types, hints.

use crate::ast::{Instruction, Operand, Type};
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};
use crate::exec::access::Place;
use crate::isa::operands::{no_type, plain};

/// That values of this type can be loaded and stored, so many at once.
pub(super) fn exists(
    form: &Form<'_>,
    ty: Type,
    vector: usize,
    place: Place,
) -> Result<(), LoadError> {
    if !plain(ty) {
        return Err(no_type(form));
    }
    let fits = match (ty.bytes(), vector) {
        (_, 1 | 2) | (1 | 2 | 4, 4) => true,
        (8, 4) | (4, 8) => matches!(place, Place::Global | Place::Generic),
        _ => false,
    };
    if fits {
        Ok(())
    } else {
        Err(form.unsupported(&format!("`.v{vector}` of this type in this state space")))
    }
}

/// Bytes of the registers that are loaded or stored: all the same, and no fewer than the type's.
pub(super) fn width<'a>(
    d: &mut Decoder<'_, 'a>,
    form: &Form<'a>,
    elements: &[Operand<'a>],
    ty: Type,
) -> Result<u32, LoadError> {
    let mut common = None;
    for element in elements {
        let Some(has) = d.register_type(element) else {
            continue;
        };
        let width = has.bytes();
        if width < ty.bytes() || *common.get_or_insert(width) != width {
            let found = format!("a register of {} bits", width * 8);
            let expected = "registers of one width, at least that of the type";
            return Err(form.operand(found, expected));
        }
    }
    Ok(common.unwrap_or(ty.bytes()))
}

/// The state space of an instruction; generic where none is named.
pub(crate) fn place(form: &mut Form<'_>) -> Place {
    let names = [
        "global",
        "const",
        "shared",
        "shared::cta",
        "shared::cluster",
        "local",
        "param",
        "param::entry",
        "param::func",
    ];
    match form.choice(&names) {
        Some("global" | "const") => Place::Global,
        Some("shared" | "shared::cta" | "shared::cluster") => Place::Shared,
        Some("local") => Place::Local,
        Some(_) => Place::Param,
        None => Place::Generic,
    }
}

/// The operands without the cache policy, which comes last and changes no result.
pub(crate) fn without_policy<'o, 'a>(
    d: &mut Decoder<'_, 'a>,
    form: &Form<'a>,
    instruction: &'o Instruction<'a>,
    hinted: bool,
) -> Result<&'o [Operand<'a>], LoadError> {
    match instruction.operands.as_slice() {
        [.., Operand::Address { .. }] if hinted => {
            Err(form.operand("no cache policy", "one as the last operand"))
        }
        [operands @ .., policy] if hinted => {
            d.src(form, policy, Type::B64)?;
            Ok(operands)
        }
        operands => Ok(operands),
    }
}

/// Takes modifiers that change no result: caches, prefetches, scopes of ordering. Whether there
/// is an operand with a cache policy.
pub(crate) fn hints(form: &mut Form<'_>) -> bool {
    form.flag("weak");
    form.choice(&["ca", "cg", "cs", "lu", "cv", "wb", "wt"]);
    form.choice(&["cta", "cluster", "gpu", "sys"]);
    form.choice(&[
        "L1::evict_normal",
        "L1::evict_unchanged",
        "L1::evict_first",
        "L1::evict_last",
        "L1::no_allocate",
    ]);
    form.choice(&["L2::evict_normal", "L2::evict_first", "L2::evict_last"]);
    form.choice(&["L2::64B", "L2::128B", "L2::256B"]);
    form.flag("L2::cache_hint")
}
