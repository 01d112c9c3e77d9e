//! One kernel launch as plain data: what to run, on which grid, with which arguments. Made when a plan
//! is made, by pure functions of shapes; no device is needed to make, print or compare one.

use std::fmt;

use crate::kernels::tiles::MOST_SHARED;
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

/// A shape that no kernel takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// A size beyond what the kernels count with.
    #[error(
        "{kernel}: {what} is {found}, the kernel takes at most {most}; use a smaller image or batch"
    )]
    TooLarge {
        /// The kernel.
        kernel: &'static str,
        /// Which size.
        what: &'static str,
        /// What it is.
        found: usize,
        /// The most it may be.
        most: usize,
    },
    /// A width that is no multiple of what the kernel moves at a time.
    #[error(
        "{kernel}: {what} is {found}, the kernel needs a multiple of {multiple}; use the CPU target for this model"
    )]
    Multiple {
        /// The kernel.
        kernel: &'static str,
        /// Which size.
        what: &'static str,
        /// What it is.
        found: usize,
        /// What it must be a multiple of.
        multiple: usize,
    },
    /// A head width without a kernel.
    #[error(
        "attention heads are {found} channels wide; there are kernels for 16, 32, 64 and 128; use the CPU target for this model"
    )]
    HeadDim {
        /// Channels of one head.
        found: usize,
    },
}

/// Most blocks along x; along y and z it is 65,535.
pub(crate) const MOST_BLOCKS: usize = 0x7fff_ffff;

impl Launch {
    /// Begins a launch of `entry` of `module`.
    pub(crate) fn of(module: &'static str, entry: &'static str, dtype: &'static str) -> Builder {
        let kernel = Kernel {
            module,
            entry,
            dtype,
        };
        Builder {
            launch: Self {
                kernel,
                grid: [1; 3],
                block: [1; 3],
                shared: 0,
                args: Vec::with_capacity(MOST_ARGS),
            },
            problem: None,
        }
    }

    /// Threads of a block.
    pub fn threads(&self) -> u32 {
        self.block.iter().product()
    }
}

/// A launch in the making; reads like the kernel's parameter list. The first problem is kept.
#[derive(Debug)]
pub(crate) struct Builder {
    launch: Launch,
    problem: Option<LaunchError>,
}

impl Builder {
    fn fits(&mut self, what: &'static str, found: usize, most: usize) -> u32 {
        let kernel = self.launch.kernel.entry;
        match u32::try_from(found) {
            Ok(value) if found <= most => value,
            _ => {
                let error = LaunchError::TooLarge {
                    kernel,
                    what,
                    found,
                    most,
                };
                self.problem.get_or_insert(error);
                0
            }
        }
    }

    /// Blocks along x and y.
    pub(crate) fn grid(mut self, x: usize, y: usize) -> Self {
        self.launch.grid[0] = self.fits("blocks along x", x, MOST_BLOCKS);
        self.launch.grid[1] = self.fits("blocks along y", y, 0xffff);
        self
    }

    /// Blocks along z, where there is more than one.
    pub(crate) fn deep(mut self, z: u32) -> Self {
        self.launch.grid[2] = self.fits("blocks along z", z as usize, 0xffff);
        self
    }

    pub(crate) fn block(mut self, x: u32, y: u32) -> Self {
        self.launch.block = [x, y, 1];
        self
    }

    pub(crate) fn shared(mut self, bytes: u32) -> Self {
        self.launch.shared = bytes;
        self
    }

    /// As [`Builder::shared`], for a size that grows with the model.
    pub(crate) fn shared_size(mut self, bytes: usize) -> Self {
        self.launch.shared = self.fits("shared memory", bytes, MOST_SHARED);
        self
    }

    /// Demands that a size is a multiple of `multiple`.
    pub(crate) fn multiple(mut self, what: &'static str, found: usize, multiple: usize) -> Self {
        if !found.is_multiple_of(multiple) {
            let kernel = self.launch.kernel.entry;
            self.problem.get_or_insert(LaunchError::Multiple {
                kernel,
                what,
                found,
                multiple,
            });
        }
        self
    }

    fn arg(mut self, arg: Arg) -> Self {
        self.launch.args.push(arg);
        self
    }

    pub(crate) fn input(self, id: BufferId) -> Self {
        self.arg(Arg::Buffer(id, Access::In))
    }

    pub(crate) fn input_or_null(self, id: Option<BufferId>) -> Self {
        self.arg(id.map_or(Arg::Null, |id| Arg::Buffer(id, Access::In)))
    }

    pub(crate) fn output(self, id: BufferId) -> Self {
        self.arg(Arg::Buffer(id, Access::Out))
    }

    pub(crate) fn output_or_null(self, id: Option<BufferId>) -> Self {
        self.arg(id.map_or(Arg::Null, |id| Arg::Buffer(id, Access::Out)))
    }

    pub(crate) fn in_out(self, id: BufferId) -> Self {
        self.arg(Arg::Buffer(id, Access::InOut))
    }

    pub(crate) fn in_out_or_null(self, id: Option<BufferId>) -> Self {
        self.arg(id.map_or(Arg::Null, |id| Arg::Buffer(id, Access::InOut)))
    }

    pub(crate) fn null(self) -> Self {
        self.arg(Arg::Null)
    }

    /// A size, which must fit 32 bits.
    pub(crate) fn size(mut self, what: &'static str, value: usize) -> Self {
        let value = self.fits(what, value, u32::MAX as usize);
        self.arg(Arg::U32(value))
    }

    pub(crate) fn u64(self, value: u64) -> Self {
        self.arg(Arg::U64(value))
    }

    pub(crate) fn f32(self, value: f32) -> Self {
        self.arg(Arg::F32(value))
    }

    pub(crate) fn build(self) -> Result<Launch, LaunchError> {
        match self.problem {
            Some(problem) => Err(problem),
            None => Ok(self.launch),
        }
    }
}
