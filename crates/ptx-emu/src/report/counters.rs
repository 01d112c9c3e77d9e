//! What a launch did, in exact integers.

use super::class::{ByClass, ByMatrixType};

/// Declares a struct of counters that can be summed field by field.
macro_rules! counted {
    ($($(#[$outer:meta])* pub struct $name:ident {
        $($(#[$inner:meta])* pub $field:ident: $ty:ty,)*
    })*) => {$(
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
        #[non_exhaustive]
        pub struct $name { $($(#[$inner])* pub $field: $ty,)* }

        impl std::ops::AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                $(self.$field += other.$field;)*
            }
        }

        impl std::ops::AddAssign<&Self> for $name {
            fn add_assign(&mut self, other: &Self) {
                $(self.$field += other.$field;)*
            }
        }

        impl std::iter::Sum for $name {
            fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
                all.fold(Self::default(), |mut sum, one| { sum += one; sum })
            }
        }
    )*};
}
pub(super) use counted;

counted! {
    /// Traffic between multiprocessors and global memory.
    ///
    /// A *request* is one memory instruction of one warp with at least one active lane; a sector
    /// is an aligned segment of 32 bytes, a line one of 128.
    pub struct GlobalTraffic {
        /// Requests.
        pub requests: u64,
        /// Distinct sectors that each request touches, summed over the requests. 4 for 32 lanes
        /// that read neighbouring, aligned `f32`; 32 where they are 32 bytes or more apart.
        pub sectors: u64,
        /// Sectors that the requests would touch if their distinct bytes lay side by side and
        /// aligned: the distinct bytes of each request divided by 32, rounded up.
        pub ideal_sectors: u64,
        /// Distinct lines that each request touches, summed over the requests.
        pub lines: u64,
        /// Bytes that the active lanes ask for; a byte that two lanes read counts twice.
        pub bytes: u64,
    }

    /// Traffic between a multiprocessor and its shared memory.
    ///
    /// Shared memory has 32 banks of 4 bytes, and moves one word of each bank in a *wavefront*.
    /// A request of up to 4 bytes per lane is one phase; of 8 bytes per lane two phases of 16
    /// lanes; of 16 bytes four phases of 8 lanes. Each phase takes as many wavefronts as the bank
    /// with the most distinct words has.
    pub struct SharedTraffic {
        /// Requests: instructions of one warp with at least one active lane.
        pub requests: u64,
        /// Wavefronts that the requests take.
        pub wavefronts: u64,
        /// Wavefronts that they would take without bank conflicts.
        pub min_wavefronts: u64,
        /// Bytes that the active lanes move; a byte that two lanes read counts twice.
        pub bytes: u64,
    }

    /// Atomic operations.
    pub struct AtomicTraffic {
        /// Requests: instructions of one warp with at least one active lane.
        pub requests: u64,
        /// Operations: one for each active lane, or element of a vector.
        pub operations: u64,
        /// Distinct sectors that each request touches, summed; zero in shared memory.
        pub sectors: u64,
        /// For each request the largest number of lanes that share an address, summed: what
        /// serialises. Equal to `requests` where no two lanes of a warp meet.
        pub passes: u64,
    }

    /// Traffic of which only the amount matters.
    pub struct PlainTraffic {
        /// Requests: instructions of one warp with at least one active lane.
        pub requests: u64,
        /// Bytes that the active lanes move.
        pub bytes: u64,
    }

    /// What one launch did, or the sum of several launches.
    ///
    /// These are counts of PTX instructions and of the addresses they use: exact, and the same on
    /// every machine and in every run. The assembler of the device may fold, merge, expand or
    /// drop instructions, so they equal what a profiler counts for memory and matrix operations,
    /// and only approximate it for arithmetic.
    pub struct Counters {
        /// Launches summed here.
        pub launches: u64,
        /// Blocks.
        pub blocks: u64,
        /// Warps.
        pub warps: u64,
        /// Threads.
        pub threads: u64,
        /// Instructions issued for a warp, by class. One whose predicate is false in every active
        /// lane counts too.
        pub warp_instructions: ByClass<u64>,
        /// Instructions executed by a lane, by class: active lanes whose predicate is true.
        pub lane_instructions: ByClass<u64>,
        /// Conditional and indirect branches executed by a warp.
        pub branches: u64,
        /// Those of them after which lanes of the warp were at different places.
        pub divergent_branches: u64,
        /// Loads from global memory, `cp.async.ca` included.
        pub global_loads: GlobalTraffic,
        /// Stores to global memory.
        pub global_stores: GlobalTraffic,
        /// Asynchronous copies out of global memory that bypass L1: `cp.async.cg` and bulk copies.
        pub async_loads: GlobalTraffic,
        /// Bulk copies into global memory.
        pub async_stores: GlobalTraffic,
        /// Atomic operations on global memory.
        pub global_atomics: AtomicTraffic,
        /// Bytes of global memory that a launch reads: 32 for each distinct sector, whichever
        /// way and however often it is read. Summed over launches.
        pub distinct_bytes_read: u64,
        /// Bytes of global memory that a launch writes, counted like those read.
        pub distinct_bytes_written: u64,
        /// `ld.shared`.
        pub shared_loads: SharedTraffic,
        /// `st.shared`.
        pub shared_stores: SharedTraffic,
        /// `ldmatrix`: one phase for each 8 x 8 matrix.
        pub matrix_loads: SharedTraffic,
        /// `stmatrix`: one phase for each 8 x 8 matrix.
        pub matrix_stores: SharedTraffic,
        /// The shared-memory side of asynchronous copies.
        pub shared_copies: SharedTraffic,
        /// Atomic operations on shared memory.
        pub shared_atomics: AtomicTraffic,
        /// Loads from local memory: arrays that did not fit in registers, indexed at run time.
        pub local_loads: PlainTraffic,
        /// Stores to local memory.
        pub local_stores: PlainTraffic,
        /// Loads from constant memory, requests.
        pub const_loads: u64,
        /// Loads of kernel and function parameters, requests.
        pub param_loads: u64,
        /// Matrix operations of a warp (`mma`) or of four warps (`wgmma`), by type.
        pub matrix_operations: ByMatrixType<u64>,
        /// Their arithmetic by type: 2 m n k for each.
        pub matrix_flops: ByMatrixType<u64>,
        /// `f32` arithmetic of active lanes: 1 for `add`, `sub`, `mul`, `div`, 2 for `fma`.
        pub f32_flops: u64,
        /// `f64` arithmetic outside of matrix operations, counted like `f32`.
        pub f64_flops: u64,
        /// `f16` and `bf16` arithmetic outside of matrix operations; twice for packed pairs.
        pub half_flops: u64,
        /// Special functions of active lanes (class `special`); twice for packed pairs.
        pub special_operations: u64,
        /// Barriers of a block that completed, one for all its threads.
        pub block_barriers: u64,
        /// `bar.warp.sync` executed by a warp.
        pub warp_barriers: u64,
        /// Barriers of a cluster that completed.
        pub cluster_barriers: u64,
    }
}

impl GlobalTraffic {
    /// Ideal sectors divided by sectors: 1 where every byte moved is used. `None` without traffic.
    pub fn efficiency(&self) -> Option<f64> {
        ratio(self.ideal_sectors, self.sectors)
    }

    /// Sectors beyond the ideal ones.
    pub fn excess_sectors(&self) -> u64 {
        self.sectors.saturating_sub(self.ideal_sectors)
    }
}

impl SharedTraffic {
    /// Wavefronts that bank conflicts add.
    pub fn conflicts(&self) -> u64 {
        self.wavefronts.saturating_sub(self.min_wavefronts)
    }
}

impl AtomicTraffic {
    /// Passes beyond one for each request.
    pub fn serialised(&self) -> u64 {
        self.passes.saturating_sub(self.requests)
    }
}

impl Counters {
    /// Global traffic of every kind but atomic operations.
    pub fn global(&self) -> GlobalTraffic {
        let kinds = [
            self.global_loads,
            self.global_stores,
            self.async_loads,
            self.async_stores,
        ];
        kinds.into_iter().sum()
    }

    /// Shared-memory traffic of every kind but atomic operations.
    pub fn shared(&self) -> SharedTraffic {
        let kinds = [
            self.shared_loads,
            self.shared_stores,
            self.matrix_loads,
            self.matrix_stores,
            self.shared_copies,
        ];
        kinds.into_iter().sum()
    }

    /// Ideal sectors divided by sectors over all global traffic: 1 where every byte moved is used.
    /// `None` where nothing is moved.
    pub fn coalescing(&self) -> Option<f64> {
        self.global().efficiency()
    }

    /// Shared-memory wavefronts that bank conflicts add.
    pub fn bank_conflict_extra(&self) -> u64 {
        self.shared().conflicts()
    }

    /// Distinct bytes of global memory, read and written.
    pub fn distinct_bytes(&self) -> u64 {
        self.distinct_bytes_read + self.distinct_bytes_written
    }

    /// All arithmetic: vector and matrix, integer matrix operations included.
    pub fn total_flops(&self) -> u64 {
        self.f32_flops + self.f64_flops + self.half_flops + self.matrix_flops.total()
    }

    /// FLOP for each distinct byte of global memory: to the right of a device's ridge a kernel
    /// cannot be bound by device memory. `None` where no byte is touched.
    pub fn arithmetic_intensity(&self) -> Option<f64> {
        ratio(self.total_flops(), self.distinct_bytes())
    }

    /// Share of lanes that do something in an average instruction. `None` without instructions.
    pub fn lane_efficiency(&self) -> Option<f64> {
        ratio(
            self.lane_instructions.total(),
            32 * self.warp_instructions.total(),
        )
    }

    /// Share of branches that diverge. `None` without branches.
    pub fn divergence(&self) -> Option<f64> {
        ratio(self.divergent_branches, self.branches)
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole != 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::super::class::{Class, MatrixType};
    use super::*;

    /// A warp that reads 32 aligned `f32` with stride 1, and one with stride 2.
    fn loads() -> GlobalTraffic {
        GlobalTraffic {
            requests: 2,
            sectors: 4 + 8,
            ideal_sectors: 4 + 4,
            lines: 1 + 2,
            bytes: 128 + 128,
        }
    }

    #[test]
    fn derived_values_are_those_computed_by_hand() {
        let mut counters = Counters {
            global_loads: loads(),
            distinct_bytes_read: 384,
            distinct_bytes_written: 128,
            f32_flops: 1000,
            f64_flops: 20,
            half_flops: 4,
            branches: 8,
            divergent_branches: 2,
            ..Counters::default()
        };
        counters.matrix_flops[MatrixType::Bf16] = 2 * 16 * 8 * 16;
        counters.matrix_flops[MatrixType::Int8] = 2;
        counters.warp_instructions[Class::F32] = 2;
        counters.lane_instructions[Class::F32] = 48;
        // 16 wavefronts where 2 would do, and a conflict-free ldmatrix.x4
        counters.shared_loads.wavefronts = 16;
        counters.shared_loads.min_wavefronts = 2;
        counters.matrix_loads.wavefronts = 4;
        counters.matrix_loads.min_wavefronts = 4;
        counters.shared_atomics.requests = 3;
        counters.shared_atomics.passes = 34;

        assert_eq!(counters.coalescing(), Some(8.0 / 12.0));
        assert_eq!(counters.global_loads.excess_sectors(), 4);
        assert_eq!(counters.bank_conflict_extra(), 14);
        assert_eq!(counters.shared_atomics.serialised(), 31);
        assert_eq!(counters.total_flops(), 1024 + 4096 + 2);
        assert_eq!(counters.arithmetic_intensity(), Some(5122.0 / 512.0));
        assert_eq!(counters.lane_efficiency(), Some(0.75));
        assert_eq!(counters.divergence(), Some(0.25));
        let none = Counters::default();
        assert_eq!(none.coalescing(), None);
        assert_eq!(none.arithmetic_intensity(), None);
        assert_eq!(none.bank_conflict_extra(), 0);
    }

    /// A different number in every cell, taken from the JSON text so that no field is forgotten.
    #[test]
    fn every_field_is_summed() {
        let mut one = Counters {
            launches: 1,
            blocks: 2,
            warps: 3,
            global_loads: loads(),
            param_loads: 4,
            cluster_barriers: 5,
            ..Counters::default()
        };
        one.matrix_operations[MatrixType::F64] = 6;
        one.lane_instructions[Class::Other] = 7;
        one.shared_copies.bytes = 8;
        let sum: Counters = [one; 3].into_iter().sum();
        let three = |value: &serde_json::Value| value.as_u64().map(|n| 3 * n);
        let (one, sum) = (
            serde_json::to_value(one).unwrap(),
            serde_json::to_value(sum).unwrap(),
        );
        let (mut leaves, mut nonzero) = (0, 0);
        let mut pending = vec![(&one, &sum)];
        while let Some((a, b)) = pending.pop() {
            if let Some(fields) = a.as_object() {
                pending.extend(fields.iter().map(|(name, value)| (value, &b[name])));
            } else {
                assert_eq!(three(a), b.as_u64());
                leaves += 1;
                nonzero += usize::from(a.as_u64() != Some(0));
            }
        }
        assert_eq!(nonzero, 5 + 5 + 3);
        // 2 x 20 classes, 2 x 6 matrix types, 4 x 5 + 5 x 4 + 2 x 4 + 2 x 2 of traffic, 17 others
        assert_eq!(leaves, 40 + 12 + 20 + 20 + 8 + 4 + 17);
    }

    #[test]
    fn json_names_are_stable() {
        assert_eq!(
            serde_json::to_string(&loads()).unwrap(),
            r#"{"requests":2,"sectors":12,"ideal_sectors":8,"lines":3,"bytes":256}"#
        );
        let json = serde_json::to_value(Counters::default()).unwrap();
        assert_eq!(json["warp_instructions"]["shared_load"], 0);
        assert_eq!(json["matrix_flops"]["f16_acc_f32"], 0);
        assert_eq!(json["shared_loads"]["min_wavefronts"], 0);
    }
}
