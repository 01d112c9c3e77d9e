use pvt_cuda::Pixels;

use crate::gradient::check;

#[test]
fn parameters_and_input_match_differences() {
    for (batch, grid, in_chans, patch, out_chans) in [
        (1, (4, 4), 3, 4, 5),
        (2, (9, 7), 6, 2, 70),
        (1, (17, 8), 66, 4, 9),
        (3, (5, 6), 2, 1, 3),
        (2, (8, 24), 16, 8, 16),
    ] {
        for pixels in [Pixels::Nchw, Pixels::Nhwc] {
            let (h, w) = grid;
            let input = (batch, grid, in_chans);
            let shape = (patch, out_chans);
            check(
                &format!("{batch}x{h}x{w}x{in_chans} by {patch} to {out_chans}, {pixels:?}"),
                &[("x", batch * h * w * in_chans)],
                |b, ids| {
                    let y = b.patch_conv("op", ids[0], input, shape, pixels).unwrap();
                    (y, batch * (h / patch) * (w / patch) * out_chans)
                },
                |b, ids, dy| {
                    b.patch_conv_bwd("op", (dy, ids[0]), input, shape, pixels)
                        .unwrap();
                    let dx = b.patch_conv_bwd_data("op", dy, input, shape, pixels, None);
                    vec![(0, dx.unwrap())]
                },
            );
        }
    }
}

#[test]
fn the_gradient_of_the_input_can_be_added() {
    let (input, shape, len) = ((2, (5, 7), 6), (2, 8), 2 * 5 * 7 * 6);
    check(
        "added",
        &[("x", len)],
        |b, ids| {
            let y = b
                .patch_conv("op", ids[0], input, shape, Pixels::Nhwc)
                .unwrap();
            (y, 2 * 2 * 3 * 8)
        },
        |b, _, dy| {
            let zeros = b.zeros("zeros", len).unwrap();
            let dx = b.patch_conv_bwd_data("op", dy, input, shape, Pixels::Nhwc, Some(zeros));
            vec![(0, dx.unwrap())]
        },
    );
}
