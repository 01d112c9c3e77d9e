//! What each kind is called and what it says: what was found, what was expected, what to do.

use super::{OtherSite, RaceKind, Tool, ViolationKind};
use std::fmt;

impl ViolationKind {
    /// Stable short name: `out_of_bounds`, `shared_race` …
    pub fn name(&self) -> &'static str {
        self.tool_and_name().1
    }

    /// The tool of compute-sanitizer whose subject it is.
    pub fn tool(&self) -> Tool {
        self.tool_and_name().0
    }

    fn tool_and_name(&self) -> (Tool, &'static str) {
        match self {
            Self::OutOfBounds { .. } => (Tool::Memcheck, "out_of_bounds"),
            Self::Misaligned { .. } => (Tool::Memcheck, "misaligned"),
            Self::UseAfterFree { .. } => (Tool::Memcheck, "use_after_free"),
            Self::NullAddress { .. } => (Tool::Memcheck, "null_address"),
            Self::InvalidAddressSpace { .. } => (Tool::Memcheck, "invalid_address_space"),
            Self::ReadOnlyMemory { .. } => (Tool::Memcheck, "read_only_memory"),
            Self::WriteToInput { .. } => (Tool::Memcheck, "write_to_input"),
            Self::RemoteBlockExited { .. } => (Tool::Memcheck, "remote_block_exited"),
            Self::Trap => (Tool::Memcheck, "trap"),
            Self::Uninitialised { .. } => (Tool::Initcheck, "uninitialised"),
            Self::SharedRace { .. } => (Tool::Racecheck, "shared_race"),
            Self::CopyNotAwaited { .. } => (Tool::Racecheck, "copy_not_awaited"),
            Self::GlobalConflict { .. } => (Tool::Racecheck, "global_conflict"),
            Self::AsyncProxy { .. } => (Tool::Racecheck, "async_proxy"),
            Self::PartialBarrier { .. } => (Tool::Synccheck, "partial_barrier"),
            Self::DivergentBarrier { .. } => (Tool::Synccheck, "divergent_barrier"),
            Self::BarrierMisuse { .. } => (Tool::Synccheck, "barrier_misuse"),
            Self::InactiveLanes { .. } => (Tool::Synccheck, "inactive_lanes"),
            Self::ShuffleFromInactive { .. } => (Tool::Synccheck, "shuffle_from_inactive"),
            Self::Deadlock { .. } => (Tool::Synccheck, "deadlock"),
            Self::RunAway { .. } => (Tool::Synccheck, "run_away"),
            Self::Mbarrier { .. } => (Tool::Synccheck, "mbarrier"),
            Self::TensorMap { .. } => (Tool::Memcheck, "tensor_map"),
        }
    }
}

