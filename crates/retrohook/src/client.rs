//! A minimal HTTP client, for the demo and for commands that ask a running node.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::cli::Listen;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// A complete answer.
pub struct Answer {
    pub status: u16,
    pub body: String,
}

/// Sends one request to a URL, on a connection of its own.
///
/// # Errors
/// If no complete answer comes in time.
pub async fn send(method: &str, url: &str, body: &str, patience: Duration) -> Result<Answer, Error> {
    let exchange = async {
        let url: http::Uri = url.parse()?;
        let authority = url.authority().ok_or("the URL has no host")?.as_str().to_owned();
        let target = url.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let stream = TcpStream::connect(&authority).await?;
        exchange(stream, method, &authority, &target, body).await
    };
    tokio::time::timeout(patience, exchange).await?
}

/// Sends one request to a node's listener.
///
/// # Errors
/// If no complete answer comes in time, or nothing listens there.
pub async fn ask(node: &Listen, method: &str, target: &str, patience: Duration) -> Result<Answer, Error> {
    let exchange = async {
        match node {
            Listen::On(address) => {
                exchange(TcpStream::connect(address).await?, method, &address.to_string(), target, "").await
            }
            Listen::Unix(path) => {
                exchange(UnixStream::connect(path).await?, method, "localhost", target, "").await
            }
            Listen::Off => Err("`off` is not an address".into()),
        }
    };
    tokio::time::timeout(patience, exchange).await?
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    method: &str,
    host: &str,
    target: &str,
    body: &str,
) -> Result<Answer, Error> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header("host", host)
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_owned())))?;
    let answer = sender.send_request(request).await?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await?.to_bytes();
    connection.abort();
    Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
}
