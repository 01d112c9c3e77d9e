//! `mma` and `ldmatrix`: which lane holds which element. Numbers are small integers, so that every order of sums
//! gives the same.

use half::{bf16, f16};
use ptx_emu::Launch;

use crate::case::{Case, check, module, program};
use crate::memory::bytes;

const LANES: usize = 32;
/// Rows and columns of a product.
const ROWS: usize = 16;
const COLS: usize = 8;

/// An operand type of `mma`.
#[derive(Clone, Copy)]
struct Operand {
    form: &'static str,
    /// Length of the inner dimension.
    inner: usize,
    /// Elements of a register.
    packed: usize,
    bits: fn(i16) -> u32,
}

const OPERANDS: [Operand; 3] = [
    Operand {
        form: "m16n8k16.row.col.f32.f16.f16.f32",
        inner: 16,
        packed: 2,
        bits: |v| f16::from_f32(f32::from(v)).to_bits().into(),
    },
    Operand {
        form: "m16n8k16.row.col.f32.bf16.bf16.f32",
        inner: 16,
        packed: 2,
        bits: |v| bf16::from_f32(f32::from(v)).to_bits().into(),
    },
    Operand {
        form: "m16n8k8.row.col.f32.tf32.tf32.f32",
        inner: 8,
        packed: 1,
        bits: |v| f32::from(v).to_bits(),
    },
];

/// Integers from -128 to 127.
fn integers(count: usize, seed: u64) -> Vec<i16> {
    let all = bytes(count, seed).into_iter();
    all.map(|byte| i16::from(byte.cast_signed())).collect()
}

/// Registers of all lanes, lane by lane; `value` is asked for the bits of a register of a lane.
fn registers(count: usize, value: impl Fn(usize, usize) -> u32) -> Vec<u8> {
    let all = (0..LANES * count).map(|at| value(at / count, at % count));
    all.flat_map(u32::to_le_bytes).collect()
}

/// Packs `packed` neighbours along the inner dimension, the first in the low bits.
fn pack(operand: Operand, element: impl Fn(usize) -> i16) -> u32 {
    let bits = |at: usize| (operand.bits)(element(at)) << (16 * at);
    (0..operand.packed).map(bits).sum()
}

fn product(operand: Operand) -> Case {
    let Operand { inner, packed, .. } = operand;
    let a = integers(ROWS * inner, 1);
    let b = integers(inner * COLS, 2);
    let c = integers(ROWS * COLS, 3);
    // the inner dimension goes over four lanes, then over registers
    let k = |lane: usize, half: usize| packed * (lane % 4) + half * inner / 2;
    let of_a = |lane: usize, register: usize| {
        let row = lane / 4 + register % 2 * 8;
        let first = row * inner + k(lane, register / 2);
        pack(operand, |at| a[first + at])
    };
    let of_b = |lane: usize, register: usize| {
        let first = k(lane, register);
        pack(operand, |at| b[(first + at) * COLS + lane / 4])
    };
    let place = |lane: usize, register: usize| {
        let row = lane / 4 + register / 2 * 8;
        (row, 2 * (lane % 4) + register % 2)
    };
    let of_c = |lane: usize, register: usize| {
        let (row, col) = place(lane, register);
        f32::from(c[row * COLS + col]).to_bits()
    };
    let of_d = |lane: usize, register: usize| {
        let (row, col) = place(lane, register);
        let term = |k: usize| i32::from(a[row * inner + k]) * i32::from(b[k * COLS + col]);
        let sum: i32 = (0..inner).map(term).sum();
        (sum as f32 + f32::from(c[row * COLS + col])).to_bits()
    };
    let body = format!(
        ".reg .b32 %a<4>, %b<2>, %r<2>;\n.reg .f32 %c<4>;\n.reg .b64 %x<5>;\n\
         mov.u32 %r0, %tid.x;\nmul.wide.u32 %x0, %r0, 16;\nmul.wide.u32 %x1, %r0, 8;\n\
         ld.param.u64 %x2, [p1];\nadd.u64 %x2, %x2, %x0;\n\
         ld.global.v4.u32 {{%a0, %a1, %a2, %a3}}, [%x2];\n\
         ld.param.u64 %x2, [p2];\nadd.u64 %x2, %x2, %x1;\n\
         ld.global.v2.u32 {{%b0, %b1}}, [%x2];\n\
         ld.param.u64 %x2, [p3];\nadd.u64 %x2, %x2, %x0;\n\
         ld.global.v4.f32 {{%c0, %c1, %c2, %c3}}, [%x2];\n\
         mma.sync.aligned.{} {{%c0, %c1, %c2, %c3}}, {{%a0, %a1, %a2, %a3}}, {{%b0, %b1}}, \
         {{%c0, %c1, %c2, %c3}};\n\
         ld.param.u64 %x2, [p0];\nadd.u64 %x2, %x2, %x0;\n\
         st.global.v4.f32 [%x2], {{%c0, %c1, %c2, %c3}};",
        operand.form
    );
    program(
        operand.form,
        module("sm_80", 4, &body),
        Launch::linear(1, 32),
        vec![registers(4, of_a), registers(2, of_b), registers(4, of_c)],
        registers(4, of_d),
    )
}

