//! Finds NVIDIA's run-time compiler (NVRTC) on this machine and compiles CUDA C++ with it, to PTX and
//! to machine code. Nothing is linked: the library is opened when it is asked for, and where it is
//! absent, broken or too old, that is an error which says what was tried. No GPU, driver, host
//! compiler or toolkit is needed; one wheel with the library is enough.
//!
//! ```no_run
//! use nvrtc_lite::{Nvrtc, Search};
//!
//! let nvrtc = Nvrtc::find(&Search::from_env())?;
//! let source = r#"extern "C" __global__ void twice(float* x) { x[threadIdx.x] *= 2.0f; }"#;
//! let image = nvrtc.compile(source, "twice.cu", &["-arch=compute_80"])?;
//! assert!(image.ptx.contains(".visible .entry twice"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The crate reads the environment in [`Search::from_env`] alone, and only [`VARIABLES`].

mod compiler;
mod error;
mod ffi;
mod file;
mod search;

pub use compiler::{Image, Nvrtc};
pub use error::{CompileError, NotFound, OpenError, Tried};
pub use file::check as check_library;
pub use search::{Search, VARIABLES};
