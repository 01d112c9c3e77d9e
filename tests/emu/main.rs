//! Whole models in the emulator: every kernel of a forward pass, of a backward pass and of an update, with all checks on.

mod cases;
mod contract;
mod digits;
mod gates;
mod gradients;
mod memory;
mod published;
mod support;
#[path = "../train/ten_steps.rs"]
mod ten_steps;
mod train;
mod training;
