//! `wgmma`: small integers, whose products are exact in every format.

mod rules;

use std::fmt::Write as _;

use crate::case::{Case, check, module, program};
use ptx_emu::Launch;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// `f16`, `bf16` or `tf32`.
    input: &'static str,
    /// Half-precision accumulators.
    half: bool,
    n: usize,
    /// A comes from registers.
    registers: bool,
    trans: [bool; 2],
    negate: [bool; 2],
    /// 0 to 3: none, 128, 64, 32 bytes.
    swizzle: usize,
    accumulate: bool,
}

pub(crate) const PLAIN: Form = Form {
    input: "bf16",
    half: false,
    n: 16,
    registers: false,
    trans: [false; 2],
    negate: [false; 2],
    swizzle: 0,
    accumulate: true,
};

impl Form {
    fn size(self) -> usize {
        if self.input == "tf32" { 4 } else { 2 }
    }

    fn k(self) -> usize {
        32 / self.size()
    }

    /// Bytes of one span.
    fn span(self) -> usize {
        [16, 128, 64, 32][self.swizzle]
    }

    /// Stride dimension byte offset: blocks follow each other.
    fn stride(self) -> usize {
        8 * self.span()
    }

    /// Where element `(mn, k)` of a matrix lies: blocks of 8 spans, swizzled by their line.
    fn place(self, trans: bool, mn: usize, k: usize) -> usize {
        let (size, span) = (self.size(), self.span());
        let (along, across) = if trans { (mn, k) } else { (k, mn) };
        let stride = self.stride();
        let (outer_along, along) = (along * size / span, along * size % span);
        let (outer_across, across) = (across / 8, across % 8);
        // which offset leads in which direction: "Canonical Layouts" of the PTX ISA
        let (of_along, of_across) = match (trans, self.swizzle) {
            (true, 0) => (stride, LEADING),
            _ => (LEADING, stride),
        };
        let at = across * span + along + outer_along * of_along + outer_across * of_across;
        let (line, chunk) = (at / 128, at / 16 % 8);
        let turn = [0, line % 8, line % 4, line % 2][self.swizzle];
        128 * line + 16 * (chunk ^ turn) + at % 16
    }

    /// An image in shared memory of a matrix of so many rows (columns, for B).
    fn image(self, trans: bool, count: usize, value: impl Fn(usize, usize) -> i32) -> Vec<u8> {
        let mut image = vec![0; IMAGE];
        for mn in 0..count {
            for k in 0..self.k() {
                let bits = self.bits(value(mn, k)).to_le_bytes();
                let at = self.place(trans, mn, k);
                image[at..at + self.size()].copy_from_slice(&bits[..self.size()]);
            }
        }
        image
    }

    /// The bits of a small integer in the input format.
    fn bits(self, value: i32) -> u32 {
        let single = (value as f32).to_bits();
        match self.input {
            "tf32" => single,
            "bf16" => single >> 16,
            _ => half_bits(value),
        }
    }

    fn descriptor(self, base: &str, into: &str) -> String {
        let low = (LEADING / 16) << 16;
        let high = (self.stride() / 16) | (self.swizzle << 30);
        format!(
            "mov.u32 %r1, {base};\nshr.u32 %r1, %r1, 4;\nand.b32 %r1, %r1, 16383;\n\
             or.b32 %r1, %r1, {low};\nmov.b64 {into}, {{%r1, %r2}};\n"
        )
        .replacen(
            "mov.u32 %r1",
            &format!("mov.u32 %r2, {high};\nmov.u32 %r1"),
            1,
        )
    }

    fn count(self) -> usize {
        if self.half { self.n / 4 } else { self.n / 2 }
    }

    fn a(m: usize, k: usize) -> i32 {
        (m * 5 + k * 3) as i32 % 7 - 3
    }

    fn b(n: usize, k: usize) -> i32 {
        (n * 3 + k * 5) as i32 % 5 - 2
    }

    /// What is accumulated to: the same in every thread, by register and part.
    fn c(self, column: usize, upper: bool) -> i32 {
        if self.accumulate {
            (column % 11) as i32 + i32::from(upper)
        } else {
            0
        }
    }

    fn result(self, m: usize, n: usize) -> i32 {
        let sign = |negate: bool| if negate { -1 } else { 1 };
        let product: i32 = (0..self.k()).map(|k| Self::a(m, k) * Self::b(n, k)).sum();
        product * sign(self.negate[0]) * sign(self.negate[1]) + self.c(n, m % 16 >= 8)
    }

