//! Comparisons of `setp` and `set` (PTX ISA 9.7.6 and 9.7.7).

/// A comparison operator. `lo ls hi hs` are `Lt Le Gt Ge` on unsigned types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub(crate) enum Compare {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Equ,
    Neu,
    Ltu,
    Leu,
    Gtu,
    Geu,
    Num,
    Nan,
}

impl Compare {
    /// The operator of a modifier written without its dot.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "eq" => Self::Eq,
            "ne" => Self::Ne,
            "lt" | "lo" => Self::Lt,
            "le" | "ls" => Self::Le,
            "gt" | "hi" => Self::Gt,
            "ge" | "hs" => Self::Ge,
            "equ" => Self::Equ,
            "neu" => Self::Neu,
            "ltu" => Self::Ltu,
            "leu" => Self::Leu,
            "gtu" => Self::Gtu,
            "geu" => Self::Geu,
            "num" => Self::Num,
            "nan" => Self::Nan,
            _ => return None,
        })
    }
}

/// Compares two values of any type with Rust's order: f32, f64, integers; halves after widening.
/// Ordered operators are false on NaN, the ones that end in `u` true.
#[inline(always)]
#[allow(
    clippy::neg_cmp_op_on_partial_ord,
    reason = "true on NaN is what the unordered operators ask for"
)]
pub(crate) fn compare<T: PartialOrd + Copy>(op: Compare, a: T, b: T) -> bool {
    let (lt, eq, gt) = (a < b, a == b, a > b);
    match op {
        Compare::Eq => eq,
        Compare::Ne => lt | gt,
        Compare::Lt => lt,
        Compare::Le => a <= b,
        Compare::Gt => gt,
        Compare::Ge => a >= b,
        Compare::Equ => !(lt | gt),
        Compare::Neu => a != b,
        Compare::Ltu => !(a >= b),
        Compare::Leu => !(a > b),
        Compare::Gtu => !(a <= b),
        Compare::Geu => !(a < b),
        Compare::Num => lt | eq | gt,
        Compare::Nan => !(lt | eq | gt),
    }
}
