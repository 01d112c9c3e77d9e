use crate::gradient::check;

#[test]
fn queries_keys_and_values_match_differences() {
    for (batch, queries, keys, heads, width) in [
        (1, 1, 1, 1, 1),
        (2, 5, 3, 2, 7),
        (1, 50, 50, 2, 16),
        (2, 49, 70, 1, 66),
        (1, 97, 17, 3, 8),
    ] {
        let c = heads * width;
        let sizes = (batch, queries, keys);
        check(
            &format!("{batch} images, {queries} over {keys}, {heads}x{width}"),
            &[("q", batch * queries * c), ("kv", batch * keys * 2 * c)],
            |b, ids| {
                let both = (ids[0], ids[1]);
                (
                    b.attention("op", both, sizes, (heads, width)).unwrap(),
                    batch * queries * c,
                )
            },
            |b, ids, dy| {
                let all = (ids[0], ids[1], dy);
                let (dq, dkv) = b
                    .attention_bwd("op", all, None, sizes, (heads, width))
                    .unwrap();
                vec![(0, dq), (1, dkv)]
            },
        );
    }
}
