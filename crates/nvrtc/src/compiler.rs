//! An opened NVRTC, and one compilation.

use std::ffi::{CString, OsStr};
use std::path::{Path, PathBuf};

use crate::error::Tried;
use crate::ffi::{Functions, Program, preload};
use crate::search::{self, Place, Search};
use crate::{CompileError, NotFound, OpenError, file};

/// An opened NVRTC. It stays loaded until the process ends; compilations from several threads are
/// allowed, though NVRTC runs most of their work one after the other.
#[derive(Debug, Clone)]
pub struct Nvrtc {
    functions: Functions,
    version: (i32, i32),
    path: PathBuf,
}

/// What one compilation wrote.
#[derive(Debug, Clone)]
pub struct Image {
    /// Warnings, and what options such as `--ptxas-options=-v` print.
    pub log: String,
    /// PTX; empty where the options ask for none.
    pub ptx: String,
    /// Machine code for an `sm_` target; empty for a `compute_` target.
    pub cubin: Vec<u8>,
}

impl Nvrtc {
    /// Opens the library at `path`: a file, or a folder, of which the newest that opens is taken.
    /// Opening a library runs code of it: the path is trusted to lead to NVRTC.
    ///
    /// # Errors
    /// Where it cannot be read, is damaged, is refused by the system's loader, or is not NVRTC 11.2
    /// or newer.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref();
        if !path.is_dir() {
            return Self::open_file(path);
        }
        let mut refused = OpenError::Empty {
            path: path.to_path_buf(),
        };
        for library in search::libraries(path)? {
            match Self::open_file(&library) {
                Ok(nvrtc) => return Ok(nvrtc),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    /// The first usable NVRTC of the search, in its order.
    ///
    /// # Errors
    /// Where there is none: every place that was looked at, with the reason.
    pub fn find(search: &Search) -> Result<Self, NotFound> {
        let mut tried = Vec::new();
        for place in search.places() {
            let (place, opened) = match place {
                Place::Path(path) => (path.clone(), Self::open(&path)),
                Place::Name(name) => (name.into(), Self::open_named(OsStr::new(name))),
            };
            match opened {
                Ok(nvrtc) => return Ok(nvrtc),
                Err(reason) => tried.push(Tried { place, reason }),
            }
        }
        Err(NotFound {
            tried,
            cure: search.cure_text().to_owned(),
        })
    }

    /// Major and minor version, such as (12, 9).
    pub fn version(&self) -> (i32, i32) {
        self.version
    }

    /// Path of the library, or its plain name where the system's loader chose the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Compute capabilities that this version compiles for: 80 stands for 8.0.
    ///
    /// # Errors
    /// NVRTC's text, where it cannot say.
    pub fn archs(&self) -> Result<Vec<i32>, OpenError> {
        self.functions.archs().map_err(|code| OpenError::Call {
            name: self.path.display().to_string(),
            function: "nvrtcGetSupportedArchs",
            reason: self.functions.describe(code),
        })
    }

    /// Compiles CUDA C++. `name` is what messages and line tables call the source; a relative name
    /// is completed with the working folder in line tables. Options are those of NVRTC, such as
    /// `-arch=compute_80` or `-lineinfo`.
    ///
    /// # Errors
    /// Where the source or an option is refused, with the compiler's log.
    pub fn compile<O: AsRef<str>>(
        &self,
        source: &str,
        name: &str,
        options: &[O],
    ) -> Result<Image, CompileError> {
        let source = c_string("source", source)?;
        let c_name = c_string("name", name)?;
        let options = options
            .iter()
            .map(|option| c_string("option", option.as_ref()))
            .collect::<Result<Vec<_>, _>>()?;
        let call = |function| {
            move |code| CompileError::Call {
                name: name.to_owned(),
                function,
                reason: self.functions.describe(code),
            }
        };

        let program =
            Program::new(&self.functions, &source, &c_name).map_err(call("nvrtcCreateProgram"))?;
        let compiled = program.compile(&options);
        let log = text(program.log().map_err(call("nvrtcGetProgramLog"))?);
        if let Err(code) = compiled {
            return Err(CompileError::Refused {
                name: name.to_owned(),
                reason: self.functions.describe(code),
                log,
            });
        }
        // An image that the options do not ask for is an error of its query.
        Ok(Image {
            log,
            ptx: text(program.ptx().unwrap_or_default()),
            cubin: program.cubin().unwrap_or_default(),
        })
    }

    /// Opens the file at `path`.
    fn open_file(path: &Path) -> Result<Self, OpenError> {
        // A relative path without a folder would be searched like a plain name.
        let path = std::path::absolute(path).map_err(|source| OpenError::Unreadable {
            path: path.to_path_buf(),
            source,
        })?;
        file::check(&path)?;
        // NVRTC opens its built-ins by plain name, and some builds do not look beside themselves.
        if let Some(folder) = path.parent() {
            for builtins in search::builtins(folder) {
                if file::check(&builtins).is_ok() {
                    preload(&builtins);
                }
            }
        }
        Self::open_named(path.as_os_str())
    }

    /// Opens what the system's loader finds for `name`.
    fn open_named(name: &OsStr) -> Result<Self, OpenError> {
        let functions = Functions::open(name)?;
        let version = functions.version().map_err(|code| OpenError::Call {
            name: name.to_string_lossy().into_owned(),
            function: "nvrtcVersion",
            reason: functions.describe(code),
        })?;
        Ok(Self {
            functions,
            version,
            path: name.into(),
        })
    }
}

fn c_string(what: &'static str, text: &str) -> Result<CString, CompileError> {
    CString::new(text).map_err(|error| CompileError::ZeroByte {
        what,
        at: error.nul_position(),
    })
}

/// The text before the first zero byte: NVRTC counts the one at the end.
fn text(mut bytes: Vec<u8>) -> String {
    if let Some(end) = bytes.iter().position(|&b| b == 0) {
        bytes.truncate(end);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
