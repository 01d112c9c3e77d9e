use pvt_cuda::plan::Target;

use crate::gradient::check;

#[test]
fn parameters_and_input_match_differences() {
    for (rows, inner, cols) in [
        (1, 1, 1),
        (5, 3, 7),
        (49, 64, 65),
        (300, 70, 130),
        (517, 33, 10),
    ] {
        for bias in [true, false] {
            let dims = (rows, inner, cols);
            check(
                &format!("{rows}x{inner}x{cols}, bias {bias}"),
                &[("x", rows * inner)],
                |b, ids| {
                    let y = b.linear("op", ids[0], dims, bias, Target::New).unwrap();
                    (y, rows * cols)
                },
                |b, ids, dy| {
                    b.linear_bwd("op", (dy, ids[0]), dims, bias).unwrap();
                    let dx = b.linear_bwd_data("op", dy, dims, Target::New).unwrap();
                    vec![(0, dx)]
                },
            );
        }
    }
}

/// Two layers with GELU between them; the hidden layer is kept by the forward pass, or computed once more.
#[test]
fn through_gelu_matches_differences() {
    for (rows, channels, hidden) in [(3, 5, 9), (70, 24, 66)] {
        for kept in [true, false] {
            let (first, second) = ((rows, channels, hidden), (rows, hidden, channels));
            check(
                &format!("{rows}x{channels}x{hidden}, kept {kept}"),
                &[("x", rows * channels)],
                |b, ids| {
                    let h = b
                        .linear("fc1", ids[0], first, true, Target::NewGelu)
                        .unwrap();
                    let y = b
                        .linear("fc2", h, second, true, Target::NewSum(ids[0]))
                        .unwrap();
                    (y, rows * channels)
                },
                |b, ids, dy| {
                    let h = if kept {
                        let h = b.activation(&[rows, hidden]).unwrap();
                        let target = Target::NewGeluOf(h);
                        b.linear("fc1", ids[0], first, true, target).unwrap();
                        h
                    } else {
                        b.linear("fc1", ids[0], first, true, Target::New).unwrap()
                    };
                    let target = Target::NewGeluSlope(h);
                    let dh = b.linear_bwd_data("fc2", dy, second, target).unwrap();
                    b.linear_bwd("fc2", (dy, h), second, true).unwrap();
                    b.linear_bwd("fc1", (dh, ids[0]), first, true).unwrap();
                    let through = b.linear_bwd_data("fc1", dh, first, Target::New).unwrap();
                    let both = (Some(through), dy);
                    let dx = b.add_scaled("sum", both, rows * channels, None).unwrap();
                    vec![(0, dx)]
                },
            );
        }
    }
}
