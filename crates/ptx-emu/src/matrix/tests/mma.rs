use super::tables::{self, FORMS};
use super::{Random, at_level, levels};
use crate::matrix::form::{Form, IntMode};
use crate::matrix::{Lanes, Simd, WideLanes, mma};

/// How an element is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cell {
    F16,
    Bf16,
    F32,
    Byte,
    I32,
    F64,
}

impl Cell {
    fn bits(self) -> usize {
        match self {
            Cell::Byte => 8,
            Cell::F16 | Cell::Bf16 => 16,
            Cell::F32 | Cell::I32 => 32,
            Cell::F64 => 64,
        }
    }

    /// Bits of a value that the format holds exactly, or nearly.
    fn encode(self, x: f64) -> u64 {
        match self {
            Cell::F16 => u64::from(half::f16::from_f64(x).to_bits()),
            Cell::Bf16 => u64::from(half::bf16::from_f64(x).to_bits()),
            #[allow(clippy::cast_possible_truncation, reason = "rounding is meant")]
            Cell::F32 => u64::from((x as f32).to_bits()),
            Cell::F64 => x.to_bits(),
            #[allow(clippy::cast_possible_truncation, reason = "integers below 2^31")]
            Cell::Byte => (x as i64).cast_unsigned() & 0xff,
            #[allow(clippy::cast_possible_truncation, reason = "integers below 2^31")]
            Cell::I32 => (x as i64).cast_unsigned() & 0xffff_ffff,
        }
    }

    fn decode(self, bits: u64, signed: bool) -> f64 {
        let low = u32::try_from(bits & 0xffff_ffff).unwrap();
        let half = u16::try_from(bits & 0xffff).unwrap();
        match self {
            Cell::F16 => half::f16::from_bits(half).to_f64(),
            Cell::Bf16 => half::bf16::from_bits(half).to_f64(),
            Cell::F32 => f64::from(f32::from_bits(low)),
            Cell::F64 => f64::from_bits(bits),
            Cell::Byte if signed => f64::from(u8::try_from(bits & 0xff).unwrap().cast_signed()),
            Cell::Byte => (bits & 0xff) as f64,
            Cell::I32 => f64::from(low.cast_signed()),
        }
    }
}

/// Cells of the inputs and of the accumulators.
fn cells(form: Form) -> (Cell, Cell) {
    match form {
        Form::F16K16 | Form::F16K8 => (Cell::F16, Cell::F32),
        Form::HalfK16 | Form::HalfK8 => (Cell::F16, Cell::F16),
        Form::Bf16K16 | Form::Bf16K8 => (Cell::Bf16, Cell::F32),
        Form::Tf32K8 | Form::Tf32K4 => (Cell::F32, Cell::F32),
        Form::IntK32(_) | Form::IntK16(_) => (Cell::Byte, Cell::I32),
        _ => (Cell::F64, Cell::F64),
    }
}

type Matrix = Vec<Vec<u64>>;
type Table = fn(Form, usize, usize) -> (usize, usize);

fn matrix(rows: u32, columns: u32, mut f: impl FnMut(usize, usize) -> u64) -> Matrix {
    (0..rows as usize)
        .map(|r| (0..columns as usize).map(|c| f(r, c)).collect())
        .collect()
}

/// Registers as 64-bit lanes, whatever their width.
fn pack(form: Form, table: Table, cell: Cell, registers: usize, m: &Matrix) -> Vec<WideLanes> {
    let width = if cell == Cell::F64 { 64 } else { 32 };
    let each = width / cell.bits();
    let mut packed = vec![[0; 32]; registers];
    for (lane, i) in (0..32).flat_map(|l| (0..registers * each).map(move |i| (l, i))) {
        let (row, column) = table(form, lane, i);
        packed[i / each][lane] |= m[row][column] << (i % each * cell.bits());
    }
    packed
}

fn unpack(form: Form, cell: Cell, registers: &[WideLanes]) -> Matrix {
    let width = if cell == Cell::F64 { 64 } else { 32 };
    let each = width / cell.bits();
    let (rows, columns, _) = form.shape();
    let mut m = matrix(rows, columns, |_, _| u64::MAX);
    for (lane, i) in (0..32).flat_map(|l| (0..registers.len() * each).map(move |i| (l, i))) {
        let (row, column) = tables::c(form, lane, i);
        let bits = registers[i / each][lane] >> (i % each * cell.bits());
        m[row][column] = bits & (u64::MAX >> (64 - cell.bits()));
    }
    m
}

fn narrow<const N: usize>(registers: &[WideLanes]) -> [Lanes; N] {
    std::array::from_fn(|i| registers[i].map(|x| u32::try_from(x).unwrap()))
}

