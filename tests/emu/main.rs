//! Whole models in the emulator: every kernel of a forward and a backward pass, with all checks on.

mod cases;
mod contract;
mod digits;
mod gates;
mod gradients;
mod memory;
mod published;
mod support;
mod training;
