//! AdamW (Loshchilov and Hutter 2019) on the CPU, as `torch.optim.AdamW` computes it.

use rayon::prelude::*;

use super::Optimizer;
use crate::executor::Real;

/// Elements of a task.
const CHUNK: usize = 16 * 1024;

/// A parameter with its moments, which are empty where it is frozen.
#[derive(Debug, Clone)]
pub(super) struct Trained<T> {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) decay: bool,
    pub(super) value: Vec<T>,
    pub(super) first: Vec<T>,
    pub(super) second: Vec<T>,
}

/// The factors of one update.
#[derive(Debug, Clone, Copy)]
pub(super) struct Update {
    /// What gradients are multiplied by first: clipping.
    pub(super) scale: f64,
    pub(super) lr: f64,
    /// Updates made, this one included.
    pub(super) step: u64,
}

/// Euclidean norm of gradients, in f64, in an order that does not depend on the number of threads.
pub(super) fn norm<'a, T: Real>(gradients: impl Iterator<Item = &'a [T]>) -> f64 {
    let squares = |chunk: &[T]| -> f64 {
        let squared = chunk.iter().map(|&g| -> f64 { g.into() });
        squared.map(|g| g * g).sum()
    };
    let each = gradients.map(|g| g.par_chunks(CHUNK).map(squares).collect::<Vec<_>>());
    each.flatten().sum::<f64>().sqrt()
}

/// What to multiply gradients of this norm by, as `torch.nn.utils.clip_grad_norm_` does.
pub(super) fn clip(norm: f64, most: Option<f64>) -> f64 {
    const SMALL: f64 = 1e-6;
    most.map_or(1.0, |most| (most / (norm + SMALL)).min(1.0))
}

impl<T: Real> Trained<T> {
    /// p ← (1 − lr·decay)·p − lr/c₁ · m / (√v/√c₂ + eps), with m and v the means of g and g².
    pub(super) fn update(&mut self, gradient: &[T], how: &Optimizer, update: Update) {
        let wide = T::from_f64;
        let Update { scale, lr, step } = update;
        let bias = |beta: f64| 1.0 - beta.powf(step as f64);
        let (beta1, beta2) = (how.beta1, how.beta2);
        let decay = if self.decay { how.weight_decay } else { 0.0 };
        let (keep, scale, size) = (wide(1.0 - lr * decay), wide(scale), wide(lr / bias(beta1)));
        let (root, eps) = (wide(1.0 / bias(beta2).sqrt()), wide(how.eps));
        let [a, b] = [wide(1.0 - beta1), wide(1.0 - beta2)];
        let beta2 = wide(beta2);
        let moments = self
            .first
            .par_chunks_mut(CHUNK)
            .zip(self.second.par_chunks_mut(CHUNK));
        let all = self
            .value
            .par_chunks_mut(CHUNK)
            .zip(gradient.par_chunks(CHUNK));
        all.zip(moments).for_each(|((p, g), (m, v))| {
            for ((p, &g), (m, v)) in p.iter_mut().zip(g).zip(m.iter_mut().zip(v)) {
                let g = g * scale;
                *m += (g - *m) * a;
                *v = *v * beta2 + g * g * b;
                *p = *p * keep - size * *m / (v.sqrt() * root + eps);
            }
        });
    }
}
