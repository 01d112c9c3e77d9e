//! A small HTTP server on this machine, with answers and faults chosen by each test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Longest wait for a client in the middle of a request.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(n, _)| n == name)?;
        Some(value)
    }

    /// First byte asked for by a `Range` header.
    pub(crate) fn from(&self) -> Option<usize> {
        let range = self.header("range")?.strip_prefix("bytes=")?;
        range.strip_suffix('-')?.parse().ok()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// The connection breaks off after so many bytes of the body.
    pub(crate) cut: Option<usize>,
    /// No length is announced: the end of the connection is the end of the body.
    pub(crate) unmeasured: bool,
    /// Wait in the middle of the body.
    pub(crate) stall: Option<Duration>,
}

pub(crate) struct Server {
    address: SocketAddr,
    log: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (log, stop) = (
            Arc::new(Mutex::new(Vec::new())),
            Arc::new(AtomicBool::new(false)),
        );
        let answer = Arc::new(answer);
        let accepting = thread::spawn({
            let (log, stop) = (Arc::clone(&log), Arc::clone(&stop));
            move || {
                for stream in listener.incoming().flatten() {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                    thread::spawn(move || serve(&stream, &log, &*answer));
                }
            }
        });
        Self {
            address,
            log,
            stop,
            accepting: Some(accepting),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.log.lock().expect("not poisoned").clone()
    }

    /// Requests of one method for paths that end so.
    pub(crate) fn count(&self, method: &str, end: &str) -> usize {
        let requests = self.requests();
        requests
            .iter()
            .filter(|r| r.method == method && r.path.ends_with(end))
            .count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then sees the flag.
        let _ = TcpStream::connect_timeout(&self.address, PATIENCE);
        if let Some(thread) = self.accepting.take() {
            let _ = thread.join();
        }
    }
}

/// One request of one connection; a client that goes away ends it.
fn serve(mut stream: &TcpStream, log: &Mutex<Vec<Request>>, answer: &dyn Fn(&Request) -> Reply) {
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let _ = stream.set_write_timeout(Some(PATIENCE));
    let Some(request) = read_request(stream) else {
        return;
    };
    log.lock().expect("not poisoned").push(request.clone());
    let reply = answer(&request);
    let mut head = vec![
        format!("HTTP/1.1 {} X", reply.status),
        "Connection: close".to_owned(),
    ];
    if !reply.unmeasured {
        head.push(format!("Content-Length: {}", reply.body.len()));
    }
    head.extend(
        reply
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}")),
    );
    let head = head.join("\r\n") + "\r\n\r\n";
    let body = if request.method == "HEAD" {
        &[]
    } else {
        reply.body.as_slice()
    };
    let body = &body[..reply.cut.unwrap_or(body.len()).min(body.len())];
    let (first, second) = body.split_at(if reply.stall.is_some() {
        body.len() / 2
    } else {
        0
    });
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(first));
    if let Some(stall) = reply.stall {
        thread::sleep(stall);
    }
    let _ = stream.write_all(second);
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream.take(16 * 1024)).lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Some(Request {
        method,
        path,
        headers,
    })
}
