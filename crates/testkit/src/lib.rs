//! What the tests of `pvt-cuda` are judged by: nothing here calls the code under test.

pub mod compare;
pub mod hash;
pub mod oracle;
pub mod oracle_attention_bwd;
pub mod oracle_cross_entropy;
pub mod oracle_head_bwd;
pub mod oracle_layernorm_bwd;
pub mod oracle_linear_bwd;
pub mod oracle_model;
pub mod oracle_pos_embed_bwd;
pub mod slope;
