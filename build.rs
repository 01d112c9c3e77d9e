//! Compiles `kernels/*.cu` with NVRTC into the table that `src/kernels.rs` includes.
//!
//! | variable | what |
//! | --- | --- |
//! | `PVT_CUDA_BUILD` | `auto` (kernels if NVRTC is found), `require` (an error without it), `off` |
//! | `PVT_CUDA_ARCHS` | capabilities to make machine code for, such as `80,90`; all that are listed below otherwise |
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
use std::process::{Command, Stdio};
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
/// Makes the assembler tell of registers and spills.
const REPORT: &str = "--ptxas-options=-v";
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
    for name in ["PVT_CUDA_BUILD", "PVT_CUDA_ARCHS", "PVT_NVRTC", "DOCS_RS"]
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
    ptx: PathBuf,
    /// Compute capability, file with machine code, report of the assembler.
    cubins: Vec<(i32, PathBuf, String)>,
    hash: u64,
}

/// One image to be compiled.
struct Job<'a> {
    path: &'a Path,
    source: &'a str,
    options: Vec<String>,
    /// The image; its report, which is written last, lies beside it as `.log`.
    image: PathBuf,
}

impl Job<'_> {
    fn done(&self) -> bool {
        beside(&self.image, "log").is_file()
    }

    fn run(&self, nvrtc: &Nvrtc) -> Result<()> {
        let name = self.path.display().to_string();
        let made = nvrtc.compile(self.source, &name, &self.options)?;
        let bytes = if made.cubin.is_empty() {
            made.ptx.into_bytes()
        } else {
            made.cubin
        };
        write_whole(&self.image, &bytes)?;
        write_whole(&beside(&self.image, "log"), made.log.as_bytes())
    }
}

/// A path with another ending behind its own.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// Writes a file that others may write or read at the same time.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let partial = beside(path, &std::process::id().to_string());
    fs::write(&partial, bytes)?;
    Ok(fs::rename(partial, path)?)
}

