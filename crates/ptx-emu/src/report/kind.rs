//! Kinds of violations, and the sentences that describe them.

use super::violation::SourceLine;
use serde::Serialize;
use std::fmt;

/// A state space, as checks speak of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Space {
    /// Global memory.
    Global,
    /// Shared memory of the block, or of its cluster.
    Shared,
    /// Local memory of a thread.
    Local,
    /// Constant memory.
    Const,
    /// Parameters.
    Param,
    /// A generic address.
    Generic,
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Global => "global",
            Self::Shared => "shared",
            Self::Local => "local",
            Self::Const => "constant",
            Self::Param => "parameter",
            Self::Generic => "generic",
        })
    }
}

/// The tool of compute-sanitizer that finds violations of this sort on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tool {
    /// Addresses and rights.
    Memcheck,
    /// Conflicting accesses without order between them.
    Racecheck,
    /// Memory that is read before it was written.
    Initcheck,
    /// Barriers and warp-wide instructions.
    Synccheck,
}

impl Tool {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memcheck => "memcheck",
            Self::Racecheck => "racecheck",
            Self::Initcheck => "initcheck",
            Self::Synccheck => "synccheck",
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The allocation or variable that lies nearest to an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Nearest {
    /// Its name, or what is known of it.
    pub name: String,
    /// The address less its start, in bytes.
    pub offset: i64,
    /// Its size, in bytes.
    pub size: u64,
}

impl fmt::Display for Nearest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, offset, size } = self;
        match u64::try_from(*offset) {
            Err(_) => write!(f, "{} bytes before `{name}`", offset.unsigned_abs())?,
            Ok(offset) if offset < *size => write!(f, "offset {offset} of `{name}`")?,
            Ok(offset) => write!(f, "{} bytes after the end of `{name}`", offset - size)?,
        }
        write!(f, " ({size} bytes)")
    }
}

/// Order of two conflicting accesses, the one that is reported last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RaceKind {
    /// A read of what another thread wrote.
    ReadAfterWrite,
    /// A write over what another thread read.
    WriteAfterRead,
    /// A write over what another thread wrote.
    WriteAfterWrite,
    /// Two lanes of one instruction write to one place.
    SameInstruction,
}

impl fmt::Display for RaceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ReadAfterWrite => "read after write",
            Self::WriteAfterRead => "write after read",
            Self::WriteAfterWrite => "write after write",
            Self::SameInstruction => "two lanes of one instruction write",
        })
    }
}

/// A statement that takes part in a violation of another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OtherSite {
    /// Line of the PTX text, from one.
    pub ptx_line: u32,
    /// Its source.
    pub source: Option<SourceLine>,
}

impl fmt::Display for OtherSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PTX line {}", self.ptx_line)?;
        match &self.source {
            Some(source) => write!(f, ", {source}"),
            None => Ok(()),
        }
    }
}

/// Lanes that wait for something that does not come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// Warp of the block.
    pub warp: u32,
    /// Lanes, one bit each.
    pub lanes: u32,
    /// Line of the PTX text, from one.
    pub ptx_line: u32,
    /// What they wait for: `barrier 0 (96 of 128 threads)` …
    pub what: String,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            warp,
            lanes,
            ptx_line,
            what,
        } = self;
        write!(
            f,
            "warp {warp} lanes {lanes:#010x} at PTX line {ptx_line}: {what}"
        )
    }
}

