//! One file from the hub into the cache, whole and checked.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::HubError;
use super::cache::{RepoCache, make_folder_of};
use super::http::{Http, Metadata, start_of};

/// Bytes moved at a time.
const CHUNK: usize = 64 * 1024;

/// Fetches the content that `meta` names, unless it is in the cache. `progress` gets the bytes
/// present so far.
pub(super) fn blob(
    http: &Http<'_>,
    cache: &RepoCache,
    url: &str,
    meta: &Metadata,
    progress: &mut dyn FnMut(u64),
) -> Result<(), HubError> {
    let path = cache.blob(&meta.etag);
    if is_whole(&path, meta) {
        return Ok(());
    }
    let _lock = cache.lock(&meta.etag)?;
    // Another process may have fetched it while this one waited.
    if is_whole(&path, meta) {
        return Ok(());
    }
    make_folder_of(&path)?;
    let part = Part {
        path: path.with_file_name(format!("{}.incomplete", meta.etag)),
        url,
        meta,
    };
    let resumed = part.len() > 0;
    part.fetch(http, progress)?;
    match part.check() {
        // The beginning came from another run, perhaps of a program that fills files in any order.
        Err(HubError::Hash { .. } | HubError::Size { .. }) if resumed => {
            part.fetch(http, progress)?;
            part.check()?;
        }
        done => done?,
    }
    fs::rename(&part.path, &path).map_err(HubError::disk("move the download to", &path))
}

fn is_whole(path: &Path, meta: &Metadata) -> bool {
    fs::metadata(path)
        .is_ok_and(|found| found.is_file() && meta.size.is_none_or(|size| size == found.len()))
}

/// A file that is still arriving.
struct Part<'a> {
    path: PathBuf,
    url: &'a str,
    meta: &'a Metadata,
}

impl Part<'_> {
    fn len(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |found| found.len())
    }

    /// Completes the file. Each try goes on where the last one broke off.
    fn fetch(&self, http: &Http<'_>, progress: &mut dyn FnMut(u64)) -> Result<(), HubError> {
        http.patiently(|| {
            let mut have = self.len();
            if self.meta.size.is_none_or(|size| have > size) {
                have = 0; // Of unknown length, or not this file: nothing to build on.
            }
            if have > 0 && self.meta.size == Some(have) {
                progress(have);
                return Ok(());
            }
            self.receive(http, have, progress)
        })
    }

    fn receive(
        &self,
        http: &Http<'_>,
        from: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), HubError> {
        let response = http.content(self.url, from)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.path)
            .map_err(HubError::disk("open", &self.path))?;
        let start = start_of(&response, from);
        let mut have = start.unwrap_or(0);
        file.set_len(have)
            .map_err(HubError::disk("cut", &self.path))?;
        io::Seek::seek(&mut file, io::SeekFrom::Start(have))
            .map_err(HubError::disk("go on with", &self.path))?;
        if start.is_none() {
            return Err(http.transport(
                self.url,
                "the server sent another range than the one asked for",
            ));
        }
        progress(have);

        // One byte more than announced is enough to know that the length is wrong.
        let most = self
            .meta
            .size
            .map_or(u64::MAX, |size| (size - have).saturating_add(1));
        let mut body = response.into_body().into_reader().take(most);
        let mut chunk = vec![0; CHUNK];
        loop {
            let n = match body.read(&mut chunk) {
                Ok(0) => break,
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(http.transport(self.url, error)),
            };
            file.write_all(&chunk[..n])
                .map_err(HubError::disk("write", &self.path))?;
            have += n as u64;
            progress(have);
        }
        if self.meta.size.is_some_and(|size| have < size) {
            return Err(
                http.transport(self.url, format!("the connection ended after {have} bytes"))
            );
        }
        file.sync_all().map_err(HubError::disk("write", &self.path))
    }

    /// Compares length and hash with what the hub announced; a file that differs is removed.
    fn check(&self) -> Result<(), HubError> {
        let found = self.len();
        let url = || self.url.to_owned();
        let error = match (self.meta.size, self.meta.sha256()) {
            (Some(expected), _) if found != expected => HubError::Size {
                url: url(),
                found,
                expected,
            },
            (_, Some(expected)) => {
                let found = sha256(&self.path).map_err(HubError::disk("read", &self.path))?;
                if found == expected {
                    return Ok(());
                }
                HubError::Hash {
                    url: url(),
                    found,
                    expected: expected.to_owned(),
                }
            }
            _ => return Ok(()),
        };
        fs::remove_file(&self.path).map_err(HubError::disk("remove", &self.path))?;
        Err(error)
    }
}

/// SHA-256 of a file in hexadecimal digits.
fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    io::copy(&mut file, &mut hash)?;
    Ok(format!("{:x}", hash.finalize()))
}
