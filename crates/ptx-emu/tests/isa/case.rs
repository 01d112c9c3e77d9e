//! Programs of a test, and how they are run: with every set of host instructions that this machine
//! has, in every order of blocks and warps.

use std::fmt::Write;

use ptx_emu::{Arg, Checks, Device, DeviceSpec, Launch, Module, Schedule, Simd};

/// Type of a register of an elementwise program, and of its elements in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ty {
    /// 8 bits, in a 16-bit register.
    B8,
    /// 16 bits.
    B16,
    /// 32 bits.
    B32,
    /// 64 bits.
    B64,
}

impl Ty {
    /// Size in bytes.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::B8 => 1,
            Self::B16 => 2,
            Self::B32 => 4,
            Self::B64 => 8,
        }
    }

    fn register(self) -> &'static str {
        match self {
            Self::B8 | Self::B16 => "b16",
            Self::B32 => "b32",
            Self::B64 => "b64",
        }
    }
}

type Check = Box<dyn Fn(&[u8]) -> Result<(), String>>;

/// A program with its input and what must come out.
pub(crate) struct Case {
    /// What fails, if it fails.
    pub(crate) name: String,
    /// The text: a module with one kernel `t`, whose parameters are the address of the output and
    /// those of the inputs.
    pub(crate) ptx: String,
    /// How it is launched.
    pub(crate) launch: Launch,
    /// Inputs.
    pub(crate) inputs: Vec<Vec<u8>>,
    /// Bytes of the output, zero at first.
    pub(crate) output: usize,
    /// Whether the output is right.
    pub(crate) check: Check,
}

/// A module with one kernel `t` of `parameters` addresses `p0`, `p1` …
pub(crate) fn module(target: &str, parameters: usize, body: &str) -> String {
    let list: Vec<_> = (0..parameters)
        .map(|i| format!(".param .u64 p{i}"))
        .collect();
    format!(
        ".version 8.6\n.target {target}\n.address_size 64\n\
         .visible .entry t({})\n{{\n{body}\nret;\n}}\n",
        list.join(", ")
    )
}

/// One instruction (or a few) applied to every row of `values`: `body` reads `%a`, `%b`, `%c` and
/// writes `%d`. `right` gets the row and the bits of `%d`.
pub(crate) fn elementwise(
    body: &str,
    inputs: &[Ty],
    output: Ty,
    values: &[Vec<u64>],
    right: impl Fn(&[u64], u64) -> Result<(), String> + 'static,
) -> Case {
    elementwise_for("sm_80", body, inputs, output, values, right)
}

/// As [`elementwise`], for another target.
pub(crate) fn elementwise_for(
    target: &str,
    body: &str,
    inputs: &[Ty],
    output: Ty,
    values: &[Vec<u64>],
    right: impl Fn(&[u64], u64) -> Result<(), String> + 'static,
) -> Case {
    let rows = values.len().next_multiple_of(64);
    let row = |i: usize| &values[i.min(values.len() - 1)];
    let names = ["%a", "%b", "%c", "%e"];
    let mut text = String::from(".reg .b32 %i<4>;\n.reg .b64 %x<4>;\n");
    writeln!(text, ".reg .{} %d;", output.register()).unwrap();
    text += "mov.u32 %i0, %ctaid.x;\nmov.u32 %i1, %ntid.x;\nmov.u32 %i2, %tid.x;\n\
             mad.lo.u32 %i3, %i0, %i1, %i2;\n";
    for (at, ty) in inputs.iter().enumerate() {
        let (name, bits) = (names[at], ty.bytes() * 8);
        writeln!(
            text,
            ".reg .{} {name};\nld.param.u64 %x0, [p{}];\n\
             mad.wide.u32 %x1, %i3, {}, %x0;\nld.global.b{bits} {name}, [%x1];",
            ty.register(),
            at + 1,
            ty.bytes()
        )
        .unwrap();
    }
    writeln!(text, "{body}").unwrap();
    writeln!(
        text,
        "ld.param.u64 %x0, [p0];\nmad.wide.u32 %x1, %i3, {}, %x0;\nst.global.b{} [%x1], %d;",
        output.bytes(),
        output.bytes() * 8
    )
    .unwrap();
    let columns = inputs.iter().enumerate().map(|(at, ty)| {
        let cells = (0..rows).map(|i| row(i)[at].to_le_bytes());
        cells.flat_map(|c| c[..ty.bytes()].to_vec()).collect()
    });
    let rows_of_values = values.to_vec();
    let shown = body.to_owned();
    let types = inputs.to_vec();
    Case {
        name: body.to_owned(),
        ptx: module(target, inputs.len() + 1, &text),
        launch: Launch::linear(u32::try_from(rows / 64).unwrap(), 64),
        inputs: columns.collect(),
        output: rows * output.bytes(),
        check: Box::new(move |bytes| {
            for (cell, row) in bytes.chunks(output.bytes()).zip(&rows_of_values) {
                let mut wide = [0; 8];
                wide[..cell.len()].copy_from_slice(cell);
                right(row, u64::from_le_bytes(wide)).map_err(|problem| {
                    let row: Vec<_> = row
                        .iter()
                        .zip(&types)
                        .map(|(v, ty)| format!("{v:#0width$x}", width = 2 + 2 * ty.bytes()))
                        .collect();
                    format!("{shown} of ({}): {problem}", row.join(", "))
                })?;
            }
            Ok(())
        }),
    }
}

