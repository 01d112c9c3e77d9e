//! Arithmetic with carry: the flag that comes in, the result, the flag that goes out.

use crate::case::{Case, Ty, check, elementwise, exactly};
use crate::integer::{low, number, of_bits};
use crate::values::{integers, random, rows3};

/// One instruction after one that sets the flag where `%e` is not zero; then the flag as the next
/// instruction sees it. A borrow is made and read by subtractions only.
fn form(name: &str, cc: bool, ty: &str, show_flag: bool) -> Case {
    let bits: u32 = ty[1..].parse().unwrap();
    let base = &name[..3];
    let takes = name[..4.min(name.len())].ends_with('c');
    let (base, high, takes) = (base.to_owned(), name.ends_with("hi"), takes);
    let opcode = format!("{name}{}.{ty}", if cc { ".cc" } else { "" });
    let (set, read) = if base == "sub" {
        ("sub.cc.u32 %k, 0, %e;", "subc")
    } else {
        ("add.cc.u32 %k, %e, 0xffffffff;", "addc")
    };
    let sources = if base == "mad" {
        "%a, %b, %c"
    } else {
        "%a, %b"
    };
    let word = format!("b{bits}");
    let head = format!(".reg .b32 %k;\n.reg .{word} %u;\n{set}\n");
    let rest = if show_flag {
        format!("{opcode} %u, {sources};\n{read}.u{bits} %d, 0, 0;")
    } else {
        format!("{opcode} %d, {sources};")
    };
    let body = head + &rest;
    let word = of_bits(bits);
    let mut rows = rows3(
        [&integers(bits), &integers(bits), &integers(bits)],
        [bits; 3],
        500,
        300,
    );
    for (row, flag) in rows.iter_mut().zip(random(1, 1000, 9)) {
        row.push(flag);
    }
    let sign = ty.starts_with('s');
    elementwise(
        &body,
        &[word, word, word, Ty::B32],
        word,
        &rows,
        exactly(move |row| {
            let of = |i: usize| number(row[i], bits, false);
            let carry = if takes { i128::from(row[3]) } else { 0 };
            let exact = match base.as_str() {
                "add" => of(0) + of(1) + carry,
                "sub" => of(0) - of(1) - carry,
                _ => {
                    let (a, b) = (number(row[0], bits, sign), number(row[1], bits, sign));
                    let product = if high && !sign {
                        let exact = a.unsigned_abs() * b.unsigned_abs();
                        i128::try_from(exact >> bits).unwrap()
                    } else if high {
                        (a * b) >> bits
                    } else {
                        a.wrapping_mul(b)
                    };
                    number(low(product, bits), bits, false) + of(2) + carry
                }
            };
            if !show_flag {
                return low(exact, bits);
            }
            let out = if cc {
                i128::from(exact >> bits != 0)
            } else {
                i128::from(row[3])
            };
            low(if base == "sub" { -out } else { out }, bits)
        }),
    )
}

/// 64 bits times 64 bits in words of 32, as in the ISA; the upper or lower half of the product.
fn long_product(upper: bool) -> Case {
    let body = format!(
        ".reg .b32 %r<8>;\nmov.b64 {{%r4, %r5}}, %a;\nmov.b64 {{%r6, %r7}}, %b;\n\
         mul.lo.u32 %r0, %r4, %r6;\nmul.hi.u32 %r1, %r4, %r6;\n\
         mad.lo.cc.u32 %r1, %r5, %r6, %r1;\nmadc.hi.u32 %r2, %r5, %r6, 0;\n\
         mad.lo.cc.u32 %r1, %r4, %r7, %r1;\nmadc.hi.cc.u32 %r2, %r4, %r7, %r2;\n\
         addc.u32 %r3, 0, 0;\nmad.lo.cc.u32 %r2, %r5, %r7, %r2;\n\
         madc.hi.u32 %r3, %r5, %r7, %r3;\nmov.b64 %d, {{{}}};",
        if upper { "%r2, %r3" } else { "%r0, %r1" }
    );
    elementwise(
        &body,
        &[Ty::B64; 2],
        Ty::B64,
        &crate::values::rows2([&integers(64), &integers(64)], [64; 2], 300),
        exactly(move |row| {
            let product = u128::from(row[0]) * u128::from(row[1]);
            let half = if upper {
                product >> 64
            } else {
                product & u128::from(u64::MAX)
            };
            u64::try_from(half).unwrap()
        }),
    )
}

/// Lanes that a guard leaves out keep their flag.
fn guarded() -> Case {
    elementwise(
        ".reg .pred %p;\n.reg .b32 %k;\nsetp.ne.u32 %p, %c, 0;\nadd.cc.u32 %k, %a, %a;\n\
         @%p add.cc.u32 %k, %b, %b;\naddc.u32 %d, 0, 0;",
        &[Ty::B32; 3],
        Ty::B32,
        &rows3(
            [&integers(32), &integers(32), &[0, 1]],
            [32, 32, 1],
            300,
            300,
        ),
        exactly(|row| (if row[2] == 0 { row[0] } else { row[1] }) >> 31),
    )
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![long_product(false), long_product(true), guarded()];
    for ty in ["u32", "s32", "u64", "s64"] {
        for show_flag in [false, true] {
            for name in ["add", "sub", "mad.lo", "mad.hi"] {
                cases.push(form(name, true, ty, show_flag));
            }
            for name in ["addc", "subc", "madc.lo", "madc.hi"] {
                cases.push(form(name, true, ty, show_flag));
                cases.push(form(name, false, ty, show_flag));
            }
        }
    }
    cases
}

#[test]
fn carry_comes_in_and_goes_out() {
    check(&cases());
}
