//! Refusals, redirects and names that are not what they should be.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use pvt_cuda::hub::{HubError, ModelId};

use super::server::{Reply, Request, Server};
use super::{COMMIT, assert_fetched, cache, client, fetch, hub, range, sha256, status, weights};

#[test]
fn connection_refused_tells_how_to_do_without() {
    let cache = cache();
    let server = Server::start(hub);
    let (client, url) = (client(&server, &cache), server.url());
    drop(server);
    let error = fetch(&client).expect_err("no server");
    assert!(matches!(error, HubError::Transport { .. }), "{error}");
    let text = error.to_string();
    for file in ["config.json", "model.safetensors"] {
        assert!(
            text.contains(&format!("{url}/owner/name/resolve/main/{file}")),
            "{text}"
        );
    }
    assert!(text.contains("--weights FILE --config FILE"), "{text}");
}

#[test]
fn missing_and_forbidden_are_told_apart_and_not_tried_again() {
    for code in [401, 403, 404] {
        let (server, cache) = (Server::start(move |_| status(code)), cache());
        let error = fetch(&client(&server, &cache)).expect_err("refused");
        match (&error, code) {
            (HubError::NotFound { .. }, 404) => {}
            (HubError::Unauthorised { status, .. }, _) if *status == code => {}
            _ => panic!("{code}: {error}"),
        }
        assert!(
            error
                .to_string()
                .contains("/owner/name/resolve/main/config.json"),
            "{error}"
        );
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn an_overloaded_server_is_asked_three_times() {
    let (server, cache_a) = (Server::start(|_| status(503)), cache());
    let error = fetch(&client(&server, &cache_a)).expect_err("overloaded");
    assert!(
        matches!(error, HubError::Busy { status: 503, .. }),
        "{error}"
    );
    assert_eq!(server.requests().len(), 3);

    let tries = AtomicUsize::new(0);
    let server = Server::start(
        move |request| match tries.fetch_add(1, Ordering::SeqCst) % 3 {
            2 => hub(request),
            _ => status(500),
        },
    );
    assert_fetched(&fetch(&client(&server, &cache())).expect("every third request works"));
}

/// Weights on a storage server, the way the hub sends them; small files behind a path of its own.
#[test]
fn the_token_goes_to_the_hub_and_never_to_the_storage() {
    let storage = Server::start(|request| range(request, weights()));
    let elsewhere = storage.url();
    let server = Server::start(move |request| {
        if request.path.ends_with("model.safetensors") {
            let headers = vec![
                ("Location", format!("{elsewhere}/bucket/object")),
                ("X-Repo-Commit", COMMIT.to_owned()),
                ("X-Linked-ETag", format!("\"{}\"", sha256(&weights()))),
                ("X-Linked-Size", weights().len().to_string()),
                ("ETag", "\"of-the-redirect\"".to_owned()),
            ];
            return Reply {
                status: 302,
                headers,
                body: b"elsewhere".to_vec(),
                ..Reply::default()
            };
        }
        match request.path.strip_prefix("/cached") {
            Some(path) => hub(&Request {
                path: path.to_owned(),
                ..request.clone()
            }),
            None => Reply {
                status: 307,
                headers: vec![("Location", format!("/cached{}", request.path))],
                ..Reply::default()
            },
        }
    });
    let cache = cache();
    let client = client(&server, &cache).token(Some("hf_secret".to_owned()));
    assert!(!format!("{client:?}").contains("hf_secret"));
    assert_fetched(&fetch(&client).expect("a download"));
    for request in server.requests() {
        assert_eq!(
            request.header("authorization"),
            Some("Bearer hf_secret"),
            "{request:?}"
        );
    }
    let requests = storage.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert_eq!(requests[0].header("authorization"), None);
}

#[test]
fn redirects_in_a_circle_end() {
    let server = Server::start(|request| Reply {
        status: 302,
        headers: vec![("Location", request.path.clone())],
        ..Reply::default()
    });
    let error = fetch(&client(&server, &cache())).expect_err("a circle");
    assert!(matches!(error, HubError::Reply { .. }), "{error}");
    assert!(server.requests().len() < 20);
}

/// Everything that becomes a file name comes from the server too.
#[test]
fn names_from_the_server_cannot_leave_the_cache() {
    for (name, value) in [
        ("ETag", "\"../../../escaped\""),
        ("ETag", "\"/tmp/escaped\""),
        ("ETag", "\"\""),
        ("X-Repo-Commit", "../../../escaped"),
        ("X-Repo-Commit", "main"),
    ] {
        let server = Server::start(move |request| {
            let mut reply = hub(request);
            reply.headers.retain(|(n, _)| *n != name);
            reply.headers.push((name, value.to_owned()));
            reply
        });
        let cache = cache();
        let error = fetch(&client(&server, &cache)).expect_err("a bad name");
        assert!(
            matches!(error, HubError::Reply { .. }),
            "{name}: {value}: {error}"
        );
        assert_eq!(fs::read_dir(cache.path()).expect("a folder").count(), 0);
    }
}

#[test]
fn names_of_repositories_cannot_leave_the_cache() {
    for name in [
        "../../etc/passwd",
        "owner/..",
        "owner/name@../../x",
        "owner\\name",
        "/owner/name",
        "owner",
    ] {
        let error = name.parse::<ModelId>().expect_err(name);
        assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
    }
}
