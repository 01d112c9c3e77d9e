//! Whole models in the emulator: every kernel of a forward pass, with all checks on.

mod cases;
mod contract;
mod digits;
mod gates;
mod memory;
mod published;
mod support;
