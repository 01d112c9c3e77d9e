//! What a module declares outside of its functions: variables, and functions by name.

use std::collections::HashMap;

use crate::ast::{Ast, Function, Init, Linkage, Operand, Position, Space, Type, Variable};
use crate::decode::form::LoadError;

/// Addresses of functions begin here; they only serve to be called.
pub(crate) const FUNCTION_WINDOW: u64 = 0x5_0000_0000;

/// A variable in global or constant memory.
#[derive(Clone, Debug)]
pub(crate) struct GlobalVariable {
    pub name: String,
    pub bytes: u64,
    pub constant: bool,
    /// Initial values; zeros follow (PTX ISA 5.4.4).
    pub initial: Vec<u8>,
    /// Addresses to put in: offset, variable, bytes added.
    pub relocations: Vec<(u64, u32, i64)>,
}

/// A variable in shared memory, declared at file scope.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SharedVariable {
    pub bytes: u32,
    pub align: u32,
    /// `extern`: all of dynamic shared memory.
    pub dynamic: bool,
}

/// Declarations of a module.
#[derive(Debug, Default)]
pub(crate) struct Declarations<'m, 'a> {
    pub globals: Vec<GlobalVariable>,
    pub global_names: HashMap<&'a str, u32>,
    pub shared: HashMap<&'a str, SharedVariable>,
    /// Functions with a body, in order; the index is part of their address.
    pub functions: Vec<&'m Function<'a>>,
    pub function_names: HashMap<&'a str, u32>,
}

/// Largest variable, to keep a wrong declaration from taking all memory.
const MOST_BYTES: u64 = 1 << 32;

/// Size in bytes and alignment of a variable; `None` for `[]`.
pub(crate) fn size(variable: &Variable<'_>) -> Result<(Option<u64>, u32), LoadError> {
    let wrong = |problem: &str| LoadError::Declaration {
        position: variable.position,
        name: variable.name.to_owned(),
        problem: problem.to_owned(),
    };
    let element = u64::from(variable.ty.bytes().max(1)) * u64::from(variable.vector);
    let align = variable
        .align
        .unwrap_or_else(|| u32::try_from(element).unwrap_or(16));
    if !align.is_power_of_two() || align > 1 << 16 {
        return Err(wrong("the alignment must be a power of two up to 65536"));
    }
    let mut bytes = element;
    for (at, dim) in variable.dims.iter().enumerate() {
        match dim {
            None if at == 0 => return Ok((None, align)),
            None => return Err(wrong("only the first dimension may be left open")),
            Some(dim) => {
                bytes = bytes
                    .checked_mul(*dim)
                    .filter(|b| *b <= MOST_BYTES)
                    .ok_or_else(|| wrong("larger than 4 GiB"))?;
            }
        }
    }
    Ok((Some(bytes), align))
}

impl<'m, 'a> Declarations<'m, 'a> {
    pub(crate) fn of(ast: &'m Ast<'a>) -> Result<Self, LoadError> {
        let mut all = Self::default();
        for function in ast.functions.iter().filter(|f| f.body.is_some()) {
            let index = u32::try_from(all.functions.len()).unwrap_or(u32::MAX);
            if all.function_names.insert(function.name, index).is_some() {
                return Err(LoadError::Declaration {
                    position: function.position,
                    name: function.name.to_owned(),
                    problem: "defined twice".to_owned(),
                });
            }
            all.functions.push(function);
        }
        for variable in &ast.variables {
            all.declare(variable)?;
        }
        for variable in &ast.variables {
            if let (Some(init), Some(index)) =
                (&variable.init, all.global_names.get(variable.name).copied())
            {
                all.initialise(variable, init, index)?;
            }
        }
        Ok(all)
    }

    fn declare(&mut self, variable: &Variable<'a>) -> Result<(), LoadError> {
        let (bytes, align) = size(variable)?;
        match variable.space {
            Space::Shared => {
                let dynamic = variable.linkage == Linkage::Extern;
                let bytes = if dynamic { 0 } else { bytes.unwrap_or(0) };
                let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
                let shared = SharedVariable {
                    bytes,
                    align,
                    dynamic,
                };
                self.shared.insert(variable.name, shared);
            }
            Space::Global | Space::Const => {
                let listed = variable.init.as_ref().map_or(0, |init| match init {
                    Init::List(list) => list.len() as u64 * u64::from(variable.ty.bytes()),
                    _ => u64::from(variable.ty.bytes()),
                });
                let bytes = bytes.unwrap_or(listed);
                let index = u32::try_from(self.globals.len()).unwrap_or(u32::MAX);
                self.global_names.insert(variable.name, index);
                self.globals.push(GlobalVariable {
                    name: variable.name.to_owned(),
                    bytes,
                    constant: variable.space == Space::Const,
                    initial: Vec::new(),
                    relocations: Vec::new(),
                });
            }
            // Registers and local variables have no place at file scope; nothing can use them.
            Space::Reg | Space::Param | Space::Local => {}
        }
        Ok(())
    }