    /// Bits of register `i` of a thread, from the values by row and column.
    fn fragment(self, thread: usize, i: usize, value: impl Fn(usize, usize) -> i32) -> u32 {
        let (warp, g, t) = (thread / 32, thread % 32 / 4, thread % 4);
        if self.half {
            let (row, column) = (16 * warp + g + 8 * (i % 2), 8 * (i / 2) + 2 * t);
            half_bits(value(row, column)) | half_bits(value(row, column + 1)) << 16
        } else {
            let (row, column) = (16 * warp + g + 8 * (i / 2 % 2), 8 * (i / 4) + 2 * t + i % 2);
            (value(row, column) as f32).to_bits()
        }
    }

    fn instruction(self) -> String {
        let Self { input, n, .. } = self;
        let d: Vec<_> = (0..self.count()).map(|i| format!("%d{i}")).collect();
        let a = if self.registers {
            "{%a0, %a1, %a2, %a3}"
        } else {
            "%x3"
        };
        let mut rest = self.negate.map(|n| if n { "-1" } else { "1" }).join(", ");
        if input != "tf32" && !self.registers {
            write!(rest, ", {}", u8::from(self.trans[0])).unwrap();
        }
        if input != "tf32" {
            write!(rest, ", {}", u8::from(self.trans[1])).unwrap();
        }
        let accumulator = if self.half { "f16" } else { "f32" };
        format!(
            "wgmma.mma_async.sync.aligned.m64n{n}k{}.{accumulator}.{input}.{input} \
             {{{}}}, {a}, %x4, %p1, {rest};\n",
            self.k(),
            d.join(", ")
        )
    }

    /// One product by 128 threads; each stores its registers. `before` the fence, `after` the
    /// product.
    pub(crate) fn text(self, before: &str, after: &str) -> String {
        let mut text = format!(
            ".reg .b32 %r<20>;\n.reg .b32 %d<128>;\n.reg .b32 %a<4>;\n.reg .b64 %x<10>;\n\
             .reg .pred %p<8>;\n.shared .align 1024 .b8 sa[{IMAGE}];\n\
             .shared .align 1024 .b8 sb[{IMAGE}];\n\
             mov.u32 %r0, %tid.x;\nld.param.u64 %x0, [p0];\nld.param.u64 %x1, [p1];\n\
             ld.param.u64 %x2, [p2];\nmov.u32 %r3, sa;\nmov.u32 %r4, sb;\n\
             mad.lo.u32 %r3, %r0, 4, %r3;\nmad.lo.u32 %r4, %r0, 4, %r4;\n\
             mad.wide.u32 %x5, %r0, 4, %x1;\nmad.wide.u32 %x6, %r0, 4, %x2;\nmov.u32 %r5, 0;\n\
             L: ld.global.u32 %r6, [%x5];\nst.shared.u32 [%r3], %r6;\n\
             ld.global.u32 %r6, [%x6];\nst.shared.u32 [%r4], %r6;\n\
             add.u32 %r3, %r3, 512;\nadd.u32 %r4, %r4, 512;\n\
             add.u64 %x5, %x5, 512;\nadd.u64 %x6, %x6, 512;\nadd.u32 %r5, %r5, 512;\n\
             setp.lt.u32 %p0, %r5, {IMAGE};\n@%p0 bra L;\n\
             and.b32 %r7, %r0, 31;\nshr.u32 %r8, %r7, 2;\n",
        );
        text += &self.descriptor("sa", "%x3");
        text += &self.descriptor("sb", "%x4");
        for i in 0..self.count() {
            // by column: its number comes from the lane, so that it is computed
            let (column, upper, pair) = if self.half {
                (8 * (i / 2), i % 2, true)
            } else {
                (8 * (i / 4) + i % 2, i / 2 % 2, false)
            };
            text += &self.initial(i, column, upper == 1, pair);
        }
        for i in 0..4 {
            // an image by thread stands behind that of B
            writeln!(
                text,
                "mad.wide.u32 %x7, %r0, 16, %x2;\nld.global.u32 %a{i}, [%x7+{}];",
                IMAGE + 4 * i
            )
            .unwrap();
        }
        let flag = u8::from(self.accumulate);
        write!(
            text,
            "setp.ne.u32 %p1, {flag}, 0;\nfence.proxy.async;\nbar.sync 0;\n{before}\
             wgmma.fence.sync.aligned;\n{}wgmma.commit_group.sync.aligned;\n\
             {after}wgmma.wait_group.sync.aligned 0;\n",
            self.instruction()
        )
        .unwrap();
        writeln!(text, "mad.wide.u32 %x7, %r0, {}, %x0;", 4 * self.count()).unwrap();
        for i in 0..self.count() {
            writeln!(text, "st.global.b32 [%x7+{}], %d{i};", 4 * i).unwrap();
        }
        module("sm_90a", 3, &text)
    }

