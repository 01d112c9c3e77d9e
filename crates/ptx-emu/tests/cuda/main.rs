//! Real kernels, compiled by NVRTC and run: results against f64, the sanitizer silent, counters that
//! can be told from the source.

#[path = "../support/mod.rs"]
mod support;

mod attention;
mod gemm;
mod odds;
mod rows;
mod traffic;
