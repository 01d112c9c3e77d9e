use pvt_cuda::plan::NormSpec;

use crate::gradient::check;

#[test]
fn all_gradients_match_differences() {
    for (batch, tokens, channels, classes) in [(1, 1, 3, 2), (3, 5, 20, 11), (2, 2, 33, 100)] {
        check(
            &format!("{batch}x{tokens}x{channels} to {classes}"),
            &[("x", batch * tokens * channels)],
            |b, ids| {
                let norm = NormSpec {
                    label: "norm",
                    eps: 1e-6,
                    keep: false,
                };
                let rows = (batch, channels, tokens * channels);
                (
                    b.head(norm, "head", ids[0], rows, classes).unwrap(),
                    batch * classes,
                )
            },
            |b, ids, dy| {
                let (both, sizes) = ((ids[0], dy), (batch, tokens, channels));
                let dx = b
                    .head_bwd(("norm", 1e-6), "head", both, sizes, classes)
                    .unwrap();
                vec![(0, dx)]
            },
        );
    }
}
