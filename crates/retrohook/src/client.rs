//! A minimal HTTP client, for the demo and for commands that ask a running node.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::cli::Listen;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// The longest body of an answer, in bytes. A report of the largest configuration is shorter.
const MAX_ANSWER: usize = 64 << 20;

/// A complete answer.
pub struct Answer {
    pub status: u16,
    pub body: String,
}

/// A header's name and value.
pub type Header<'a> = (&'a str, &'a str);

/// What a body is if nothing else is said.
const JSON: Header<'_> = ("content-type", "application/json");

/// Sends one request with a JSON body to a URL, on a connection of its own.
///
/// # Errors
/// If no complete answer comes in time.
pub async fn send(method: &str, url: &str, body: &str, patience: Duration) -> Result<Answer, Error> {
    send_with(method, url, &[JSON], body, patience).await
}

/// The same, with headers: `host` and `content-length` are added.
///
/// # Errors
/// If no complete answer comes in time.
pub async fn send_with(
    method: &str,
    url: &str,
    headers: &[Header<'_>],
    body: &str,
    patience: Duration,
) -> Result<Answer, Error> {
    let exchange = async {
        let url: http::Uri = url.parse()?;
        let authority = url.authority().ok_or("the URL has no host")?.as_str().to_owned();
        let target = url.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let stream = TcpStream::connect(&authority).await?;
        exchange(stream, &authority, (method, &target), headers, body).await
    };
    tokio::time::timeout(patience, exchange).await?
}

/// Where a node's listener is, in words.
///
/// # Errors
/// If it is at no place that can be asked.
pub fn place(node: &Listen) -> Result<String, String> {
    match node {
        Listen::On(address) if address.port() != 0 => Ok(address.to_string()),
        Listen::Unix(path) => Ok(format!("unix:{}", path.display())),
        Listen::On(_) | Listen::Off => {
            Err("where is the node's admin port? Name it with --admin 127.0.0.1:8001 (its --admin-listen)"
                .into())
        }
    }
}

/// Sends one request to a node's listener.
///
/// # Errors
/// If no complete answer comes in time, or nothing listens there.
pub async fn ask(node: &Listen, method: &str, target: &str, patience: Duration) -> Result<Answer, Error> {
    let exchange = async {
        match node {
            Listen::On(address) => {
                let stream = TcpStream::connect(address).await?;
                exchange(stream, &address.to_string(), (method, target), &[JSON], "").await
            }
            Listen::Unix(path) => {
                let stream = UnixStream::connect(path).await?;
                exchange(stream, "localhost", (method, target), &[JSON], "").await
            }
            Listen::Off => Err("`off` is not an address".into()),
        }
    };
    tokio::time::timeout(patience, exchange).await?
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    host: &str,
    (method, target): (&str, &str),
    headers: &[Header<'_>],
    body: &str,
) -> Result<Answer, Error> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::builder().method(method).uri(target).header("host", host);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let request = request.body(Full::new(Bytes::from(body.to_owned())))?;
    let answer = sender.send_request(request).await?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await?.to_bytes();
    connection.abort();
    Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
}
