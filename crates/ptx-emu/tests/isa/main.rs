//! One tiny program per instruction form. Expected values are computed here, by code that shares
//! nothing with the interpreter.

mod case;
mod control;
mod double;
mod exact;
mod single;
mod special;
mod values;
