//! Requests to the hub: redirects, access token, time-outs, tries.

use std::thread;
use std::time::Duration;

use ureq::http::{Request, Response, Uri, header};
use ureq::{Agent, Body, Proxy};

use super::id::{is_commit, is_hex, is_plain};
use super::{HubClient, HubError};

/// Longest chain of redirects that is followed.
const MAX_HOPS: usize = 8;

/// Wait before the second try, unless set.
pub(super) const PAUSE: Duration = Duration::from_millis(500);

/// One way to the hub, with the addresses of one model for messages.
pub(super) struct Http<'a> {
    agent: Agent,
    client: &'a HubClient,
    folder: String,
}

/// What the hub says about a file before it is downloaded.
pub(super) struct Metadata {
    /// Commit that the revision names.
    pub(super) commit: Option<String>,
    /// Name of the content.
    pub(super) etag: String,
    /// Length of the content in bytes.
    pub(super) size: Option<u64>,
}

impl Metadata {
    /// SHA-256 of the content: the hub names large files by it. Small files are named by their git
    /// blob hash (40 digits of SHA-1), and there only the length is checked.
    pub(super) fn sha256(&self) -> Option<&str> {
        is_hex(&self.etag, 64).then_some(self.etag.as_str())
    }
}

/// The end of a chain of redirects.
struct Answer {
    response: Response<Body>,
    /// Commit that one of the answers of the chain has named.
    commit: Option<String>,
}

/// How far a request follows redirects.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Follow {
    /// To the content.
    All,
    /// Up to the answer that names the content; that is the hub's own, not the storage's.
    ToMetadata,
}

impl<'a> Http<'a> {
    pub(super) fn new(client: &'a HubClient, folder: String) -> Result<Self, HubError> {
        let proxy = client.proxy.as_deref().map(Proxy::new).transpose();
        let config = Agent::config_builder()
            .proxy(proxy.map_err(|_| HubError::Proxy)?)
            .user_agent(concat!("pvt-cuda/", env!("CARGO_PKG_VERSION")))
            // Lengths and ranges count bytes of the file, so nothing may be compressed on the way.
            .accept_encoding("identity")
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_resolve(Some(client.timeout))
            .timeout_connect(Some(client.timeout))
            .timeout_send_request(Some(client.timeout))
            .timeout_recv_response(Some(client.timeout))
            // A slow download may take its time; one that stands still may not.
            .timeout_per_read(Some(client.timeout))
            .build();
        Ok(Self {
            agent: config.new_agent(),
            client,
            folder,
        })
    }

    /// Tries again, after a pause that doubles, what failed for a reason that may pass.
    pub(super) fn patiently<T>(
        &self,
        mut attempt: impl FnMut() -> Result<T, HubError>,
    ) -> Result<T, HubError> {
        let mut pause = self.client.pause;
        for _ in 1..self.client.tries.get() {
            match attempt() {
                Err(error) if error.is_passing() => thread::sleep(pause),
                done => return done,
            }
            pause = pause.saturating_mul(2);
        }
        attempt()
    }

    /// What the hub says about a file.
    pub(super) fn metadata(&self, url: &str) -> Result<Metadata, HubError> {
        let Answer { response, commit } =
            self.patiently(|| self.request("HEAD", url, 0, Follow::ToMetadata))?;
        let field = |name| text(&response, name);
        let tag = field("x-linked-etag")
            .or_else(|| field("etag"))
            .unwrap_or("");
        let etag = tag.trim_start_matches("W/").trim_matches('"');
        if !is_plain(etag) {
            return Err(HubError::Reply {
                url: url.to_owned(),
                found: format!("etag {tag:?}"),
                expected: "an etag that names the content",
            });
        }
        let mut size = field("x-linked-size");
        // The length of a redirect is that of its own text.
        if response.status().is_success() {
            size = size.or_else(|| field("content-length"));
        }
        Ok(Metadata {
            commit,
            etag: etag.to_owned(),
            size: size.and_then(|size| size.parse().ok()),
        })
    }

    /// The content of a file from byte `from` on, as far as the server honours that: status 206, or
    /// 200 with all of it. One try.
    pub(super) fn content(&self, url: &str, from: u64) -> Result<Response<Body>, HubError> {
        Ok(self.request("GET", url, from, Follow::All)?.response)
    }