/// The folder for images, which builds with other features and profiles share: they compile the same.
fn images(out: &Path) -> Result<PathBuf> {
    // <target>/<profile>/build/<package>/out
    let target = out.ancestors().nth(4).unwrap_or(out);
    let folder = target.join("kernels");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn compile_all(nvrtc: &Nvrtc, out: &Path) -> Result<()> {
    let known = nvrtc.archs()?;
    let wanted = wanted_archs()?;
    let headers = texts(Path::new("kernels/include"), "cuh")?;
    let sources = texts(Path::new("kernels"), "cu")?;
    let images = images(out)?;
    // lines of the source, for reports of the emulator; they double the size
    let debug = env::var("PROFILE").is_ok_and(|profile| profile == "debug");
    let lines: &[&str] = if debug { &["-lineinfo"] } else { &[] };
    let (mut modules, mut jobs) = (Vec::new(), Vec::new());
    for (path, source) in &sources {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let dtypes = tuning::MODULES.iter().find(|(module, _)| *module == name);
        let Some((_, dtypes)) = dtypes else {
            let path = path.display();
            return Err(format!("{path} is not listed in src/kernels/tuning.rs").into());
        };
        let mut included = Vec::new();
        includes(source, &headers, &mut included);
        for dtype in *dtypes {
            let used = |name: &str| {
                let headers = included.iter().map(|(_, text)| text);
                headers.chain([source]).any(|text| text.contains(name))
            };
            let options = options(dtype, used);
            let mut hasher = DefaultHasher::new();
            (source, &included, &options, nvrtc.version()).hash(&mut hasher);
            let hash = hasher.finish();
            let mut job = |arch: &str, more: &[&str]| {
                let image = images.join(format!(
                    "{name}.{dtype}.{arch}{}.{hash:016x}",
                    more.concat().replace(REPORT, "")
                ));
                let mut options = options.clone();
                options.push(format!("-arch={arch}"));
                options.extend(more.iter().map(|&option| option.to_owned()));
                jobs.push(Job {
                    path,
                    source,
                    options,
                    image: image.clone(),
                });
                image
            };
            let ptx = job(BASELINE, lines);
            let archs = wanted.iter().filter(|(at, _)| known.contains(at));
            let cubins = archs.map(|&(at, arch)| {
                let image = job(arch, &[REPORT]);
                (at, image, String::new())
            });
            modules.push(Module {
                cubins: cubins.collect(),
                entries: Vec::new(),
                name: name.to_string(),
                dtype,
                ptx,
                hash,
            });
        }
    }
    if let Ok(share) = env::var(WORKER) {
        return work(nvrtc, &jobs, &share);
    }
    compile_missing(nvrtc, &jobs)?;
    for module in &mut modules {
        let log = fs::read_to_string(beside(&module.ptx, "log"))?;
        if !log.trim().is_empty() {
            return Err(format!("kernels/{}.cu: {log}", module.name).into());
        }
        module.entries = entries(&fs::read_to_string(&module.ptx)?);
        for (_, image, report) in &mut module.cubins {
            *report = fs::read_to_string(beside(image, "log"))?;
        }
    }
    let (major, minor) = nvrtc.version();
    write_table(out, &format!("NVRTC {major}.{minor}"), &modules)
}

/// Set in processes that help with compiling: `i/n` for every n-th image, from i on. The compiler works for
/// one thread of a process at a time.
const WORKER: &str = "PVT_BUILD_WORKER";

fn compile_missing(nvrtc: &Nvrtc, jobs: &[Job<'_>]) -> Result<()> {
    let missing = jobs.iter().filter(|job| !job.done()).count();
    let processes = env::var("NUM_JOBS").ok().and_then(|n| n.parse().ok());
    let processes = processes.unwrap_or(1).min(missing);
    let mut helpers = Vec::new();
    for i in 1..processes {
        let mut helper = Command::new(env::current_exe()?);
        helper
            .env(WORKER, format!("{i}/{processes}"))
            .stdout(Stdio::null());
        helpers.push(helper.spawn()?);
    }
    work(nvrtc, jobs, &format!("0/{processes}"))?;
    for mut helper in helpers {
        helper.wait()?; // what it could not compile is compiled, and reported, below
    }
    jobs.iter()
        .filter(|job| !job.done())
        .try_for_each(|job| job.run(nvrtc))
}

fn work(nvrtc: &Nvrtc, jobs: &[Job<'_>], share: &str) -> Result<()> {
    let (first, step) = share.split_once('/').ok_or("a share is i/n")?;
    let (first, step) = (first.parse()?, step.parse::<usize>()?.max(1));
    let mine = jobs.iter().skip(first).step_by(step);
    mine.filter(|job| !job.done())
        .try_for_each(|job| job.run(nvrtc))
}

/// The architectures to make machine code for.
fn wanted_archs() -> Result<Vec<(i32, &'static str)>> {
    let Ok(list) = env::var("PVT_CUDA_ARCHS") else {
        return Ok(ARCHITECTURES.to_vec());
    };
    let mut wanted = Vec::new();
    for word in list.split(',').map(str::trim) {
        let found = ARCHITECTURES.iter().find(|(at, _)| at.to_string() == word);
        let known = ARCHITECTURES.map(|(at, _)| at.to_string()).join(", ");
        let problem = || format!("PVT_CUDA_ARCHS names `{word}`; expected some of {known}");
        wanted.push(*found.ok_or_else(problem)?);
    }
    Ok(wanted)
}

/// The headers that a text includes, and those they include, each once.
fn includes<'a>(
    text: &str,
    headers: &'a [(PathBuf, String)],
    found: &mut Vec<&'a (PathBuf, String)>,
) {
    for line in text.lines() {
        let Some(rest) = line.trim().strip_prefix("#include \"") else {
            continue;
        };
        let name = rest.trim_end_matches('"');
        let header = headers.iter().find(|(path, _)| path.ends_with(name));
        if let Some(header) = header.filter(|header| !found.contains(header)) {
            found.push(header);
            includes(&header.1, headers, found);
        }
    }
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

/// All options but the architecture, with the sizes that are `used`: a new one leaves other modules as they are.
fn options(dtype: &str, used: impl Fn(&str) -> bool) -> Vec<String> {
    let mut options: Vec<String> = ["-std=c++17", "-Ikernels/include"]
        .map(str::to_owned)
        .into();
    options.push(format!("-DPVT_DTYPE_{}", dtype.to_uppercase()));
    options.push(format!("-DPVT_SUFFIX={dtype}"));
    let defines = tuning::DEFINES.iter().filter(|(name, _)| used(name));
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

/// Copies an image to the folder of this build, so that it needs no other; its name.
fn own(out: &Path, image: &Path) -> Result<String> {
    let name = image.file_name().unwrap_or_default();
    if !out.join(name).is_file() {
        fs::copy(image, out.join(name))?;
    }
    Ok(name.to_string_lossy().into_owned())
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
             ptx: include_str!(concat!(env!(\"OUT_DIR\"), \"/{}\")), cubins: &[",
            own(out, ptx)?
        )?;
        for (capability, file, report) in cubins {
            writeln!(
                text,
                "super::Cubin {{ capability: {capability}, report: {report:?},\n\
                 image: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{}\")) }},",
                own(out, file)?
            )?;
        }
        text.push_str("] },\n");
    }
    text.push_str("];\n");
    fs::write(out.join("kernels.rs"), text)?;
    Ok(())
}
