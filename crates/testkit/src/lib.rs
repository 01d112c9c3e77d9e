//! What the tests of `pvt-cuda` are judged by: nothing here calls the code under test.

pub mod compare;
pub mod hash;
pub mod oracle;
pub mod oracle_attention_bwd;
pub mod oracle_model;
