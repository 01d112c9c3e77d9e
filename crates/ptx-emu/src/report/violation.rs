//! What the checks found: the type, and where it happened.

use super::kind::ViolationKind;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt;

/// A place in a source file, both counted from one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct CallSite {
    /// File, as the compiler wrote it.
    pub file: String,
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

/// The source of an instruction, where the PTX was compiled with line information.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct SourceLine {
    /// File, as the compiler wrote it.
    pub file: String,
    /// Line, from one.
    pub line: u32,
    /// Column, from one.
    pub column: u32,
    /// Where the function that holds this line was inlined, innermost first.
    pub inlined_at: Vec<CallSite>,
}

impl SourceLine {
    /// A line of a function that is not inlined.
    pub fn new(file: impl Into<String>, line: u32, column: u32) -> Self {
        Self {
            file: file.into(),
            line,
            column,
            inlined_at: Vec::new(),
        }
    }
}

impl fmt::Display for CallSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// `a.cuh:12:5 (inlined at b.cu:7:9)`; the alternate form `{:#}` is short: `a.cuh:12`, without
/// directories.
impl fmt::Display for SourceLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            let name = self.file.rsplit(['/', '\\']).next().unwrap_or(&self.file);
            return write!(f, "{name}:{}", self.line);
        }
        write!(f, "{}:{}:{}", self.file, self.line, self.column)?;
        for place in &self.inlined_at {
            write!(f, " (inlined at {place})")?;
        }
        Ok(())
    }
}

/// Something a kernel did that the checks do not allow, with its first witness.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Violation {
    /// What happened.
    pub kind: ViolationKind,
    /// The kernel.
    pub kernel: String,
    /// Block index of the first witness, x y z.
    pub block: [u32; 3],
    /// Thread index of the first witness, x y z.
    pub thread: [u32; 3],
    /// Line of the PTX text, from one.
    pub ptx_line: u32,
    /// The PTX statement.
    pub statement: String,
    /// Its source.
    pub source: Option<SourceLine>,
    /// How often the same thing was seen: the same kind, at the same statement, against the same
    /// other statement.
    pub count: u64,
}

impl Violation {
    /// A violation seen once, with no source.
    pub fn new(
        kind: ViolationKind,
        kernel: impl Into<String>,
        ptx_line: u32,
        statement: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            kernel: kernel.into(),
            block: [0; 3],
            thread: [0; 3],
            ptx_line,
            statement: statement.into(),
            source: None,
            count: 1,
        }
    }

    /// With the indices of the block and the thread.
    #[must_use]
    pub fn at(mut self, block: [u32; 3], thread: [u32; 3]) -> Self {
        self.block = block;
        self.thread = thread;
        self
    }

    /// With the source of the statement.
    #[must_use]
    pub fn in_source(mut self, source: Option<SourceLine>) -> Self {
        self.source = source;
        self
    }
}

/// Several lines; the first says what happened, the others where.
impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([bx, by, bz], [tx, ty, tz]) = (self.block, self.thread);
        writeln!(
            f,
            "{}: {}: {}",
            self.kind.tool(),
            self.kind.name(),
            self.kind
        )?;
        write!(
            f,
            "    in {}, block ({bx}, {by}, {bz}), thread ({tx}, {ty}, {tz})",
            self.kernel
        )?;
        match self.count {
            0 | 1 => writeln!(f)?,
            n => writeln!(f, ", and {} more like it", super::table::count(n - 1))?,
        }
        if let Some(source) = &self.source {
            writeln!(f, "    at {source}")?;
        }
        write!(f, "    PTX line {}: {}", self.ptx_line, self.statement)
    }
}

impl std::error::Error for Violation {}

/// The fields, and `name`, `tool` and `message` of the kind, whose data is an object `data`.
impl Serialize for Violation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("tool", self.kind.tool().name())?;
        map.serialize_entry("name", self.kind.name())?;
        map.serialize_entry("message", &self.kind.to_string())?;
        map.serialize_entry("data", &self.kind)?;
        map.serialize_entry("kernel", &self.kernel)?;
        map.serialize_entry("block", &self.block)?;
        map.serialize_entry("thread", &self.thread)?;
        map.serialize_entry("ptx_line", &self.ptx_line)?;
        map.serialize_entry("statement", &self.statement)?;
        map.serialize_entry("source", &self.source)?;
        map.serialize_entry("count", &self.count)?;
        map.end()
    }
}

#[cfg(test)]
mod tests;
