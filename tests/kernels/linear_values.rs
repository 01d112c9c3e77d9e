//! What `linear` makes of single values: GELU of every number, and a row in any batch.

use ptx_emu::Launch;
use pvt_cuda::kernels::pack::pack;
use pvt_cuda::target::DType;
use pvt_testkit::oracle;

use crate::products::{DTYPES, Random, run};
use crate::run::{Value, rounded, values};

/// Which argument of the kernels with GELU keeps what that is applied to; the others have none.
const HIDDEN: usize = 9;

/// A square layer of `inner` channels by the smallest tile, with LayerNorm where there are parameters for it, else with
/// GELU.
fn layer(dtype: DType, x: &[u8], inner: usize, norm: Option<&[u8]>, weight: Vec<u8>) -> Vec<u8> {
    let rows = x.len() / inner / dtype.bytes();
    let units = (inner * dtype.bytes()).div_ceil(128);
    let slots = if dtype.bytes() == 4 { 4 } else { 8 };
    let (entry, shared) = match norm {
        Some(_) => ("linear_fwd_32x64", slots * 64 + 32 * units),
        None => ("linear_gelu_fwd_32x64", slots * (64 + 32)),
    };
    let of = |size: usize| Value::U32(u32::try_from(size).unwrap());
    let launch = Launch {
        grid: [u32::try_from(rows.div_ceil(32)).unwrap(), 1, 1],
        block: [128, 1, 1],
        shared: u32::try_from(shared * 128).unwrap(),
        cluster: None,
    };
    let parameter = |_| norm.map_or(Value::Null, |norm| Value::In(norm.to_vec()));
    let mut arguments = vec![
        Value::In(x.to_vec()),
        parameter("gamma"),
        parameter("beta"),
        Value::Null,
        Value::In(weight),
        Value::Null,
        Value::Null,
        Value::Out(x.len()),
        Value::Null,
        Value::Null,
        of(rows),
        of(inner),
        of(inner),
        of(inner),
        of(inner),
        Value::F32(1e-3),
    ];
    if norm.is_some() {
        arguments.remove(HIDDEN);
    }
    run(("linear", entry, dtype), &launch, &arguments)
        .0
        .remove(0)
}

/// A row gives the same bits whatever rows stand with it.
#[test]
fn a_row_does_not_depend_on_its_batch() {
    for dtype in DTYPES {
        let mut random = Random::new(5);
        let (x, _) = random.tensor(dtype, 150 * 64, 2.0, 0.0);
        let (weight, _) = random.weight(dtype, (64, 64), |k| k);
        let (norm, _) = random.tensor(DType::F32, 64, 0.5, 1.0);
        let of = |x: &[u8]| layer(dtype, x, 64, Some(&norm), weight.clone());
        let all = of(&x);
        let row = 64 * dtype.bytes();
        for (r, rows) in [(0, 1), (100, 50), (131, 7)] {
            let part = r * row..(r + rows) * row;
            assert!(of(&x[part.clone()]) == all[part], "{dtype} row {r}");
        }
    }
}

/// GELU of every finite number of the 16-bit types, by way of a weight of ones on the diagonal.
#[test]
fn gelu_of_every_number() {
    const COLS: usize = 32;
    let ones: Vec<f32> = (0..COLS * COLS)
        .map(|i| f32::from(u8::from(i / COLS == i % COLS)))
        .collect();
    for dtype in [DType::F16, DType::Bf16] {
        let all = (0..=u16::MAX)
            .flat_map(u16::to_le_bytes)
            .collect::<Vec<_>>();
        let all = values(dtype.name(), &all);
        // products of zeros and the largest numbers of bf16 stay finite, and so does GELU
        let most = if dtype == DType::F16 { 65504.0 } else { 1e30 };
        let mut numbers: Vec<f32> = all.into_iter().filter(|v| v.abs() <= most).collect();
        numbers.resize(numbers.len().next_multiple_of(COLS), 0.0);
        let weight = pack(dtype, &ones, COLS, COLS, |k| k);
        let y = layer(
            dtype,
            &rounded(dtype.name(), &numbers).0,
            COLS,
            None,
            weight,
        );
        // the form's distance from GELU; half a unit of the result; in bf16 what the device's tanh may be off by, and
        // in f16 what rounding leaves of large negative numbers
        let unit = 2.0_f64.powi(if dtype == DType::F16 { -11 } else { -8 });
        let form = |x: f64| match dtype {
            DType::F16 => 2.6e-5 + x.abs() * 1e-8,
            _ => 2.6e-5 + x.abs().min(9.0) * 2.0_f64.powi(-12),
        };
        for (x, y) in numbers.iter().zip(values(dtype.name(), &y)) {
            let x = f64::from(*x);
            let exact = oracle::gelu(x);
            let bound = unit * exact.abs() + form(x);
            assert!(
                (f64::from(y) - exact).abs() <= bound,
                "{dtype} {x}: {y} {exact}"
            );
        }
    }
}
