//! What a PTX text says, before anything is looked up: declarations, blocks and instructions in
//! the order of the text. Names borrow from the text.

use std::fmt;

pub use crate::parser::ParseError;

/// A place in a PTX text, both counted from one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Line.
    pub line: u32,
    /// Column, in bytes.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A fundamental type (PTX ISA 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Type {
    B8,
    B16,
    B32,
    B64,
    B128,
    U8,
    U16,
    U32,
    U64,
    S8,
    S16,
    S32,
    S64,
    F16,
    F16x2,
    Bf16,
    Bf16x2,
    Tf32,
    F32,
    F64,
    Pred,
}

impl Type {
    /// The type that a name such as `u32` stands for, without its dot.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "b8" => Self::B8,
            "b16" => Self::B16,
            "b32" => Self::B32,
            "b64" => Self::B64,
            "b128" => Self::B128,
            "u8" => Self::U8,
            "u16" => Self::U16,
            "u32" => Self::U32,
            "u64" => Self::U64,
            "s8" => Self::S8,
            "s16" => Self::S16,
            "s32" => Self::S32,
            "s64" => Self::S64,
            "f16" => Self::F16,
            "f16x2" => Self::F16x2,
            "bf16" => Self::Bf16,
            "bf16x2" => Self::Bf16x2,
            "tf32" => Self::Tf32,
            "f32" => Self::F32,
            "f64" => Self::F64,
            "pred" => Self::Pred,
            _ => return None,
        })
    }

    /// Size in bytes; zero for a predicate, which has no place in memory.
    pub fn bytes(self) -> u32 {
        match self {
            Self::Pred => 0,
            Self::B8 | Self::U8 | Self::S8 => 1,
            Self::B16 | Self::U16 | Self::S16 | Self::F16 | Self::Bf16 => 2,
            Self::B32
            | Self::U32
            | Self::S32
            | Self::F32
            | Self::F16x2
            | Self::Bf16x2
            | Self::Tf32 => 4,
            Self::B64 | Self::U64 | Self::S64 | Self::F64 => 8,
            Self::B128 => 16,
        }
    }
}

/// A state space in which a variable can be declared (PTX ISA 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Space {
    Reg,
    Param,
    Const,
    Global,
    Local,
    Shared,
}

/// Who may see a name (`.extern`, `.visible`, `.weak`, `.common`), or none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Linkage {
    #[default]
    Internal,
    Extern,
    Visible,
    Weak,
    Common,
}

/// A whole PTX text.
#[derive(Clone, Debug, PartialEq)]
pub struct Ast<'a> {
    /// `.version`, major and minor.
    pub version: (u32, u32),
    /// `.target` and its options: `sm_80`, `debug` …
    pub target: Vec<&'a str>,
    /// `.address_size`, 64 where it is not given.
    pub address_size: u32,
    /// `.file` index and path.
    pub files: Vec<(u32, &'a str)>,
    /// Label and text of each string in `.section .debug_str`: `Loc::function` is such a label.
    pub debug_strings: Vec<(&'a str, String)>,
    /// Variables of file scope.
    pub variables: Vec<Variable<'a>>,
    /// Kernels and functions, in order; a forward declaration has no body.
    pub functions: Vec<Function<'a>>,
}

/// A declared variable, register, parameter or return value.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable<'a> {
    /// Where it is declared.
    pub position: Position,
    /// Its state space.
    pub space: Space,
    /// Who sees it.
    pub linkage: Linkage,
    /// `.align`, in bytes.
    pub align: Option<u32>,
    /// Type of one element.
    pub ty: Type,
    /// Elements of `.v2`, `.v4`, `.v8`; 1 for a scalar.
    pub vector: u8,
    /// Name; of `%r<10>`, the part before `<`.
    pub name: &'a str,
    /// For `%r<10>`, 10: the names `%r0` to `%r9` are declared.
    pub count: Option<u32>,
    /// Array dimensions; `None` where the brackets are empty. No brackets: no dimensions.
    pub dims: Vec<Option<u64>>,
    /// Initial value.
    pub init: Option<Init<'a>>,
}