/// Runs one form on matrices of bits.
fn run(form: Form, simd: Simd, a: &Matrix, b: &Matrix, c: &Matrix) -> Matrix {
    let (input, output) = cells(form);
    let (na, nb, nc) = form.registers();
    let a = pack(form, tables::a, input, na, a);
    let b = pack(form, tables::b, input, nb, b);
    let c = pack(form, tables::c, output, nc, c);
    macro_rules! call {
        ($f:ident $(, $mode:expr)?) => {{
            let (a, b, c) = (narrow(&a), narrow(&b), narrow(&c));
            let d = at_level!(simd, mma::$f, a.each_ref(), b.each_ref(), c.each_ref() $(, $mode)?);
            d.map(|register| register.map(u64::from)).to_vec()
        }};
    }
    macro_rules! call_double {
        ($f:ident) => {{
            let a: &[WideLanes; _] = a.as_slice().try_into().unwrap();
            let b: &[WideLanes; _] = b.as_slice().try_into().unwrap();
            let c: &[WideLanes; _] = c.as_slice().try_into().unwrap();
            mma::$f(a.each_ref(), b.each_ref(), c.each_ref()).to_vec()
        }};
    }
    let d = match form {
        Form::F16K16 => call!(f16_k16),
        Form::F16K8 => call!(f16_k8),
        Form::HalfK16 => call!(half_k16),
        Form::HalfK8 => call!(half_k8),
        Form::Bf16K16 => call!(bf16_k16),
        Form::Bf16K8 => call!(bf16_k8),
        Form::Tf32K8 => call!(tf32_k8),
        Form::Tf32K4 => call!(tf32_k4),
        Form::IntK32(mode) => call!(int_k32, mode),
        Form::IntK16(mode) => call!(int_k16, mode),
        Form::DoubleM8K4 => call_double!(double_m8k4),
        Form::DoubleK4 => call_double!(double_k4),
        Form::DoubleK8 => call_double!(double_k8),
        Form::DoubleK16 => call_double!(double_k16),
    };
    unpack(form, output, &d)
}

/// A one at (row, k) of A copies row k of B into row `row` of D, on top of C, and nothing else.
#[test]
fn unit_vectors_light_up_where_the_isa_says() {
    for form in FORMS {
        let (input, output) = cells(form);
        let (m, n, k) = form.shape();
        // Every value is distinct and exact, so that no exchange of elements goes unseen.
        let b = matrix(k, n, |r, c| input.encode((8 * r + c) as f64));
        let c = matrix(m, n, |r, c| output.encode((8 * r + c) as f64 + 300.0));
        for simd in levels() {
            for (row, at) in (0..m as usize).flat_map(|r| (0..k as usize).map(move |at| (r, at))) {
                let a = matrix(m, k, |r, c| input.encode(f64::from((r, c) == (row, at))));
                let d = run(form, simd, &a, &b, &c);
                let expected = matrix(m, n, |r, c| {
                    let product = if r == row { 8 * at + c } else { 0 };
                    output.encode((8 * r + c + product) as f64 + 300.0)
                });
                assert_eq!(d, expected, "{form:?} {simd:?} one at ({row}, {at})");
            }
        }
    }
}

/// Element of D by the documented model: a chain in ascending k that starts from C.
fn chain(form: Form, a: &[u64], b: &Matrix, column: usize, c: u64) -> u64 {
    let (input, output) = cells(form);
    let terms = a.iter().zip(b).map(|(&x, row)| (x, row[column]));
    if output == Cell::F64 {
        let sum = terms.fold(f64::from_bits(c), |sum, (x, y)| {
            f64::from_bits(x).mul_add(f64::from_bits(y), sum)
        });
        return if sum.is_nan() {
            0x7fff_ffff_ffff_ffff
        } else {
            sum.to_bits()
        };
    }
    #[allow(
        clippy::cast_possible_truncation,
        reason = "f16, bf16 and f32 are exact in f32"
    )]
    let single = |cell: Cell, bits: u64| match form {
        Form::Tf32K8 | Form::Tf32K4 if cell == input => {
            f32::from_bits(u32::try_from(bits >> 13 << 13).unwrap())
        }
        _ => cell.decode(bits, false) as f32,
    };
    let start = match output {
        Cell::F32 => f32::from_bits(u32::try_from(c).unwrap()),
        _ => single(output, c),
    };
    let sum = terms.fold(start, |sum, (x, y)| {
        single(input, x).mul_add(single(input, y), sum)
    });
    match output {
        Cell::F16 if sum.is_nan() => 0x7fff,
        Cell::F16 => u64::from(half::f16::from_f32(sum).to_bits()),
        _ if sum.is_nan() => 0x7fff_ffff,
        _ => u64::from(sum.to_bits()),
    }
}

fn float_forms() -> impl Iterator<Item = Form> {
    FORMS
        .into_iter()
        .filter(|form| !matches!(form, Form::IntK32(_) | Form::IntK16(_)))
}

