//! The `pvt` command.
fn main() {}
