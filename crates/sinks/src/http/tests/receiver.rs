//! Endpoints that do as they are told.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub(crate) const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";

/// What an endpoint has seen.
#[derive(Clone, Default)]
pub(crate) struct Log {
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Log {
    pub(crate) fn push(&self, request: String) {
        self.requests.lock().unwrap().push(request);
    }

    pub(crate) fn len(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

/// An address at which nobody listens.
pub(crate) async fn absent() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

pub(crate) struct Receiver {
    address: SocketAddr,
    log: Log,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Runs `script` on every connection.
    pub(crate) async fn scripted<F, R>(script: F) -> Self
    where
        F: Fn(TcpStream, Log) -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = Log::default();
        let seen = log.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                seen.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(script(stream, seen.clone()));
            }
        });
        Self { address, log, task }
    }

    /// Gives the same answer to every request.
    pub(crate) async fn answering(answer: impl Into<String>) -> Self {
        let answer: Arc<str> = answer.into().into();
        Self::scripted(move |mut stream, log| {
            let answer = answer.clone();
            async move {
                loop {
                    let request = read_request(&mut stream).await;
                    if request.is_empty() {
                        return;
                    }
                    log.push(request);
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            }
        })
        .await
    }

    /// Accepts, and never answers.
    pub(crate) async fn hanging() -> Self {
        Self::scripted(|mut stream, _| async move { while !read_request(&mut stream).await.is_empty() {} })
            .await
    }

    /// Accepts, reads a request, and leaves without an answer.
    pub(crate) async fn leaving() -> Self {
        Self::scripted(|mut stream, _| async move {
            read_request(&mut stream).await;
        })
        .await
    }

    pub(crate) fn authority(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.log.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.log.requests.lock().unwrap().clone()
    }

    pub(crate) async fn wait_for_requests(&self, count: usize) {
        let enough = async {
            while self.requests().len() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), enough)
            .await
            .expect("the endpoint was not done in time");
    }

    /// Stops listening.
    pub(crate) async fn into_closed_url(self) -> String {
        self.task.abort();
        let _ = self.task.await;
        format!("http://{}/", self.address)
    }
}

/// A request with a Content-Length, head and body; empty if the connection ended first.
pub(crate) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text.into_owned();
            }
        }
        match stream.read_buf(&mut bytes).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return String::new(),
        }
    }
}

/// Answers with success as soon as it has a request's head, and logs the body's length when all of it has come, or what there is of it.
pub(crate) async fn answer_early(mut stream: impl AsyncRead + AsyncWrite + Unpin, log: Log) {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(found) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break found + 4;
        }
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0);
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    stream.flush().await.unwrap();
    let mut body = bytes.len() - head_end;
    while body < length.parse().unwrap() {
        bytes.clear();
        match stream.read_buf(&mut bytes).await {
            Ok(read @ 1..) => body += read,
            Ok(0) | Err(_) => break,
        }
    }
    log.push(body.to_string());
}