    fn initialise(
        &mut self,
        variable: &Variable<'a>,
        init: &Init<'a>,
        index: u32,
    ) -> Result<(), LoadError> {
        let mut bytes = Vec::new();
        let mut relocations = Vec::new();
        let ty = variable.ty;
        self.flatten(variable, init, ty, &mut bytes, &mut relocations)?;
        let global = &mut self.globals[index as usize];
        if bytes.len() as u64 > global.bytes {
            return Err(LoadError::Declaration {
                position: variable.position,
                name: variable.name.to_owned(),
                problem: format!(
                    "{} bytes of initial values for {} bytes",
                    bytes.len(),
                    global.bytes
                ),
            });
        }
        global.initial = bytes;
        global.relocations = relocations;
        Ok(())
    }

    /// Appends the bytes of an initial value. The parser bounds how deep lists are nested.
    fn flatten(
        &self,
        variable: &Variable<'a>,
        init: &Init<'a>,
        ty: Type,
        bytes: &mut Vec<u8>,
        relocations: &mut Vec<(u64, u32, i64)>,
    ) -> Result<(), LoadError> {
        let width = ty.bytes() as usize;
        match init {
            Init::List(list) => {
                for item in list {
                    self.flatten(variable, item, ty, bytes, relocations)?;
                }
            }
            Init::Value(Operand::Name(symbol)) => {
                self.address(variable, symbol, 0, width, bytes, relocations)?;
            }
            Init::Address { symbol, offset, .. } => {
                self.address(variable, symbol, *offset, width, bytes, relocations)?;
            }
            Init::Value(value) => {
                let bits = bits(value, ty).ok_or_else(|| LoadError::Declaration {
                    position: variable.position,
                    name: variable.name.to_owned(),
                    problem: format!("{value:?} is no initial value"),
                })?;
                bytes.extend(&bits.to_le_bytes()[..width.min(8)]);
                bytes.extend(std::iter::repeat_n(0, width.saturating_sub(8)));
            }
        }
        Ok(())
    }

    fn address(
        &self,
        variable: &Variable<'a>,
        symbol: &str,
        offset: i64,
        width: usize,
        bytes: &mut Vec<u8>,
        relocations: &mut Vec<(u64, u32, i64)>,
    ) -> Result<(), LoadError> {
        let mut value = 0;
        if let Some(index) = self.global_names.get(symbol) {
            relocations.push((bytes.len() as u64, *index, offset));
        } else if let Some(index) = self.function_names.get(symbol) {
            value = FUNCTION_WINDOW + u64::from(*index);
        } else {
            return Err(unknown(variable.position, symbol, "a variable or function"));
        }
        if width != 8 {
            return Err(LoadError::Declaration {
                position: variable.position,
                name: variable.name.to_owned(),
                problem: "an address needs 64 bits".to_owned(),
            });
        }
        bytes.extend(value.to_le_bytes());
        Ok(())
    }
}

pub(crate) fn unknown(position: Position, name: &str, expected: &'static str) -> LoadError {
    LoadError::Unknown {
        position,
        name: name.to_owned(),
        expected,
    }
}

/// Bits of a constant as a value of type `ty`.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a constant takes the width of its type"
)]
pub(crate) fn bits(value: &Operand<'_>, ty: Type) -> Option<u64> {
    let wide = match value {
        Operand::Int(int) if ty == Type::F32 => u64::from((*int as f32).to_bits()),
        Operand::Int(int) if ty == Type::F64 => (*int as f64).to_bits(),
        Operand::Int(int) => *int as u64,
        Operand::F32(bits) if ty == Type::F64 => f64::from(f32::from_bits(*bits)).to_bits(),
        Operand::F32(bits) => u64::from(*bits),
        Operand::F64(bits) if ty.bytes() == 4 => {
            u64::from((f64::from_bits(*bits) as f32).to_bits())
        }
        Operand::F64(bits) => *bits,
        _ => return None,
    };
    Some(match ty.bytes() {
        1 => wide & 0xff,
        2 => wide & 0xffff,
        4 => wide & 0xffff_ffff,
        _ => wide,
    })
}
