//! What stands behind the measured programs: an upstream and a receiver that answer as cheaply as possible. Their CPU time is not
//! counted, and they run on another core than what is measured.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::{JoinSet, spawn_local};
use tokio::time::timeout;

use crate::load::MARKER;
use crate::wire::{self, Wire};

/// The upstream's answer: 200 bytes of JSON.
const PROFILE: &str = concat!(
    r#"{"id":"7f3a1b9c","name":"Ada Example","email":"ada@example.com","city":"London","language":"en","admin":false,"#,
    r#""roles":["member","author"],"avatar":"/avatars/7f3a1b9c.png","updated":"2016-03-15T10:00:00Z","posts":12}"#
);
/// The receiver's answer to a webhook.
const RECEIVED: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";
/// The receiver's answer to SNS's Publish, at `/sns`.
const PUBLISHED: &str = concat!(
    "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 271\r\n\r\n",
    r#"<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult>"#,
    "<MessageId>94f20ce6-13c5-43a0-9a9e-ca52d816e90b</MessageId></PublishResult><ResponseMetadata>",
    "<RequestId>f187a3c1-376f-11df-8963-01868b7c937a</RequestId></ResponseMetadata></PublishResponse>\n"
);
/// Between two looks at a count that somebody waits for.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A stub that answers every request alike.
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Rc<RefCell<Option<String>>>,
    tasks: JoinSet<()>,
}

impl Upstream {
    /// Starts it on a free port.
    pub async fn start() -> io::Result<Self> {
        let listener = listen().await?;
        let address = listener.local_addr()?;
        let seen = Rc::new(RefCell::new(None));
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{PROFILE}",
            PROFILE.len()
        );
        let answer: Rc<[u8]> = answer.into_bytes().into();
        let mut tasks = JoinSet::new();
        tasks.spawn_local(accept(listener, {
            let seen = seen.clone();
            move |wire| serve_profiles(wire, answer.clone(), seen.clone())
        }));
        Ok(Self { address, seen, tasks })
    }

    /// Whether its task goes on; a stub that ended would spoil a measurement.
    pub fn alive(&self) -> bool {
        !self.tasks.is_empty()
    }

    /// The head of the first request since the last call, in lower case.
    pub fn seen(&self) -> String {
        self.seen.take().unwrap_or_default()
    }
}

async fn serve_profiles(
    mut wire: Wire,
    answer: Rc<[u8]>,
    seen: Rc<RefCell<Option<String>>>,
) -> io::Result<()> {
    while let Some(frame) = wire.receive(wire::request).await? {
        if seen.borrow().is_none() {
            let head = &wire.message(&frame)[..frame.head];
            seen.replace(Some(String::from_utf8_lossy(head).to_ascii_lowercase()));
        }
        wire.consume(&frame);
        wire.send(&answer).await?;
    }
    Ok(())
}

/// What the receiver's connections share.
#[derive(Default)]
struct Tally {
    received: Cell<u64>,
    connections: Cell<u64>,
    tracing: Cell<bool>,
    trace: RefCell<Vec<(u64, Instant)>>,
    more: Notify,
}

/// A stub that counts what it receives, on as many ports as there are subscribers.
pub struct Receiver {
    /// Where it listens: each subscriber is an endpoint of its own.
    pub addresses: Vec<SocketAddr>,
    tally: Rc<Tally>,
    _tasks: JoinSet<()>,
}

impl Receiver {
    /// Starts it on free ports.
    pub async fn start(endpoints: usize) -> io::Result<Self> {
        let tally = Rc::new(Tally::default());
        let mut addresses = Vec::new();
        let mut tasks = JoinSet::new();
        for _ in 0..endpoints {
            let listener = listen().await?;
            addresses.push(listener.local_addr()?);
            let tally = tally.clone();
            tasks.spawn_local(accept(listener, move |wire| receive(wire, tally.clone())));
        }
        Ok(Self { addresses, tally, _tasks: tasks })
    }

    /// Forgets what was received. `tracing` notes the number and time of each message from now on.
    pub fn reset(&self, tracing: bool) {
        self.tally.received.set(0);
        self.tally.connections.set(0);
        self.tally.tracing.set(tracing);
        self.tally.trace.take();
    }

    /// Messages received.
    pub fn received(&self) -> u64 {
        self.tally.received.get()
    }

    /// Connections accepted.
    pub fn connections(&self) -> u64 {
        self.tally.connections.get()
    }

    /// The numbers of the messages received, each with its time.
    pub fn trace(&self) -> Vec<(u64, Instant)> {
        self.tally.trace.take()
    }

    /// Waits until so many messages have come; whether they did in time.
    pub async fn wait_for(&self, count: u64, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while self.received() < count {
            if Instant::now() >= deadline {
                return false;
            }
            // Woken by the next message; the limit is for when there is none.
            let _ = timeout(LOOK_EVERY, self.tally.more.notified()).await;
        }
        true
    }
}

async fn receive(mut wire: Wire, tally: Rc<Tally>) -> io::Result<()> {
    tally.connections.set(tally.connections.get() + 1);
    while let Some(frame) = wire.receive(wire::request).await? {
        let message = wire.message(&frame);
        let answer = if message.starts_with(b"POST /sns ") { PUBLISHED } else { RECEIVED };
        if tally.tracing.get()
            && let Some(number) = number_in(&message[frame.head..])
        {
            tally.trace.borrow_mut().push((number, Instant::now()));
        }
        wire.consume(&frame);
        tally.received.set(tally.received.get() + 1);
        tally.more.notify_waiters();
        wire.send(answer.as_bytes()).await?;
    }
    Ok(())
}

/// The number behind the first [`MARKER`].
fn number_in(body: &[u8]) -> Option<u64> {
    let at = body.windows(MARKER.len()).position(|window| window == MARKER.as_bytes())?;
    let digits = body[at + MARKER.len()..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

async fn listen() -> io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await
}

async fn accept<F>(listener: TcpListener, serve: impl Fn(Wire) -> F)
where
    F: Future<Output = io::Result<()>> + 'static,
{
    while let Ok((stream, _)) = listener.accept().await {
        let Ok(wire) = Wire::new(stream) else { continue };
        let connection = serve(wire);
        // A connection that breaks off is the other side's matter: it counts what failed.
        spawn_local(async move { drop(connection.await) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_are_as_long_as_they_say() {
        let body = PUBLISHED.split_once("\r\n\r\n").unwrap().1;
        assert!(PUBLISHED.contains(&format!("Content-Length: {}\r\n", body.len())), "{}", body.len());
        assert!((190..=215).contains(&PROFILE.len()), "{}", PROFILE.len());
    }

    #[test]
    fn finds_the_number_of_a_message() {
        assert_eq!(number_in(br#"{"uri":"\/profiles\/bench-0000000042"}"#), Some(42));
        assert_eq!(number_in(b"{}"), None);
    }
}
