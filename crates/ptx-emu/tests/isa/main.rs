//! One tiny program per instruction form. Expected values are computed here, by code that shares
//! nothing with the interpreter.

mod carry;
mod case;
mod compare;
mod control;
mod fields;
mod integer;
mod logic;
mod memory;
mod moves;
mod refused;
mod select;
mod values;
mod variables;
