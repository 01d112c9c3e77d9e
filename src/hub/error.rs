//! What can go wrong between asking for a model and having its files.

use std::io;
use std::path::{Path, PathBuf};

/// A download that did not give the file asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// The name of a repository or revision that cannot exist.
    #[error(
        "{found:?} does not name a model: {reason}; expected owner/name or owner/name@revision"
    )]
    Name {
        /// The text given.
        found: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No connection, a connection that broke off, or a time-out, after all the tries.
    #[error(
        "cannot download {url}: {source}; without a network, fetch {folder}/config.json and \
         {folder}/model.safetensors by hand and pass them with --weights FILE --config FILE"
    )]
    Transport {
        /// The file that was asked for.
        url: String,
        /// Where all the files of the model lie.
        folder: String,
        /// What the network layer said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server was overloaded or broken at every try.
    #[error(
        "the server answered {status} for {url}; try again later, or fetch {folder}/config.json and \
         {folder}/model.safetensors by hand and pass them with --weights FILE --config FILE"
    )]
    Busy {
        /// The file that was asked for.
        url: String,
        /// Where all the files of the model lie.
        folder: String,
        /// HTTP status, 429 or 5xx.
        status: u16,
    },
    /// The cache does not hold the model and the network may not be used.
    #[error(
        "{model} is not in the cache {cache_dir} and downloads are switched off; allow them, or fetch \
         {folder}/config.json and {folder}/model.safetensors by hand and pass them with \
         --weights FILE --config FILE"
    )]
    NotCached {
        /// Repository and revision.
        model: String,
        /// The cache that was searched.
        cache_dir: PathBuf,
        /// Where all the files of the model lie.
        folder: String,
    },
    /// No such repository, revision or file.
    #[error(
        "{url} does not exist (404); check the name and the revision, and that the repository holds \
         this file"
    )]
    NotFound {
        /// The file that was asked for.
        url: String,
    },
    /// A private, gated or missing repository; the hub does not tell them apart without a token.
    #[error(
        "no access to {url} ({status}): the repository does not exist, is private, or has terms to \
         accept; check the name, or give an access token that may read it"
    )]
    Unauthorised {
        /// The file that was asked for.
        url: String,
        /// HTTP status, 401 or 403.
        status: u16,
    },
    /// An answer that a hub does not give.
    #[error(
        "{url} answered with {found}, expected {expected}; is this the address of a model hub?"
    )]
    Reply {
        /// The address that was asked.
        url: String,
        /// What came back.
        found: String,
        /// What a hub sends.
        expected: &'static str,
    },
    /// A file of the wrong length. It has been removed.
    #[error("{url} gave {found} bytes, expected {expected}; the file was removed, try again")]
    Size {
        /// The file that was asked for.
        url: String,
        /// Bytes received.
        found: u64,
        /// Bytes announced.
        expected: u64,
    },
    /// A file with the wrong content. It has been removed.
    #[error("{url} has SHA-256 {found}, expected {expected}; the file was removed, try again")]
    Hash {
        /// The file that was asked for.
        url: String,
        /// Hash of the bytes received, in hexadecimal digits.
        found: String,
        /// Hash announced by the hub.
        expected: String,
    },
    /// The disk refused.
    #[error("cannot {action} {path}: {source}")]
    Disk {
        /// What was being done.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No place for the cache in the environment given.
    #[error("no home folder is known; set HF_HUB_CACHE to a folder for downloaded models")]
    NoCacheDir,
    /// A proxy address that cannot be used. It is not repeated, as it may hold a password.
    #[error("the proxy address cannot be used; expected http://host:port")]
    Proxy,
}

impl HubError {
    /// A function that turns the system's error into [`HubError::Disk`].
    pub(super) fn disk(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Disk {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// Whether the same request may succeed a moment later.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Self::Transport { .. } | Self::Busy { .. })
    }
}
