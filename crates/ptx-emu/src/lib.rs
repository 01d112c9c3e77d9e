//! Runs PTX kernels on any CPU, with a sanitizer and deterministic counters.

pub mod ast;