/// An initial value: a number, a symbol, or a list in braces.
#[derive(Clone, Debug, PartialEq)]
pub enum Init<'a> {
    /// A number or a name.
    Value(Operand<'a>),
    /// `symbol + offset`, with `generic` where the address is to be a generic one.
    Address {
        /// The symbol.
        symbol: &'a str,
        /// Bytes added.
        offset: i64,
        /// Written as `generic(symbol)`.
        generic: bool,
    },
    /// A list in braces.
    List(Vec<Init<'a>>),
}

/// A kernel (`.entry`) or a function (`.func`).
#[derive(Clone, Debug, PartialEq)]
pub struct Function<'a> {
    /// Where its name stands.
    pub position: Position,
    /// Whether it is a kernel.
    pub entry: bool,
    /// Who sees it.
    pub linkage: Linkage,
    /// Its name.
    pub name: &'a str,
    /// Return values, at most one in what compilers write.
    pub returns: Vec<Variable<'a>>,
    /// Parameters.
    pub params: Vec<Variable<'a>>,
    /// `.maxntid 128, 1, 1` and the like: name without its dot, and numbers (`noreturn` has none).
    pub directives: Vec<(&'a str, Vec<u64>)>,
    /// The body; none in a forward declaration.
    pub body: Option<Vec<Statement<'a>>>,
}

/// One statement of a body.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement<'a> {
    /// A scope in braces.
    Block(Vec<Statement<'a>>),
    /// A declaration.
    Variable(Variable<'a>),
    /// `name:`
    Label(Position, &'a str),
    /// `.loc`
    Loc(Loc<'a>),
    /// An instruction.
    Instruction(Instruction<'a>),
    /// `name: .branchtargets a, b, …;`
    BranchTargets(Position, &'a str, Vec<&'a str>),
    /// `name: .callprototype (returns) _ (params);`
    CallPrototype(CallPrototype<'a>),
    /// `name: .calltargets f, g;`
    CallTargets(Position, &'a str, Vec<&'a str>),
}

/// `.loc file line column [, function_name label[+offset], inlined_at file line column]`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Loc<'a> {
    /// Index into `Ast::files`.
    pub file: u32,
    /// Line in that file.
    pub line: u32,
    /// Column in that line.
    pub column: u32,
    /// Where the function that holds this line was inlined: file, line, column.
    pub inlined_at: Option<(u32, u32, u32)>,
    /// Label in the debug strings that names the inlined function.
    pub function: Option<&'a str>,
}

/// `name: .callprototype (returns) _ (params);`
#[derive(Clone, Debug, PartialEq)]
pub struct CallPrototype<'a> {
    /// Where it stands.
    pub position: Position,
    /// Its label.
    pub name: &'a str,
    /// Return values.
    pub returns: Vec<Variable<'a>>,
    /// Parameters.
    pub params: Vec<Variable<'a>>,
}

/// One instruction.
#[derive(Clone, Debug, PartialEq)]
pub struct Instruction<'a> {
    /// Where its opcode stands.
    pub position: Position,
    /// `@p` or `@!p`: the predicate, and whether it is negated.
    pub guard: Option<(&'a str, bool)>,
    /// The opcode as written, from its first letter to its last modifier, without blanks:
    /// `ld.global.nc.v4.f32`, `cp.async.bulk.shared::cluster.global…`.
    pub opcode: &'a str,
    /// Operands, in order.
    pub operands: Vec<Operand<'a>>,
}

/// One operand.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand<'a> {
    /// A register, special register (`%tid.x`), variable, label or function.
    Name(&'a str),
    /// An integer, as 64 bits of two's complement.
    Int(i64),
    /// `0fXXXXXXXX`
    F32(u32),
    /// `0dXXXXXXXXXXXXXXXX`, or a decimal constant with a point
    F64(u64),
    /// `!p`
    Not(&'a str),
    /// `-%r1`, as some assembly texts write it.
    Negative(&'a str),
    /// `_`
    Sink,
    /// `name + offset` outside of brackets.
    Offset(&'a str, i64),
    /// `[name + offset]`; the name is missing in `[16]`. Further operands stand in brackets after
    /// a comma in tensor addresses: `[map, {x, y}]`.
    Address {
        /// Register or symbol.
        base: Option<&'a str>,
        /// Bytes added.
        offset: i64,
        /// What follows the comma: a vector of coordinates.
        rest: Vec<Operand<'a>>,
    },
    /// `{a, b, …}`
    Vector(Vec<Operand<'a>>),
    /// `d|p`
    Pair(Box<Operand<'a>>, Box<Operand<'a>>),
    /// `(a, b, …)`, in calls.
    List(Vec<Operand<'a>>),
}
