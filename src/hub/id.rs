//! Names of models on the hub.

use std::fmt;
use std::str::FromStr;

use super::HubError;

/// A model repository at one revision: `owner/name` or `owner/name@revision`.
///
/// Every part becomes a folder name of the cache and a piece of an address, so only the characters
/// that the hub itself allows are accepted.
///
/// ```
/// # use pvt_cuda::hub::ModelId;
/// let id: ModelId = "Zetatech/pvt-tiny-224".parse()?;
/// assert_eq!(id.revision(), "main");
/// assert!("../../etc".parse::<ModelId>().is_err());
/// # Ok::<(), pvt_cuda::hub::HubError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelId {
    owner: String,
    name: String,
    revision: String,
}

impl ModelId {
    /// Branch, tag or commit; `main` where none was given.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Whether the revision is a full commit hash, which never changes its content.
    pub fn is_commit(&self) -> bool {
        is_commit(&self.revision)
    }

    /// Folder of this repository in the cache.
    pub(super) fn folder(&self) -> String {
        format!("models--{}--{}", self.owner, self.name)
    }

    /// Address of the folder with the files of `revision`. A branch may contain slashes, which
    /// must not look like folders.
    pub(super) fn address(&self, endpoint: &str, revision: &str) -> String {
        let revision = revision.replace('/', "%2F");
        format!("{endpoint}/{}/{}/resolve/{revision}", self.owner, self.name)
    }
}

impl FromStr for ModelId {
    type Err = HubError;

    fn from_str(text: &str) -> Result<Self, HubError> {
        let refuse = |reason| HubError::Name {
            found: text.to_owned(),
            reason,
        };
        let (repository, revision) = text.split_once('@').unwrap_or((text, "main"));
        let (owner, name) = repository
            .split_once('/')
            .ok_or_else(|| refuse("there is no slash between owner and name"))?;
        for part in [owner, name] {
            check_part(part).map_err(refuse)?;
            // The cache joins owner and name by `--`.
            if part.contains("--") {
                return Err(refuse("a double hyphen is not allowed"));
            }
        }
        for part in revision.split('/') {
            check_part(part).map_err(refuse)?;
        }
        Ok(Self {
            owner: owner.to_owned(),
            name: name.to_owned(),
            revision: revision.to_owned(),
        })
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.owner, self.name, self.revision)
    }
}

/// Whether `text` can be a file name of the cache: no path, no hidden file, nothing to escape.
pub(super) fn is_plain(text: &str) -> bool {
    check_part(text).is_ok()
}

/// Whether `text` is a full commit hash.
pub(super) fn is_commit(text: &str) -> bool {
    is_hex(text, 40)
}

/// Whether `text` consists of `digits` lower-case hexadecimal digits.
pub(super) fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}

fn check_part(part: &str) -> Result<(), &'static str> {
    const LONGEST: usize = 96;
    if part.is_empty() || part.len() > LONGEST {
        return Err("each part has 1 to 96 characters");
    }
    if !part
        .bytes()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.'))
    {
        return Err("only letters, digits, '-', '_' and '.' are allowed");
    }
    if part.starts_with(['.', '-']) || part.ends_with('.') || part.contains("..") {
        return Err("a part may not start with '.' or '-', end with '.', or contain '..'");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_names_of_real_repositories() {
        for text in [
            "Zetatech/pvt-tiny-224",
            "OpenGVLab/pvt_v2_b2_linear",
            "timm/pvt_v2_b2_li.in1k",
            "a/b@refs/pr/1",
            "a/b@v1.0",
        ] {
            assert!(text.parse::<ModelId>().is_ok(), "{text}");
        }
    }

    #[test]
    fn refuses_everything_that_could_be_a_path() {
        for text in [
            "",
            "/",
            "a",
            "a/",
            "/b",
            "a/b/c",
            "../b",
            "a/..",
            "./b",
            "a/.git",
            "a\\b/c",
            "a/b c",
            "a/b%2F",
            "a/b?x",
            "a/b#x",
            "a--b/c",
            "a/b@",
            "a/b@..",
            "a/b@refs/../x",
            "a/b@/x",
            "a/b@x//y",
            "a/b@x@y",
            "a/\u{e9}",
            "a/b\n",
            "C:/b",
            "-a/b",
        ] {
            assert!(
                matches!(text.parse::<ModelId>(), Err(HubError::Name { .. })),
                "{text:?}"
            );
        }
        assert!(format!("a/{}", "b".repeat(97)).parse::<ModelId>().is_err());
    }

    #[test]
    fn a_branch_with_slashes_stays_one_piece_of_the_address() {
        let id: ModelId = "a/b@refs/pr/1".parse().expect("valid");
        assert_eq!(
            id.address("https://hub", id.revision()),
            "https://hub/a/b/resolve/refs%2Fpr%2F1"
        );
    }
}
