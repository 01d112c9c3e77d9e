//! Fill on the CPU.

use crate::cpu::Real;

pub(super) fn forward<T: Real>(y: &mut [T], value: T) {
    y.fill(value);
}
