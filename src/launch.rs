//! One kernel launch as plain data: what to run, on which grid, with which arguments. Made when a plan
//! is made, by pure functions of shapes; no device is needed to make, print or compare one.

use std::fmt;

use crate::plan::BufferId;

/// What a kernel does with a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// It reads.
    In,
    /// It writes, and reads nothing that it has not written.
    Out,
    /// It reads and writes.
    InOut,
}

/// An argument of a kernel, in the order of its parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Arg {
    /// Address of a buffer's first byte.
    Buffer(BufferId, Access),
    /// The null pointer, where a contract allows it.
    Null,
    /// A 32-bit unsigned integer.
    U32(u32),
    /// A 64-bit unsigned integer.
    U64(u64),
    /// A single-precision number.
    F32(f32),
}

/// Most arguments that a kernel of this crate has.
pub const MOST_ARGS: usize = 24;

/// A kernel: a module of [`crate::kernels`], and an entry of it without the suffix of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kernel {
    /// Module, such as `linear`.
    pub module: &'static str,
    /// Entry without its type, such as `linear_fwd_64x64`.
    pub entry: &'static str,
    /// Type of the module: `f32`, `tf32`, `f16` or `bf16`.
    pub dtype: &'static str,
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.entry, self.dtype)
    }
}

/// One launch.
#[derive(Debug, Clone, PartialEq)]
pub struct Launch {
    /// What runs.
    pub kernel: Kernel,
    /// Blocks along x, y, z.
    pub grid: [u32; 3],
    /// Threads of a block along x, y, z.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory of a block.
    pub shared: u32,
    /// Arguments in the order of the kernel's parameters.
    pub args: Vec<Arg>,
}
