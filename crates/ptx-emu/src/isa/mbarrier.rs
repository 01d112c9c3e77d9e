//! (to come)

use crate::ast::Instruction;
use crate::decode::Decoder;
use crate::decode::form::{Form, LoadError};

pub(crate) fn decode<'a>(
    _: &mut Decoder<'_, 'a>,
    form: Form<'a>,
    _: &Instruction<'a>,
) -> Result<(), LoadError> {
    Err(form.unsupported("unknown instruction"))
}

/// `cp.async.mbarrier.arrive`
pub(crate) fn copies<'a>(
    _: &mut Decoder<'_, 'a>,
    form: Form<'a>,
    _: &Instruction<'a>,
) -> Result<(), LoadError> {
    Err(form.unsupported("unknown instruction"))
}
