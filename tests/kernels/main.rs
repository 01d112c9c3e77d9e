//! The GPU kernels of this build: the table, and every kernel run on the CPU by the emulator, with all
//! checks on, in three orders, against f64.

mod attention;
mod attention_cost;
mod head;
mod layernorm;
mod pos_embed;
mod preprocess;
mod residual;
mod run;
mod table;
