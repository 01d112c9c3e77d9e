//! Bodies: scopes, labels, and the order of the code.

use std::collections::HashMap;

use crate::ast::{Function, Loc, Space, Statement, Type, Variable};
use crate::decode::form::LoadError;
use crate::decode::module::{size, unknown};
use crate::decode::operand::wide;
use crate::decode::unset::unset;
use crate::decode::{Decoder, Symbol, layout};
use crate::isa::control::Jump;
use crate::memory::window;
use crate::program::{Callee, Op, Param, Program};
use crate::report::{CallSite, SourceLine};

/// Most registers of one kernel, to keep a wrong declaration from taking all memory.
const MOST_SLOTS: u32 = 1 << 20;

impl<'m, 'a> Decoder<'m, 'a> {
    /// Decodes a kernel and all functions that it may call.
    pub(super) fn kernel(mut self, entry: &'m Function<'a>) -> Result<Program, LoadError> {
        entry.name.clone_into(&mut self.program.name);
        self.directives(entry)?;
        self.body(entry, true)?;
        let mut done = 0;
        while done < self.wanted.len() {
            let function = self.module.functions[self.wanted[done] as usize];
            self.body(function, false)?;
            done += 1;
        }
        let program = &mut self.program;
        for (index, op) in program.ops.iter_mut().enumerate() {
            op.index = u32::try_from(index).unwrap_or(u32::MAX);
        }
        Ok(self.program)
    }

    fn directives(&mut self, entry: &Function<'a>) -> Result<(), LoadError> {
        let sides = |numbers: &[u64]| {
            let side = |i: usize| numbers.get(i).copied().unwrap_or(1);
            [0, 1, 2].map(|i| u32::try_from(side(i)).unwrap_or(u32::MAX))
        };
        for (name, numbers) in &entry.directives {
            match *name {
                "maxntid" => {
                    let product = sides(numbers).map(u64::from);
                    self.program.max_threads =
                        Some(product.iter().fold(1, |p: u64, n| p.saturating_mul(*n)));
                }
                "reqntid" => self.program.required_block = Some(sides(numbers)),
                "reqnctapercluster" => {
                    let cluster = sides(numbers);
                    if cluster.contains(&0) {
                        return Err(LoadError::Declaration {
                            position: entry.position,
                            name: entry.name.to_owned(),
                            problem: "a cluster side of 0; it must be at least 1".to_owned(),
                        });
                    }
                    self.program.cluster = Some(cluster);
                }
                // they ask something of the compiler, not of the program
                _ => {}
            }
        }
        Ok(())
    }

    /// The program's index of a function of the module, which is then decoded too.
    pub(crate) fn callee(&mut self, index: u32) -> u32 {
        if let Some(known) = self.callees.get(&index) {
            return *known;
        }
        // the kernel itself is function 0; the others follow in the order they are wanted
        self.wanted.push(index);
        let number = u32::try_from(self.wanted.len()).unwrap_or(u32::MAX);
        self.callees.insert(index, number);
        number
    }

    /// Number of functions that the module defines.
    pub(crate) fn module_functions(&self) -> usize {
        self.module.functions.len()
    }

    pub(crate) fn is_entry(&self, index: u32) -> bool {
        self.module.functions[index as usize].entry
    }

    fn body(&mut self, function: &Function<'a>, entry: bool) -> Result<(), LoadError> {
        self.current = self.program.functions.len();
        let start = self.program.ops.len();
        let frame = self.new_slot(true);
        self.program.functions.push(Callee {
            frame,
            wide: vec![(frame, 1)],
            slots: (self.program.slots - 2, 0),
            preds: (self.program.preds, 0),
            ..Callee::default()
        });
        self.scopes = vec![HashMap::new()];
        self.labels.clear();
        self.targets.clear();
        self.forget_registers();
        self.carry = None;
        self.source = None;
        if entry {
            for param in &function.params {
                self.kernel_param(param)?;
            }
        } else {
            for (variable, result) in function
                .params
                .iter()
                .map(|p| (p, false))
                .chain(function.returns.iter().map(|r| (r, true)))
            {
                let at = self.take_local(variable)?;
                if result {
                    self.function().returns.push(at);
                } else {
                    self.function().params.push(at);
                }
            }
        }
        let body = function.body.as_deref().unwrap_or(&[]);
        self.scope(body)?;
        self.source = None;
        // falling off the end returns
        crate::isa::control::end(self);
        self.settle_shuffles();
        self.arrange(start);
        let (slots, preds) = (self.program.slots, self.program.preds);
        let this = self.function();
        this.slots.1 = slots - this.slots.0;
        this.preds.1 = preds - this.preds.0;
        Ok(())
    }