/// For results of which every bit is known: compares with `expected(row)`.
pub(crate) fn exactly(
    expected: impl Fn(&[u64]) -> u64 + 'static,
) -> impl Fn(&[u64], u64) -> Result<(), String> + 'static {
    move |row, found| {
        let expected = expected(row);
        if found == expected {
            Ok(())
        } else {
            Err(format!("{found:#x}, expected {expected:#x}"))
        }
    }
}

/// A whole program, whose output must be exactly `expected`.
pub(crate) fn program(
    name: &str,
    ptx: String,
    launch: Launch,
    inputs: Vec<Vec<u8>>,
    expected: Vec<u8>,
) -> Case {
    Case {
        name: name.to_owned(),
        ptx,
        launch,
        inputs,
        output: expected.len(),
        check: Box::new(move |found| {
            let wrong = found.iter().zip(&expected).position(|(f, e)| f != e);
            match wrong {
                None => Ok(()),
                Some(at) => {
                    let word = at / 4 * 4;
                    let show =
                        |bytes: &[u8]| format!("{:02x?}", &bytes[word..bytes.len().min(word + 4)]);
                    Err(format!(
                        "byte {at}: word is {}, expected {}",
                        show(found),
                        show(&expected)
                    ))
                }
            }
        }),
    }
}

/// The schedules under which every program must do the same.
pub(crate) const SCHEDULES: [Schedule; 3] =
    [Schedule::Forward, Schedule::Reverse, Schedule::Shuffle(7)];

impl Case {
    /// Runs it on the emulator in one way; the output.
    pub(crate) fn run(&self, simd: Simd, schedule: Schedule, checks: Checks) -> Vec<u8> {
        let module = match Module::parse_for(&self.ptx, simd) {
            Ok(module) => module,
            Err(error) => panic!("{}: {error}\n{}", self.name, self.ptx),
        };
        let mut device = Device::new(DeviceSpec::h200());
        device.set_schedule(schedule);
        device.set_checks(checks);
        let output = device.alloc_named("output", self.output as u64).unwrap();
        device.write(&output, &vec![0; self.output]).unwrap();
        let mut args = vec![Arg::in_out(&output)];
        for (index, bytes) in self.inputs.iter().enumerate() {
            let name = format!("input {index}");
            let buffer = device.alloc_named(&name, bytes.len() as u64).unwrap();
            device.write(&buffer, bytes).unwrap();
            args.push(Arg::input(&buffer));
        }
        let report = device.launch(&module, "t", &self.launch, &args);
        let report = report.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        assert!(report.is_clean(), "{}: {report}\n{}", self.name, self.ptx);
        device.read(&output).unwrap()
    }
}

/// Runs cases in all ways.
pub(crate) fn check(cases: &[Case]) {
    assert!(!cases.is_empty());
    for case in cases {
        for simd in Simd::available() {
            for schedule in SCHEDULES {
                for checks in [Checks::ALL, Checks::NONE] {
                    let found = case.run(simd, schedule, checks);
                    if let Err(problem) = (case.check)(&found) {
                        panic!("{}\nwith {simd:?}, {schedule:?}: {problem}", case.name);
                    }
                }
            }
        }
    }
}
