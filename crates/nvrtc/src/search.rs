//! Where NVRTC may be.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::OpenError;

/// Variables that [`Search::from_env`] reads: three names for the folder of a toolkit, two for the
/// folder of an active Python environment.
pub const VARIABLES: [&str; 5] = [
    "CUDA_PATH",
    "CUDA_HOME",
    "CUDA_ROOT",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
];
const TOOLKIT_VARIABLES: usize = 3;

/// Folders with libraries inside a toolkit.
const TOOLKIT_FOLDERS: &[&str] = if cfg!(windows) {
    &["bin/x64", "bin"]
} else {
    &[
        "lib64",
        "targets/x86_64-linux/lib",
        "targets/sbsa-linux/lib",
        "lib",
    ]
};

/// Toolkits that packages install, a star standing for any end of the name.
const USUAL_TOOLKITS: &[&str] = if cfg!(windows) {
    &["C:/Program Files/NVIDIA GPU Computing Toolkit/CUDA/v*"]
} else {
    &["/usr/local/cuda", "/usr/local/cuda-*", "/opt/cuda"]
};

/// Folders into which distributions put the library itself.
const USUAL_FOLDERS: &[&str] = if cfg!(windows) {
    &[]
} else {
    &[
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/lib64",
        "/usr/lib/wsl/lib",
    ]
};

/// Folders of NVIDIA's wheels inside `site-packages`.
const WHEEL_FOLDERS: &[&str] = if cfg!(windows) {
    &["nvidia/cu13/bin/x86_64", "nvidia/cuda_nvrtc/bin"]
} else {
    &["nvidia/cu13/lib", "nvidia/cuda_nvrtc/lib"]
};

/// What the system's loader is asked for at last.
const PLAIN_NAMES: &[&str] = if cfg!(windows) {
    &["nvrtc64_130_0.dll", "nvrtc64_120_0.dll"]
} else {
    &["libnvrtc.so.13", "libnvrtc.so.12"]
};

const CURE: &str = "install a CUDA toolkit 12 or 13, or the Python wheel nvidia-cuda-nvrtc-cu12 \
                    into an active environment";

/// One place to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A file or folder.
    Path(PathBuf),
    /// A name for the system's loader.
    Name(&'static str),
}

/// Where to look for NVRTC. The order: the place given by [`Search::explicit`] alone, if there is
/// one; else toolkits named by variables, usual folders, wheels of active environments, folders given
/// by [`Search::folder`], and the system's loader.
#[derive(Debug, Clone, Default)]
pub struct Search {
    explicit: Option<PathBuf>,
    toolkits: Vec<PathBuf>,
    environments: Vec<PathBuf>,
    folders: Vec<PathBuf>,
    everywhere: bool,
    cure: Option<String>,
}

impl Search {
    /// A search in no place: for callers that name them all.
    pub fn nowhere() -> Self {
        Self::default()
    }

    /// A search in all usual places and those that [`VARIABLES`] name.
    pub fn from_env() -> Self {
        let values = |names: &[&str]| -> Vec<PathBuf> {
            let set = names.iter().filter_map(env::var_os);
            set.filter(|value| !value.is_empty())
                .map(PathBuf::from)
                .collect()
        };
        let (toolkits, environments) = VARIABLES.split_at(TOOLKIT_VARIABLES);
        Self {
            toolkits: values(toolkits),
            environments: values(environments),
            everywhere: true,
            ..Self::default()
        }
    }

    /// A file or folder that is to be used and nothing else, as from a variable or option of the
    /// calling program; `None` changes nothing.
    #[must_use]
    pub fn explicit(mut self, place: Option<impl Into<PathBuf>>) -> Self {
        self.explicit = place.map(Into::into).or(self.explicit);
        self
    }

    /// One more folder (or file) to look at after the usual ones.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folders.push(folder.into());
        self
    }

    /// The root of one more toolkit, before the usual folders.
    #[must_use]
    pub fn toolkit(mut self, root: impl Into<PathBuf>) -> Self {
        self.toolkits.push(root.into());
        self
    }

    /// The root of one more Python environment.
    #[must_use]
    pub fn environment(mut self, root: impl Into<PathBuf>) -> Self {
        self.environments.push(root.into());
        self
    }

    /// The last sentence of [`NotFound`](crate::NotFound): what to do.
    #[must_use]
    pub fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
        self
    }

    pub(crate) fn cure_text(&self) -> &str {
        self.cure.as_deref().unwrap_or(CURE)
    }

    /// The places in the order of the search, each once.
    pub(crate) fn places(&self) -> Vec<Place> {
        if let Some(place) = &self.explicit {
            return vec![Place::Path(place.clone())];
        }
        let mut paths = Vec::new();
        for root in &self.toolkits {
            paths.extend(existing_or_root(root, TOOLKIT_FOLDERS));
        }
        if self.everywhere {
            for pattern in USUAL_TOOLKITS {
                for root in expand(pattern) {
                    paths.extend(existing_or_root(&root, TOOLKIT_FOLDERS));
                }
            }
            paths.extend(USUAL_FOLDERS.iter().map(PathBuf::from));
        }
        for root in &self.environments {
            paths.extend(environment_folders(root));
        }
        paths.extend(self.folders.iter().cloned());
        let mut seen = BTreeSet::new();
        paths.retain(|path| seen.insert(path.clone()));

        let names: &[&str] = if self.everywhere { PLAIN_NAMES } else { &[] };
        let paths = paths.into_iter().map(Place::Path);
        paths
            .chain(names.iter().map(|name| Place::Name(name)))
            .collect()
    }
}

