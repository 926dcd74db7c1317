//! The least of an HTTP client for the demo's own requests.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::DemoError;

/// No request of the demo takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer, read whole.
pub struct Answer {
    pub status: u16,
    pub body: String,
}

/// Sends one request on a connection of its own.
pub async fn send(method: &str, url: &str, body: &str) -> Result<Answer, DemoError> {
    let failed =
        |source: Box<dyn std::error::Error + Send + Sync>| DemoError::Request { url: url.to_owned(), source };
    match tokio::time::timeout(PATIENCE, exchange(method, url, body)).await {
        Ok(answer) => answer.map_err(failed),
        Err(elapsed) => Err(failed(elapsed.into())),
    }
}

async fn exchange(
    method: &str,
    url: &str,
    body: &str,
) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    let url: http::Uri = url.parse()?;
    let authority = url.authority().ok_or("the URL has no host")?.as_str().to_owned();
    let stream = TcpStream::connect(&authority).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(url.path_and_query().map_or("/", |target| target.as_str()))
        .header("host", authority)
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_owned())))?;
    let answer = sender.send_request(request).await?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await?.to_bytes();
    connection.abort();
    Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
}

/// Gets a page.
pub async fn get(url: &str) -> Result<Answer, DemoError> {
    send("GET", url, "").await
}
