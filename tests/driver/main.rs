//! The CUDA target: what it says where there is no driver, and what it does with one that the emulator
//! stands in for; and with a GPU, where there is one. Every test runs in a process of its own, whose
//! search path leads to its library.
#![cfg(target_os = "linux")]

mod abort;
mod absent;
mod child;
mod device;
mod enqueue;
mod faults;
mod gpu;
mod layernorm;
mod model;
mod stand_in;
#[path = "../train/ten_steps.rs"]
mod ten_steps;
mod train;
