//! One form of an atomic instruction, and what it does to a value.

use std::fmt::Write;
use std::rc::Rc;

use crate::case::{Case, module};
use crate::values;
use ptx_emu::Launch;

/// New value of one element, from the old one and the operands.
pub(super) type Model = Rc<dyn Fn(u64, u64, u64) -> u64>;

pub(super) struct Form {
    /// Modifiers behind the space: `add.u32`.
    pub(super) operation: &'static str,
    /// Bits of an element.
    pub(super) bits: u32,
    pub(super) vector: usize,
    pub(super) edges: Vec<u64>,
    pub(super) new: Model,
    /// NaNs of the element, or of both halves of a pair, may have any bits.
    pub(super) nan: fn(u64) -> bool,
    pub(super) target: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    Global,
    Shared,
    GenericGlobal,
    GenericShared,
}

impl Form {
    pub(super) fn named(&self, root: &str, order: &str, space: Space) -> String {
        let space = match space {
            Space::Global => ".global",
            Space::Shared => ".shared",
            _ => "",
        };
        format!("{root}{order}{space}.{}", self.operation)
    }

    /// Each thread stores a value, operates on it, and stores what it got beside the new value.
    pub(super) fn case(&self, root: &'static str, order: &str, space: Space) -> Case {
        let mut rows = values::rows3(
            [&self.edges, &self.edges, &self.edges],
            [self.bits; 3],
            1200,
            80 * self.vector,
        );
        rows.truncate(1280 / self.vector / 64 * 64 * self.vector);
        let (bytes, threads) = (self.bits as usize / 8, rows.len() / self.vector);
        let register = format!("b{}", self.bits);
        let size = bytes * self.vector;
        let mut text = String::from(".reg .b32 %i<4>;\n.reg .b64 %x<8>;\n");
        writeln!(text, ".shared .align 16 .b8 cells[{}];", 64 * size).unwrap();
        for name in ["a", "b", "c", "d"] {
            writeln!(text, ".reg .{register} %{name}<8>;").unwrap();
        }
        text += "mov.u32 %i0, %ctaid.x;\nmov.u32 %i1, %ntid.x;\nmov.u32 %i2, %tid.x;\n\
                 mad.lo.u32 %i3, %i0, %i1, %i2;\nld.param.u64 %x0, [p0];\n";
        writeln!(text, "mad.wide.u32 %x1, %i3, {size}, %x0;").unwrap();
        for (at, name) in ["a", "b", "c"].iter().enumerate() {
            writeln!(text, "ld.param.u64 %x2, [p{}];", at + 1).unwrap();
            writeln!(text, "mad.wide.u32 %x3, %i3, {size}, %x2;").unwrap();
            for i in 0..self.vector {
                writeln!(
                    text,
                    "ld.global.{register} %{name}{i}, [%x3+{}];",
                    i * bytes
                )
                .unwrap();
            }
        }
        let memory = match space {
            Space::Shared | Space::GenericShared => {
                writeln!(
                    text,
                    "mov.u64 %x4, cells;\nmad.wide.u32 %x4, %i2, {size}, %x4;"
                )
                .unwrap();
                ".shared"
            }
            _ => {
                text += "mov.u64 %x4, %x1;\n";
                ".global"
            }
        };
        for i in 0..self.vector {
            writeln!(text, "st{memory}.{register} [%x4+{}], %a{i};", i * bytes).unwrap();
        }
        text += match space {
            Space::GenericShared => "cvta.shared.u64 %x5, %x4;\n",
            _ => "mov.u64 %x5, %x4;\n",
        };
        let list = |name: &str| match self.vector {
            1 => format!("%{name}0"),
            n => {
                let all: Vec<_> = (0..n).map(|i| format!("%{name}{i}")).collect();
                format!("{{{}}}", all.join(", "))
            }
        };
        let opcode = self.named(root, order, space);
        let third = if self.operation.starts_with("cas") {
            ", %c0"
        } else {
            ""
        };
        let result = if root == "atom" {
            list("d") + ", "
        } else {
            String::new()
        };
        writeln!(text, "{opcode} {result}[%x5], {}{third};", list("b")).unwrap();
        writeln!(text, "add.s64 %x6, %x1, {};", threads * size).unwrap();
        for i in 0..self.vector {
            writeln!(
                text,
                "ld{memory}.{register} %c{i}, [%x4+{at}];\nst.global.{register} [%x1+{at}], %c{i};",
                at = i * bytes
            )
            .unwrap();
            let old = if root == "atom" { "d" } else { "a" };
            writeln!(text, "st.global.{register} [%x6+{}], %{old}{i};", i * bytes).unwrap();
        }
        let column = |at: usize| {
            let cells = rows.iter().map(|row| row[at].to_le_bytes());
            cells.flat_map(|cell| cell[..bytes].to_vec()).collect()
        };
        let inputs = vec![column(0), column(1), column(2)];
        let (new, nan, name) = (self.new.clone(), self.nan, opcode.clone());
        Case {
            name: opcode,
            ptx: module(self.target, 4, &text),
            launch: Launch::linear(u32::try_from(threads / 64).unwrap(), 64),
            inputs,
            output: 2 * threads * size,
            check: Box::new(move |found| {
                let (now, before) = found.split_at(found.len() / 2);
                for (at, row) in rows.iter().enumerate() {
                    let cell = |from: &[u8]| {
                        let mut wide = [0; 8];
                        wide[..bytes].copy_from_slice(&from[at * bytes..][..bytes]);
                        u64::from_le_bytes(wide)
                    };
                    let expected = new(row[0], row[1], row[2]);
                    let (now, before) = (cell(now), cell(before));
                    if before != row[0] || now != expected && !(nan(now) && nan(expected)) {
                        return Err(format!(
                            "{name} of {row:x?}: {now:#x}, returned {before:#x}, \
                             expected {expected:#x}"
                        ));
                    }
                }
                Ok(())
            }),
        }
    }
}

pub(super) fn never(_: u64) -> bool {
    false
}
