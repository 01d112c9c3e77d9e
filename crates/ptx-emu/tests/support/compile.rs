//! CUDA sources to PTX, once per process and once per machine.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use nvrtc_lite::{Nvrtc, Search};

/// A file or folder with another NVRTC than the one that is fetched.
const VARIABLE: &str = "PTX_EMU_NVRTC";

const CURE: &str = "run `python3 scripts/fetch-nvrtc.py` in the root of the repository, \
                    or name an NVRTC by PTX_EMU_NVRTC";

type Texts = Mutex<HashMap<u64, Arc<str>>>;

static NVRTC: OnceLock<Nvrtc> = OnceLock::new();
static TEXTS: OnceLock<Texts> = OnceLock::new();

/// The folder of the tests: sources are named relative to it.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// The text of a source, as `kernels/gemm_naive.cu`.
pub(crate) fn source(file: &str) -> String {
    let path = folder().join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// PTX of a source for compute capability `arch` (80 is 8.0), with line tables. The files of a test
/// do not change while it runs, so a text is compiled once per process; it is kept in the target
/// folder under a hash of all that it depends on.
///
/// # Panics
/// Where there is no NVRTC, with what was tried and what to do, and where the source does not compile.
pub(crate) fn ptx(file: &str, options: &[&str], arch: u32) -> Arc<str> {
    let nvrtc = nvrtc();
    let source = source(file);
    let mut all = vec![
        format!("-arch=compute_{arch}"),
        "-std=c++17".to_owned(),
        "-lineinfo".to_owned(),
    ];
    all.extend(options.iter().map(|&option| option.to_owned()));

    let mut hasher = DefaultHasher::new();
    (file, &source, &all, nvrtc.version(), folder()).hash(&mut hasher);
    let key = hasher.finish();

    let texts = TEXTS.get_or_init(Texts::default);
    let mut texts = texts.lock().unwrap_or_else(PoisonError::into_inner);
    let text = texts.entry(key).or_insert_with(|| {
        let name = file.replace(['/', '.'], "_");
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}_{key:016x}.ptx"));
        if let Ok(text) = fs::read_to_string(&kept) {
            return text.into();
        }
        // The line tables name the file from the folder of the package, where tests run.
        let image = nvrtc
            .compile(&source, &format!("tests/{file}"), &all)
            .unwrap_or_else(|error| panic!("{error}"));
        // Other test programs may write the same file: a rename shows them all of it or nothing.
        let fresh = kept.with_extension(process::id().to_string());
        fs::write(&fresh, &image.ptx).unwrap();
        fs::rename(&fresh, &kept).unwrap();
        image.ptx.into()
    });
    Arc::clone(text)
}

fn nvrtc() -> &'static Nvrtc {
    NVRTC.get_or_init(|| {
        let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/nvrtc");
        let search = Search::from_env()
            .explicit(Some(fetched).filter(|folder| folder.is_dir()))
            .explicit(env::var_os(VARIABLE))
            .cure(CURE);
        Nvrtc::find(&search).unwrap_or_else(|error| panic!("{error}"))
    })
}