impl fmt::Display for ViolationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfBounds {
                space,
                address,
                bytes,
                write,
                nearest,
            } => {
                write!(
                    f,
                    "{space} {} of {bytes} bytes at {address:#x}",
                    verb(*write)
                )?;
                match nearest {
                    Some(nearest) => write!(f, ", {nearest}")?,
                    None => write!(f, ", where nothing is")?,
                }
                write!(f, "; guard the index, or make the buffer larger")
            }
            Self::Misaligned {
                space,
                address,
                alignment,
            } => write!(
                f,
                "{space} address {address:#x} is {} bytes past a multiple of {alignment}; align \
                 the data, or use narrower accesses",
                address % u64::from((*alignment).max(1))
            ),
            Self::UseAfterFree {
                address,
                bytes,
                write,
                nearest,
            } => {
                write!(
                    f,
                    "{} of {bytes} bytes at {address:#x}, which is freed",
                    verb(*write)
                )?;
                if let Some(nearest) = nearest {
                    write!(f, ": {nearest}")?;
                }
                write!(f, "; keep the buffer until the launch is over")
            }
            Self::NullAddress {
                address,
                bytes,
                write,
            } => write!(
                f,
                "{} of {bytes} bytes at {address:#x}, in the null page; a pointer was not set: \
                 check the kernel arguments",
                verb(*write)
            ),
            Self::InvalidAddressSpace {
                expected,
                found,
                address,
            } => {
                write!(f, "address {address:#x} is not in {expected} memory but ")?;
                match found {
                    Some(found) => write!(f, "in {found} memory")?,
                    None => write!(f, "in no memory at all")?,
                }
                write!(f, "; convert it with `cvta`, or use a generic access")
            }
            Self::ReadOnlyMemory { space, address } => write!(
                f,
                "write to {space} memory at {address:#x}, which a kernel may only read"
            ),
            Self::WriteToInput { argument, address } => write!(
                f,
                "write at {address:#x} to argument {argument}, which the launch declares as an \
                 input; declare it as an output, or correct the pointer"
            ),
            Self::RemoteBlockExited { rank, address } => write!(
                f,
                "access at {address:#x} to shared memory of block {rank} of the cluster, which \
                 has exited; put a cluster barrier before its end"
            ),
            Self::Trap => write!(f, "`trap` was executed: a failed assertion of the kernel"),
            Self::Uninitialised {
                space,
                address,
                bytes,
            } => write!(
                f,
                "{space} read of {bytes} bytes at {address:#x} that nothing has written; write \
                 them first, or do not use the value"
            ),
            Self::SharedRace {
                address,
                access,
                other_thread,
                other,
                same_warp,
            } => shared_race(
                f,
                *address,
                *access,
                *other_thread,
                other.as_ref(),
                *same_warp,
            ),
            Self::CopyNotAwaited {
                address,
                write,
                other,
            } => {
                write!(f, "shared {} at {address:#x}, which ", verb(*write))?;
                write!(
                    f,
                    "an asynchronous copy still fills{}",
                    Started(other.as_ref())
                )?;
                write!(
                    f,
                    "; wait for it (`cp.async.wait_group`), then put a barrier"
                )
            }
            Self::GlobalConflict {
                address,
                other_block,
                access,
            } => {
                write!(
                    f,
                    "global {access} at {address:#x}, between this block and "
                )?;
                match other_block {
                    Some([x, y, z]) => write!(f, "block ({x}, {y}, {z})")?,
                    None => write!(f, "several others")?,
                }
                write!(
                    f,
                    ", with no order between them; use atomics, or two launches"
                )
            }
            Self::AsyncProxy { address, other } => {
                write!(f, "the asynchronous proxy reads {address:#x}, ")?;
                write!(
                    f,
                    "which an ordinary store wrote{}",
                    Started(other.as_ref())
                )?;
                write!(
                    f,
                    "; put `fence.proxy.async` in the writing thread before the barrier"
                )
            }
            Self::PartialBarrier {
                barrier,
                arrived,
                expected,
            } => write!(
                f,
                "barrier {barrier} was reached by {arrived} of {expected} threads; every thread \
                 that has not exited must reach it"
            ),
            Self::BarrierMisuse { barrier, problem } => {
                write!(f, "barrier {barrier} is used against its rules: {problem}")
            }
            Self::DivergentBarrier {
                barrier,
                active,
                live,
            } => write!(
                f,
                "barrier {barrier} is executed by lanes {active:#010x} of a warp whose live lanes \
                 are {live:#010x}; move it out of the branch, or reconverge first"
            ),
            Self::InactiveLanes { required, active } => write!(
                f,
                "lanes {required:#010x} are named, but only {active:#010x} execute it, lanes \
                 {:#010x} are missing; name the lanes that do, or move it out of the branch",
                required & !active
            ),
            Self::ShuffleFromInactive { lane, source_lane } => write!(
                f,
                "lane {lane} reads from lane {source_lane}, which does not take part: the value \
                 is undefined; include that lane, or limit the width"
            ),
            Self::Deadlock { waiting } => {
                write!(
                    f,
                    "no thread can go on; {} groups of lanes wait",
                    waiting.len()
                )?;
                for (i, group) in waiting.iter().enumerate() {
                    write!(f, "{} {group}", if i == 0 { ":" } else { ";" })?;
                }
                Ok(())
            }
            Self::RunAway { limit } => write!(
                f,
                "more than {} warp instructions; look for a loop without end, or raise the limit",
                super::super::table::count(*limit)
            ),
            Self::TensorMap { address, problem } => {
                write!(f, "tensor map at {address:#x}: {problem}")
            }
            Self::Mbarrier { address, problem } => {
                write!(f, "mbarrier at {address:#x}: {problem}")
            }
        }
    }
}

fn verb(write: bool) -> &'static str {
    if write { "write" } else { "read" }
}

/// ` (PTX line 7, a.cu:3:1)`, or nothing.
struct Started<'a>(Option<&'a OtherSite>);

impl fmt::Display for Started<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(other) => write!(f, " ({other})"),
            None => Ok(()),
        }
    }
}

fn shared_race(
    f: &mut fmt::Formatter<'_>,
    address: u64,
    access: RaceKind,
    other_thread: Option<[u32; 3]>,
    other: Option<&OtherSite>,
    same_warp: bool,
) -> fmt::Result {
    write!(f, "shared {access} at {address:#x}, against ")?;
    match other_thread {
        Some([x, y, z]) => write!(f, "thread ({x}, {y}, {z})")?,
        None => write!(f, "several threads")?,
    }
    if same_warp {
        write!(f, " of the same warp")?;
    }
    write!(f, "{}", Started(other))?;
    f.write_str(match (access, same_warp) {
        (RaceKind::SameInstruction, _) => "; let one lane write, or use an atomic",
        (_, true) => "; lanes run in no fixed order: put `__syncwarp()` between them",
        (_, false) => "; put a barrier between them",
    })
}
