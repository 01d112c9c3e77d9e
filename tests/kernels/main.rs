//! The GPU kernels of this build: the table, and every kernel run on the CPU by the emulator, with all
//! checks on, in three orders, against f64.

mod layernorm;
mod linear;
mod linear_values;
mod mlp;
mod patch_conv;
mod products;
mod run;
mod table;
mod tiles;