    /// An error of the connection.
    pub(super) fn transport(
        &self,
        url: &str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> HubError {
        HubError::Transport {
            url: url.to_owned(),
            folder: self.folder.clone(),
            source: source.into(),
        }
    }

    fn request(
        &self,
        method: &str,
        url: &str,
        from: u64,
        follow: Follow,
    ) -> Result<Answer, HubError> {
        let reply = |found: &str, expected| HubError::Reply {
            url: url.to_owned(),
            found: found.to_owned(),
            expected,
        };
        let home: Uri = url
            .parse()
            .map_err(|_| reply("nothing, as it is not an address", "a file"))?;
        let mut uri = home.clone();
        let mut commit = None;
        for _ in 0..MAX_HOPS {
            let mut request = Request::builder().method(method).uri(&uri);
            if let Some(token) = self.client.token.as_deref()
                && same_host(&uri, &home)
            {
                request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            }
            if from > 0 {
                request = request.header(header::RANGE, format!("bytes={from}-"));
            }
            let response = request
                .body(())
                .map_err(ureq::Error::from)
                .and_then(|request| self.agent.run(request))
                .map_err(|source| self.transport(url, source))?;
            let named = text(&response, "x-repo-commit").filter(|named| is_commit(named));
            commit = commit.or_else(|| named.map(str::to_owned));

            let status = response.status();
            if !status.is_redirection() {
                self.check_status(url, status.as_u16())?;
                return Ok(Answer { response, commit });
            }
            let target = text(&response, "location")
                .and_then(|to| resolve(&uri, to))
                .ok_or_else(|| reply("a redirect to nowhere", "an address to go on to"))?;
            let leaves = !same_host(&target, &home) || text(&response, "x-linked-etag").is_some();
            if follow == Follow::ToMetadata && leaves {
                return Ok(Answer { response, commit });
            }
            if uri.scheme_str() == Some("https") && target.scheme_str() != Some("https") {
                return Err(reply(
                    "a redirect to an address without encryption",
                    "https",
                ));
            }
            uri = target;
        }
        Err(reply("redirects without end", "the file"))
    }

    fn check_status(&self, url: &str, status: u16) -> Result<(), HubError> {
        let url = url.to_owned();
        match status {
            // 416: the file has become shorter than the part that is here.
            200 | 206 | 416 => Ok(()),
            401 | 403 => Err(HubError::Unauthorised { url, status }),
            404 => Err(HubError::NotFound { url }),
            429 | 500.. => {
                let folder = self.folder.clone();
                Err(HubError::Busy {
                    url,
                    folder,
                    status,
                })
            }
            _ => Err(HubError::Reply {
                url,
                found: format!("status {status}"),
                expected: "the file",
            }),
        }
    }
}

/// Where the interrupted part of a file begins, by the answer to a request from byte `from` on.
pub(super) fn start_of(response: &Response<Body>, from: u64) -> Option<u64> {
    match response.status().as_u16() {
        200 => Some(0),
        206 => {
            let range = text(response, "content-range")?.strip_prefix("bytes ")?;
            let start: u64 = range.split('-').next()?.parse().ok()?;
            (start == from).then_some(from)
        }
        _ => None,
    }
}

fn text<'r>(response: &'r Response<Body>, name: &str) -> Option<&'r str> {
    response.headers().get(name)?.to_str().ok()
}

/// Same scheme, host and port: the token may be shown there.
fn same_host(a: &Uri, b: &Uri) -> bool {
    let port = |uri: &Uri| {
        uri.port_u16()
            .or_else(|| (uri.scheme_str() == Some("https")).then_some(443))
    };
    a.scheme() == b.scheme()
        && a.host() == b.host()
        && port(a).unwrap_or(80) == port(b).unwrap_or(80)
}

/// The address that a redirect from `base` leads to.
fn resolve(base: &Uri, location: &str) -> Option<Uri> {
    let scheme = base.scheme_str()?;
    let absolute = if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{}{location}", base.authority()?)
    } else {
        location.to_owned()
    };
    let uri: Uri = absolute.parse().ok()?;
    (matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()).then_some(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_to_absolute_and_rooted_addresses_only() {
        let base: Uri = "https://hub:8443/a/b?c".parse().expect("valid");
        let to = |location| resolve(&base, location).map(|uri| uri.to_string());
        assert_eq!(to("/x?y=1").as_deref(), Some("https://hub:8443/x?y=1"));
        assert_eq!(to("//cdn/x").as_deref(), Some("https://cdn/x"));
        assert_eq!(to("http://cdn/x").as_deref(), Some("http://cdn/x"));
        for bad in ["x", "", "file:///etc/passwd", "ftp://cdn/x", "http://"] {
            assert_eq!(to(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_token_stays_with_scheme_host_and_port() {
        let home: Uri = "https://hub/x".parse().expect("valid");
        let same = |other: &str| same_host(&home, &other.parse().expect("valid"));
        assert!(same("https://hub:443/y"));
        for other in [
            "http://hub/x",
            "https://hub:8443/x",
            "https://hub.example/x",
            "http://hub:443/x",
        ] {
            assert!(!same(other), "{other}");
        }
    }
}