/// The same on all levels, bit for bit, also for values that overflow, vanish or are none.
#[test]
fn floats_are_the_documented_chain_on_every_level() {
    let special = [
        0.0,
        -0.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        2e-7,    // subnormal in f16
        1e-39,   // subnormal in bf16 and f32
        -3e-320, // subnormal in f64
        60000.0,
        3e38,
        1e300,
        1.0 / 3.0,
    ];
    let mut random = Random(1);
    for form in float_forms() {
        let (input, output) = cells(form);
        let (m, n, k) = form.shape();
        for trial in 0..60 {
            // From none to nearly all of the values are special.
            let rate = [0, 0, 1, 20, 100][trial % 5];
            let mut draw = |cell: Cell| {
                if random.below(200) < rate {
                    cell.encode(special[random.below(special.len())])
                } else if trial % 3 == 0 {
                    random.next() >> (64 - cell.bits()) // any bits at all
                } else {
                    cell.encode(random.unit())
                }
            };
            let a = matrix(m, k, |_, _| draw(input));
            let b = matrix(k, n, |_, _| draw(input));
            let c = matrix(m, n, |_, _| draw(output));
            let expected = matrix(m, n, |r, col| chain(form, &a[r], &b, col, c[r][col]));
            for simd in levels() {
                assert_eq!(
                    run(form, simd, &a, &b, &c),
                    expected,
                    "{form:?} {simd:?} {trial}"
                );
            }
        }
    }
}

/// Within the rounding of the chain of the exact product.
#[test]
fn floats_are_close_to_the_exact_product() {
    let mut random = Random(2);
    for form in float_forms() {
        let (input, output) = cells(form);
        let (m, n, k) = form.shape();
        let a = matrix(m, k, |_, _| input.encode(random.unit()));
        let b = matrix(k, n, |_, _| input.encode(random.unit()));
        let c = matrix(m, n, |_, _| output.encode(random.unit()));
        let d = run(form, levels()[levels().len() - 1], &a, &b, &c);
        // tf32 drops up to 2^-10 of every input.
        let inputs = if input == Cell::F32 {
            2.0 / 1024.0
        } else {
            0.0
        };
        let step = if output == Cell::F64 {
            2f64.powi(-50)
        } else {
            2f64.powi(-24)
        };
        let last = if output == Cell::F16 {
            2f64.powi(-11)
        } else {
            0.0
        };
        for (r, col) in (0..m as usize).flat_map(|r| (0..n as usize).map(move |col| (r, col))) {
            let start = output.decode(c[r][col], false);
            let (mut exact, mut size) = (start, start.abs());
            for at in 0..k as usize {
                let product = input.decode(a[r][at], false) * input.decode(b[at][col], false);
                exact += product;
                size += product.abs();
            }
            let bound = (f64::from(k) * step + inputs) * size + last * exact.abs();
            let error = (output.decode(d[r][col], false) - exact).abs();
            assert!(
                error <= bound,
                "{form:?} ({r}, {col}): {error:e} over {bound:e}"
            );
        }
    }
}

#[test]
fn integers_are_exact_wrap_or_saturate() {
    let mut random = Random(3);
    for bits in 0..8_u32 {
        let mode = IntMode {
            a_signed: bits & 1 != 0,
            b_signed: bits & 2 != 0,
            saturate: bits & 4 != 0,
        };
        for form in [Form::IntK32(mode), Form::IntK16(mode)] {
            let (m, n, k) = form.shape();
            for trial in 0..20 {
                let mut byte = || match trial % 4 {
                    0 => [0x80, 0x7f, 0xff, 0][random.below(4)],
                    1 => 0x80,
                    2 => 0xff,
                    _ => random.next() & 0xff,
                };
                let a = matrix(m, k, |_, _| byte());
                let b = matrix(k, n, |_, _| byte());
                let c = matrix(m, n, |_, _| match random.below(4) {
                    2 => u64::from(random.word() % 1000), // a product changes its sign
                    0 => u64::from(i32::MAX.cast_unsigned()) - random.below(1000) as u64,
                    1 => u64::from(i32::MIN.cast_unsigned()) + random.below(1000) as u64,
                    _ => u64::from(random.word()),
                });
                let expected = matrix(m, n, |r, col| {
                    let mut sum = i64::from(u32::try_from(c[r][col]).unwrap().cast_signed());
                    for at in 0..k as usize {
                        let x = Cell::Byte.decode(a[r][at], mode.a_signed);
                        let y = Cell::Byte.decode(b[at][col], mode.b_signed);
                        #[allow(clippy::cast_possible_truncation, reason = "small integers")]
                        let product = (x * y) as i64;
                        sum += product;
                    }
                    if mode.saturate {
                        sum = sum.clamp(i64::from(i32::MIN), i64::from(i32::MAX));
                    }
                    sum.cast_unsigned() & 0xffff_ffff
                });
                for simd in levels() {
                    let d = run(form, simd, &a, &b, &c);
                    assert_eq!(d, expected, "{form:?} {simd:?} {trial}");
                }
            }
        }
    }
}

#[test]
fn operations_count_two_per_product() {
    assert_eq!(Form::Bf16K16.operations(), 4096);
    assert_eq!(Form::DoubleM8K4.operations(), 512);
}
