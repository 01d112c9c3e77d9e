//! Backward of the classifier in f64.

use crate::oracle::layernorm;
use crate::oracle_layernorm_bwd::layernorm_bwd;

/// Gradients by the classified rows x [B, C], gamma, beta, weight [K, C] and bias of
/// `linear(layernorm(x), weight, bias)`, for `dlogits` [B, K].
pub fn head_bwd(
    x: &[f64],
    (gamma, beta, eps): (&[f64], &[f64], f64),
    weight: &[f64],
    dlogits: &[f64],
) -> [Vec<f64>; 5] {
    let c = gamma.len();
    let k = weight.len() / c;
    let normal = layernorm(x, gamma, beta, eps);
    let (mut dnormal, mut dweight, mut dbias) =
        (vec![0.0; x.len()], vec![0.0; k * c], vec![0.0; k]);
    for (b, row) in dlogits.chunks_exact(k).enumerate() {
        for (class, d) in row.iter().enumerate() {
            dbias[class] += d;
            for i in 0..c {
                dnormal[b * c + i] += d * weight[class * c + i];
                dweight[class * c + i] += d * normal[b * c + i];
            }
        }
    }
    let [dx, dgamma, dbeta] = layernorm_bwd(x, gamma, &dnormal, eps);
    [dx, dgamma, dbeta, dweight, dbias]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::linear;
    use crate::slope::{assert_slope, wave};

    #[test]
    fn is_the_slope_of_the_classifier() {
        let (b, c, k, eps) = (2, 5, 3, 0.1);
        let (x, gamma, beta) = (wave(1, b * c), wave(2, c), wave(3, c));
        let (weight, bias, dy) = (wave(4, k * c), wave(5, k), wave(6, b * k));
        let [dx, dgamma, dbeta, dweight, dbias] = head_bwd(&x, (&gamma, &beta, eps), &weight, &dy);
        let forward = |x: &[f64], gamma: &[f64], beta: &[f64], weight: &[f64], bias: &[f64]| {
            linear(&layernorm(x, gamma, beta, eps), c, weight, bias)
        };
        assert_slope(&x, &dx, &dy, |x| forward(x, &gamma, &beta, &weight, &bias));
        assert_slope(&gamma, &dgamma, &dy, |g| {
            forward(&x, g, &beta, &weight, &bias)
        });
        assert_slope(&beta, &dbeta, &dy, |b| {
            forward(&x, &gamma, b, &weight, &bias)
        });
        assert_slope(&weight, &dweight, &dy, |w| {
            forward(&x, &gamma, &beta, w, &bias)
        });
        assert_slope(&bias, &dbias, &dy, |b| {
            forward(&x, &gamma, &beta, &weight, b)
        });
    }
}
