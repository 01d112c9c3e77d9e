//! The hub client against a server that behaves like the hub, and against one that does not.

use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pvt_cuda::hub::{HubClient, HubError, ModelFiles};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

mod answers;
mod server;
mod transfer;

use server::{Reply, Request, Server};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const CONFIG: &[u8] = br#"{"model_type": "pvt"}"#;
const CONFIG_ETAG: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const PREPROCESSOR: &[u8] = br#"{"size": 224}"#;
const PREPROCESSOR_ETAG: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// Larger than any buffer on the way, and different everywhere.
fn weights() -> Vec<u8> {
    (0..300_000u32)
        .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect()
}

fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// What a well-behaved hub answers for the repository `owner/name`.
fn hub(request: &Request) -> Reply {
    let Some((_, file)) = request.path.rsplit_once('/') else {
        return status(404);
    };
    let (body, etag) = match file {
        "config.json" => (CONFIG.to_vec(), CONFIG_ETAG.to_owned()),
        "preprocessor_config.json" => (PREPROCESSOR.to_vec(), PREPROCESSOR_ETAG.to_owned()),
        "model.safetensors" => (weights(), sha256(&weights())),
        _ => return status(404),
    };
    if !request.path.starts_with("/owner/name/resolve/") {
        return status(404);
    }
    let mut reply = range(request, body);
    reply.headers.push(("ETag", format!("\"{etag}\"")));
    reply.headers.push(("X-Repo-Commit", COMMIT.to_owned()));
    reply
}

fn range(request: &Request, body: Vec<u8>) -> Reply {
    let Some(from) = request.from() else {
        return Reply {
            status: 200,
            body,
            ..Reply::default()
        };
    };
    let total = body.len();
    let headers = vec![(
        "Content-Range",
        format!("bytes {from}-{}/{total}", total - 1),
    )];
    Reply {
        status: 206,
        headers,
        body: body[from..].to_vec(),
        ..Reply::default()
    }
}

fn status(status: u16) -> Reply {
    Reply {
        status,
        ..Reply::default()
    }
}

fn is_weights(request: &Request) -> bool {
    request.method == "GET" && request.path.ends_with("model.safetensors")
}

fn client(server: &Server, cache: &TempDir) -> HubClient {
    HubClient::new(cache.path())
        .endpoint(&server.url())
        .timeout(Duration::from_secs(5))
        .tries(NonZeroU32::MIN.saturating_add(2), Duration::from_millis(1))
}

fn fetch(client: &HubClient) -> Result<ModelFiles, HubError> {
    client.model(&"owner/name".parse().expect("valid"), |_| {})
}

fn fetch_commit(client: &HubClient) -> Result<ModelFiles, HubError> {
    client.model(
        &format!("owner/name@{COMMIT}").parse().expect("valid"),
        |_| {},
    )
}

fn repo(cache: &TempDir) -> PathBuf {
    cache.path().join("models--owner--name")
}

fn weights_blob(cache: &TempDir) -> PathBuf {
    repo(cache).join("blobs").join(sha256(&weights()))
}

fn incomplete(cache: &TempDir) -> PathBuf {
    weights_blob(cache).with_extension("incomplete")
}

fn cache() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn assert_fetched(files: &ModelFiles) {
    assert_eq!(read(&files.config), CONFIG);
    assert!(read(&files.weights) == weights(), "the weights differ");
    assert_eq!(files.commit, COMMIT);
}

fn assert_no_weights(cache: &TempDir) {
    assert!(!weights_blob(cache).exists());
    assert!(
        !repo(cache)
            .join("snapshots")
            .join(COMMIT)
            .join("model.safetensors")
            .exists()
    );
    assert!(
        !repo(cache).join("refs/main").exists(),
        "main points to half a commit"
    );
}

#[test]
fn fresh_download_has_the_layout_of_the_python_client() {
    let (server, cache) = (Server::start(hub), cache());
    let files = fetch(&client(&server, &cache)).expect("a download");
    assert_fetched(&files);
    assert!(files.confirmed);
    assert_eq!(
        read(files.preprocessor.as_deref().expect("present")),
        PREPROCESSOR
    );

    let snapshot = repo(&cache).join("snapshots").join(COMMIT);
    assert_eq!(files.weights, snapshot.join("model.safetensors"));
    assert_eq!(read(&repo(&cache).join("refs/main")), COMMIT.as_bytes());
    assert_eq!(read(&repo(&cache).join("blobs").join(CONFIG_ETAG)), CONFIG);
    #[cfg(unix)]
    assert_eq!(
        fs::read_link(&files.config).expect("a link"),
        Path::new("../../blobs").join(CONFIG_ETAG)
    );
    let blobs = fs::read_dir(repo(&cache).join("blobs"))
        .expect("a folder")
        .count();
    assert_eq!(blobs, 3, "something was left behind");
}

