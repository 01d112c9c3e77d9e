//! From a parsed text to programs: every kernel with the functions it calls, names resolved.

pub(crate) mod form;
mod function;
pub(crate) mod layout;
pub(crate) mod module;
pub(crate) mod operand;
mod show;
mod special;
mod unset;

use std::collections::HashMap;

use crate::ast::{Ast, Instruction, Type};
use crate::decode::form::LoadError;
use crate::decode::module::{Declarations, GlobalVariable};
use crate::decode::unset::Touch;
use crate::program::{Callee, Constant, Op, Program, Statement, Traffic};
use crate::report::{Class, SourceLine, flops_per_lane};
use crate::simd::{Handler, Run, Simd};

/// Bit of `Op::aux` of a memory instruction: its address register has 32 bits.
pub(crate) const NARROW_ADDRESS: u32 = 1 << 31;

/// Bit of `Op::aux` of an atomic instruction, or of a store as strong as one: it releases what
/// went before, without a fence (`.release`, `.acq_rel`).
pub(crate) const RELEASES: u32 = 1 << 30;

/// A module, ready to run.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub programs: Vec<Program>,
    pub globals: Vec<GlobalVariable>,
    pub target: String,
    pub version: (u32, u32),
}

/// Decodes every kernel of a module for one level of host instructions.
pub(crate) fn decode(ast: &Ast<'_>, level: Simd) -> Result<Decoded, LoadError> {
    let declarations = Declarations::of(ast)?;
    let entries = declarations.functions.iter().filter(|f| f.entry);
    let programs = entries
        .map(|entry| Decoder::new(ast, &declarations, level).kernel(entry))
        .collect::<Result<_, _>>()?;
    Ok(Decoded {
        programs,
        globals: declarations.globals,
        target: ast.target.first().copied().unwrap_or("").to_owned(),
        version: ast.version,
    })
}

/// What a name stands for inside a function.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Symbol {
    Register {
        slot: u32,
        ty: Type,
    },
    /// `%r<10>`: names made of a prefix and a number.
    Registers {
        slot: u32,
        ty: Type,
        count: u32,
    },
    Label(u32),
    /// Offset in the shared window.
    Shared(u32),
    DynamicShared,
    /// Offset in the frame of the function in local memory.
    Local(u32),
    /// Offset of a parameter of the kernel.
    Param(u32),
    Global(u32),
    Function(u32),
    /// Index of a list of labels, for `brx.idx`.
    Targets(u32),
    /// A call prototype: nothing to know.
    Prototype,
}

/// Where memory is addressed: a 64-bit slot (or 32-bit, if `narrow`) and a displacement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address {
    pub slot: u32,
    pub offset: i64,
    pub narrow: bool,
    /// A parameter of the kernel, at `offset`; the slot means nothing.
    pub param: bool,
}

/// Guard of an instruction without one: predicate 0, which is never set, negated.
pub(crate) const UNGUARDED: (u32, u32) = (0, u32::MAX);

/// State while one kernel is decoded.
pub(crate) struct Decoder<'m, 'a> {
    pub level: Simd,
    ast: &'m Ast<'a>,
    module: &'m Declarations<'m, 'a>,
    program: Program,
    constants: HashMap<Constant, u32>,
    /// Innermost scope last.
    scopes: Vec<HashMap<&'a str, Symbol>>,
    /// Offset of each shared variable of file scope that is used.
    shared: HashMap<&'a str, u32>,
    /// Index in the program of each function of the module that it may call.
    callees: HashMap<u32, u32>,
    /// Functions of the module that are still to be decoded.
    wanted: Vec<u32>,
    /// Index of the function being decoded in the program.
    current: usize,
    /// Op that each label stands before.
    labels: Vec<Option<u32>>,
    /// Lists of labels, for `brx.idx`.
    targets: Vec<Vec<u32>>,
    source: Option<SourceLine>,
    guard: (u32, u32),
    /// What the function being decoded does to registers.
    touches: Vec<Touch>,
    /// How many instructions of the function write each register.
    writes: HashMap<u32, u32>,
    /// Registers of the function that `mov` sets to a constant.
    moved: HashMap<u32, u32>,
    /// Its shuffles, by op.
    shuffles: Vec<usize>,
    statement: u32,
    class: Class,
    flops: u32,
    /// Predicate that holds the carry of the function being decoded, once it has one.
    carry: Option<u32>,
}

impl<'m, 'a> Decoder<'m, 'a> {
    fn new(ast: &'m Ast<'a>, module: &'m Declarations<'m, 'a>, level: Simd) -> Self {
        Self {
            level,
            ast,
            module,
            program: Program {
                name: String::new(),
                ops: Vec::new(),
                lists: Vec::new(),
                // Slots 0 and 1 take what nobody wants to have.
                slots: 2,
                // Predicate 0 is never set; predicate 1 takes what nobody wants to have.
                preds: 2,
                constants: Vec::new(),
                zeroed: Vec::new(),
                params: Vec::new(),
                param_bytes: 0,
                static_shared: 0,
                dynamic_align: None,
                functions: Vec::new(),
                statements: Vec::new(),
                max_threads: None,
                required_block: None,
                cluster: None,
                sequential: false,
            },
            constants: HashMap::new(),
            scopes: Vec::new(),
            shared: HashMap::new(),
            callees: HashMap::new(),
            wanted: Vec::new(),
            current: 0,
            labels: Vec::new(),
            targets: Vec::new(),
            source: None,
            guard: UNGUARDED,
            touches: Vec::new(),
            writes: HashMap::new(),
            moved: HashMap::new(),
            shuffles: Vec::new(),
            statement: 0,
            class: Class::Control,
            flops: 0,
            carry: None,
        }
    }

