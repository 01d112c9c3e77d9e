//! "Matrix Fragments for mma.m…" of the PTX ISA, section 9.7.14.5: the row and the column of
//! element `i` of a thread, transcribed formula by formula.

use crate::matrix::form::{Form, IntMode};

const EXACT: IntMode = IntMode {
    a_signed: true,
    b_signed: false,
    saturate: false,
};

pub(super) const FORMS: [Form; 14] = [
    Form::F16K16,
    Form::F16K8,
    Form::HalfK16,
    Form::HalfK8,
    Form::Bf16K16,
    Form::Bf16K8,
    Form::Tf32K8,
    Form::Tf32K4,
    Form::IntK32(EXACT),
    Form::IntK16(EXACT),
    Form::DoubleM8K4,
    Form::DoubleK4,
    Form::DoubleK8,
    Form::DoubleK16,
];

fn ids(lane: usize) -> (usize, usize) {
    (lane >> 2, lane % 4)
}

fn eight_more(condition: bool, group: usize) -> usize {
    if condition { group } else { group + 8 }
}

/// `(row, col)` of `ai`.
pub(super) fn a(form: Form, lane: usize, i: usize) -> (usize, usize) {
    let (group, thread) = ids(lane);
    match form {
        // 9.7.14.5.8, .f16 / .bf16
        Form::F16K16 | Form::HalfK16 | Form::Bf16K16 => (
            eight_more(i < 2 || (4..6).contains(&i), group),
            thread * 2 + (i & 1) + if i < 4 { 0 } else { 8 },
        ),
        // 9.7.14.5.7, .f16 / .bf16
        Form::F16K8 | Form::HalfK8 | Form::Bf16K8 => {
            (eight_more(i < 2, group), thread * 2 + (i & 1))
        }
        // 9.7.14.5.7, .tf32 and .f64
        Form::Tf32K8 | Form::DoubleK8 => (
            eight_more(i == 0 || i == 2, group),
            if i < 2 { thread } else { thread + 4 },
        ),
        // 9.7.14.5.6
        Form::Tf32K4 | Form::DoubleK4 => (eight_more(i == 0, group), thread),
        // 9.7.14.5.10, .s8 / .u8
        Form::IntK32(_) => (
            eight_more(i < 4 || (8..12).contains(&i), group),
            thread * 4 + (i & 3) + if i < 8 { 0 } else { 16 },
        ),
        // 9.7.14.5.9
        Form::IntK16(_) => (eight_more(i < 4, group), thread * 4 + (i & 3)),
        // 9.7.14.5.2
        Form::DoubleM8K4 => (lane >> 2, lane % 4),
        // 9.7.14.5.8, .f64
        Form::DoubleK16 => (
            eight_more(i.is_multiple_of(2), group),
            if i.is_multiple_of(2) {
                i * 2 + thread
            } else {
                i * 2 - 2 + thread
            },
        ),
    }
}

/// `(row, col)` of `bi`.
pub(super) fn b(form: Form, lane: usize, i: usize) -> (usize, usize) {
    let (group, thread) = ids(lane);
    let row = match form {
        Form::F16K16 | Form::HalfK16 | Form::Bf16K16 => {
            thread * 2 + (i & 1) + if i < 2 { 0 } else { 8 }
        }
        Form::F16K8 | Form::HalfK8 | Form::Bf16K8 => thread * 2 + i,
        Form::Tf32K8 | Form::DoubleK8 => {
            if i == 0 {
                thread
            } else {
                thread + 4
            }
        }
        Form::Tf32K4 | Form::DoubleK4 => thread,
        Form::IntK32(_) => thread * 4 + (i & 3) + if i < 4 { 0 } else { 16 },
        Form::IntK16(_) => thread * 4 + i,
        Form::DoubleM8K4 => lane % 4,
        Form::DoubleK16 => thread + i * 4,
    };
    (row, group)
}

/// `(row, col)` of `ci` and `di`.
pub(super) fn c(form: Form, lane: usize, i: usize) -> (usize, usize) {
    let (group, thread) = ids(lane);
    if matches!(form, Form::DoubleM8K4) {
        return (group, thread * 2 + (i & 1));
    }
    (eight_more(i < 2, group), thread * 2 + (i & 1))
}
