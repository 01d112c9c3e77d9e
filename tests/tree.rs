//! Rules of the source tree that a program can check.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Longest source file, in lines.
const MOST_LINES: usize = 400;

/// Files that may be longer, and why.
const LONG_FILES: [(&str, &str); 1] = [(
    "tests/fixtures/reference/make_reference.py",
    "a model and its checks in one script that runs alone",
)];

/// Files that may have `unsafe` code, and why.
const UNSAFE_FILES: [(&str, &str); 24] = [
    (
        "crates/cuda-stand-in/src/abi.rs",
        "pointers of callers in C",
    ),
    (
        "crates/cuda-stand-in/src/exports.rs",
        "names that other programs look for",
    ),
    ("crates/nvrtc/src/ffi.rs", "calls into NVIDIA's compiler"),
    ("crates/ptx-emu/src/matrix/avx2.rs", "vector instructions"),
    ("crates/ptx-emu/src/matrix/avx512.rs", "vector instructions"),
    (
        "crates/ptx-emu/src/memory/bytes.rs",
        "memory that several host threads may reach",
    ),
    (
        "crates/ptx-emu/src/simd.rs",
        "calls of code that needs processor features",
    ),
    (
        "crates/ptx-emu/tests/driver/mod.rs",
        "calls into the CUDA driver",
    ),
    (
        "examples/03_own_stream.rs",
        "hands over a stream and addresses",
    ),
    (
        "examples/04_cuda_graph.rs",
        "hands over a stream and addresses",
    ),
    (
        "src/cpu/matmul/mod.rs",
        "checked views, and the call into the matrix crate",
    ),
    ("src/cpu/matmul/tiles.rs", "disjoint tiles of one output"),
    ("src/embed.rs", "the caller's addresses and stream"),
    (
        "src/target/cuda/context.rs",
        "contexts and streams of the CUDA driver",
    ),
    (
        "src/target/cuda/ffi.rs",
        "the CUDA driver's functions and handles",
    ),
    ("src/target/cuda/graph.rs", "recordings of the CUDA driver"),
    ("src/target/cuda/launch.rs", "launches on the CUDA driver"),
    ("src/target/cuda/memory.rs", "memory of the CUDA driver"),
    ("src/target/cuda/module.rs", "modules of the CUDA driver"),
    (
        "tests/driver/enqueue.rs",
        "work on raw streams and addresses",
    ),
    ("tests/driver/gpu.rs", "work on raw streams and addresses"),
    ("tests/driver/model.rs", "streams and addresses of a test"),
    (
        "tests/driver/stand_in.rs",
        "functions of a library; a global allocator that counts",
    ),
    ("tests/embed.rs", "a global allocator that counts"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file that git keeps or would keep, relative to the root; every file without build outputs
/// where there is no git.
fn files() -> Vec<String> {
    let list = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let git = Command::new("git").args(list).current_dir(root()).output();
    if let Ok(output) = git
        && output.status.success()
    {
        let text = String::from_utf8(output.stdout).unwrap();
        let listed = text.lines().map(str::to_owned);
        return listed.filter(|path| root().join(path).is_file()).collect();
    }
    let (mut found, mut folders) = (Vec::new(), vec![root().to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if path.is_file() {
                found.push(
                    path.strip_prefix(root())
                        .unwrap()
                        .to_string_lossy()
                        .into_owned(),
                );
            }
        }
    }
    found
}

fn has_extension(path: &str, extensions: &[&str]) -> bool {
    let extension = Path::new(path).extension().and_then(|e| e.to_str());
    extension.is_some_and(|e| extensions.contains(&e))
}

/// Path and text of every file with one of these extensions.
fn sources(extensions: &[&str]) -> Vec<(String, String)> {
    let files = files()
        .into_iter()
        .filter(|path| has_extension(path, extensions));
    let found: Vec<_> = files
        .map(|path| (fs::read_to_string(root().join(&path)).unwrap(), path))
        .map(|(text, path)| (path, text))
        .collect();
    assert!(!found.is_empty());
    found
}

/// The code of a line, without a comment at its end.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or(line)
}

/// Places, as `path:line`, where `wrong` holds for the code of a line.
fn places(sources: &[(String, String)], wrong: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources {
        for (at, line) in (1..).zip(text.lines()) {
            if wrong(path, code(line)) {
                found.push(format!("{path}:{at}: {}", line.trim()));
            }
        }
    }
    found
}

/// Operators without code for the CPU, where pictures are prepared while they are decoded, and where nothing keeps
/// images of weights for kernels.
const KERNELS_ONLY: [&str; 2] = ["preprocess", "adamw"];

#[test]
fn every_operator_has_its_contract_its_code_and_its_test() {
    let overview = fs::read_to_string(root().join("ARCHITECTURE.md")).ok();
    let folders = fs::read_dir(root().join("src/ops")).unwrap();
    let mut ops = 0;
    for folder in folders
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
    {
        let op = folder.file_name().unwrap().to_str().unwrap();
        let (code, test) = if KERNELS_ONLY.contains(&op) {
            ("launch.rs", format!("tests/kernels/{op}.rs"))
        } else {
            ("cpu.rs", format!("tests/ops/{op}.rs"))
        };
        let needed = [
            format!("src/ops/{op}/mod.rs"),
            format!("src/ops/{op}/launch.rs"),
            format!("src/ops/{op}/{code}"),
            format!("kernels/{op}.cu"),
            test,
        ];
        for path in needed {
            assert!(root().join(&path).is_file(), "{path} is missing");
        }
        if let Some(overview) = &overview {
            assert!(
                overview.contains(op),
                "ARCHITECTURE.md does not name the operator {op}"
            );
        }
        ops += 1;
    }
    assert!(ops >= 7);
}

#[test]
fn source_files_are_short() {
    let excused = |path: &str| LONG_FILES.iter().any(|(file, _)| *file == path);
    for (path, text) in sources(&["rs", "py"]) {
        let lines = text.lines().count();
        assert!(
            lines <= MOST_LINES || excused(&path),
            "{path} has {lines} lines, at most {MOST_LINES}; split it by subject"
        );
    }
    for (path, reason) in LONG_FILES {
        let text = fs::read_to_string(root().join(path)).unwrap_or_default();
        assert!(
            text.lines().count() > MOST_LINES,
            "{path} needs no exception: {reason}"
        );
    }
}

#[test]
fn unsafe_code_stands_in_the_listed_files_only() {
    let word = |line: &str| {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '"');
        words.any(|word| word == "unsafe")
    };
    let allows = |line: &str| line.contains(concat!("allow(", "unsafe_code"));
    let listed = |path: &str| UNSAFE_FILES.iter().any(|(file, _)| *file == path);
    let sources = sources(&["rs"]);
    let found = places(&sources, |path, line| {
        // this file names the word, in quotes and in names
        path != "tests/tree.rs" && !listed(path) && (word(line) || allows(line))
    });
    assert!(found.is_empty(), "{found:#?}");
    for (path, reason) in UNSAFE_FILES {
        let (_, text) = sources.iter().find(|(file, _)| file == path).unwrap();
        assert!(
            text.lines().any(word),
            "{path} needs no exception: {reason}"
        );
    }
}

