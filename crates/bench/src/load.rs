//! The load generator: kept connections, in a closed loop (the next request follows the last answer) or an open one (requests are due at
//! fixed times, whatever the answers do).

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::wire::{self, Wire};

mod closed;
mod open;

pub use closed::{Until, closed};
pub use open::{Sample, open};

/// Stands in front of a request's number in its path, so that a receiver finds it again.
pub const MARKER: &str = "bench-";
/// Nobody waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Which requests are made.
#[derive(Clone)]
pub struct Template {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Template {
    /// `GET` of a path that is always the same but for its number.
    pub fn get(folder: &str) -> Self {
        Self::new("GET", folder, "")
    }

    /// `PUT` of a small JSON body.
    pub fn put(folder: &str) -> Self {
        let body = r#"{"name":"Ada Example","city":"London","language":"en","newsletter":true}"#;
        let length = body.len();
        Self::new(
            "PUT",
            folder,
            &format!("Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"),
        )
    }

    /// `POST` of a JSON body of so many bytes.
    pub fn post(folder: &str, length: usize) -> Self {
        let (before, after) = (r#"{"text":""#, r#""}"#);
        let text = "x".repeat(length - before.len() - after.len());
        let head = format!("Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
        Self::new("POST", folder, &format!("{head}{before}{text}{after}"))
    }

    fn new(method: &str, folder: &str, rest: &str) -> Self {
        let end = if rest.is_empty() { "\r\n" } else { rest };
        let before = format!("{method} /{folder}/{MARKER}");
        let after = format!(
            " HTTP/1.1\r\nHost: profiles.example.com\r\nUser-Agent: bench/1\r\nAccept: application/json\r\n{end}"
        );
        Self { before: before.into_bytes(), after: after.into_bytes() }
    }

    fn write(&self, number: u64, into: &mut Vec<u8>) {
        let mut digits = [b'0'; 10];
        let mut rest = number;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        into.clear();
        into.extend_from_slice(&self.before);
        into.extend_from_slice(&digits);
        into.extend_from_slice(&self.after);
    }
}

/// A connection of a client.
struct Client {
    wire: Wire,
    template: Rc<Template>,
    message: Vec<u8>,
}

impl Client {
    async fn connect(address: SocketAddr, template: Rc<Template>) -> io::Result<Self> {
        let wire = Wire::new(TcpStream::connect(address).await?)?;
        Ok(Self { wire, template, message: Vec::new() })
    }

    /// Sends a request and waits for the whole answer; only 200 is well.
    async fn exchange(&mut self, number: u64) -> io::Result<()> {
        self.template.write(number, &mut self.message);
        self.wire.send(&self.message).await?;
        let answer = self.wire.receive(wire::answer).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if answer.status != 200 {
            let text = String::from_utf8_lossy(self.wire.message(&answer)).into_owned();
            return Err(io::Error::other(text));
        }
        self.wire.consume(&answer);
        Ok(())
    }
}

/// One request on a connection of its own; the answer's head in lower case.
pub async fn once(address: SocketAddr, template: &Template) -> Result<String, String> {
    let exchange = async {
        let mut client = Client::connect(address, Rc::new(template.clone())).await?;
        client.template.write(0, &mut client.message);
        client.wire.send(&client.message).await?;
        let answer = client.wire.receive(wire::answer).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(String::from_utf8_lossy(&client.wire.message(&answer)[..answer.head]).to_ascii_lowercase())
    };
    let answer: io::Result<_> = bounded(PATIENCE, exchange).await?;
    answer.map_err(|error| format!("a request to {address} failed: {error}"))
}

/// One request on a connection of its own, with a body; an error says what was answered instead of a success.
pub async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    content_type: &str,
    body: &str,
) -> Result<(), String> {
    let message = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let exchange = async {
        let mut wire = Wire::new(TcpStream::connect(address).await?)?;
        wire.send(message.as_bytes()).await?;
        let answer = wire.receive(wire::answer).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        match answer.status {
            200..300 => Ok(()),
            _ => Err(io::Error::other(String::from_utf8_lossy(wire.message(&answer)).into_owned())),
        }
    };
    let answer: io::Result<_> = bounded(PATIENCE, exchange).await?;
    answer.map_err(|error| format!("{method} {path} failed: {error}"))
}

async fn connect_all(address: SocketAddr, template: &Template, count: usize) -> Result<Vec<Client>, String> {
    let template = Rc::new(template.clone());
    let mut clients = Vec::new();
    for _ in 0..count {
        let client = Client::connect(address, template.clone()).await;
        clients.push(client.map_err(|error| format!("cannot connect to {address}: {error}"))?);
    }
    Ok(clients)
}

/// All results of a set of tasks, or the first problem.
async fn join<T: 'static>(
    mut tasks: JoinSet<Result<T, String>>,
    patience: Duration,
) -> Result<Vec<T>, String> {
    let all = async {
        let mut results = Vec::new();
        while let Some(result) = tasks.join_next().await {
            results.push(result.map_err(|error| error.to_string())??);
        }
        Ok(results)
    };
    bounded(patience, all).await?
}

async fn bounded<T>(patience: Duration, work: impl Future<Output = T>) -> Result<T, String> {
    let late = |_| format!("no end after {} s", patience.as_secs());
    tokio::time::timeout(patience, work).await.map_err(late)
}

fn failed(number: u64) -> impl Fn(io::Error) -> String {
    move |error| format!("request {number} failed: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_posted_body_is_as_long_as_its_head_says() {
        for length in [1 << 10, 32 << 10] {
            let mut message = Vec::new();
            Template::post("profiles", length).write(7, &mut message);
            let frame = wire::request(&message).unwrap().unwrap();
            assert_eq!((frame.whole, frame.whole - frame.head), (message.len(), length));
            assert!(message[frame.head..].starts_with(br#"{"text":"xx"#) && message.ends_with(br#"xx"}"#));
        }
    }
}
