//! Gradient of a position table on the CPU.

use rayon::prelude::*;

use super::PosEmbedBwd;
use crate::cpu::Real;
use crate::ops::pos_embed::taps;

pub(super) fn backward<T: Real>(
    op: &PosEmbedBwd,
    d: &[T],
    dtable: &mut [T],
    dclass: Option<&mut [T]>,
    sum: &mut [T],
) {
    let c = op.channels;
    sum.fill(T::ZERO);
    for d in d[..op.batch * sum.len()].chunks_exact(sum.len()) {
        add(sum, d);
    }
    let class = if dclass.is_some() { c } else { 0 };
    let (class_sum, sum) = sum.split_at(class);
    let (class_row, dtable) = dtable.split_at_mut(class);
    if let Some(dclass) = dclass {
        add(dclass, class_sum);
        add(class_row, class_sum);
    }
    if op.from == op.to {
        return add(dtable, sum);
    }
    // share of source cell `at` in cell `o` along one axis; both taps may be the same cell
    let share = |o: usize, at: usize, from: usize, to: usize| {
        let (low, high, weight) = taps::<T>(o, from, to);
        let first = if low == at { T::ONE - weight } else { T::ZERO };
        first + if high == at { weight } else { T::ZERO }
    };
    dtable
        .par_chunks_exact_mut(c)
        .enumerate()
        .for_each(|(cell, to)| {
            let (v, u) = (cell / op.from.1, cell % op.from.1);
            for y in 0..op.to.0 {
                let wy = share(y, v, op.from.0, op.to.0);
                for x in 0..op.to.1 {
                    if wy == T::ZERO {
                        break;
                    }
                    let weight = wy * share(x, u, op.from.1, op.to.1);
                    if weight != T::ZERO {
                        let from = &sum[(y * op.to.1 + x) * c..][..c];
                        for (to, &from) in to.iter_mut().zip(from) {
                            *to = weight.mul_add(from, *to);
                        }
                    }
                }
            }
        });
}

fn add<T: Real>(to: &mut [T], from: &[T]) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to += from;
    }
}
