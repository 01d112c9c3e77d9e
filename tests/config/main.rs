//! Model descriptions: published sizes, geometry, JSON, and everything that is refused.

mod corpus;
mod geometry;
mod json;
mod preprocess;
mod refusals;
mod sizes;
mod variants;