/// What happened. Addresses are those that the kernel used, in its window of the generic space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum ViolationKind {
    /// An access outside of every allocation or variable.
    OutOfBounds {
        /// Space of the access.
        space: Space,
        /// First byte.
        address: u64,
        /// Bytes.
        bytes: u32,
        /// Whether it writes.
        write: bool,
        /// What lies nearest.
        nearest: Option<Nearest>,
    },
    /// An address that is no multiple of the size of the access.
    Misaligned {
        /// Space of the access.
        space: Space,
        /// First byte.
        address: u64,
        /// What it must be a multiple of.
        alignment: u32,
    },
    /// An access to memory that has been freed.
    UseAfterFree {
        /// First byte.
        address: u64,
        /// Bytes.
        bytes: u32,
        /// Whether it writes.
        write: bool,
        /// The allocation that was there.
        nearest: Option<Nearest>,
    },
    /// An access to the null page.
    NullAddress {
        /// The address.
        address: u64,
        /// Bytes.
        bytes: u32,
        /// Whether it writes.
        write: bool,
    },
    /// An address that is not in the space that the instruction names.
    InvalidAddressSpace {
        /// Space that the instruction names.
        expected: Space,
        /// Space in which the address lies, if in any.
        found: Option<Space>,
        /// The address.
        address: u64,
    },
    /// A write to constant memory or to a parameter.
    ReadOnlyMemory {
        /// Space of the access.
        space: Space,
        /// First byte.
        address: u64,
    },
    /// A write to a buffer that the launch declared as an input.
    WriteToInput {
        /// Index of the kernel argument, from zero.
        argument: usize,
        /// First byte.
        address: u64,
    },
    /// An access to shared memory of a block of the cluster that has exited.
    RemoteBlockExited {
        /// Rank of that block in its cluster.
        rank: u32,
        /// The address.
        address: u64,
    },
    /// A `trap` was executed.
    Trap,
    /// A value from memory that nobody has written was used.
    Uninitialised {
        /// Space of the read.
        space: Space,
        /// First byte.
        address: u64,
        /// Bytes.
        bytes: u32,
    },
    /// Two threads of a block access one place of shared memory, one of them writes, and nothing
    /// orders them.
    SharedRace {
        /// First byte.
        address: u64,
        /// Order in which the accesses were seen.
        access: RaceKind,
        /// The other thread, x y z; `None` where there were several.
        other_thread: Option<[u32; 3]>,
        /// The other statement.
        other: Option<OtherSite>,
        /// Whether both are lanes of one warp.
        same_warp: bool,
    },
    /// Shared memory that an asynchronous copy fills was accessed before the copy was awaited.
    CopyNotAwaited {
        /// First byte.
        address: u64,
        /// Whether the access writes.
        write: bool,
        /// The copy.
        other: Option<OtherSite>,
    },
    /// Two blocks access one place of global memory, one of them writes, and nothing orders them.
    GlobalConflict {
        /// First byte.
        address: u64,
        /// The other block, x y z; `None` where there were several.
        other_block: Option<[u32; 3]>,
        /// Order in which the accesses were seen.
        access: RaceKind,
    },
    /// The asynchronous proxy (bulk copies, `wgmma`) reads what ordinary stores wrote, without a
    /// proxy fence.
    AsyncProxy {
        /// First byte.
        address: u64,
        /// The store.
        other: Option<OtherSite>,
    },
    /// A barrier was left by fewer threads than take part in it.
    PartialBarrier {
        /// Number of the barrier.
        barrier: u32,
        /// Threads that arrived.
        arrived: u32,
        /// Threads expected.
        expected: u32,
    },
    /// A barrier was used against its rules.
    BarrierMisuse {
        /// Number of the barrier.
        barrier: u32,
        /// The rule.
        problem: String,
    },
    /// Lanes of one warp are at different places when one of them executes an aligned barrier.
    DivergentBarrier {
        /// Number of the barrier.
        barrier: u32,
        /// Lanes that arrived together.
        active: u32,
        /// Lanes of the warp that have not exited.
        live: u32,
    },
    /// A warp-wide instruction names lanes that do not execute it.
    InactiveLanes {
        /// Lanes that it names.
        required: u32,
        /// Lanes that execute it.
        active: u32,
    },
    /// A shuffle reads from a lane that does not take part.
    ShuffleFromInactive {
        /// Lane that reads.
        lane: u32,
        /// Lane that it reads from.
        source_lane: u32,
    },
    /// All threads of a block, or of its cluster, wait.
    Deadlock {
        /// Who waits for what.
        waiting: Vec<Waiting>,
    },
    /// A launch executed more instructions than it may.
    RunAway {
        /// Warp instructions that it may execute.
        limit: u64,
    },
    /// An `mbarrier` object was used against its rules.
    Mbarrier {
        /// Address of the object.
        address: u64,
        /// The rule.
        problem: String,
    },
    /// A tensor copy names what is no tensor map, or not one for it.
    TensorMap {
        /// Address of the map.
        address: u64,
        /// What is wrong with it.
        problem: String,
    },
}

mod message;
