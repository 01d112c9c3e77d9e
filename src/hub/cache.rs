//! The cache on disk, laid out as the Python client of the hub lays it out.
//!
//! ```text
//! models--Owner--name/refs/main                     text: commit of the branch
//! models--Owner--name/snapshots/COMMIT/config.json  link to ../../blobs/ETAG
//! models--Owner--name/blobs/ETAG                    content; ETAG.incomplete while it arrives
//! models--Owner--name/.no_exist/COMMIT/FILE         empty: the commit has no such file
//! .locks/models--Owner--name/ETAG.lock              held while ETAG.incomplete is written
//! ```
//!
//! Nothing ever appears under a final name before it is whole: contents, links and refs are made
//! beside it and renamed.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::id::is_commit;
use super::{HubError, ModelId};

/// The part of the cache that belongs to one repository.
pub(super) struct RepoCache {
    folder: PathBuf,
    locks: PathBuf,
}

impl RepoCache {
    pub(super) fn new(cache_dir: &Path, id: &ModelId) -> Self {
        Self {
            folder: cache_dir.join(id.folder()),
            locks: cache_dir.join(".locks").join(id.folder()),
        }
    }

    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(etag)
    }

    /// Commit that a revision named when it was last looked up.
    pub(super) fn commit(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        let text = fs::read_to_string(self.folder.join("refs").join(revision)).ok()?;
        let commit = text.trim();
        is_commit(commit).then(|| commit.to_owned())
    }

    /// A file of a commit, where its content is here.
    pub(super) fn find(&self, commit: &str, file: &str) -> Option<PathBuf> {
        let path = self.snapshot(commit, file);
        path.is_file().then_some(path)
    }

    /// Whether the hub has said that the commit has no such file.
    pub(super) fn is_missing(&self, commit: &str, file: &str) -> bool {
        self.no_exist(commit, file).is_file()
    }

    /// Notes that the commit has no such file.
    pub(super) fn note_missing(&self, commit: &str, file: &str) -> Result<(), HubError> {
        put(&self.no_exist(commit, file), |path| fs::write(path, ""))
    }

    /// Notes the commit that a revision names.
    pub(super) fn note_commit(&self, revision: &str, commit: &str) -> Result<(), HubError> {
        if revision == commit || self.commit(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        put(&self.folder.join("refs").join(revision), |path| {
            fs::write(path, commit)
        })
    }

    /// Makes a blob a file of a commit: a link, or a copy where the file system has no links.
    pub(super) fn link(&self, commit: &str, file: &str, etag: &str) -> Result<PathBuf, HubError> {
        let path = self.snapshot(commit, file);
        let target = Path::new("..").join("..").join("blobs").join(etag);
        put(&path, |path| match symlink(&target, path) {
            Ok(()) => Ok(()),
            Err(_) => fs::copy(self.blob(etag), path).map(drop),
        })?;
        Ok(path)
    }

    /// Waits until no other process downloads this blob. The lock ends with the value, also when
    /// the process dies.
    pub(super) fn lock(&self, etag: &str) -> Result<File, HubError> {
        let path = self.locks.join(format!("{etag}.lock"));
        make_folder_of(&path)?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(HubError::disk("open the lock", &path))?;
        file.lock().map_err(HubError::disk("lock", &path))?;
        Ok(file)
    }

    fn snapshot(&self, commit: &str, file: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit).join(file)
    }

    fn no_exist(&self, commit: &str, file: &str) -> PathBuf {
        self.folder.join(".no_exist").join(commit).join(file)
    }
}

/// Creates the folder that `path` lies in.
pub(super) fn make_folder_of(path: &Path) -> Result<(), HubError> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(HubError::disk("create the folder", folder))
}

/// Makes an entry under a name of its own, then moves it to `path` in one step.
fn put(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), HubError> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    make_folder_of(path)?;
    let own = format!(
        "tmp-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    let temporary = path.with_file_name(own);
    make(&temporary)
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(|source| {
            // What is left would only be litter; the error worth reporting is the first.
            let _ = fs::remove_file(&temporary);
            HubError::disk("write", path)(source)
        })
}

#[cfg(unix)]
fn symlink(target: &Path, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(windows)]
fn symlink(target: &Path, path: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, path)
}

#[cfg(not(any(unix, windows)))]
fn symlink(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
