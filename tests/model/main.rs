//! The whole network against independent float64 results.

mod case;
mod gradients;
mod hash_weights;
mod invariants;
mod oracle;
mod published;
mod support;
