//! Which forms there are: every combination of two types and of modifiers is either one that
//! ptxas takes (12.9, for `sm_90`), or refused.

use ptx_emu::Module;

use crate::case::module;

const REGISTERS: &str = ".reg .pred %p<9>;\n.reg .b8 %q<9>;\n.reg .b16 %h<9>;\n.reg .b32 %r<9>;\n\
                         .reg .b64 %x<9>;\n.reg .f32 %f<9>;\n.reg .u32 %u<9>;\n";

fn parse(body: &str) -> Result<(), String> {
    let text = module("sm_90", 1, &format!("{REGISTERS}{body}"));
    Module::parse(&text).map(|_| ()).map_err(|e| e.to_string())
}

const INTEGERS: [&str; 8] = ["u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64"];

/// What ptxas takes: for these types of the result, these of the source, rounding modifiers
/// (`-`: none), and others. A later line adds to an earlier one.
const TAKEN: &str = "
u8: u8 / - / -
u8: u16 u32 u64 s8 s16 s32 s64 / - / - .sat
u16: u8 u16 / - / -
u16: u32 u64 s8 s16 s32 s64 / - / - .sat
u32: u8 u16 u32 / - / -
u32: u64 s8 s16 s32 s64 / - / - .sat
u64: u8 u16 u32 u64 / - / -
u64: s8 s16 s32 s64 / - / - .sat
s8: s8 / - / -
s8: u8 u16 u32 u64 s16 s32 s64 / - / - .sat
s16: u8 s8 s16 / - / -
s16: u16 u32 u64 s32 s64 / - / - .sat
s32: u8 u16 s8 s16 s32 / - / -
s32: u32 u64 s64 / - / - .sat
s64: u8 u16 u32 s8 s16 s32 s64 / - / -
s64: u64 / - / - .sat
u8 u16 u32 u64 s8 s16 s32 s64: bf16 / .rni .rzi .rmi .rpi / -
u8 u16 u32 u64 s8 s16 s32 s64: f16 f64 / .rni .rzi .rmi .rpi / - .sat
u8 u16 u32 u64 s8 s16 s32 s64: f32 / .rni .rzi .rmi .rpi / - .sat .ftz .ftz.sat
bf16: u8 u16 u32 u64 s8 s16 s32 s64 f64 f16 / .rn .rz .rm .rp / -
f16 f64: u8 u16 u32 u64 s8 s16 s32 s64 / .rn .rz .rm .rp / - .sat
f32: u8 u16 u32 u64 s8 s16 s32 s64 f64 / .rn .rz .rm .rp / - .sat .ftz .ftz.sat
f16: f64 / .rn .rz .rm .rp / - .sat
f16: f32 / .rn .rz .rm .rp / - .sat .ftz .ftz.sat
f16: bf16 / .rn .rz .rm .rp / -
bf16: f32 / .rn .rz .rm .rp / - .ftz
f64: bf16 / - .rn .rz .rm .rp / -
f32: bf16 / - .rn .rz .rm .rp / - .ftz
f64: f16 / - / - .sat
f32: f16 / - / - .sat .ftz .ftz.sat
f64: f32 / - / - .sat .ftz .ftz.sat
f32: f32 / - .rni .rzi .rmi .rpi / - .sat .ftz .ftz.sat
f16: f16 / - .rni .rzi .rmi .rpi / - .sat
f64: f64 / - .rni .rzi .rmi .rpi / - .sat
bf16: bf16 / - .rni .rzi .rmi .rpi / -
f16 bf16: f32 / .rn .rz / .relu .satfinite .relu.satfinite
";

fn taken() -> Vec<String> {
    let mut list = Vec::new();
    let words = |text: &str| {
        text.split_whitespace()
            .map(|w| w.replace('-', ""))
            .collect::<Vec<_>>()
    };
    for line in TAKEN.lines().filter(|line| !line.is_empty()) {
        let (to, rest) = line.split_once(": ").unwrap();
        let parts: Vec<_> = rest.split(" / ").map(words).collect();
        for to in words(to) {
            for from in &parts[0] {
                for rounding in &parts[1] {
                    for other in &parts[2] {
                        list.push(format!("cvt{rounding}{other}.{to}.{from}"));
                    }
                }
            }
        }
    }
    list
}

fn register(ty: &str, number: u32, brain: bool) -> String {
    let prefix = match &ty[ty.len() - 1..] {
        "8" if brain => "q",
        "8" | "6" => "h",
        "2" => "r",
        _ => "x",
    };
    format!("%{prefix}{number}")
}

