//! What can go wrong, with what a reader needs to mend it.

use std::fmt;
use std::path::PathBuf;

/// Why a file is not a usable NVRTC.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The path leads to no file or folder, or reading it is not allowed.
    #[error("{path}: {source}", path = path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A folder without a library that is named like NVRTC.
    #[error("{path}: no NVRTC library in this folder", path = path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// The file is not a library, or a part of one.
    #[error("{path}: not a whole library: {reason}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The system's loader refuses the library.
    #[error("{name}: {reason}")]
    Loader {
        /// Path or plain name.
        name: String,
        /// What the loader says.
        reason: String,
    },
    /// A function that NVRTC has since 11.2 is missing: another library, or a version that is too old.
    #[error("{name}: no function {function}: not NVRTC 11.2 or newer")]
    Function {
        /// Path or plain name of the library.
        name: String,
        /// Name of the function.
        function: &'static str,
    },
    /// The library was opened, but its first call fails.
    #[error("{name}: {function} failed: {reason}")]
    Call {
        /// Path or plain name of the library.
        name: String,
        /// Name of the function.
        function: &'static str,
        /// NVRTC's text for the error.
        reason: String,
    },
}

/// One place that was looked at in vain.
#[derive(Debug)]
pub struct Tried {
    /// Path, or plain name of a library.
    pub place: PathBuf,
    /// Why it was not taken.
    pub reason: OpenError,
}

/// No usable NVRTC was found.
#[derive(Debug)]
pub struct NotFound {
    /// What was looked at, in order.
    pub tried: Vec<Tried>,
    /// What to do about it.
    pub cure: String,
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "no usable NVRTC; tried")?;
        for tried in &self.tried {
            writeln!(f, "  {}", tried.reason)?;
        }
        write!(f, "{}", self.cure)
    }
}

impl std::error::Error for NotFound {}

/// Why a source was not compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The compiler refuses the source or an option.
    #[error("{name}: {reason}\n{log}")]
    Refused {
        /// Name given to the source.
        name: String,
        /// NVRTC's text for the error.
        reason: String,
        /// What the compiler printed.
        log: String,
    },
    /// A text that NVRTC takes as a C string has a zero byte inside.
    #[error("{what} has a zero byte at {at}")]
    ZeroByte {
        /// `source`, `name` or `option`.
        what: &'static str,
        /// Index of the byte.
        at: usize,
    },
    /// A call that should not fail does.
    #[error("{name}: {function} failed: {reason}")]
    Call {
        /// Name given to the source.
        name: String,
        /// Name of the function.
        function: &'static str,
        /// NVRTC's text for the error.
        reason: String,
    },
}

impl CompileError {
    /// What the compiler printed; empty where it was not reached.
    pub fn log(&self) -> &str {
        match self {
            Self::Refused { log, .. } => log,
            Self::ZeroByte { .. } | Self::Call { .. } => "",
        }
    }
}
