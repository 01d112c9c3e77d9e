//! Every operator alone, against its equation in f64: awkward sizes first, then those of the
//! published models. Every run is repeated with 1, 2 and 3 threads and must give the same bits.

mod attention;
mod attention_bwd;
#[path = "../fixtures/reference/attention.rs"]
mod attention_reference;
mod cross_entropy;
mod fill;
mod gradient;
mod harness;
mod head;
mod head_bwd;
mod layernorm;
mod layernorm_bwd;
mod linear;
mod linear_bwd;
mod mlp;
mod patch_conv;
mod patch_conv_bwd;
mod pos_embed;
mod pos_embed_bwd;
mod residual;
