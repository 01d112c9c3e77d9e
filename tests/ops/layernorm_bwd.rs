use crate::gradient::check;

#[test]
fn all_gradients_match_differences() {
    for (rows, channels, stride) in [(1, 2, 2), (7, 5, 5), (130, 48, 48), (3, 17, 40)] {
        let len = (rows - 1) * stride + channels;
        let len = if stride > channels {
            rows * stride
        } else {
            len
        };
        check(
            &format!("{rows}x{channels}, {stride} apart"),
            &[("x", len)],
            |b, ids| {
                let y = b
                    .layernorm("op", ids[0], (rows, channels, stride), 1e-5)
                    .unwrap();
                (y, rows * channels)
            },
            |b, ids, dy| {
                let dims = (rows, channels, stride);
                let dx = b
                    .layernorm_bwd("op", (ids[0], dy), dims, None, 1e-5, None)
                    .unwrap();
                vec![(0, dx)]
            },
        );
    }
}

/// Added to what stands in dx, from rows behind a class token.
#[test]
fn added_to_a_stream_behind_class_rows() {
    let (batch, tokens, channels) = (3, 6, 20);
    let (rows, grid) = (batch * tokens, (2, 3));
    check(
        "behind class rows",
        &[("x", rows * channels)],
        |b, ids| {
            let normed = b
                .layernorm("op", ids[0], (rows, channels, channels), 1e-6)
                .unwrap();
            let grids = (grid, grid);
            let y = b
                .pos_embed("pos", normed, (batch, channels), grids, Some("class"))
                .unwrap();
            (y, batch * (tokens + 1) * channels)
        },
        |b, ids, dy| {
            let dims = (rows, channels, channels);
            let skip = Some((tokens, 1));
            let stream = b.zeros("stream", rows * channels).unwrap();
            let dx = b
                .layernorm_bwd("op", (ids[0], dy), dims, skip, 1e-6, Some(stream))
                .unwrap();
            vec![(0, dx)]
        },
    );
}