#[test]
fn exactly_the_forms_that_exist_are_taken() {
    let taken = taken();
    let mut types = INTEGERS.to_vec();
    types.extend(["f16", "bf16", "f32", "f64"]);
    let roundings = [
        "", ".rn", ".rz", ".rm", ".rp", ".rni", ".rzi", ".rmi", ".rpi", ".rna", ".rs",
    ];
    let others = [
        "",
        ".sat",
        ".ftz",
        ".ftz.sat",
        ".relu",
        ".satfinite",
        ".relu.satfinite",
        ".ftz.relu",
        ".ftz.satfinite",
        ".sat.relu",
        ".sat.satfinite",
        ".oob",
    ];
    let mut found = 0;
    for to in &types {
        for from in &types {
            let brain = *to == "bf16" || *from == "bf16";
            let operands = format!("{}, {}", register(to, 1, brain), register(from, 2, brain));
            for rounding in roundings {
                for other in others {
                    let form = format!("cvt{rounding}{other}.{to}.{from}");
                    let result = parse(&format!("{form} {operands};"));
                    let expected = taken.contains(&form);
                    assert_eq!(result.is_ok(), expected, "{form} {operands}: {result:?}");
                    found += u32::from(expected);
                }
            }
        }
    }
    assert_eq!((found, taken.len()), (820, 820));
}

#[test]
fn what_does_not_exist_is_refused_with_a_reason() {
    for (body, reason) in [
        ("cvt.f32.s32 %r1, %r2;", "`.rn`, `.rz`, `.rm`, `.rp`"),
        ("cvt.s32.f32 %r1, %r2;", "`.rni`"),
        ("cvt.rn.s32.f32 %r1, %r2;", "`.rni`"),
        ("cvt.rn.f32.f16 %r1, %h2;", "exact"),
        ("cvt.rn.f32.f32 %r1, %r2;", "none but"),
        ("cvt.f16.f32 %h1, %r2;", "it needs one of"),
        ("cvt.bf16.f16 %h1, %h2;", "it needs one of"),
        ("cvt.rn.u32.u64 %r1, %x2;", "between integers"),
        ("cvt.sat.u32.u16 %r1, %h2;", "every value fits"),
        ("cvt.ftz.f64.f16 %x1, %h2;", "`.ftz`"),
        ("cvt.rm.relu.f16.f32 %h1, %r2;", "`.relu`"),
        ("cvt.rn.sat.bf16.f32 %h1, %r2;", "`.sat`"),
        ("cvt.rn.rz.f16.f32 %h1, %r2;", "`.rz`"),
        ("cvt.rn.b16.f32 %h1, %r2;", "types"),
        ("cvt.u32 %r1, %r2;", "types"),
        ("cvt.u32.pred %r1, %p2;", "types"),
        ("cvt.rn.f16x2.bf16x2 %r1, %r2;", "no conversion"),
        ("cvt.rn.tf32.f16 %r1, %h2;", "no conversion"),
        ("cvt.f32.tf32 %r1, %r2;", "no conversion"),
        ("cvt.rs.f16x2.f32 %r1, %r2, %r3, %r4;", "sm_100"),
        ("cvt.rm.f16x2.f32 %r1, %r2, %r3;", "`.rn` or `.rz`"),
        ("cvt.rn.sat.f16x2.f32 %r1, %r2, %r3;", "`.sat`"),
        ("cvt.rn.f16x2.f32 %r1, %r2;", "2 operands"),
        ("cvt.tf32.f32 %r1, %r2;", "`.rna`"),
        ("cvt.rna.relu.tf32.f32 %r1, %r2;", "`.relu`"),
        ("cvt.rn.satfinite.tf32.f32 %r1, %r2;", "sm_100"),
        ("cvt.rm.tf32.f32 %r1, %r2;", "`.rna`"),
        ("cvt.rn.e4m3x2.f32 %h1, %r2, %r3;", "`.satfinite`"),
        ("cvt.rz.satfinite.e4m3x2.f32 %h1, %r2, %r3;", "`.rn`"),
        ("cvt.rn.satfinite.e4m3x2.bf16x2 %h1, %r2;", "sm_100"),
        ("cvt.rn.satfinite.e5m2x2.f16 %h1, %h2;", "`.f16x2`"),
        ("cvt.rn.satfinite.f16x2.e4m3x2 %r1, %h2;", "`.satfinite`"),
        ("cvt.f16x2.e4m3x2 %r1, %h2;", "`.rn`"),
        ("cvt.rn.bf16x2.e4m3x2 %r1, %h2;", "no conversion"),
        ("cvt.rn.satfinite.e2m1x2.f32 %q1, %r2, %r3;", "sm_100"),
        ("cvt.rn.satfinite.e2m3x2.f32 %h1, %r2, %r3;", "sm_100"),
        ("cvt.rz.satfinite.ue8m0x2.f32 %h1, %r2, %r3;", "sm_100"),
        ("cvt.rn.satfinite.s2f6x2.f32 %h1, %r2, %r3;", "sm_100"),
        ("cvt.pack.sat.s16.s32.b32 %r1, %r2, %r3, %r4;", "`.b32`"),
        ("cvt.pack.sat.u8.s32 %r1, %r2, %r3;", "`.b32`"),
        ("cvt.pack.s16.s32 %r1, %r2, %r3;", "`.sat`"),
        ("cvt.pack.sat.s16.u32 %r1, %r2, %r3;", "`.s32`"),
        ("cvt.pack.sat.s16.s32 %r1, %r2, %r3, %r4;", "4 operands"),
        ("cvt.pack.sat.s32.s32 %r1, %r2, %r3;", "16, 8, 4 or 2"),
        // Registers.
        ("cvt.u32.u64 %h1, %x2;", "U32"),
        ("cvt.u32.u32 %r1, %h2;", "U32"),
        ("cvt.u32.u32 _, %r2;", "a register to write"),
        ("cvt.u32.u32 %p1, %r2;", "U32"),
        ("cvt.u32.u32 %r1, %z2;", "`%z2`"),
        ("cvt.u32.u32 %z1, %r2;", "`%z1`"),
        ("cvt.rzi.u32.f32 %f1, %f2;", "U32"),
        ("cvt.rzi.u32.f32 %r1, %u2;", "F32"),
        ("cvt.rn.f32.u32 %u1, %r2;", "F32"),
        ("cvt.rn.bf16.f32 %r1, %f2;", "Bf16"),
        ("cvt.f32.bf16 %f1, %r2;", "Bf16"),
        ("cvt.rn.bf16x2.f32 %x1, %f2, %f3;", "Bf16x2"),
        ("cvt.rna.tf32.f32 %x1, %f2;", "Tf32"),
        ("cvt.rna.tf32.f32 %f1, %f2;", "Tf32"),
        ("cvt.rn.satfinite.e4m3x2.f32 %r1, %f2, %f3;", "16"),
        ("cvt.rn.f16x2.e4m3x2 %x1, %h2;", "32"),
        ("cvt.rn.f16x2.e4m3x2 %r1, %r2;", "16"),
        ("cvt.f32.f16 %f1, 0x3c00;", "F16"),
        ("cvt.rn.f32.s32 %f1, 1.5;", "S32"),
        ("cvt.rn.f16.f32 %h1, 1;", "F32"),
    ] {
        let error = parse(body).expect_err(body);
        assert!(error.contains(reason), "`{body}`: {error}");
    }
}

