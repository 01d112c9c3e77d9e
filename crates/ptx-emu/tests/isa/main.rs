//! One tiny program per instruction form. Expected values are computed here, by code that shares
//! nothing with the interpreter.

mod atomic;
mod barrier;
mod calls;
mod carry;
mod case;
mod compare;
mod conformance;
mod control;
mod convert;
#[path = "../driver/mod.rs"]
mod driver;
mod exact;
mod faults;
mod fence;
mod fields;
mod half;
mod integer;
mod logic;
mod memory;
mod moves;
mod refused;
mod select;
mod values;
mod variables;
mod warp;
