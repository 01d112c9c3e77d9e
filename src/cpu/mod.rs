//! What the CPU code of the operators is made of: vector functions and matrix products.

pub(crate) mod math;
pub(crate) mod matmul;
mod real;

pub use real::Real;
