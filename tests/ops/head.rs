use pvt_cuda::plan::NormSpec;
use pvt_testkit::{compare::widen, oracle};

use crate::harness::{Bench, assert_close, assert_too_short, random, tolerance, wide};

const NORM: NormSpec<'static> = NormSpec {
    label: "norm",
    eps: 1e-6,
    keep: false,
};

#[test]
fn matches_f64_at_awkward_and_real_sizes() {
    let sizes = [
        (1, 1, 1),
        (2, 3, 7),
        (1, 512, 1000),
        (3, 64, 10),
        (9, 128, 11),
    ];
    for (batch, channels, classes) in sizes {
        for stride in [channels, 3 * channels + 1] {
            let x = random("x", (batch - 1) * stride + channels);
            let mut bench = Bench::on(x.clone());
            let rows = (batch, channels, stride);
            let logits = bench.builder.head(NORM, "op", bench.x, rows, classes);
            let found = bench.run(logits.unwrap(), batch * classes);
            let kept: Vec<f64> = (0..batch)
                .flat_map(|b| widen(&x[b * stride..][..channels]))
                .collect();
            let (gamma, beta) = (wide("norm.weight", channels), wide("norm.bias", channels));
            let normed = oracle::layernorm(&kept, &gamma, &beta, 1e-6);
            let weight = wide("op.weight", classes * channels);
            let exact = oracle::linear(&normed, channels, &weight, &wide("op.bias", classes));
            let case = format!("{batch} x {channels} -> {classes}, stride {stride}");
            assert_close(&found, &exact, tolerance(channels), &case);
        }
    }
}

#[test]
fn a_short_buffer_is_refused() {
    let mut bench = Bench::on(vec![0.0; 19]);
    let logits = bench.builder.head(NORM, "op", bench.x, (2, 10, 10), 3);
    assert_too_short(logits, (19, 20));
}
