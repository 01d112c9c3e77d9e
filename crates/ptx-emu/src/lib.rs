#![doc = include_str!("../README.md")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "lanes, offsets and registers change width on every other line; what comes from outside \
              is checked where it comes in, and indices are checked where they are used"
)]
pub mod ast;

mod access;
mod decode;
mod device;
mod exec;
mod isa;
mod lanes;
mod matrix;
mod memory;
mod module;
mod num;
mod parser;
mod program;
mod report;
mod shadow;
mod simd;

pub use decode::form::LoadError;
pub use device::{Arg, Buffer, Checks, Device, Launch, LaunchError, MemoryError, Schedule};
pub use matrix::swizzle::Swizzle;
pub use matrix::tensor_map::{ElementType, Fill, TensorMap, TensorMapError, TensorMapSpec};
pub use module::{Module, Parameter};
pub use parser::ParseError;
pub use report::*;
pub use simd::Simd;
