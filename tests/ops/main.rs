//! Every operator alone, against its equation in f64: awkward sizes first, then those of the
//! published models. Every run is repeated with 1, 2 and 3 threads and must give the same bits.

mod attention;
mod fill;
mod harness;
mod head;
mod layernorm;
mod linear;
mod mlp;
mod patch_conv;
mod pos_embed;
mod residual;
