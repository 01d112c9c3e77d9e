//! The GPU kernels of this build: the table, and every kernel run on the CPU by the emulator, with all
//! checks on, in three orders, against f64.

mod abi;
mod attention;
mod attention_cost;
mod fill;
mod gelu;
mod gpu;
mod head;
mod layernorm;
mod linear;
mod linear_bwd;
mod linear_values;
mod mlp;
mod opcodes;
mod parts;
mod parts_rule;
mod patch_conv;
mod patch_conv_bwd;
mod pos_embed;
mod preprocess;
mod products;
mod residual;
mod run;
mod table;
mod tiles;
mod weight_grad;
