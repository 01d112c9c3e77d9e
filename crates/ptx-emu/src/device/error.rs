//! Why memory or a launch is refused.

/// Why memory cannot be had or reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The host has no memory.
    #[error("this machine has no memory for {bytes} bytes more; free buffers or use smaller ones")]
    Host {
        /// Bytes asked for.
        bytes: u64,
    },
    /// No allocation of this device.
    #[error("no allocation of this device holds the buffer at {address:#x}")]
    Unknown {
        /// Address of the buffer.
        address: u64,
    },
    /// The buffer was freed.
    #[error("the buffer at {address:#x} was freed before")]
    Freed {
        /// Address of the buffer.
        address: u64,
    },
    /// Only whole allocations can be freed.
    #[error("the buffer at {address:#x} is part of an allocation; free the whole one")]
    Part {
        /// Address of the buffer.
        address: u64,
    },
    /// More bytes than the buffer has.
    #[error("{given} bytes given for a buffer of {has}")]
    Size {
        /// Bytes given.
        given: u64,
        /// Bytes of the buffer.
        has: u64,
    },
    /// The module has no such variable.
    #[error("the module has no variable named `{name}` in global or constant memory")]
    NoVariable {
        /// The name.
        name: String,
    },
}

/// Why a kernel cannot be launched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// The module has no such kernel.
    #[error("the module has no kernel named `{name}`, only: {known}")]
    NoKernel {
        /// The name.
        name: String,
        /// Kernels that it has.
        known: String,
    },
    /// The number of arguments is wrong.
    #[error("`{kernel}` has {expected} parameters, {found} arguments were given")]
    ArgumentCount {
        /// The kernel.
        kernel: String,
        /// Parameters.
        expected: usize,
        /// Arguments.
        found: usize,
    },
    /// An argument has the wrong size.
    #[error("argument {index} of `{kernel}` (`{name}`) has {found} bytes, expected {expected}")]
    ArgumentSize {
        /// The kernel.
        kernel: String,
        /// Index of the argument, from zero.
        index: usize,
        /// Name of the parameter.
        name: String,
        /// Bytes of the parameter.
        expected: u32,
        /// Bytes of the argument.
        found: usize,
    },
    /// The block is larger than the device allows, or empty.
    #[error(
        "a block of {block:?} threads is outside the limits of {device}: \
         1 to {most} threads, sides up to {sides:?}"
    )]
    Block {
        /// Threads per dimension.
        block: [u32; 3],
        /// Most threads.
        most: u32,
        /// Longest sides.
        sides: [u32; 3],
        /// The device.
        device: String,
    },
    /// The block is larger than the kernel was compiled for.
    #[error("{threads} threads per block, `{kernel}` was compiled for at most {most} (`.maxntid`)")]
    LaunchBounds {
        /// Threads of the block.
        threads: u64,
        /// Most that the kernel allows.
        most: u64,
        /// The kernel.
        kernel: String,
    },
    /// The kernel was compiled for another block.
    #[error("a block of {block:?}, the kernel was compiled for {required:?} only (`.reqntid`)")]
    RequiredBlock {
        /// Threads per dimension.
        block: [u32; 3],
        /// What the kernel requires.
        required: [u32; 3],
    },
    /// The grid is larger than the device allows, or empty.
    #[error("a grid of {grid:?} blocks is outside the limits of {device}: sides of 1 to {sides:?}")]
    Grid {
        /// Blocks per dimension.
        grid: [u32; 3],
        /// Longest sides.
        sides: [u32; 3],
        /// The device.
        device: String,
    },
    /// More shared memory than a block can have.
    #[error(
        "{requested} bytes of shared memory per block ({stat} of them static), \
         {device} has at most {most}"
    )]
    SharedMemory {
        /// Static and dynamic bytes.
        requested: u64,
        /// Static bytes.
        stat: u32,
        /// Most that a block can have.
        most: u32,
        /// The device.
        device: String,
    },
    /// Clusters that the device or the grid does not allow.
    #[error(
        "clusters of {cluster:?} blocks in a grid of {grid:?}: the grid must be a multiple of the \
         cluster, which has 1 to {most} blocks on a device of compute capability 9.0 or more \
         (this is {device})"
    )]
    Cluster {
        /// Blocks of a cluster per dimension.
        cluster: [u32; 3],
        /// Blocks per dimension.
        grid: [u32; 3],
        /// Most blocks of a cluster.
        most: u32,
        /// The device.
        device: String,
    },
    /// Memory for the launch itself.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}
