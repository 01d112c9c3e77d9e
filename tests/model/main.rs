//! The whole network against independent float64 results.

mod hash_weights;
