//! A kernel as the interpreter runs it: names resolved to slots, labels to indices, opcodes to
//! handlers. Decoded once, then shared by all threads that run it.

use crate::report::{Class, MatrixType, SourceLine};
use crate::simd::Run;

/// One instruction, ready to run: one line of the host's cache.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(crate) struct Op {
    /// What it does.
    pub run: Run,
    /// Predicate that guards it: lanes run where it is set, or with `flip` where it is not.
    pub guard: u32,
    /// Destination slot or predicate.
    pub d: u32,
    /// Source slots or predicates.
    pub a: u32,
    /// Second source.
    pub b: u32,
    /// Third source.
    pub c: u32,
    /// Form-specific number: a displacement, a function table, a mask.
    pub x: i64,
    /// Form-specific number: a branch target, flags.
    pub aux: u32,
    /// First of further slots, in `Program::lists`.
    pub list: u32,
    /// Index of this op.
    pub index: u32,
    /// Index into `Program::statements`.
    pub statement: u32,
    /// Kind, for the counters; none for a jump that the text does not have.
    pub class: Option<Class>,
    /// What its memory requests count as.
    pub traffic: Traffic,
    /// Floating-point operations: per lane, or per warp for a matrix operation.
    pub flops: u32,
    /// Number type of a matrix operation.
    pub matrix: Option<MatrixType>,
    /// The guard is negated; also where there is none, for predicate 0 is never set.
    pub flip: bool,
    /// Runs also where the guard leaves no lane: it may jump or return.
    pub always: bool,
    /// May go elsewhere than to the next op.
    pub ends_block: bool,
}

const _: () = assert!(size_of::<Op>() == 64);

impl Op {
    /// Whether some lanes may not run it.
    pub(crate) fn guarded(&self) -> bool {
        self.guard != 0 || !self.flip
    }
}

/// What the memory requests of an instruction count as; in which memory is known when it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Traffic {
    #[default]
    None,
    Load,
    Store,
    Atomic,
    /// `cp.async.ca` and `.cg`, the latter past L1; the shared-memory side as copies.
    Copy,
    CopyPastL1,
    /// Bulk copies into global memory.
    CopyOut,
    MatrixLoad,
    MatrixStore,
    /// Operands of `wgmma`, which four warps run as one.
    WarpGroup,
    /// Kernel parameters.
    Param,
    /// Constant memory.
    Const,
    /// No memory: `bar.warp.sync`.
    WarpBarrier,
}

/// A read-only slot, filled before a warp runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Constant {
    /// The same 32 bits in every lane.
    Word(u32),
    /// The same 64 bits in every lane.
    Double(u64),
    /// Address of a global or constant variable of the module, plus an offset.
    Global(u32, i64),
    /// Offset of dynamic shared memory in the shared window, plus an offset; 64 bits.
    DynamicShared(i64),
    /// The same in 32 bits.
    DynamicShared32(i64),
    /// A special register.
    Special(Special),
}

/// Special registers that do not change while a warp runs (PTX ISA 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Special {
    /// `%tid`, dimension 0 to 2.
    Tid(u8),
    /// `%ntid`
    Ntid(u8),
    /// `%ctaid`
    Ctaid(u8),
    /// `%nctaid`
    Nctaid(u8),
    /// `%laneid`
    LaneId,
    /// `%warpid`
    WarpId,
    /// `%nwarpid`
    NwarpId,
    /// `%lanemask_eq`
    MaskEq,
    /// `%lanemask_lt`
    MaskLt,
    /// `%lanemask_le`
    MaskLe,
    /// `%lanemask_gt`
    MaskGt,
    /// `%lanemask_ge`
    MaskGe,
    /// `%smid`: 0, for no multiprocessor is modelled.
    SmId,
    /// `%nsmid`
    NsmId,
    /// `%gridid`
    GridId,
    /// `%dynamic_smem_size`
    DynamicSharedBytes,
    /// `%total_smem_size`
    TotalSharedBytes,
    /// `%clusterid`
    ClusterId(u8),
    /// `%nclusterid`
    NclusterId(u8),
    /// `%cluster_ctaid`
    ClusterCtaid(u8),
    /// `%cluster_nctaid`
    ClusterNctaid(u8),
    /// `%cluster_ctarank`
    ClusterCtaRank,
    /// `%cluster_nctarank`
    ClusterNctaRank,
}

impl Constant {
    /// Whether it takes two slots.
    pub(crate) fn is_wide(self) -> bool {
        matches!(
            self,
            Self::Double(_) | Self::Global(..) | Self::DynamicShared(_)
        )
    }

    /// Whether it differs from block to block; it is then the same in all lanes.
    pub(crate) fn of_block(self) -> bool {
        let Self::Special(special) = self else {
            return false;
        };
        matches!(
            special,
            Special::Ctaid(_)
                | Special::ClusterId(_)
                | Special::ClusterCtaid(_)
                | Special::ClusterCtaRank
        )
    }
}

/// One parameter of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Param {
    pub name: String,
    pub offset: u32,
    pub bytes: u32,
}

/// A function as calls see it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Callee {
    /// First op.
    pub start: u32,
    /// Registers: first slot and number, first predicate and number.
    pub slots: (u32, u32),
    pub preds: (u32, u32),
    /// Which of the slots hold registers of 64 bits: first slot and number of registers.
    pub wide: Vec<(u32, u32)>,
    /// Slot (64 bits) that holds the address of its frame in the local window.
    pub frame: u32,
    /// Bytes of its frame.
    pub local_bytes: u32,
    /// Offset and size of its parameters in its frame.
    pub params: Vec<(u32, u32)>,
    /// Offset and size of its return values in its frame.
    pub returns: Vec<(u32, u32)>,
}

/// One instruction of the text.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub line: u32,
    pub text: String,
    pub source: Option<SourceLine>,
}

/// A kernel with all functions that it may call.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub name: String,
    pub ops: Vec<Op>,
    /// Long operand lists: of vectors, matrix fragments, calls.
    pub lists: Vec<u32>,
    pub slots: u32,
    pub preds: u32,
    /// Read-only slots, ascending: each takes the next that is free.
    pub constants: Vec<(u32, Constant)>,
    /// Slots that a thread may read before it writes them: zero when it begins.
    pub zeroed: Vec<u32>,
    pub params: Vec<Param>,
    pub param_bytes: u32,
    /// Bytes of static shared memory.
    pub static_shared: u32,
    /// Alignment that dynamic shared memory is declared with; none where none is declared.
    pub dynamic_align: Option<u32>,
    /// Functions; the kernel itself is the first.
    pub functions: Vec<Callee>,
    pub statements: Vec<Statement>,
    /// `.maxntid`: most threads per dimension product.
    pub max_threads: Option<u64>,
    /// `.reqntid`
    pub required_block: Option<[u32; 3]>,
    /// `.reqnctapercluster`
    pub cluster: Option<[u32; 3]>,
    /// Blocks may talk to each other through memory, so they run one after the other.
    pub sequential: bool,
}

impl Program {
    /// Whether the asynchronous proxy may read shared memory.
    pub(crate) fn reads_by_proxy(&self) -> bool {
        let reads = |op: &Op| matches!(op.traffic, Traffic::CopyOut | Traffic::WarpGroup);
        self.ops.iter().any(reads)
    }

    /// Slots `list` to `list + n` of the operand lists.
    #[inline(always)]
    pub(crate) fn list(&self, op: &Op, n: usize) -> &[u32] {
        let at = op.list as usize;
        &self.lists[at..at + n]
    }
}
