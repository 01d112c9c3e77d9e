//! Kinds of instructions and of matrix operations, and tallies indexed by them.

use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt;
use std::ops::{AddAssign, Index, IndexMut};

/// An enum whose variants index an array, and the array type with one `T` for each.
macro_rules! keys {
    ($(#[$outer:meta])* $key:ident, $(#[$table:meta])* $by:ident:
     $($(#[$inner:meta])* $variant:ident $name:literal,)*) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $key { $($(#[$inner])* $variant,)* }

        impl $key {
            /// All of them, in the order of their indices.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Stable name, as in JSON.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }

        impl fmt::Display for $key {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }

        impl Serialize for $key {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        $(#[$table])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $by<T>([T; $key::ALL.len()]);

        impl<T: Copy + Default> Default for $by<T> {
            fn default() -> Self {
                Self([T::default(); $key::ALL.len()])
            }
        }

        impl<T: Copy> $by<T> {
            /// Every key with its value, in order.
            pub fn iter(&self) -> impl Iterator<Item = ($key, T)> + '_ {
                $key::ALL.iter().copied().zip(self.0.iter().copied())
            }
        }

        impl $by<u64> {
            /// The sum over all keys.
            pub fn total(&self) -> u64 {
                self.0.iter().sum()
            }
        }

        impl<T> Index<$key> for $by<T> {
            type Output = T;
            fn index(&self, key: $key) -> &T {
                &self.0[key as usize]
            }
        }

        impl<T> IndexMut<$key> for $by<T> {
            fn index_mut(&mut self, key: $key) -> &mut T {
                &mut self.0[key as usize]
            }
        }

        impl<T: Copy + AddAssign> AddAssign for $by<T> {
            fn add_assign(&mut self, other: Self) {
                for (mine, theirs) in self.0.iter_mut().zip(other.0) {
                    *mine += theirs;
                }
            }
        }

        /// As an object with every name, zeros too: the same names in every report.
        impl<T: Serialize> Serialize for $by<T> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(Some(self.0.len()))?;
                for (key, value) in $key::ALL.iter().zip(&self.0) {
                    map.serialize_entry(key.name(), value)?;
                }
                map.end()
            }
        }
    };
}

keys! {
    /// Kind of a PTX instruction, by what it occupies.
    Class,
    /// One value for each [`Class`], indexed by it.
    ByClass:
    /// Integer arithmetic, `min`, `max` and dot products.
    Integer "integer",
    /// Bitwise logic, shifts, bit fields, permutes and counts of bits.
    Logic "logic",
    /// `f32` arithmetic, division included.
    F32 "f32",
    /// `f64` arithmetic.
    F64 "f64",
    /// `f16`, `bf16` and their pairs.
    Half "half",
    /// `cvt`.
    Convert "convert",
    /// `setp`, `set`, `testp`, `isspacep`.
    Compare "compare",
    /// `mov`, `selp`, `slct`, `cvta`, `mapa`.
    Move "move",
    /// `ex2`, `lg2`, `sin`, `cos`, `tanh`, `rcp`, `sqrt`, `rsqrt` in any type but `f64`.
    Special "special",
    /// Loads from any space but shared, and those with a generic address.
    Load "load",
    /// Stores to any space but shared, and those with a generic address.
    Store "store",
    /// `ld.shared`, `ldmatrix`.
    SharedLoad "shared_load",
    /// `st.shared`, `stmatrix`.
    SharedStore "shared_store",
    /// `atom` and `red`, in every space.
    Atomic "atomic",
    /// `mma`, `wmma`, `wgmma`.
    Matrix "matrix",
    /// Branches, calls, returns, `exit`, `trap`, `nanosleep`.
    Control "control",
    /// Barriers of a block, a warp or a cluster, `mbarrier`, fences.
    Barrier "barrier",
    /// `shfl`, `vote`, `match`, `redux`, `activemask`, `elect`.
    Warp "warp",
    /// `cp.async`, bulk copies, and their commits and waits.
    Async "async",
    /// Everything else: `prefetch`, `createpolicy`, `setmaxnreg` …
    Other "other",
}

keys! {
    /// Element type of a matrix operation, as far as its speed depends on it.
    MatrixType,
    /// One value for each [`MatrixType`], indexed by it.
    ByMatrixType:
    /// `f16` factors, `f32` sums.
    F16AccF32 "f16_acc_f32",
    /// `f16` factors, `f16` sums.
    F16AccF16 "f16_acc_f16",
    /// `bf16` factors, `f32` sums.
    Bf16 "bf16",
    /// `tf32` factors, `f32` sums.
    Tf32 "tf32",
    /// 8-bit integer factors, 32-bit integer sums.
    Int8 "int8",
    /// `f64` throughout.
    F64 "f64",
}

impl Class {
    /// The class of an opcode as written, such as `ld.global.nc.v4.f32`.
    pub fn of(opcode: &str) -> Self {
        let mut parts = opcode.split('.');
        let root = parts.next().unwrap_or_default();
        let has = |part: &str| opcode.split('.').skip(1).any(|p| p == part);
        let shared = opcode
            .split('.')
            .skip(1)
            .any(|p| p == "shared" || p.starts_with("shared::"));
        match root {
            "st" | "red" if has("async") => Self::Async,
            "ld" | "ldu" | "tex" | "tld4" | "suld" if !shared => Self::Load,
            "wmma" if has("load") && !shared => Self::Load,
            "ld" | "ldmatrix" => Self::SharedLoad,
            "wmma" if has("load") => Self::SharedLoad,
            "st" | "sust" if !shared => Self::Store,
            "wmma" if has("store") && !shared => Self::Store,
            "st" | "stmatrix" => Self::SharedStore,
            "wmma" if has("store") => Self::SharedStore,
            "atom" | "red" => Self::Atomic,
            "mma" | "wmma" | "wgmma" => Self::Matrix,
            "cp" => Self::Async,
            "bra" | "brx" | "call" | "ret" | "exit" | "trap" | "brkpt" | "nanosleep" => {
                Self::Control
            }
            "bar" | "barrier" | "mbarrier" | "membar" | "fence" | "griddepcontrol" => Self::Barrier,
            "shfl" | "vote" | "match" | "redux" | "activemask" | "elect" => Self::Warp,
            "cvt" => Self::Convert,
            "setp" | "set" | "testp" | "isspacep" => Self::Compare,
            "mov" | "movmatrix" | "selp" | "slct" | "cvta" | "mapa" | "getctarank" => Self::Move,
            "and" | "or" | "xor" | "not" | "cnot" | "lop3" | "shl" | "shr" | "shf" | "prmt"
            | "bfe" | "bfi" | "bmsk" | "szext" | "brev" | "popc" | "clz" | "bfind" | "fns" => {
                Self::Logic
            }
            "ex2" | "lg2" | "sin" | "cos" | "tanh" | "rcp" | "sqrt" | "rsqrt" if !has("f64") => {
                Self::Special
            }
            "abs" | "neg" | "add" | "addc" | "sub" | "subc" | "mul" | "mul24" | "mad" | "mad24"
            | "madc" | "fma" | "div" | "rem" | "min" | "max" | "sad" | "dp2a" | "dp4a"
            | "copysign" | "rcp" | "sqrt" | "rsqrt" => Self::arithmetic(opcode),
            _ => Self::Other,
        }
    }

    /// The class of an arithmetic opcode, from its last type.
    fn arithmetic(opcode: &str) -> Self {
        let of_type = |part: &str| match part {
            "f32" | "f32x2" => Some(Self::F32),
            "f64" => Some(Self::F64),
            "f16" | "f16x2" | "bf16" | "bf16x2" => Some(Self::Half),
            _ => None,
        };
        let last = opcode.rsplit('.').find_map(of_type);
        last.unwrap_or(Self::Integer)
    }
}

/// Floating-point operations that one active lane does in an opcode: one for `add`, `sub`, `mul`
/// and `div`, two for `fma` and `mad`, twice that for packed pairs, none for anything else.
/// Those of class [`Class::Special`] are counted apart.
pub fn flops_per_lane(opcode: &str) -> u64 {
    let each = match opcode.split('.').next() {
        Some("add" | "sub" | "mul" | "div") => 1,
        Some("fma" | "mad") => 2,
        _ => return 0,
    };
    match Class::of(opcode) {
        Class::F32 | Class::F64 | Class::Half if opcode.ends_with("x2") => 2 * each,
        Class::F32 | Class::F64 | Class::Half => each,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opcodes_have_their_class() {
        for (class, opcodes) in [
            (
                Class::Integer,
                "add.s32 mad.lo.s32 mul.wide.u32 div.u32 rem.s64 dp4a.s32.s32 min.u32 abs.s32",
            ),
            (
                Class::Logic,
                "and.b32 or.pred shl.b64 shf.l.wrap.b32 bfi.b32 popc.b32 lop3.b32 prmt.b32",
            ),
            (
                Class::F32,
                "fma.rn.ftz.f32 add.f32 div.rn.f32 max.NaN.f32 neg.f32 add.rn.f32x2",
            ),
            (Class::F64, "fma.rn.f64 div.rn.f64 sqrt.rn.f64 rcp.rn.f64"),
            (
                Class::Half,
                "fma.rn.bf16x2 add.f16x2 max.f16x2 add.rn.bf16 neg.f16",
            ),
            (
                Class::Convert,
                "cvt.rn.bf16.f32 cvt.u64.u32 cvt.rzi.s32.f32",
            ),
            (
                Class::Compare,
                "setp.ge.s32 set.eq.f16x2.f16x2 isspacep.shared",
            ),
            (Class::Move, "mov.b32 selp.f32 cvta.to.global.u64 mapa.u64"),
            (
                Class::Special,
                "ex2.approx.ftz.f32 rsqrt.approx.f32 ex2.approx.f16x2 rcp.rn.f32",
            ),
            (
                Class::Load,
                "ld.f32 ld.global.nc.v4.f32 ld.param.u64 ld.local.u8 ld.const.f32",
            ),
            (Class::Store, "st.global.v4.u32 st.u8 st.local.f32"),
            (
                Class::SharedLoad,
                "ld.shared.v4.f32 ldmatrix.sync.aligned.m8n8.x4.shared.b16 ld.shared::cluster.u32",
            ),
            (
                Class::SharedStore,
                "st.shared.f32 st.shared::cta.b32 stmatrix.sync.aligned.m8n8.x4.shared.b16",
            ),
            (
                Class::Atomic,
                "atom.shared.add.u32 red.global.add.v2.f32 atom.global.cas.b32",
            ),
            (
                Class::Matrix,
                "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 wgmma.fence.sync.aligned",
            ),
            (Class::Control, "bra bra.uni call.uni ret exit trap"),
            (
                Class::Barrier,
                "bar.sync bar.warp.sync barrier.cluster.arrive membar.gl fence.proxy.async \
                 mbarrier.init.shared::cta.b64",
            ),
            (
                Class::Warp,
                "shfl.sync.bfly.b32 vote.sync.ballot.b32 redux.sync.add.s32 elect.sync",
            ),
            (
                Class::Async,
                "cp.async.cg.shared.global cp.async.commit_group cp.async.bulk.wait_group.read \
                 st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.u32",
            ),
            (
                Class::Other,
                "prefetch.global.L2 setmaxnreg.inc.sync.aligned.u32",
            ),
        ] {
            for opcode in opcodes.split_whitespace() {
                assert_eq!(Class::of(opcode), class, "{opcode}");
            }
        }
    }

    #[test]
    fn flops_follow_the_usual_count() {
        for (opcode, flops) in [
            ("fma.rn.f32", 2),
            ("mad.rn.f32", 2),
            ("add.ftz.f32", 1),
            ("div.rn.f32", 1),
            ("fma.rn.bf16x2", 4),
            ("mul.f64", 1),
            ("fma.rn.f32x2", 4),
            ("max.f32", 0),
            ("ex2.approx.f32", 0),
            ("mad.lo.s32", 0),
            ("mul.wide.u32", 0),
            ("add.s32", 0),
        ] {
            assert_eq!(flops_per_lane(opcode), flops, "{opcode}");
        }
    }

    #[test]
    fn every_key_has_its_own_cell_and_name() {
        let mut tally = ByClass::<u64>::default();
        for (i, class) in Class::ALL.iter().enumerate() {
            tally[*class] += 1 << i;
        }
        assert_eq!(tally.total(), (1 << Class::ALL.len()) - 1);
        let mut names: Vec<_> = Class::ALL.iter().map(|class| class.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Class::ALL.len());
        assert_eq!(format!("{:>6}", Class::F32), "   f32");
    }

    #[test]
    fn serializes_as_an_object_of_names() {
        let mut tally = ByMatrixType::<u64>::default();
        tally[MatrixType::Bf16] = 7;
        assert_eq!(
            serde_json::to_string(&tally).unwrap(),
            r#"{"f16_acc_f32":0,"f16_acc_f16":0,"bf16":7,"tf32":0,"int8":0,"f64":0}"#
        );
    }
}
