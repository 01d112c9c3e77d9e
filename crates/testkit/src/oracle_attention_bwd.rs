//! Gradients of attention in f64, straight from their equations.

/// dq [N, d], dk and dv [M, d] of y = softmax(q·kᵀ·d^-½)·v for one head: q and dy [N, d], k and v [M, d].
pub fn attention_bwd(q: &[f64], k: &[f64], v: &[f64], dy: &[f64], d: usize) -> [Vec<f64>; 3] {
    let scale = 1.0 / (d as f64).sqrt();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (mut dq, mut dk, mut dv) = (Vec::new(), vec![0.0; k.len()], vec![0.0; v.len()]);
    for (query, up) in q.chunks_exact(d).zip(dy.chunks_exact(d)) {
        let scores: Vec<f64> = k
            .chunks_exact(d)
            .map(|key| dot(query, key) * scale)
            .collect();
        let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = scores.iter().map(|s| (s - top).exp()).sum();
        let p: Vec<f64> = scores.iter().map(|s| (s - top).exp() / total).collect();
        let dp: Vec<f64> = v.chunks_exact(d).map(|value| dot(up, value)).collect();
        let delta = dot(&p, &dp);
        let mut of_query = vec![0.0; d];
        for (j, (p, dp)) in p.iter().zip(&dp).enumerate() {
            let ds = p * (dp - delta);
            for c in 0..d {
                of_query[c] += scale * ds * k[j * d + c];
                dk[j * d + c] += scale * ds * query[c];
                dv[j * d + c] += p * up[c];
            }
        }
        dq.extend(of_query);
    }
    [dq, dk, dv]
}

#[cfg(test)]
mod tests {
    use super::attention_bwd;
    use crate::oracle::attention;

    /// Numbers without a pattern, about ±1.
    fn numbers(seed: usize, count: usize) -> Vec<f64> {
        let one = |i: usize| ((i * 37 + seed * 101) as f64 * 0.7371).sin() * 1.3;
        (0..count).map(one).collect()
    }

    #[test]
    fn gradients_are_those_of_the_forward() {
        let d = 4;
        for (n, m) in [(3, 5), (2, 1), (1, 2)] {
            let inputs = [numbers(1, n * d), numbers(2, m * d), numbers(3, m * d)];
            let dy = numbers(4, n * d);
            let loss = |inputs: &[Vec<f64>; 3]| {
                let y = attention(&inputs[0], &inputs[1], &inputs[2], d);
                y.iter().zip(&dy).map(|(a, b)| a * b).sum::<f64>()
            };
            let found = attention_bwd(&inputs[0], &inputs[1], &inputs[2], &dy, d);
            for (which, gradient) in found.iter().enumerate() {
                for (i, &gradient) in gradient.iter().enumerate() {
                    let at = |by: f64| {
                        let mut moved = inputs.clone();
                        moved[which][i] += by;
                        loss(&moved)
                    };
                    let step = 1e-5;
                    let slope = (at(step) - at(-step)) / (2.0 * step);
                    assert!(
                        (gradient - slope).abs() < 1e-8,
                        "{which} {i}: {gradient} {slope}"
                    );
                }
            }
        }
    }
}