    /// An op with this handler for the instruction being decoded, without operands yet.
    pub(crate) fn op<H: Handler>(&self) -> Op {
        Op {
            run: Run::of::<H>(self.level),
            guard: self.guard.0,
            flip: self.guard.1 != 0,
            d: 0,
            a: 0,
            b: 0,
            c: 0,
            x: 0,
            aux: 0,
            list: 0,
            index: 0,
            statement: self.statement,
            class: Some(self.class),
            traffic: Traffic::None,
            flops: self.flops,
            matrix: None,
            always: false,
            ends_block: false,
        }
    }

    pub(crate) fn push(&mut self, op: Op) {
        self.program.ops.push(op);
    }

    /// Puts a list of slots into the program.
    pub(crate) fn list(&mut self, slots: &[u32]) -> u32 {
        let at = u32::try_from(self.program.lists.len()).unwrap_or(u32::MAX);
        self.program.lists.extend_from_slice(slots);
        at
    }

    /// The slot of a read-only value.
    pub(crate) fn constant(&mut self, constant: Constant) -> u32 {
        if let Some(slot) = self.constants.get(&constant) {
            return *slot;
        }
        let slot = self.new_slot(constant.is_wide());
        self.constants.insert(constant, slot);
        self.program.constants.push((slot, constant));
        slot
    }

    pub(crate) fn new_slot(&mut self, wide: bool) -> u32 {
        let slot = self.program.slots;
        self.program.slots += if wide { 2 } else { 1 };
        slot
    }

    pub(crate) fn new_pred(&mut self) -> u32 {
        self.program.preds += 1;
        self.program.preds - 1
    }

    /// The predicate with the carry flag of the function (`CC.CF`).
    pub(crate) fn carry(&mut self) -> u32 {
        if self.carry.is_none() {
            self.carry = Some(self.new_pred());
        }
        self.carry.unwrap_or(0)
    }

    /// Blocks of this kernel wait for or count on each other.
    pub(crate) fn blocks_communicate(&mut self) {
        self.program.sequential = true;
    }

    /// The function that is being decoded.
    pub(crate) fn function(&mut self) -> &mut Callee {
        &mut self.program.functions[self.current]
    }

    /// Decodes one instruction.
    fn instruction(&mut self, instruction: &Instruction<'a>) -> Result<(), LoadError> {
        self.guard = match instruction.guard {
            None => UNGUARDED,
            Some((name, negated)) => {
                let pred = self.pred_named(name, instruction.position)?;
                (pred, if negated { u32::MAX } else { 0 })
            }
        };
        self.class = Class::of(instruction.opcode);
        self.flops = u32::try_from(flops_per_lane(instruction.opcode)).unwrap_or(0);
        self.statement = u32::try_from(self.program.statements.len()).unwrap_or(u32::MAX);
        self.program.statements.push(Statement {
            line: instruction.position.line,
            text: show::Shown(instruction).to_string(),
            source: self.source.clone(),
        });
        crate::isa::decode(self, instruction)
    }
}

impl Decoder<'_, '_> {
    /// Notes that the next op reads a register, or sets it.
    pub(crate) fn touch(&mut self, slot: u32, ty: Type, sets: bool) {
        self.touches.push(Touch {
            op: self.program.ops.len(),
            slot,
            slots: if operand::wide(ty) { 2 } else { 1 },
            sets,
        });
    }

    /// Forgets what the function before did to registers.
    fn forget_registers(&mut self) {
        self.touches.clear();
        self.writes.clear();
        self.moved.clear();
    }

    /// Notes that the next op, a `mov`, sets a 32-bit register to a constant.
    pub(crate) fn moves_constant(&mut self, slot: u32, value: u32) {
        if self.guard == UNGUARDED {
            self.moved.insert(slot, value);
        }
    }

    /// The value of a slot, where it is a constant or a register that one `mov` sets and nothing
    /// else. To be asked once the whole function is known.
    pub(crate) fn known(&self, slot: u32) -> Option<u32> {
        if let Ok(at) = self.program.constants.binary_search_by_key(&slot, |c| c.0) {
            return match self.program.constants[at].1 {
                Constant::Word(word) => Some(word),
                _ => None,
            };
        }
        let value = self.moved.get(&slot)?;
        (self.writes.get(&slot) == Some(&1)).then_some(*value)
    }

    /// Pushes a shuffle, which may take another form once the function is known.
    pub(crate) fn push_shuffle(&mut self, op: Op) {
        self.shuffles.push(self.program.ops.len());
        self.push(op);
    }

    /// An element of an op's list.
    pub(crate) fn slot_of(&self, op: &Op, at: usize) -> u32 {
        self.program.lists[op.list as usize + at]
    }

    fn settle_shuffles(&mut self) {
        for at in std::mem::take(&mut self.shuffles) {
            let mut op = self.program.ops[at].clone();
            crate::isa::settle_shuffle(self, &mut op);
            self.program.ops[at] = op;
        }
    }

    /// What is pushed next has no guard.
    pub(crate) fn unguarded(&mut self) {
        self.guard = UNGUARDED;
        self.statement = self.statement_count().saturating_sub(1);
    }

    fn statement_count(&mut self) -> u32 {
        if self.program.statements.is_empty() {
            self.program.statements.push(Statement {
                line: 0,
                text: String::new(),
                source: None,
            });
        }
        u32::try_from(self.program.statements.len()).unwrap_or(u32::MAX)
    }

    /// Whether the function being decoded is the kernel itself.
    pub(crate) fn in_kernel(&self) -> bool {
        self.current == 0
    }

    pub(crate) fn function_index(&self) -> usize {
        self.current
    }
}
