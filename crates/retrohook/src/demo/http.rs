//! The demo's own requests.

use std::time::Duration;

use super::DemoError;
use crate::client;
pub use crate::client::Answer;

/// No request of the demo takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends one request on a connection of its own.
pub async fn send(method: &str, url: &str, body: &str) -> Result<Answer, DemoError> {
    let sent = client::send(method, url, body, PATIENCE).await;
    sent.map_err(|source| DemoError::Request { url: url.to_owned(), source })
}

/// Gets a page.
pub async fn get(url: &str) -> Result<Answer, DemoError> {
    send("GET", url, "").await
}
