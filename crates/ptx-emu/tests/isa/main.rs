//! One tiny program per instruction form. Expected values are computed here, by code that shares
//! nothing with the interpreter.

mod atomic;
mod bulk;
mod case;
mod cluster;
mod conformance;
mod control;
#[path = "../driver/mod.rs"]
mod driver;
mod faults;
mod mbarrier;
mod values;
