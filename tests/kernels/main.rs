//! The GPU kernels of this build: the table, and every kernel run on the CPU by the emulator, with all
//! checks on, in three orders, against f64.

mod abi;
mod adamw;
mod attention;
mod attention_bwd;
mod attention_bwd_case;
mod attention_bwd_cost;
mod attention_cost;
#[path = "../fixtures/reference/attention.rs"]
mod attention_reference;
mod cross_entropy;
mod fill;
mod gelu;
mod gpu;
mod grad_norm;
mod head;
mod head_bwd;
mod layernorm;
mod layernorm_bwd;
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
mod pos_embed_bwd;
mod preprocess;
mod products;
mod residual;
mod run;
mod table;
mod tiles;
mod weight_grad;
