//! Settings by the environment variables that the Python client knows.
//!
//! The library itself reads no variable: the caller passes the function that does, for example
//! `|name| std::env::var(name).ok()`.

use std::path::{Path, PathBuf};

/// Folder of the cache: `HF_HUB_CACHE`, else `HF_HOME/hub`, else
/// `XDG_CACHE_HOME/huggingface/hub`, else `~/.cache/huggingface/hub`.
///
/// `~` is `HOME`, or `USERPROFILE` where there is none. An empty variable counts as not set. `None`
/// where not even the home folder is known.
pub fn cache_dir_from(env: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let get = |name: &str| env(name).filter(|value| !value.is_empty());
    let home = || get("HOME").or_else(|| get("USERPROFILE"));
    let folder = |name: &str| {
        let value = get(name)?;
        match (value.strip_prefix("~/"), home()) {
            (Some(rest), Some(home)) => Some(Path::new(&home).join(rest)),
            _ => Some(PathBuf::from(value)),
        }
    };
    folder("HF_HUB_CACHE")
        .or_else(|| Some(folder("HF_HOME")?.join("hub")))
        .or_else(|| Some(folder("XDG_CACHE_HOME")?.join("huggingface").join("hub")))
        .or_else(|| {
            Some(
                Path::new(&home()?)
                    .join(".cache")
                    .join("huggingface")
                    .join("hub"),
            )
        })
}

/// Whether a variable such as `HF_HUB_OFFLINE` is switched on.
pub(super) fn is_on(value: &str) -> bool {
    ["1", "on", "yes", "true"]
        .iter()
        .any(|on| value.eq_ignore_ascii_case(on))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache_dir(variables: &[(&str, &str)]) -> Option<PathBuf> {
        cache_dir_from(|name| {
            variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| (*v).to_owned())
        })
    }

    #[test]
    fn the_most_specific_variable_decides() {
        let all = [
            ("HF_HUB_CACHE", "/cache"),
            ("HF_HOME", "/hf"),
            ("XDG_CACHE_HOME", "/xdg"),
            ("HOME", "/users/me"),
        ];
        let expected = [
            "/cache",
            "/hf/hub",
            "/xdg/huggingface/hub",
            "/users/me/.cache/huggingface/hub",
        ];
        for (skip, path) in expected.iter().enumerate() {
            assert_eq!(cache_dir(&all[skip..]).as_deref(), Some(Path::new(path)));
        }
        assert_eq!(cache_dir(&[]), None);
    }

    #[test]
    fn empty_is_not_set_and_a_tilde_is_the_home() {
        assert_eq!(
            cache_dir(&[
                ("HF_HUB_CACHE", ""),
                ("HF_HOME", "~/hf"),
                ("USERPROFILE", "/me")
            ]),
            Some(PathBuf::from("/me/hf/hub"))
        );
    }
}
