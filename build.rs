//! Compiles `kernels/*.cu` with NVRTC into the table that `src/kernels.rs` includes.
//!
//! | variable | what |
//! | --- | --- |
//! | `PVT_CUDA_BUILD` | `auto` (kernels if NVRTC is found), `require` (an error without it), `off` |
//! | `PVT_NVRTC` | the NVRTC to use, a file or folder, and no other |
//! | those of `nvrtc_lite::VARIABLES` | toolkits and Python environments to look into |
//!
//! What was compiled is kept under a hash of all that it depends on, and compiled again only when
//! that changes.

use std::collections::hash_map::DefaultHasher;
use std::error::Error;
use std::fmt::Write as _;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::{env, fs};

use nvrtc_lite::{Nvrtc, Search};

#[allow(unreachable_pub, reason = "a module of the crate, where it is public")]
#[path = "src/kernels/tuning.rs"]
mod tuning;

/// Folder that `scripts/fetch-nvrtc.py` fills.
const FETCHED: &str = ".cache";
/// Machine code is made for those of these that the compiler at hand knows.
const ARCHITECTURES: [(i32, &str); 6] = [
    (80, "sm_80"),
    (86, "sm_86"),
    (89, "sm_89"),
    (90, "sm_90a"),
    (100, "sm_100"),
    (120, "sm_120"),
];
/// PTX for every device from this on.
const BASELINE: &str = "compute_80";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() {
    if let Err(problem) = build() {
        for line in problem.to_string().lines() {
            println!("cargo::error={line}");
        }
        std::process::exit(1);
    }
}

fn build() -> Result<()> {
    for name in ["PVT_CUDA_BUILD", "PVT_NVRTC", "DOCS_RS"]
        .into_iter()
        .chain(nvrtc_lite::VARIABLES)
    {
        println!("cargo::rerun-if-env-changed={name}");
    }
    for path in ["build.rs", "kernels", "src/kernels/tuning.rs", FETCHED] {
        println!("cargo::rerun-if-changed={path}");
    }
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mode = env::var("PVT_CUDA_BUILD").unwrap_or_else(|_| "auto".to_owned());
    let require = match mode.as_str() {
        "auto" => false,
        "require" => true,
        "off" => return write_table(&out, "off: PVT_CUDA_BUILD=off", &[]),
        other => {
            return Err(format!("PVT_CUDA_BUILD={other}; expected auto, require or off").into());
        }
    };
    if env::var_os("DOCS_RS").is_some() {
        return write_table(&out, "off: documentation only", &[]);
    }
    let search = Search::from_env()
        .explicit(env::var_os("PVT_NVRTC"))
        .folder(Path::new(FETCHED).join("nvrtc"))
        .cure("run `python3 scripts/fetch-nvrtc.py`, or set PVT_NVRTC, and build again");
    match Nvrtc::find(&search) {
        Ok(nvrtc) => compile_all(&nvrtc, &out),
        Err(problem) if require => Err(problem.into()),
        Err(problem) => {
            println!(
                "cargo::warning=no GPU kernels in this build: {}",
                one_line(&problem)
            );
            write_table(&out, &one_line(&problem), &[])
        }
    }
}

