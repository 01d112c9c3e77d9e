//! What the tests on real kernels share: sources compiled by NVRTC, launch shapes and argument lists,
//! inputs, and references in f64 that call nothing of the emulator.
#![allow(dead_code, reason = "each test program uses a part")]

pub(crate) mod compile;
pub(crate) mod data;
#[path = "../driver/mod.rs"]
pub(crate) mod driver;
pub(crate) mod faults;
pub(crate) mod kernels;
pub(crate) mod reference;
pub(crate) mod run;
pub(crate) mod speed;
