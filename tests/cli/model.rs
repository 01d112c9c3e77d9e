//! `--model`: from a server that behaves like the hub to a classified picture.

#[path = "../hub/server.rs"]
#[allow(dead_code, reason = "the tests of the hub client use the rest")]
mod server;

use std::fs;
use std::process::Command;

use server::{Reply, Server};

use crate::{MICRO, pvt, root};

const PICTURE: &str = "assets/digits/test/3/0059.png";

#[test]
fn a_hub_model_gives_the_same_as_its_files() {
    let server = Server::start(|request| {
        let file = match request.path.rsplit('/').next() {
            Some("config.json") => "config.hf.json",
            Some("model.safetensors") => "model.hf.safetensors",
            _ => {
                return Reply {
                    status: 404,
                    ..Reply::default()
                };
            }
        };
        let body = fs::read(root(MICRO).join(file)).unwrap();
        let headers = vec![
            ("ETag", format!("\"{:040x}\"", body.len())),
            (
                "X-Repo-Commit",
                "0123456789abcdef0123456789abcdef01234567".to_owned(),
            ),
        ];
        Reply {
            status: 200,
            headers,
            body,
            ..Reply::default()
        }
    });
    let cache = tempfile::tempdir().unwrap();
    let run = || {
        let output = Command::new(env!("CARGO_BIN_EXE_pvt"))
            .args(["classify", PICTURE, "--model", "owner/pvt-micro"])
            .current_dir(root(""))
            .env("HF_ENDPOINT", server.url())
            .env("HF_HUB_CACHE", cache.path())
            .env_remove("HF_TOKEN")
            .env_remove("HF_HUB_OFFLINE")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let weights = format!("{MICRO}/model.hf.safetensors");
    let config = format!("{MICRO}/config.hf.json");
    let local = pvt(&[
        "classify",
        PICTURE,
        "--weights",
        &weights,
        "--config",
        &config,
    ])
    .stdout;
    assert_eq!(run(), local);
    assert_eq!(run(), local);
    assert_eq!(
        server.count("GET", "model.safetensors"),
        1,
        "the second run takes the cache"
    );
}