#[test]
fn second_call_asks_for_the_branch_and_for_nothing_else() {
    let (server, cache) = (Server::start(hub), cache());
    fetch(&client(&server, &cache)).expect("a download");
    let before = server.requests().len();
    assert_fetched(&fetch(&client(&server, &cache)).expect("a hit"));
    let after = server.requests().split_off(before);
    assert_eq!(after.len(), 1, "{after:?}");
    assert_eq!(
        (after[0].method.as_str(), after[0].path.as_str()),
        ("HEAD", "/owner/name/resolve/main/config.json")
    );
}

#[test]
fn a_cached_commit_needs_no_network() {
    let (server, cache) = (Server::start(hub), cache());
    fetch(&client(&server, &cache)).expect("a download");
    let before = server.requests().len();
    let files = fetch_commit(&client(&server, &cache)).expect("a hit");
    assert_fetched(&files);
    assert!(files.confirmed);
    assert_eq!(server.requests().len(), before);
}

#[test]
fn offline_uses_the_branch_as_last_seen() {
    let (server, cache) = (Server::start(hub), cache());
    let offline = client(&server, &cache).offline(true);
    let error = fetch(&offline).expect_err("an empty cache");
    assert!(matches!(error, HubError::NotCached { .. }), "{error}");
    assert!(
        error.to_string().contains("--weights FILE --config FILE"),
        "{error}"
    );
    assert_eq!(server.requests().len(), 0);

    fetch(&client(&server, &cache)).expect("a download");
    let before = server.requests().len();
    let files = fetch(&offline).expect("a hit");
    assert_fetched(&files);
    assert!(!files.confirmed);
    assert_eq!(server.requests().len(), before);
}

#[test]
fn files_of_the_python_client_are_found() {
    let cache = cache();
    let snapshot = repo(&cache).join("snapshots").join(COMMIT);
    fs::create_dir_all(&snapshot).expect("a folder");
    fs::create_dir_all(repo(&cache).join("refs")).expect("a folder");
    fs::write(repo(&cache).join("refs/main"), COMMIT).expect("a file");
    fs::write(snapshot.join("config.json"), CONFIG).expect("a file");
    fs::write(snapshot.join("model.safetensors"), weights()).expect("a file");
    let files = fetch(&HubClient::new(cache.path()).offline(true)).expect("a hit");
    assert_fetched(&files);
    assert_eq!(files.preprocessor, None);
}

#[test]
fn an_unreachable_hub_leaves_the_branch_as_last_seen() {
    let cache = cache();
    let server = Server::start(hub);
    let client = client(&server, &cache);
    fetch(&client).expect("a download");
    drop(server);
    let files = fetch(&client).expect("a hit");
    assert_fetched(&files);
    assert!(!files.confirmed);
}

#[test]
fn a_repository_without_preprocessor_is_complete_and_remembered() {
    let server = Server::start(|request| {
        if request.path.ends_with("preprocessor_config.json") {
            status(404)
        } else {
            hub(request)
        }
    });
    let cache = cache();
    let files = fetch(&client(&server, &cache)).expect("a download");
    assert_fetched(&files);
    assert_eq!(files.preprocessor, None);
    let before = server.requests().len();
    assert_eq!(
        fetch_commit(&client(&server, &cache))
            .expect("a hit")
            .preprocessor,
        None
    );
    assert_eq!(server.requests().len(), before);
    fetch(&client(&server, &cache)).expect("a hit");
    assert_eq!(
        server.requests().len(),
        before + 1,
        "only the branch is asked for"
    );
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let (server, cache) = (Server::start(hub), cache());
    let file = cache.path().join("file");
    fs::write(&file, "").expect("a file");
    let client = HubClient::new(&file).endpoint(&server.url());
    let error = fetch(&client).expect_err("a file instead of a folder");
    assert!(matches!(error, HubError::Disk { .. }), "{error}");
    assert!(
        error.to_string().contains(&file.display().to_string()),
        "{error}"
    );
}
