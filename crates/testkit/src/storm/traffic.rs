//! Clients that ask without end, each over a kept connection, and note what they were told.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::verdict::{Rule, Seen, Sent, Wish};
use super::{Addresses, Target};
use crate::client::{Client, request};
use crate::wait::pause;

/// Between two requests of a client, so that subscribers keep up on a small machine.
const BREATH: Duration = Duration::from_millis(4);
/// A body that the gateway does not read whole before it forwards it.
const LARGE: usize = 80 << 10;

/// Running clients.
pub(super) struct Traffic {
    stopping: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<Sent>>>,
}

impl Traffic {
    pub(super) fn start(count: usize, target: &Target, rng: &mut fastrand::Rng) -> Self {
        let (stopping, ids) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(1)));
        let clients = (0..count).map(|number| {
            let asker = Asker {
                name: format!("client-{number}"),
                target: target.clone(),
                stopping: stopping.clone(),
                ids: ids.clone(),
                rng: rng.fork(),
                sent: Vec::new(),
                unsealed: Vec::new(),
            };
            std::thread::spawn(move || asker.run())
        });
        Self { clients: clients.collect(), stopping }
    }

    /// Lets every client end its request; all that was sent.
    pub(super) fn stop(self) -> Vec<Sent> {
        self.stopping.store(true, Ordering::Relaxed);
        self.clients.into_iter().flat_map(|client| client.join().expect("no client panics")).collect()
    }
}

struct Asker {
    /// The key of its events.
    name: String,
    target: Target,
    stopping: Arc<AtomicBool>,
    ids: Arc<AtomicU64>,
    rng: fastrand::Rng,
    sent: Vec<Sent>,
    /// Of this connection: answered, but nothing tells yet that the outcome is durable.
    unsealed: Vec<usize>,
}

/// What becomes of the connection.
#[derive(PartialEq, Eq)]
enum Then {
    Keep,
    Drop,
}

impl Asker {
    fn run(mut self) -> Vec<Sent> {
        while !self.stopping.load(Ordering::Relaxed) {
            match self.target.get().map(|Addresses { proxy, .. }| Client::connect(proxy)) {
                Some(Ok(client)) => self.converse(client),
                Some(Err(_)) | None => pause(BREATH),
            }
        }
        self.sent
    }

    /// Asks over one connection until it breaks.
    fn converse(&mut self, client: Client) {
        self.unsealed.clear();
        let mut client = Some(client);
        while let Some(mut connection) = client.take() {
            if self.stopping.load(Ordering::Relaxed) {
                return;
            }
            let (wish, rule) = self.choose();
            let id = self.ids.fetch_add(1, Ordering::Relaxed);
            self.sent.push(Sent { id, rule, wish, seen: Seen::Nothing, sealed: false });
            let then = match self.rng.u8(0..100) {
                _ if matches!(wish, Wish::HalfBody | Wish::HalfLarge) => self.break_off(connection, id),
                0..5 => self.leave(connection),
                _ => {
                    let then = self.ask(&mut connection).unwrap_or(Then::Drop);
                    if then == Then::Keep {
                        client = Some(connection);
                    }
                    Ok(then)
                }
            };
            // A connection that broke under a client says nothing: the gateway was killed.
            let _ = then;
            pause(BREATH);
        }
    }

    fn choose(&mut self) -> (Wish, Rule) {
        let wish = match self.rng.u8(0..100) {
            0..12 => Wish::Failure,
            12..16 => Wish::Reset,
            16..19 => Wish::HalfBody,
            19..21 => Wish::HalfLarge,
            21..26 => Wish::Read,
            26..30 => Wish::Large,
            30..32 => Wish::Slow,
            _ => Wish::Success,
        };
        (wish, if self.rng.bool() { Rule::Intent } else { Rule::Strict })
    }

    fn bytes(&self) -> Vec<u8> {
        let Sent { id, rule, wish, .. } = self.sent.last().expect("it was noted");
        let target = format!("/{}/profiles/{id}{}", rule.as_str(), wish.query());
        let method = if *wish == Wish::Read { "GET" } else { "PUT" };
        let body = match wish {
            Wish::Read => Vec::new(),
            Wish::Large | Wish::HalfLarge => vec![b'x'; LARGE],
            _ => format!("{{\"id\":{id}}}").into_bytes(),
        };
        request(method, &target, &[("x-client", &self.name)], &body)
    }

    fn ask(&mut self, client: &mut Client) -> io::Result<Then> {
        client.write(&self.bytes())?;
        let answer = client.answer()?;
        let asked = self.sent.len() - 1;
        let sent = &mut self.sent[asked];
        let from_upstream = answer.header("x-upstream").is_some();
        sent.seen = if from_upstream { Seen::Whole(answer.status) } else { Seen::OfGateway(answer.status) };
        if from_upstream && sent.wish != Wish::Read {
            // Its intent is durable, and the outcomes of the requests before it stand before it in the store's queue.
            for index in self.unsealed.drain(..) {
                self.sent[index].sealed = true;
            }
            self.unsealed.push(asked);
        }
        let closes = answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        Ok(if closes { Then::Drop } else { Then::Keep })
    }

    /// Sends all of it and does not wait.
    fn leave(&mut self, mut client: Client) -> io::Result<Then> {
        client.write(&self.bytes())?;
        self.end(client)
    }

    /// Sends the head and a part of the body.
    fn break_off(&mut self, mut client: Client, id: u64) -> io::Result<Then> {
        let bytes = self.bytes();
        let shorter = 1 + usize::try_from(id % 3).unwrap_or(0);
        client.write(&bytes[..bytes.len() - shorter])?;
        self.end(client)
    }

    fn end(&mut self, client: Client) -> io::Result<Then> {
        if self.rng.bool() {
            client.rst()?
        } else {
            client.fin()?
        }
        Ok(Then::Drop)
    }
}
