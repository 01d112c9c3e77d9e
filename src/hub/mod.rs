//! Downloads from the Hugging Face hub into its usual cache.
//!
//! The cache is shared with the hub's Python client: what one has fetched, the other finds. Weights
//! are checked against the SHA-256 that the hub announces, interrupted downloads go on where they
//! broke off, and two processes that want the same file fetch it once.
//!
//! ```no_run
//! use pvt_cuda::hub::{HubClient, cache_dir_from};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cache_dir = cache_dir_from(|name| std::env::var(name).ok()).ok_or("no home folder")?;
//! let files = HubClient::new(cache_dir).model(&"Zetatech/pvt-tiny-224".parse()?, |_| {})?;
//! println!("{}", files.weights.display());
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

mod cache;
mod download;
mod env;
mod error;
mod http;
mod id;

pub use env::cache_dir_from;
pub use error::HubError;
pub use id::ModelId;

use cache::RepoCache;
use http::{Http, Metadata};

/// Address of the public hub.
pub const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
const PREPROCESSOR: &str = "preprocessor_config.json";

/// Where the files of a model lie on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFiles {
    /// Description of the model.
    pub config: PathBuf,
    /// Parameters, as safetensors.
    pub weights: PathBuf,
    /// How pictures are prepared, where the repository says so.
    pub preprocessor: Option<PathBuf>,
    /// The commit that the files belong to.
    pub commit: String,
    /// Whether these are known to be the files of the revision asked for. `false` where the hub was
    /// not or could not be asked, and a branch may have moved on since it was last seen.
    pub confirmed: bool,
}

/// How far a download has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// Name of the file in its repository.
    pub file: &'a str,
    /// Bytes present, those of an earlier, interrupted download included.
    pub bytes: u64,
    /// Bytes of the whole file, where the server told.
    pub total: Option<u64>,
}

/// Downloads models, or finds them in the cache.
#[derive(Clone)]
pub struct HubClient {
    endpoint: String,
    cache_dir: PathBuf,
    token: Option<String>,
    proxy: Option<String>,
    offline: bool,
    timeout: Duration,
    tries: NonZeroU32,
    pause: Duration,
}