/// Four matrices of 8 rows of 16 bytes, in rows that are handed to the lanes out of order.
fn matrices(transposed: bool) -> Case {
    let rows = bytes(LANES * 16, 5);
    let row_of = |lane: usize| (5 * lane + 3) % LANES;
    let element = |matrix: usize, row: usize, col: usize| {
        let at = row_of(8 * matrix + row) * 16 + 2 * col;
        u32::from(u16::from_le_bytes([rows[at], rows[at + 1]]))
    };
    let expected = registers(4, |lane, matrix| {
        let (across, pair) = (lane / 4, 2 * (lane % 4));
        let of = |at: usize| {
            if transposed {
                element(matrix, pair + at, across)
            } else {
                element(matrix, across, pair + at)
            }
        };
        of(0) | of(1) << 16
    });
    let form = if transposed { ".trans" } else { "" };
    let body = format!(
        ".shared .align 16 .b8 s[512];\n.reg .b32 %v<4>, %r<5>;\n.reg .b64 %x<3>;\n\
         mov.u32 %r0, %tid.x;\nmul.wide.u32 %x0, %r0, 16;\n\
         ld.param.u64 %x1, [p1];\nadd.u64 %x1, %x1, %x0;\n\
         ld.global.v4.u32 {{%v0, %v1, %v2, %v3}}, [%x1];\n\
         mov.u32 %r1, s;\nmad.lo.u32 %r2, %r0, 16, %r1;\n\
         st.shared.v4.u32 [%r2], {{%v0, %v1, %v2, %v3}};\nbar.warp.sync -1;\n\
         mad.lo.u32 %r3, %r0, 5, 3;\nand.b32 %r3, %r3, 31;\nmad.lo.u32 %r4, %r3, 16, %r1;\n\
         ldmatrix.sync.aligned.m8n8.x4{form}.shared.b16 {{%v0, %v1, %v2, %v3}}, [%r4];\n\
         ld.param.u64 %x1, [p0];\nadd.u64 %x1, %x1, %x0;\n\
         st.global.v4.u32 [%x1], {{%v0, %v1, %v2, %v3}};"
    );
    program(
        &format!("ldmatrix{form}"),
        module("sm_80", 2, &body),
        Launch::linear(1, 32),
        vec![rows.clone()],
        expected,
    )
}

pub(crate) fn cases() -> Vec<Case> {
    let mut all: Vec<_> = OPERANDS.into_iter().map(product).collect();
    all.extend([false, true].map(matrices));
    all
}

#[test]
fn every_lane_holds_its_elements() {
    check(&cases());
}
