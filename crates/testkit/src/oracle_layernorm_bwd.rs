//! Backward of `LayerNorm` in f64.

/// Gradients by x [R, C], gamma and beta of `oracle::layernorm`, for `dy` [R, C].
pub fn layernorm_bwd(x: &[f64], gamma: &[f64], dy: &[f64], eps: f64) -> [Vec<f64>; 3] {
    let c = gamma.len();
    let (mut dx, mut dgamma, mut dbeta) = (Vec::new(), vec![0.0; c], vec![0.0; c]);
    for (x, dy) in x.chunks_exact(c).zip(dy.chunks_exact(c)) {
        let mean = x.iter().sum::<f64>() / c as f64;
        let var = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / c as f64;
        let rstd = 1.0 / (var + eps).sqrt();
        let normal: Vec<f64> = x.iter().map(|v| (v - mean) * rstd).collect();
        let g: Vec<f64> = gamma.iter().zip(dy).map(|(a, b)| a * b).collect();
        let mean_g = g.iter().sum::<f64>() / c as f64;
        let dot = g.iter().zip(&normal).map(|(a, b)| a * b).sum::<f64>() / c as f64;
        for i in 0..c {
            dx.push(rstd * (g[i] - mean_g - normal[i] * dot));
            dgamma[i] += dy[i] * normal[i];
            dbeta[i] += dy[i];
        }
    }
    [dx, dgamma, dbeta]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::layernorm;
    use crate::slope::{assert_slope, wave};

    #[test]
    fn is_the_slope_of_layernorm() {
        let (r, c, eps) = (3, 5, 0.1);
        let (x, gamma, beta, dy) = (wave(1, r * c), wave(2, c), wave(3, c), wave(4, r * c));
        let [dx, dgamma, dbeta] = layernorm_bwd(&x, &gamma, &dy, eps);
        assert_slope(&x, &dx, &dy, |x| layernorm(x, &gamma, &beta, eps));
        assert_slope(&gamma, &dgamma, &dy, |g| layernorm(&x, g, &beta, eps));
        assert_slope(&beta, &dbeta, &dy, |b| layernorm(&x, &gamma, b, eps));
    }
}
