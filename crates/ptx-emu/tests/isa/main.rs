//! One tiny program per instruction form. Expected values are computed here, by code that shares
//! nothing with the interpreter.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::float_cmp,
    reason = "values are bit patterns: cut as registers cut them, and compared exactly"
)]

mod atomic;
mod barrier;
mod bulk;
mod calls;
mod carry;
mod case;
mod cluster;
mod compare;
mod conformance;
mod control;
mod convert;
mod double;
#[allow(dead_code, reason = "the programs take no numbers")]
#[path = "../driver/mod.rs"]
mod driver;
mod exact;
mod faults;
mod fence;
mod fields;
mod fragments;
mod half;
mod hints;
mod integer;
mod loads;
mod logic;
mod mbarrier;
mod memory;
mod moves;
mod opcodes;
mod refused;
mod select;
mod single;
mod special;
mod tensor;
mod unset;
mod values;
mod variables;
mod warp;
mod wgmma;
