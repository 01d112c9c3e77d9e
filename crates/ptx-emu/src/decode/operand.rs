//! Operands: registers, constants, addresses.

use crate::ast::{Operand, Position, Type};
use crate::decode::form::{Form, LoadError};
use crate::decode::module::{FUNCTION_WINDOW, bits, unknown};
use crate::decode::{Address, Decoder, Symbol, UNGUARDED, special};
use crate::memory::window;
use crate::program::Constant;

/// Slot that takes results nobody wants (two of them).
const SINK: u32 = 0;
/// Predicate that takes results nobody wants.
const PRED_SINK: u32 = 1;

impl<'a> Decoder<'_, 'a> {
    /// What a name stands for: in the function, innermost scope first, then in the module.
    pub(crate) fn lookup(&mut self, name: &'a str) -> Option<Symbol> {
        for scope in self.scopes.iter().rev() {
            if let Some(symbol) = scope.get(name) {
                return Some(*symbol);
            }
            // `%r12` of `.reg .b32 %r<20>`; a prefix may end in a digit itself
            let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
            for taken in (1..=digits).rev() {
                let (prefix, number) = name.split_at(name.len() - taken);
                let Some(Symbol::Registers { slot, ty, count }) = scope.get(prefix).copied() else {
                    continue;
                };
                let Ok(number) = number.parse::<u32>() else {
                    continue;
                };
                if number < count {
                    let width = if wide(ty) { 2 } else { 1 };
                    return Some(Symbol::Register {
                        slot: slot + number * width,
                        ty,
                    });
                }
            }
        }
        if let Some(index) = self.module.global_names.get(name) {
            return Some(Symbol::Global(*index));
        }
        if let Some(index) = self.module.function_names.get(name) {
            return Some(Symbol::Function(*index));
        }
        let variable = *self.module.shared.get(name)?;
        if variable.dynamic {
            let align = self.program.dynamic_align.unwrap_or(1).max(variable.align);
            self.program.dynamic_align = Some(align);
            return Some(Symbol::DynamicShared);
        }
        let offset = if let Some(offset) = self.shared.get(name) {
            *offset
        } else {
            let offset = self.take_shared(variable.bytes, variable.align);
            self.shared.insert(name, offset);
            offset
        };
        Some(Symbol::Shared(offset))
    }

    /// Takes static shared memory; its offset in the window.
    pub(crate) fn take_shared(&mut self, bytes: u32, align: u32) -> u32 {
        let at = self.program.static_shared.next_multiple_of(align);
        self.program.static_shared = at.saturating_add(bytes);
        window::SHARED_START.saturating_add(at)
    }

    /// The register that an instruction writes, for a value of type `ty`.
    pub(crate) fn dst(
        &mut self,
        form: &Form<'a>,
        operand: &Operand<'a>,
        ty: Type,
    ) -> Result<u32, LoadError> {
        match operand {
            Operand::Sink => Ok(SINK),
            Operand::Name(name) => match self.lookup(name) {
                Some(Symbol::Register { slot, ty: has }) if has != Type::Pred => {
                    fits(form, name, has, ty)?;
                    let always = self.guard == UNGUARDED;
                    *self.writes.entry(slot).or_default() += 1;
                    self.touch(slot, has, always);
                    Ok(slot)
                }
                Some(_) => Err(form.operand(format!("`{name}`"), "a register")),
                None => Err(unknown(form.position, name, "a register")),
            },
            other => Err(form.operand(format!("{other:?}"), "a register to write")),
        }
    }

    /// The slot with a source operand of type `ty`: a register, a constant, an address.
    pub(crate) fn src(
        &mut self,
        form: &Form<'a>,
        operand: &Operand<'a>,
        ty: Type,
    ) -> Result<u32, LoadError> {
        let (name, offset) = match operand {
            Operand::Name(name) => (*name, 0),
            Operand::Offset(name, offset) => (*name, *offset),
            value => {
                let bits = bits(value, ty)
                    .ok_or_else(|| form.operand(format!("{value:?}"), "a register or constant"))?;
                return Ok(self.immediate(bits, ty));
            }
        };
        if let Some(special) = special::named(name) {
            let slot = self.constant(Constant::Special(special));
            return if wide(ty) {
                Err(form.operand(format!("`{name}`"), "a 64-bit operand"))
            } else {
                Ok(slot)
            };
        }
        if name == "WARP_SZ" {
            return Ok(self.immediate(32, ty));
        }
        let Some(symbol) = self.lookup(name) else {
            return Err(unknown(form.position, name, "a register or variable"));
        };
        match symbol {
            Symbol::Register { slot, ty: has } if has != Type::Pred && offset == 0 => {
                fits(form, name, has, ty)?;
                self.touch(slot, has, false);
                Ok(slot)
            }
            Symbol::Shared(at) => {
                let at = i64::from(at) + offset;
                Ok(self.immediate(at.cast_unsigned(), ty))
            }
            Symbol::Param(at) => {
                let at = i64::from(window::PARAM_START + at) + offset;
                Ok(self.immediate(at.cast_unsigned(), ty))
            }
            Symbol::DynamicShared if wide(ty) => Ok(self.constant(Constant::DynamicShared(offset))),
            Symbol::DynamicShared => Ok(self.constant(Constant::DynamicShared32(offset))),
            Symbol::Global(index) if wide(ty) => Ok(self.constant(Constant::Global(index, offset))),
            Symbol::Function(index) if wide(ty) => {
                Ok(self.immediate(FUNCTION_WINDOW + u64::from(index), ty))
            }
            _ => Err(form.operand(format!("`{name}`"), "a register or constant")),
        }
    }

    /// The type that a register is declared with, if the operand is one.
    pub(crate) fn register_type(&mut self, operand: &Operand<'a>) -> Option<Type> {
        match operand {
            Operand::Name(name) => match self.lookup(name)? {
                Symbol::Register { ty, .. } => Some(ty),
                _ => None,
            },
            _ => None,
        }
    }

    /// The slot of a constant of type `ty`.
    pub(crate) fn immediate(&mut self, bits: u64, ty: Type) -> u32 {
        if wide(ty) {
            self.constant(Constant::Double(bits))
        } else {
            self.constant(Constant::Word(
                u32::try_from(bits & 0xffff_ffff).unwrap_or(0),
            ))
        }
    }

    /// The operand as a frame of local memory: offset of a local variable, if it is one.
    pub(crate) fn local(&mut self, operand: &Operand<'a>) -> Option<(u32, i64)> {
        let (name, offset) = match operand {
            Operand::Name(name) => (*name, 0),
            Operand::Offset(name, offset) => (*name, *offset),
            Operand::Address {
                base: Some(name),
                offset,
                rest,
            } if rest.is_empty() => (*name, *offset),
            _ => return None,
        };
        match self.lookup(name) {
            Some(Symbol::Local(at)) => Some((self.function().frame, i64::from(at) + offset)),
            _ => None,
        }
    }

    /// The predicate that an instruction writes.
    pub(crate) fn pred_dst(
        &mut self,
        form: &Form<'a>,
        operand: &Operand<'a>,
    ) -> Result<u32, LoadError> {
        match operand {
            Operand::Sink => Ok(PRED_SINK),
            Operand::Name(name) => self.pred_named(name, form.position),
            other => Err(form.operand(format!("{other:?}"), "a predicate register")),
        }
    }

    /// A predicate that an instruction reads, and all ones if it is negated.
    pub(crate) fn pred_src(
        &mut self,
        form: &Form<'a>,
        operand: &Operand<'a>,
    ) -> Result<(u32, u32), LoadError> {
        match operand {
            Operand::Name(name) => Ok((self.pred_named(name, form.position)?, 0)),
            Operand::Not(name) => Ok((self.pred_named(name, form.position)?, u32::MAX)),
            // predicate 0 is never set
            Operand::Int(value) => Ok((0, if *value == 0 { 0 } else { u32::MAX })),
            other => Err(form.operand(format!("{other:?}"), "a predicate register")),
        }
    }

    pub(crate) fn pred_named(
        &mut self,
        name: &'a str,
        position: Position,
    ) -> Result<u32, LoadError> {
        match self.lookup(name) {
            Some(Symbol::Register {
                slot,
                ty: Type::Pred,
            }) => Ok(slot),
            _ => Err(unknown(position, name, "a predicate register")),
        }
    }

    /// An operand in brackets.
    pub(crate) fn address(
        &mut self,
        form: &Form<'a>,
        operand: &Operand<'a>,
    ) -> Result<Address, LoadError> {
        let Operand::Address { base, offset, .. } = operand else {
            return Err(form.operand(format!("{operand:?}"), "an address in brackets"));
        };
        let at = |slot, offset| Address {
            slot,
            offset,
            narrow: false,
            param: false,
        };
        let Some(name) = base else {
            return Ok(at(self.immediate(0, Type::U64), *offset));
        };
        let symbol = self
            .lookup(name)
            .ok_or_else(|| unknown(form.position, name, "a register or variable"))?;
        Ok(match symbol {
            Symbol::Register { slot, ty } if ty != Type::Pred => {
                self.touch(slot, ty, false);
                Address {
                    slot,
                    offset: *offset,
                    narrow: !wide(ty),
                    param: false,
                }
            }
            Symbol::Shared(place) => at(self.immediate(0, Type::U64), i64::from(place) + offset),
            Symbol::DynamicShared => at(self.constant(Constant::DynamicShared(0)), *offset),
            Symbol::Global(index) => at(self.constant(Constant::Global(index, 0)), *offset),
            Symbol::Local(place) => at(self.function().frame, i64::from(place) + offset),
            Symbol::Param(place) => Address {
                slot: 0,
                offset: i64::from(place) + offset,
                narrow: false,
                param: true,
            },
            _ => return Err(form.operand(format!("`[{name}]`"), "a register or variable")),
        })
    }
}

/// Whether a value takes two slots.
pub(crate) fn wide(ty: Type) -> bool {
    ty.bytes() == 8
}

fn fits(form: &Form<'_>, name: &str, has: Type, wants: Type) -> Result<(), LoadError> {
    if wide(has) == wide(wants) && has != Type::B128 && wants != Type::B128 {
        return Ok(());
    }
    Err(form.operand(
        format!("`{name}` of {} bits", has.bytes() * 8),
        &format!("a register of {} bits", wants.bytes() * 8),
    ))
}
