//! One tiny program per instruction form. Expected values are computed here, by code that shares
//! nothing with the interpreter.

mod atomic;
mod barrier;
mod calls;
mod case;
mod conformance;
mod control;
#[path = "../driver/mod.rs"]
mod driver;
mod faults;
mod fence;
mod hints;
mod values;
mod warp;