    fn kernel_param(&mut self, param: &Variable<'a>) -> Result<(), LoadError> {
        let (bytes, align) = size(param)?;
        let bytes = bytes.and_then(|b| u32::try_from(b).ok());
        let bytes = bytes.ok_or_else(|| LoadError::Declaration {
            position: param.position,
            name: param.name.to_owned(),
            problem: "a parameter needs a size below 4 GiB".to_owned(),
        })?;
        let offset = self.program.param_bytes.next_multiple_of(align);
        self.program.param_bytes = offset.saturating_add(bytes);
        self.program.params.push(Param {
            name: param.name.to_owned(),
            offset,
            bytes,
        });
        self.define(param.name, Symbol::Param(offset));
        Ok(())
    }

    fn define(&mut self, name: &'a str, symbol: Symbol) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name, symbol);
        }
    }

    /// Places a variable in the frame of the function; offset and size.
    fn take_local(&mut self, variable: &Variable<'a>) -> Result<(u32, u32), LoadError> {
        let (bytes, align) = size(variable)?;
        let bytes = bytes.and_then(|b| u32::try_from(b).ok());
        let bytes = bytes
            .filter(|b| *b <= 1 << 20)
            .ok_or_else(|| LoadError::Declaration {
                position: variable.position,
                name: variable.name.to_owned(),
                problem: "a local variable needs a size of at most 1 MiB".to_owned(),
            })?;
        let this = self.function();
        let at = this.local_bytes.next_multiple_of(align);
        this.local_bytes = at + bytes;
        self.define(variable.name, Symbol::Local(at));
        Ok((at, bytes))
    }

    fn scope(&mut self, statements: &[Statement<'a>]) -> Result<(), LoadError> {
        for statement in statements {
            if let Statement::Label(_, name) = statement {
                let label = u32::try_from(self.labels.len()).unwrap_or(u32::MAX);
                self.labels.push(None);
                self.define(name, Symbol::Label(label));
            }
        }
        for statement in statements {
            match statement {
                Statement::Variable(variable) => self.variable(variable)?,
                Statement::Label(_, name) => {
                    if let Some(Symbol::Label(label)) = self.lookup(name) {
                        let here = u32::try_from(self.program.ops.len()).unwrap_or(u32::MAX);
                        self.labels[label as usize] = Some(here);
                    }
                }
                Statement::Block(inner) => {
                    self.scopes.push(HashMap::new());
                    self.scope(inner)?;
                    self.scopes.pop();
                }
                Statement::Loc(loc) => self.source = Some(self.source_line(loc)),
                Statement::Instruction(instruction) => self.instruction(instruction)?,
                Statement::BranchTargets(position, name, labels) => {
                    let mut list = Vec::new();
                    for label in labels {
                        match self.lookup(label) {
                            Some(Symbol::Label(label)) => list.push(label),
                            _ => return Err(unknown(*position, label, "a label")),
                        }
                    }
                    let index = u32::try_from(self.targets.len()).unwrap_or(u32::MAX);
                    self.targets.push(list);
                    self.define(name, Symbol::Targets(index));
                }
                Statement::CallPrototype(prototype) => {
                    self.define(prototype.name, Symbol::Prototype);
                }
                Statement::CallTargets(_, name, functions) => {
                    for function in functions {
                        if let Some(Symbol::Function(index)) = self.lookup(function) {
                            self.callee(index);
                        }
                    }
                    self.define(name, Symbol::Prototype);
                }
            }
        }
        Ok(())
    }

    fn variable(&mut self, variable: &Variable<'a>) -> Result<(), LoadError> {
        match variable.space {
            Space::Reg => self.registers(variable),
            Space::Local | Space::Param => self.take_local(variable).map(drop),
            Space::Shared => {
                let (bytes, align) = size(variable)?;
                let bytes = u32::try_from(bytes.unwrap_or(0)).unwrap_or(u32::MAX);
                let at = self.take_shared(bytes, align);
                self.define(variable.name, Symbol::Shared(at));
                Ok(())
            }
            Space::Const | Space::Global => Err(LoadError::Declaration {
                position: variable.position,
                name: variable.name.to_owned(),
                problem: "global and constant variables stand outside of functions".to_owned(),
            }),
        }
    }

    fn registers(&mut self, variable: &Variable<'a>) -> Result<(), LoadError> {
        let ty = variable.ty;
        let count = variable.count.unwrap_or(1);
        let width = if wide(ty) { 2 } else { 1 };
        if ty == Type::B128 || variable.vector != 1 || count > MOST_SLOTS - 4 {
            return Err(LoadError::Declaration {
                position: variable.position,
                name: variable.name.to_owned(),
                problem: "registers must be scalars of at most 64 bits, below a million".to_owned(),
            });
        }
        let slot = if ty == Type::Pred {
            let first = self.program.preds;
            self.program.preds += count;
            first
        } else {
            let first = self.program.slots;
            self.program.slots += count * width;
            if wide(ty) {
                self.function().wide.push((first, count));
            }
            first
        };
        if self.program.slots > MOST_SLOTS || self.program.preds > MOST_SLOTS {
            return Err(LoadError::Declaration {
                position: variable.position,
                name: variable.name.to_owned(),
                problem: "more than a million registers in one kernel".to_owned(),
            });
        }
        let symbol = match variable.count {
            Some(count) => Symbol::Registers { slot, ty, count },
            None => Symbol::Register { slot, ty },
        };
        self.define(variable.name, symbol);
        Ok(())
    }

    fn source_line(&self, loc: &Loc<'a>) -> SourceLine {
        let file = |index: u32| {
            let found = self.ast.files.iter().find(|(i, _)| *i == index);
            found.map_or_else(|| format!("file {index}"), |(_, path)| (*path).to_owned())
        };
        let mut line = SourceLine::new(file(loc.file), loc.line, loc.column);
        if let Some((outer, at, column)) = loc.inlined_at {
            line.inlined_at.push(CallSite {
                file: file(outer),
                line: at,
                column,
            });
        }
        line
    }

    /// Puts the ops from `start` on into the order of [`layout`] and resolves labels.
    fn arrange(&mut self, start: usize) {
        let ops: Vec<Op> = self.program.ops.drain(start..).collect();
        let target = |label: u32, labels: &[Option<u32>]| {
            let at = labels.get(label as usize).copied().flatten();
            (at.map_or(ops.len() - 1, |at| at as usize - start)).min(ops.len() - 1)
        };
        // Blocks of ops: a new one begins at each label and behind each op that may jump.
        let mut begins = vec![false; ops.len()];
        begins[0] = true;
        for label in 0..self.labels.len() {
            begins[target(u32::try_from(label).unwrap_or(0), &self.labels)] = true;
        }
        for (at, op) in ops.iter().enumerate() {
            if op.ends_block && at + 1 < ops.len() {
                begins[at + 1] = true;
            }
        }
        let heads: Vec<usize> = (0..ops.len()).filter(|at| begins[*at]).collect();
        let mut block_of = vec![0; ops.len()];
        for (block, head) in heads.iter().enumerate() {
            let end = heads.get(block + 1).copied().unwrap_or(ops.len());
            block_of[*head..end].fill(block);
        }
        let last = |block: usize| heads.get(block + 1).copied().unwrap_or(ops.len()) - 1;
        let successors: Vec<Vec<usize>> = (0..heads.len())
            .map(|block| {
                let at = last(block);
                let exits = crate::isa::control::exits(&ops[at], &self.targets);
                let mut next: Vec<usize> = exits
                    .labels
                    .iter()
                    .map(|label| block_of[target(*label, &self.labels)])
                    .collect();
                if exits.falls_through && at + 1 < ops.len() {
                    next.push(block_of[at + 1]);
                }
                next
            })
            .collect();
        for touch in &mut self.touches {
            touch.op = (touch.op - start).min(ops.len() - 1);
        }
        // an instruction reads before it writes
        self.touches.sort_by_key(|touch| (touch.op, touch.sets));
        let unset = unset(&heads, &successors, &self.touches);
        self.program.zeroed.extend(unset);
        let order = layout::order(&successors);
        let mut place = vec![u32::MAX; heads.len()];
        let mut arranged: Vec<Op> = Vec::with_capacity(ops.len() + order.len());
        for (turn, block) in order.iter().enumerate() {
            place[*block] = u32::try_from(start + arranged.len()).unwrap_or(u32::MAX);
            let end = last(*block);
            arranged.extend_from_slice(&ops[heads[*block]..=end]);
            let falls = crate::isa::control::exits(&ops[end], &self.targets).falls_through;
            if falls && end + 1 < ops.len() && order.get(turn + 1) != Some(&block_of[end + 1]) {
                // its follower does not stand behind it: a jump that the text does not have
                let mut jump = self.op::<Jump>();
                jump.class = None;
                jump.guard = 0;
                jump.flip = true;
                jump.statement = ops[end].statement;
                jump.x = i64::try_from(block_of[end + 1]).unwrap_or(0);
                jump.aux = u32::MAX;
                arranged.push(jump);
            }
        }
        let resolve = |label: u32| place[block_of[target(label, &self.labels)]];
        for op in &mut arranged {
            if op.aux == u32::MAX && op.class.is_none() {
                op.aux = place[usize::try_from(op.x).unwrap_or(0)];
            } else if op.ends_block {
                crate::isa::control::resolve(op, &resolve);
            }
        }
        let tables: Vec<Vec<u32>> = self
            .targets
            .iter()
            .map(|list| list.iter().map(|label| resolve(*label)).collect())
            .collect();
        for op in &mut arranged {
            crate::isa::control::resolve_table(op, &tables, &mut self.program.lists);
        }
        self.program.ops.extend(arranged);
        let first = place[0];
        self.function().start = first;
    }
}

const _: () = assert!(window::LOCAL_START > 0);