/// The folders inside `root` that exist, or `root` itself, which then says why there is nothing.
fn existing_or_root(root: &Path, inside: &[&str]) -> Vec<PathBuf> {
    let all = inside.iter().map(|folder| root.join(folder));
    let found: Vec<_> = all.filter(|folder| folder.is_dir()).collect();
    if found.is_empty() {
        vec![root.to_path_buf()]
    } else {
        found
    }
}

/// Folders of a Python environment, of venv or conda, that hold NVRTC.
fn environment_folders(root: &Path) -> Vec<PathBuf> {
    let mut packages: Vec<_> = fs::read_dir(root.join("lib"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("site-packages"))
        .collect();
    packages.push(root.join("Lib/site-packages"));
    packages.sort();
    let mut places: Vec<_> = packages
        .iter()
        .flat_map(|site| WHEEL_FOLDERS.iter().map(|folder| site.join(folder)))
        .collect();
    places.extend(TOOLKIT_FOLDERS.iter().map(|folder| root.join(folder)));
    places.push(root.join("Library/bin"));
    places.retain(|folder| folder.is_dir());
    if places.is_empty() {
        places.push(root.to_path_buf());
    }
    places
}

/// The folders that a pattern with one star at its end names, newest version first; a path without a
/// star is itself.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some(prefix) = pattern.strip_suffix('*') else {
        return vec![pattern.into()];
    };
    let (folder, start) = prefix.rsplit_once('/').unwrap_or((".", prefix));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            Some((numbers(name.strip_prefix(start)?), entry.path()))
        })
        .collect();
    found.sort_by_key(|(version, _)| Reverse(version.clone()));
    found.into_iter().map(|(_, path)| path).collect()
}

/// The NVRTC libraries in a folder, newest first, each file once however many names it has.
pub(crate) fn libraries(folder: &Path) -> Result<Vec<PathBuf>, OpenError> {
    let unreadable = |source| OpenError::Unreadable {
        path: folder.to_path_buf(),
        source,
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if let Some(version) = library_version(&name) {
            found.push((Reverse(version), path));
        }
    }
    found.sort();
    let mut seen = BTreeSet::new();
    let paths = found.into_iter().map(|(_, path)| path);
    Ok(paths
        .filter(|path| seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())))
        .collect())
}

/// The tables of built-ins in a folder.
pub(crate) fn builtins(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let starts =
                name.starts_with("libnvrtc-builtins.so") || name.starts_with("nvrtc-builtins64_");
            starts && !name.contains(".alt.")
        })
        .collect();
    found.sort();
    found
}

/// The version in the name of an NVRTC library: `libnvrtc.so.12` is `[12]`, `libnvrtc.so` is `[]`,
/// `nvrtc64_120_0.dll` is `[120, 0]`. Nothing for other files, and for the `.alt.` builds, which
/// want a second set of built-ins.
fn library_version(name: &str) -> Option<Vec<u32>> {
    if name.contains(".alt.") {
        return None;
    }
    let version = if cfg!(windows) {
        name.strip_prefix("nvrtc64_")?.strip_suffix(".dll")?
    } else {
        name.strip_prefix("libnvrtc.so")?
    };
    Some(numbers(version))
}

/// The numbers in a text, in order.
fn numbers(text: &str) -> Vec<u32> {
    text.split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Place, Search, library_version, numbers};
    use std::path::PathBuf;

    #[test]
    fn versions_sort_as_numbers() {
        assert_eq!(numbers("12.10"), [12, 10]);
        assert!(numbers("12.10") > numbers("12.9"));
        assert!(numbers("13") > numbers("12.9.86"));
    }

    #[cfg(not(windows))]
    #[test]
    fn only_the_plain_library_is_a_library() {
        assert_eq!(library_version("libnvrtc.so"), Some(vec![]));
        assert_eq!(
            library_version("libnvrtc.so.12.9.86"),
            Some(vec![12, 9, 86])
        );
        assert_eq!(library_version("libnvrtc.alt.so.12"), None);
        assert_eq!(library_version("libnvrtc-builtins.so.12.9"), None);
        assert_eq!(library_version("libnvrtc_static.a"), None);
    }

    #[test]
    fn an_explicit_place_is_the_only_one() {
        let path = |path: &str| Place::Path(path.into());
        let search = Search::from_env().folder("b").explicit(Some("a"));
        assert_eq!(search.places(), [path("a")]);
        let search = Search::nowhere().folder("b").explicit(None::<PathBuf>);
        assert_eq!(search.places(), [path("b")]);
    }

    #[test]
    fn given_folders_come_after_toolkits_and_before_the_loader() {
        let places = Search::from_env().toolkit("t").folder("f").places();
        let at = |wanted: &str| places.iter().position(|p| *p == Place::Path(wanted.into()));
        assert!(at("t").unwrap() < at("f").unwrap());
        assert!(matches!(
            places[at("f").unwrap() + 1..],
            [Place::Name(_), Place::Name(_)]
        ));
    }
}
