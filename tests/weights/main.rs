//! Weights files: every naming scheme gives the same parameters, and damaged files are refused.

mod checkpoints;
mod corpus;
mod file;
mod hostile;
mod kinds;
mod mismatch;
mod mutations;
mod names;
mod support;
