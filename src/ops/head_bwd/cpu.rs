//! Gradient of the classifier on the CPU: one image after the other.

use super::HeadBwd;
use crate::cpu::{Real, math};
use crate::target::cpu::Lanes;

pub(super) fn backward<T: Real>(
    op: &HeadBwd,
    [x, gamma, beta, weight, dlogits]: [&[T]; 5],
    [dx, dgamma, dbeta, dweight, dbias]: [&mut [T]; 5],
    lanes: &Lanes<T>,
) {
    let c = op.channels;
    let count = T::from_f64(c as f64);
    dx.fill(T::ZERO);
    for (b, dlogits) in dlogits.chunks_exact(op.classes).enumerate() {
        let x = &x[b * op.x_stride..][..c];
        lanes.with(2 * c, |scratch| {
            let (normed, g) = scratch.split_at_mut(c);
            let mean = math::sum(x) / count;
            let variance = math::sum_of_squares_about(x, mean) / count;
            let rstd = T::ONE / (variance + T::from(op.norm.eps)).sqrt();
            for (normed, &x) in normed.iter_mut().zip(x) {
                *normed = (x - mean) * rstd;
            }
            g.fill(T::ZERO);
            for (k, &d) in dlogits.iter().enumerate() {
                dbias[k] += d;
                for i in 0..c {
                    g[i] = d.mul_add(weight[k * c + i], g[i]);
                    let n = normed[i].mul_add(gamma[i], beta[i]);
                    dweight[k * c + i] = d.mul_add(n, dweight[k * c + i]);
                }
            }
            for i in 0..c {
                dgamma[i] = g[i].mul_add(normed[i], dgamma[i]);
                dbeta[i] += g[i];
                g[i] *= gamma[i];
            }
            let (mean_g, mean_gx) = (math::sum(g) / count, math::dot(g, normed) / count);
            for i in 0..c {
                let centred = (-normed[i]).mul_add(mean_gx, g[i] - mean_g);
                dx[b * op.x_stride + i] = rstd * centred;
            }
        });
    }
}
