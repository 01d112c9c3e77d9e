//! Runs PTX kernels on any CPU, with a sanitizer and deterministic counters.

pub mod ast;

mod access;
mod matrix;
mod num;
mod parser;
mod report;
mod shadow;
