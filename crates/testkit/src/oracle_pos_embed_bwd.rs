//! Backward of positions in f64.

use crate::oracle::bilinear;

/// Gradients by the table [k + h·w, c] and by the class token (empty where `class` is false, then k = 0, else 1) of
/// a stage's input, for its gradient `d` [B, k + oh·ow, c].
pub fn pos_embed_bwd(
    d: &[f64],
    class: bool,
    from: (usize, usize),
    to: (usize, usize),
    c: usize,
) -> [Vec<f64>; 2] {
    let k = usize::from(class);
    let mut sums = vec![0.0; (k + to.0 * to.1) * c];
    for image in d.chunks_exact(sums.len()) {
        sums.iter_mut().zip(image).for_each(|(a, b)| *a += b);
    }
    let (token, grid) = sums.split_at(k * c);
    let mut table = token.to_vec();
    // what a table with a single one becomes, against the gradient
    for cell in 0..from.0 * from.1 {
        let mut one = vec![0.0; from.0 * from.1];
        one[cell] = 1.0;
        let weights = bilinear(&one, from, to, 1);
        let mut row = vec![0.0; c];
        for (weight, values) in weights.iter().zip(grid.chunks_exact(c)) {
            row.iter_mut()
                .zip(values)
                .for_each(|(a, b)| *a += weight * b);
        }
        table.extend(row);
    }
    [table, token.to_vec()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::pos_embed;
    use crate::slope::{assert_slope, wave};

    #[test]
    fn is_the_slope_of_positions() {
        let (c, batch) = (2, 2);
        for (from, to) in [((2, 3), (2, 3)), ((2, 3), (4, 5)), ((4, 3), (2, 1))] {
            let (cells, tokens) = (from.0 * from.1, to.0 * to.1);
            let (x, token, table) = (
                wave(1, batch * tokens * c),
                wave(2, c),
                wave(3, (1 + cells) * c),
            );
            let dy = wave(4, batch * (1 + tokens) * c);
            let forward = |token: &[f64], table: &[f64]| {
                let mut resized = table[..c].to_vec();
                resized.extend(bilinear(&table[c..], from, to, c));
                pos_embed(&x, token, &resized)
            };
            let [dtable, dtoken] = pos_embed_bwd(&dy, true, from, to, c);
            assert_slope(&table, &dtable, &dy, |t| forward(&token, t));
            assert_slope(&token, &dtoken, &dy, |t| forward(t, &table));
        }
    }
}