    /// Sets accumulator `i`, of columns that depend on the thread: four ways, selected by `t`.
    fn initial(self, i: usize, column: usize, upper: bool, pair: bool) -> String {
        let mut text = format!("and.b32 %r9, %r0, 3;\nmov.b32 %d{i}, 0;\n");
        for t in 0..4 {
            let at = |part: usize| self.c(column + 2 * t + part, upper);
            let bits = if pair {
                half_bits(at(0)) | half_bits(at(1)) << 16
            } else {
                (at(0) as f32).to_bits()
            };
            // without accumulation the old values must not count
            let bits = if self.accumulate { bits } else { 0x7fff_7fff };
            writeln!(
                text,
                "setp.eq.u32 %p2, %r9, {t};\n@%p2 mov.b32 %d{i}, {bits};"
            )
            .unwrap();
        }
        text
    }

    pub(crate) fn inputs(self) -> Vec<Vec<u8>> {
        let a = self.image(self.trans[0], 64, Self::a);
        let mut b = self.image(self.trans[1], self.n, Self::b);
        for thread in 0..128 {
            for i in 0..4 {
                b.extend(self.a_fragment(thread, i).to_le_bytes());
            }
        }
        vec![a, b]
    }

    /// Register `i` of A of a thread: that of `mma.m16n8k16`, or `m16n8k8` for tf32.
    fn a_fragment(self, thread: usize, i: usize) -> u32 {
        let (warp, g, t) = (thread / 32, thread % 32 / 4, thread % 4);
        let row = 16 * warp + g + 8 * (i % 2);
        if self.input == "tf32" {
            return self.bits(Self::a(row, t + 4 * (i / 2)));
        }
        let k = 2 * t + 8 * (i / 2);
        self.bits(Self::a(row, k)) | self.bits(Self::a(row, k + 1)) << 16
    }

    fn case(self) -> Case {
        let value = |m: usize, n: usize| self.result(m, n);
        let expected = (0..128 * self.count()).flat_map(|at| {
            let (thread, i) = (at / self.count(), at % self.count());
            self.fragment(thread, i, value).to_le_bytes()
        });
        let expected = expected.collect();
        program(
            &format!("{self:?}"),
            self.text("", ""),
            Launch::linear(1, 128),
            self.inputs(),
            expected,
        )
    }
}

const LEADING: usize = 4608;
/// Bytes of each matrix with all gaps.
const IMAGE: usize = 16384;

/// Half precision of an integer below 2048.
fn half_bits(value: i32) -> u32 {
    let single = (value as f32).to_bits();
    if value == 0 {
        return 0;
    }
    (single >> 16 & 0x8000) | ((single >> 23 & 0xff) - 112) << 10 | single >> 13 & 0x3ff
}

pub(crate) fn cases() -> Vec<Case> {
    let mut forms = Vec::new();
    for swizzle in 0..4 {
        for trans in [[false; 2], [true, false], [false, true]] {
            forms.push(Form {
                swizzle,
                trans,
                n: 32,
                ..PLAIN
            });
        }
        forms.push(Form {
            swizzle,
            input: "tf32",
            n: 24,
            ..PLAIN
        });
    }
    for n in [8, 40, 256] {
        forms.push(Form { n, ..PLAIN });
        forms.push(Form {
            n,
            input: "f16",
            half: true,
            registers: true,
            ..PLAIN
        });
    }
    for (input, half) in [
        ("f16", false),
        ("f16", true),
        ("bf16", false),
        ("tf32", false),
    ] {
        let form = Form {
            input,
            half,
            ..PLAIN
        };
        forms.push(form);
        forms.push(Form {
            registers: true,
            negate: [true, false],
            ..form
        });
        forms.push(Form {
            negate: [false, true],
            ..form
        });
        forms.push(Form {
            accumulate: false,
            negate: [true, true],
            ..form
        });
    }
    forms.into_iter().map(Form::case).collect()
}

#[test]
fn products_of_four_warps() {
    check(&cases());
}
