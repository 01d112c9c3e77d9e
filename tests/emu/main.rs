//! Whole models in the emulator: every kernel of a forward pass, with all checks on.

mod cases;
mod digits;
mod memory;
mod published;
mod support;