impl HubClient {
    /// A client of the public hub with this cache folder, which need not exist yet.
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        Self {
            endpoint: DEFAULT_ENDPOINT.to_owned(),
            cache_dir: cache_dir.into(),
            token: None,
            proxy: None,
            offline: false,
            timeout: Duration::from_secs(30),
            tries: NonZeroU32::MIN.saturating_add(2),
            pause: http::PAUSE,
        }
    }

    /// A client set up by the variables that the hub's Python client knows: those of
    /// [`cache_dir_from`], `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE`, and `HTTPS_PROXY`.
    ///
    /// # Errors
    /// [`HubError::NoCacheDir`] where no variable names a folder for the cache.
    pub fn from_env(env: impl Fn(&str) -> Option<String>) -> Result<Self, HubError> {
        let get = |name: &str| {
            env(name)
                .map(|v| v.trim().to_owned())
                .filter(|v| !v.is_empty())
        };
        let client = Self::new(cache_dir_from(&env).ok_or(HubError::NoCacheDir)?)
            .endpoint(get("HF_ENDPOINT").as_deref().unwrap_or(DEFAULT_ENDPOINT))
            .offline(get("HF_HUB_OFFLINE").is_some_and(|v| env::is_on(&v)))
            .token(get("HF_TOKEN"))
            .proxy(get("HTTPS_PROXY").or_else(|| get("https_proxy")));
        Ok(client)
    }

    /// Address of the hub or of a mirror.
    #[must_use]
    pub fn endpoint(mut self, endpoint: &str) -> Self {
        endpoint
            .trim_end_matches('/')
            .clone_into(&mut self.endpoint);
        self
    }

    /// Access token. It is sent to the endpoint only, never to where that redirects.
    #[must_use]
    pub fn token(mut self, token: Option<String>) -> Self {
        self.token = token;
        self
    }

    /// Proxy for all requests, as `http://host:port`.
    #[must_use]
    pub fn proxy(mut self, proxy: Option<String>) -> Self {
        self.proxy = proxy;
        self
    }

    /// Whether only the cache may be used.
    #[must_use]
    pub fn offline(mut self, offline: bool) -> Self {
        self.offline = offline;
        self
    }

    /// Longest wait for a connection, an answer, or the next bytes of one; 30 s unless set. There is
    /// no limit to a whole download.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How often a request is made before a failed connection or an overloaded server counts as an
    /// error, and the wait before the second try, which doubles for each further one; 3 and 0.5 s
    /// unless set.
    #[must_use]
    pub fn tries(mut self, tries: NonZeroU32, pause: Duration) -> Self {
        self.tries = tries;
        self.pause = pause;
        self
    }

    /// The files of a model, downloaded as far as the cache does not hold them. `progress` is called
    /// after each piece of a file.
    ///
    /// A commit that is in the cache needs no network. For a branch the hub is asked with one
    /// request whether it has moved; if it cannot be reached, or the client is offline, the commit
    /// seen last is used and [`ModelFiles::confirmed`] is `false`.
    ///
    /// # Errors
    /// A [`HubError`]; whichever it is, no file lies under its final name unless it is whole.
    pub fn model(
        &self,
        id: &ModelId,
        mut progress: impl FnMut(Progress<'_>),
    ) -> Result<ModelFiles, HubError> {
        let cache = RepoCache::new(&self.cache_dir, id);
        let known = cache
            .commit(id.revision())
            .and_then(|commit| cached(&cache, id, &commit));
        let folder = id.address(&self.endpoint, id.revision());
        match known {
            Some((files, _)) if self.offline => return Ok(files),
            Some((files, Extent::Whole)) if id.is_commit() => return Ok(files),
            None if self.offline => {
                let (model, cache_dir) = (id.to_string(), self.cache_dir.clone());
                return Err(HubError::NotCached {
                    model,
                    cache_dir,
                    folder,
                });
            }
            _ => {}
        }
        let http = Http::new(self, folder.clone())?;
        let url = format!("{folder}/{CONFIG}");
        let config = match (http.metadata(&url), known) {
            (Ok(meta), _) => meta,
            (Err(HubError::Transport { .. } | HubError::Busy { .. }), Some((files, _))) => {
                return Ok(files);
            }
            (Err(error), _) => return Err(error),
        };
        let named = config.commit.clone();
        let named = named.filter(|commit| !id.is_commit() || commit == id.revision());
        let Some(commit) = named else {
            return Err(HubError::Reply {
                url,
                found: "no commit or another one in x-repo-commit".to_owned(),
                expected: "the commit of the revision",
            });
        };
        if !matches!(cached(&cache, id, &commit), Some((_, Extent::Whole))) {
            let fetch = Fetch {
                http: &http,
                cache: &cache,
                commit: &commit,
            };
            let folder = id.address(&self.endpoint, &commit);
            fetch.file(&folder, CONFIG, Some(config), &mut progress)?;
            match fetch.file(&folder, PREPROCESSOR, None, &mut progress) {
                Err(HubError::NotFound { .. }) => cache.note_missing(&commit, PREPROCESSOR)?,
                done => drop(done?),
            }
            fetch.file(&folder, WEIGHTS, None, &mut progress)?;
        }
        // Last, so that a branch never points to a commit of which only a part arrived.
        cache.note_commit(id.revision(), &commit)?;
        match cached(&cache, id, &commit) {
            Some((files, _)) => Ok(ModelFiles {
                confirmed: true,
                ..files
            }),
            None => Err(HubError::NotCached {
                model: id.to_string(),
                cache_dir: self.cache_dir.clone(),
                folder,
            }),
        }
    }
}

impl fmt::Debug for HubClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Token and proxy are secrets, or may hold one.
        f.debug_struct("HubClient")
            .field("endpoint", &self.endpoint)
            .field("cache_dir", &self.cache_dir)
            .field("offline", &self.offline)
            .finish_non_exhaustive()
    }
}

/// The files of a commit, if the cache holds those that a model needs.
fn cached(cache: &RepoCache, id: &ModelId, commit: &str) -> Option<(ModelFiles, Extent)> {
    let files = ModelFiles {
        config: cache.find(commit, CONFIG)?,
        weights: cache.find(commit, WEIGHTS)?,
        preprocessor: cache.find(commit, PREPROCESSOR),
        commit: commit.to_owned(),
        confirmed: id.is_commit(),
    };
    let whole = files.preprocessor.is_some() || cache.is_missing(commit, PREPROCESSOR);
    Some((files, if whole { Extent::Whole } else { Extent::Needed }))
}

/// How much of a model the cache holds.
#[derive(Clone, Copy)]
enum Extent {
    /// Everything there is.
    Whole,
    /// What a model needs; whether there is more is not known.
    Needed,
}

/// Downloads of one commit.
struct Fetch<'a> {
    http: &'a Http<'a>,
    cache: &'a RepoCache,
    commit: &'a str,
}

impl Fetch<'_> {
    fn file(
        &self,
        folder: &str,
        file: &str,
        meta: Option<Metadata>,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<PathBuf, HubError> {
        if let Some(path) = self.cache.find(self.commit, file) {
            return Ok(path);
        }
        let url = format!("{folder}/{file}");
        let meta = meta.map_or_else(|| self.http.metadata(&url), Ok)?;
        let total = meta.size;
        let mut report = |bytes| progress(Progress { file, bytes, total });
        download::blob(self.http, self.cache, &url, &meta, &mut report)?;
        self.cache.link(self.commit, file, &meta.etag)
    }
}
