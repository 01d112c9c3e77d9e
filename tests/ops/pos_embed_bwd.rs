use crate::gradient::check;

/// Grids that grow, shrink, do both, or have a single row.
#[test]
fn table_and_class_token_match_differences() {
    let grids = [
        ((3, 4), (3, 4)),
        ((3, 4), (7, 9)),
        ((7, 9), (3, 4)),
        ((5, 2), (2, 5)),
        ((1, 6), (4, 3)),
        ((8, 8), (1, 1)),
    ];
    for (native, grid) in grids {
        for class in [None, Some("class")] {
            let (batch, c) = (2, 5);
            let tokens = grid.0 * grid.1;
            let rows = tokens + usize::from(class.is_some());
            check(
                &format!("{native:?} to {grid:?}, {class:?}"),
                &[("x", batch * tokens * c)],
                |b, ids| {
                    let y = b
                        .pos_embed("op", ids[0], (batch, c), (native, grid), class)
                        .unwrap();
                    (y, batch * rows * c)
                },
                |b, _, dy| {
                    b.pos_embed_bwd("op", dy, (batch, c), (native, grid), class)
                        .unwrap();
                    Vec::new()
                },
            );
        }
    }
}
