//! The derivative of GELU that `math.cuh` has for each type, in a kernel of the test's own.

use std::path::Path;

use nvrtc_lite::{Nvrtc, Search};
use ptx_emu::{Arg, Device, DeviceSpec, Launch, Module};
use pvt_testkit::oracle;

const SOURCE: &str = r#"
#include "math.cuh"
PVT_ENTRY(slopes)(const float* x, float* y, float* dy, u32 LEN) {
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < LEN) {
        y[i] = gelu(x[i]);
        dy[i] = gelu_slope(x[i]);
    }
}
"#;

/// GELU and its slope at `x`, as kernels of this type have them.
fn on_emulator(dtype: &str, x: &[f32]) -> [Vec<f32>; 2] {
    let search = Search::from_env()
        .explicit(std::env::var_os("PVT_NVRTC"))
        .folder(Path::new(".cache").join("nvrtc"));
    let nvrtc = Nvrtc::find(&search).unwrap();
    let options = [
        "-std=c++17".to_owned(),
        "-Ikernels/include".to_owned(),
        "-arch=compute_80".to_owned(),
        format!("-DPVT_DTYPE_{}", dtype.to_uppercase()),
        format!("-DPVT_SUFFIX={dtype}"),
    ];
    let image = nvrtc.compile(SOURCE, "slopes.cu", &options).unwrap();
    let module = Module::parse(&image.ptx).unwrap();
    let mut device = Device::new(DeviceSpec::h200());
    let bytes: Vec<u8> = x.iter().flat_map(|v| v.to_le_bytes()).collect();
    let input = device.alloc(bytes.len() as u64).unwrap();
    device.write(&input, &bytes).unwrap();
    let outputs = [0, 1].map(|_| device.alloc(bytes.len() as u64).unwrap());
    let len = u32::try_from(x.len()).unwrap();
    let arguments = [
        Arg::input(&input),
        Arg::output(&outputs[0]),
        Arg::output(&outputs[1]),
        Arg::u32(len),
    ];
    let launch = Launch::linear(len.div_ceil(128), 128);
    let entry = format!("slopes_{dtype}");
    let report = device.launch(&module, &entry, &launch, &arguments).unwrap();
    assert!(report.is_clean(), "{report}");
    outputs.map(|buffer| {
        let bytes = device.read(&buffer).unwrap();
        let all = bytes.as_chunks().0.iter();
        all.map(|b| f32::from_le_bytes(*b)).collect()
    })
}

/// Slope of GELU in f64, by a central difference of the formula.
fn exact(x: f64) -> f64 {
    const STEP: f64 = 1e-5;
    (oracle::gelu(x + STEP) - oracle::gelu(x - STEP)) / (2.0 * STEP)
}

/// Every 1/512 from -12 to 12, and large values.
fn points() -> Vec<f32> {
    let near = (-6144..=6144).map(|i| i as f32 / 512.0);
    near.chain([-1e4, -50.0, 50.0, 1e4]).collect()
}

#[test]
fn slopes_are_close_to_those_of_gelu() {
    // f16: an error of 2.6e-5 over 4.4 that turns as a Chebyshev polynomial of degree 18 does, by 18² at its ends, is
    // 1.9e-3; bf16: tanh.approx is off by 2^-11 at most: half of that in the first term, and twice in 1 - t², times
    // x u' / 2 < 1
    for (dtype, bound) in [
        ("f32", 3e-7),
        ("tf32", 3e-7),
        ("f16", 2e-3),
        ("bf16", 1.7e-3),
    ] {
        let x = points();
        let [_, slopes] = on_emulator(dtype, &x);
        let error = |(x, slope): (&f32, &f32)| (f64::from(*slope) - exact(f64::from(*x))).abs();
        let worst = x.iter().zip(&slopes).map(error).fold(0.0, f64::max);
        println!("{dtype}: {worst:.1e}");
        assert!(worst < bound, "{dtype}: {worst:e}, at most {bound:e}");
    }
}

/// The slope is that of the form itself, not of GELU: central differences of what `gelu` gives.
#[test]
fn slopes_belong_to_the_form_of_the_type() {
    const STEP: f32 = 1.0 / 64.0;
    // rounding of two f32 values around 4 over a step of 1/64, the third derivative, and in bf16 steps of tanh.approx
    for (dtype, bound) in [("f32", 1e-4), ("f16", 1.5e-4), ("bf16", 4e-2)] {
        let x: Vec<f32> = (-250..=250).map(|i| i as f32 * STEP).collect();
        let [values, slopes] = on_emulator(dtype, &x);
        for i in 1..x.len() - 1 {
            let difference = (values[i + 1] - values[i - 1]) / (2.0 * STEP);
            let error = (difference - slopes[i]).abs();
            assert!(
                error < bound,
                "{dtype} at {}: {error:e}, {difference} and {}",
                x[i],
                slopes[i]
            );
        }
    }
}
