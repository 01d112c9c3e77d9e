//! The GPU kernels of this build: the table, and every kernel run on the CPU by the emulator, with all
//! checks on, in three orders, against f64.

mod abi;
mod attention;
mod attention_bwd;
mod attention_bwd_cost;
mod attention_cost;
mod attention_reference;
mod fill;
mod gelu;
mod gpu;
mod head;
mod layernorm;
mod linear;
mod linear_values;
mod mlp;
mod opcodes;
mod parts;
mod parts_rule;
mod patch_conv;
mod pos_embed;
mod preprocess;
mod products;
mod residual;
mod run;
mod table;
mod tiles;