#[test]
fn layers_import_downwards_only() {
    let rules: [(&str, &[&str]); 4] = [
        ("src/target", &["model", "config", "weights", "executor"]),
        (
            "src/plan",
            &["target", "model", "config", "weights", "executor"],
        ),
        ("src/ops", &["model", "config", "weights", "executor"]),
        ("src/model", &["target", "executor", "weights"]),
    ];
    let sources = sources(&["rs"]);
    for (folder, forbidden) in rules {
        let inside = format!("{folder}/");
        let found = places(&sources, |path, line| {
            let imports = |module: &&str| {
                [format!("crate::{module}::"), format!("crate::{module};")]
                    .iter()
                    .any(|import| line.contains(import))
                    || line.contains("use crate::{") && line.contains(&format!("{module}::"))
            };
            path.starts_with(&inside) && forbidden.iter().any(imports)
        });
        assert!(
            found.is_empty(),
            "{folder} must not know of {forbidden:?}: {found:#?}"
        );
    }
}

#[test]
fn nothing_is_left_unfinished() {
    let marks = ["todo", "unimplemented", "dbg"].map(|name| format!("{name}!"));
    let ignored = concat!("#[", "ignore").to_owned();
    let found = places(&sources(&["rs"]), |_, line| {
        line.contains(&ignored) || marks.iter().any(|mark| line.contains(mark.as_str()))
    });
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn no_file_names_a_folder_of_a_machine() {
    let folders = ["work", "root", "home"].map(|name| format!("/{name}/"));
    let text = [
        "rs",
        "py",
        "toml",
        "md",
        "json",
        "txt",
        "yml",
        "yaml",
        "sh",
        "lock",
        "gitignore",
    ];
    // a path starts where no word goes on: `a/root/b` is part of another
    let names = |line: &str| {
        folders.iter().any(|folder| {
            line.match_indices(folder.as_str()).any(|(at, _)| {
                let before = line[..at].chars().next_back();
                !before.is_some_and(|c| c.is_alphanumeric() || "._-})>".contains(c))
            })
        })
    };
    let mut found = Vec::new();
    for (path, text) in sources(&text) {
        let lines = (1..).zip(text.lines()).filter(|(_, line)| names(line));
        found.extend(lines.map(|(at, line)| format!("{path}:{at}: {}", line.trim())));
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// Whether a word in backticks is meant as a path in this repository.
fn looks_like_a_path(word: &str) -> bool {
    let known = [
        "rs",
        "md",
        "toml",
        "py",
        "json",
        "txt",
        "safetensors",
        "png",
        "lock",
    ];
    let plain = word
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    let first = word.split('/').next().unwrap_or(word);
    let inside = word.contains('/') && (root().join(first).is_dir() || has_extension(word, &known));
    plain && !word.starts_with('/') && (inside || has_extension(word, &["rs", "md", "toml"]))
}

#[test]
fn documents_name_files_that_exist() {
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
    ] {
        let Ok(text) = fs::read_to_string(root().join(document)) else {
            continue;
        };
        // what stands between single backticks, outside of code blocks
        let (mut words, mut in_block) = (Vec::new(), false);
        for line in text.lines() {
            if line.trim_start().starts_with("```") {
                in_block = !in_block;
            } else if !in_block {
                words.extend(line.split('`').skip(1).step_by(2));
            }
        }
        for word in words.into_iter().filter(|word| looks_like_a_path(word)) {
            let path: PathBuf = root().join(word.trim_end_matches('/'));
            assert!(
                path.exists(),
                "{document} names `{word}`, which does not exist"
            );
        }
    }
}