fn one_line(problem: &impl ToString) -> String {
    let text = problem.to_string();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// One module in all its images.
struct Module {
    name: String,
    dtype: &'static str,
    entries: Vec<String>,
    /// File with PTX.
    ptx: String,
    /// Compute capability, file with machine code, report of the assembler.
    cubins: Vec<(i32, String, String)>,
    hash: u64,
}

fn compile_all(nvrtc: &Nvrtc, out: &Path) -> Result<()> {
    let known = nvrtc.archs()?;
    let headers = texts(Path::new("kernels/include"), "cuh")?;
    let mut modules = Vec::new();
    for (path, source) in texts(Path::new("kernels"), "cu")? {
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let dtypes = tuning::MODULES.iter().find(|(module, _)| *module == name);
        let Some((_, dtypes)) = dtypes else {
            return Err(
                format!("{} is not listed in src/kernels/tuning.rs", path.display()).into(),
            );
        };
        for dtype in *dtypes {
            let options = options(dtype);
            let mut hasher = DefaultHasher::new();
            (&source, &headers, &options, nvrtc.version()).hash(&mut hasher);
            let hash = hasher.finish();
            let compile = |arch: &str| -> Result<(String, String)> {
                let file = format!("{name}.{dtype}.{arch}.{hash:016x}");
                let report = out.join(format!("{file}.log"));
                if let Ok(log) = fs::read_to_string(&report) {
                    return Ok((file, log));
                }
                let mut options = options.clone();
                options.push(format!("-arch={arch}"));
                if arch.starts_with("sm_") {
                    options.push("--ptxas-options=-v".to_owned());
                }
                let image = nvrtc.compile(&source, &path.display().to_string(), &options)?;
                let bytes = if arch.starts_with("sm_") {
                    image.cubin
                } else {
                    image.ptx.into_bytes()
                };
                fs::write(out.join(&file), bytes)?;
                // written last: with it, the image is whole
                fs::write(&report, &image.log)?;
                Ok((file, image.log))
            };
            let (ptx, log) = compile(BASELINE)?;
            if !log.trim().is_empty() {
                return Err(format!("{}: {log}", path.display()).into());
            }
            let mut cubins = Vec::new();
            for (capability, arch) in ARCHITECTURES {
                if known.contains(&capability) {
                    let (file, log) = compile(arch)?;
                    cubins.push((capability, file, log));
                }
            }
            let text = fs::read_to_string(out.join(&ptx))?;
            modules.push(Module {
                entries: entries(&text),
                name: name.clone(),
                dtype,
                ptx,
                cubins,
                hash,
            });
        }
    }
    let (major, minor) = nvrtc.version();
    write_table(out, &format!("NVRTC {major}.{minor}"), &modules)
}

/// Files of a folder with this ending, in order of their names.
fn texts(folder: &Path, ending: &str) -> Result<Vec<(PathBuf, String)>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|found| found == ending));
    paths.sort();
    let read = |path: PathBuf| fs::read_to_string(&path).map(|text| (path, text));
    Ok(paths
        .into_iter()
        .map(read)
        .collect::<std::io::Result<_>>()?)
}

/// All options but the architecture.
fn options(dtype: &str) -> Vec<String> {
    let mut options: Vec<String> = ["-std=c++17", "-lineinfo", "-Ikernels/include"]
        .map(str::to_owned)
        .into();
    options.push(format!("-DPVT_DTYPE_{}", dtype.to_uppercase()));
    options.push(format!("-DPVT_SUFFIX={dtype}"));
    let defines = tuning::DEFINES.iter();
    options.extend(defines.map(|(name, value)| format!("-D{name}={value}")));
    options
}

/// Names of the kernels in a PTX text.
fn entries(ptx: &str) -> Vec<String> {
    let names = ptx.split(".entry ").skip(1);
    names
        .map(|rest| {
            rest.chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        })
        .collect()
}

fn write_table(out: &Path, built_by: &str, modules: &[Module]) -> Result<()> {
    let mut text = format!(
        "pub(crate) static BUILT_BY: &str = {built_by:?};\n\
         pub(crate) static MODULES: [super::Module; {}] = [\n",
        modules.len()
    );
    for module in modules {
        let Module {
            name,
            dtype,
            entries,
            ptx,
            cubins,
            hash,
        } = module;
        writeln!(
            text,
            "super::Module {{ name: {name:?}, dtype: {dtype:?}, entries: &{entries:?}, hash: \"{hash:016x}\",\n\
             ptx: include_str!(concat!(env!(\"OUT_DIR\"), \"/{ptx}\")), cubins: &["
        )?;
        for (capability, file, report) in cubins {
            writeln!(
                text,
                "super::Cubin {{ capability: {capability}, report: {report:?},\n\
                 image: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{file}\")) }},"
            )?;
        }
        text.push_str("] },\n");
    }
    text.push_str("];\n");
    fs::write(out.join("kernels.rs"), text)?;
    Ok(())
}
