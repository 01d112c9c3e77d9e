//! What runs a plan. A target knows operators and buffers, and nothing of the network.

pub mod cpu;
