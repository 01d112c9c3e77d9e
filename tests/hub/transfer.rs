//! Downloads that break off, stand still, or bring something else than announced.

use std::fs;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pvt_cuda::hub::{HubError, ModelId};

use super::server::{Reply, Request, Server};
use super::{
    COMMIT, CONFIG, assert_fetched, assert_no_weights, cache, client, fetch, hub, incomplete,
    is_weights, read, repo, sha256, weights, weights_blob,
};

#[test]
fn a_cut_connection_is_taken_up_where_it_broke() {
    for unmeasured in [false, true] {
        let first = AtomicUsize::new(0);
        let server = Server::start(move |request| {
            let mut reply = hub(request);
            if is_weights(request) && first.fetch_add(1, Ordering::SeqCst) == 0 {
                reply.cut = Some(500_000);
                reply.unmeasured = unmeasured;
            }
            reply
        });
        assert_fetched(&fetch(&client(&server, &cache())).expect("a download"));
        let requests = server.requests();
        let ranges: Vec<_> = requests
            .iter()
            .filter(|r| is_weights(r))
            .map(Request::from)
            .collect();
        assert_eq!(ranges, [None, Some(500_000)]);
    }
}

#[test]
fn another_run_takes_up_the_download_and_reports_all_bytes() {
    let fail = Arc::new(AtomicUsize::new(1));
    let failing = Arc::clone(&fail);
    let server = Server::start(move |request| {
        let mut reply = hub(request);
        if is_weights(request) && failing.load(Ordering::SeqCst) == 1 {
            reply.cut = Some(100_000.min(reply.body.len()));
        }
        reply
    });
    let cache = cache();
    let error = fetch(&client(&server, &cache)).expect_err("always cut");
    assert!(matches!(error, HubError::Transport { .. }), "{error}");
    assert_eq!(
        read(&incomplete(&cache)),
        &weights()[..300_000],
        "three tries of 100 000 bytes"
    );
    assert_no_weights(&cache);

    fail.store(0, Ordering::SeqCst);
    let seen = Mutex::new(Vec::new());
    let id: ModelId = "owner/name".parse().expect("valid");
    let files = client(&server, &cache)
        .model(&id, |p| {
            if p.file == "model.safetensors" {
                seen.lock().expect("not poisoned").push((p.bytes, p.total));
            }
        })
        .expect("a download");
    assert_fetched(&files);
    let seen = seen.into_inner().expect("not poisoned");
    let total = weights().len() as u64;
    assert_eq!(seen.first(), Some(&(300_000, Some(total))));
    assert_eq!(seen.last(), Some(&(total, Some(total))));
    assert!(seen.is_sorted(), "{seen:?}");
}

#[test]
fn a_server_that_ignores_ranges_gives_the_whole_file_again() {
    let first = AtomicUsize::new(0);
    let server = Server::start(move |request| {
        if !is_weights(request) {
            return hub(request);
        }
        let cut = (first.fetch_add(1, Ordering::SeqCst) == 0).then_some(500_000);
        Reply {
            status: 200,
            body: weights(),
            cut,
            ..Reply::default()
        }
    });
    let cache = cache();
    assert_fetched(&fetch(&client(&server, &cache)).expect("a download"));
    assert_eq!(
        server
            .requests()
            .iter()
            .filter_map(Request::from)
            .collect::<Vec<_>>(),
        [500_000]
    );
}

#[test]
fn another_range_than_the_one_asked_for_is_not_glued_on() {
    let first = AtomicUsize::new(0);
    let server = Server::start(move |request| {
        let mut reply = hub(request);
        if is_weights(request) {
            match first.fetch_add(1, Ordering::SeqCst) {
                0 => reply.cut = Some(500_000),
                1 => {
                    let total = weights().len();
                    reply.headers =
                        vec![("Content-Range", format!("bytes 7-{}/{total}", total - 1))];
                }
                _ => {}
            }
        }
        reply
    });
    let cache = cache();
    assert_fetched(&fetch(&client(&server, &cache)).expect("a download"));
    assert_eq!(
        server.requests().iter().filter(|r| is_weights(r)).count(),
        3
    );
}

#[test]
fn a_bad_beginning_from_another_run_is_thrown_away() {
    let (server, cache) = (Server::start(hub), cache());
    fs::create_dir_all(repo(&cache).join("blobs")).expect("a folder");
    for length in [10_000, weights().len(), weights().len() + 5] {
        fs::write(incomplete(&cache), vec![0; length]).expect("a file");
        assert_fetched(&fetch(&client(&server, &cache)).expect("a download"));
        fs::remove_dir_all(repo(&cache).join("snapshots")).expect("a folder");
        fs::remove_file(weights_blob(&cache)).expect("a file");
    }
}

#[test]
fn corrupted_content_is_refused_and_removed() {
    let server = Server::start(|request| {
        let mut reply = hub(request);
        if is_weights(request) {
            reply.body[777] ^= 1;
        }
        reply
    });
    let cache = cache();
    let error = fetch(&client(&server, &cache)).expect_err("one bit differs");
    let HubError::Hash {
        found,
        expected,
        url,
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(*expected, sha256(&weights()));
    assert_ne!(found, expected);
    assert!(
        url.ends_with(&format!("{COMMIT}/model.safetensors")),
        "{url}"
    );
    assert_no_weights(&cache);
    assert!(!incomplete(&cache).exists(), "the bad file is still there");
}

#[test]
fn a_small_file_of_another_length_is_refused_and_removed() {
    let server = Server::start(|request| {
        let mut reply = hub(request);
        if request.method == "GET" && request.path.ends_with("/config.json") {
            reply.body.extend_from_slice(b"more");
        }
        reply
    });
    let cache = cache();
    let error = fetch(&client(&server, &cache)).expect_err("too long");
    let length = CONFIG.len() as u64;
    assert!(
        matches!(error, HubError::Size { found, expected, .. } if expected == length && found > length),
        "{error}"
    );
    assert_eq!(
        fs::read_dir(repo(&cache).join("blobs"))
            .expect("a folder")
            .count(),
        0
    );
}

#[test]
fn a_download_that_stands_still_is_given_up() {
    let server = Server::start(|request| {
        let mut reply = hub(request);
        reply.stall = is_weights(request).then_some(Duration::from_secs(2));
        reply
    });
    let cache = cache();
    let client = client(&server, &cache).timeout(Duration::from_millis(200));
    let error = fetch(&client.tries(NonZeroU32::MIN, Duration::ZERO)).expect_err("stalled");
    assert!(matches!(error, HubError::Transport { .. }), "{error}");
    assert_no_weights(&cache);
}

#[test]
fn two_at_once_fetch_each_file_once() {
    let server = Server::start(|request| {
        let mut reply = hub(request);
        reply.stall = is_weights(request).then_some(Duration::from_millis(100));
        reply
    });
    let cache = cache();
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| fetch(&client(&server, &cache))))
            .collect();
        for run in runs {
            assert_fetched(&run.join().expect("no panic").expect("a download"));
        }
    });
    assert_eq!(server.count("GET", "model.safetensors"), 1);
}