#[test]
fn half_precision_forms_that_do_not_exist_are_refused() {
    for (body, reason) in [
        ("add.rz.f16 %h1, %h2, %h3;", "`.rz`"),
        ("add.sat.bf16 %h1, %h2, %h3;", "`.sat`"),
        ("add.ftz.bf16x2 %r1, %r2, %r3;", "`.ftz`"),
        ("add.relu.f16 %h1, %h2, %h3;", "`.relu`"),
        ("fma.f16 %h1, %h2, %h3, %h4;", "`.rn`"),
        ("fma.rn.sat.relu.f16 %h1, %h2, %h3, %h4;", "both"),
        ("fma.rn.sat.bf16 %h1, %h2, %h3, %h4;", "`.sat`"),
        ("fma.rn.oob.f16 %h1, %h2, %h3, %h4;", "`.oob`"),
        ("mad.rn.f16 %h1, %h2, %h3, %h4;", "`.rn`"),
        ("mad.f16 %h1, %h2, %h3, %h4;", "this type"),
        ("div.f16 %h1, %h2, %h3;", "this type"),
        ("min.rn.f16 %h1, %h2, %h3;", "`.rn`"),
        ("min.abs.f16 %h1, %h2, %h3;", "together"),
        ("max.xorsign.bf16 %h1, %h2, %h3;", "together"),
        ("min.ftz.bf16 %h1, %h2, %h3;", "`.ftz`"),
        ("abs.sat.f16 %h1, %h2;", "`.sat`"),
        ("neg.ftz.bf16 %h1, %h2;", "`.ftz`"),
        ("neg.NaN.f16 %h1, %h2;", "`.NaN`"),
        ("min.f16 %h1, %h2, %h3, %h4;", "4 operands"),
        ("add.f32.f16 %f1, %h2, %f3;", "sm_100"),
        ("sub.rn.f32.bf16 %f1, %h2, %f3;", "sm_100"),
        ("fma.rn.f32.f16 %f1, %h2, %h3, %f4;", "sm_100"),
        ("add.f16 %r1, %h2, %h3;", "F16"),
        ("add.f16 %h1, %r2, %h3;", "F16"),
        ("add.f16x2 %r1, %r2, %f3;", "F16x2"),
        ("add.f16x2 %x1, %r2, %r3;", "F16x2"),
        ("add.bf16 %h1, %h2, 0x3f80;", "Bf16"),
        ("neg.f16 %h1, 1.0;", "F16"),
    ] {
        let error = parse(body).expect_err(body);
        assert!(error.contains(reason), "`{body}`: {error}");
    }
}
