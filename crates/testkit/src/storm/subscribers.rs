//! Who hears: a webhook that misbehaves now and then, one that wants the order of each key, and a worker that reads the queue over plain
//! HTTP.

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use super::Target;
use super::verdict::{Outcome, Told, id_in};
use crate::aws;
use crate::client::Client;
use crate::server::{Request, Server, Then, answer};
use crate::wait::pause;

/// What a subscriber heard, in order, repetitions too: the request's id and what was said of it.
pub(super) type Heard = Vec<(u64, Told)>;

/// A webhook with its record.
pub(super) struct Webhook {
    server: Server,
    memory: Arc<Mutex<Memory>>,
}

/// How a webhook behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Refuses, resets or is slow about some events, once.
    Moody,
    /// Takes what comes.
    Steady,
}

#[derive(Default)]
struct Memory {
    heard: Heard,
    /// Key and position of every event when it came for the first time.
    order: Vec<(String, i64)>,
    /// Events that were answered with 200.
    acknowledged: BTreeSet<String>,
    /// Events that came at least once.
    known: BTreeSet<String>,
}

impl Webhook {
    pub(super) fn start(manner: Manner) -> Self {
        let memory = Arc::new(Mutex::new(Memory::default()));
        let kept = memory.clone();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::start(any, move |request, stream| hear(manner, &kept, request, stream));
        Self { server: server.expect("a free port"), memory }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/hear", self.server.address())
    }

    pub(super) fn heard(&self) -> Heard {
        lock(&self.memory).heard.clone()
    }

    pub(super) fn order(&self) -> Vec<(String, i64)> {
        lock(&self.memory).order.clone()
    }

    pub(super) fn acknowledged(&self) -> BTreeSet<String> {
        lock(&self.memory).acknowledged.clone()
    }
}

fn hear(
    manner: Manner,
    memory: &Mutex<Memory>,
    request: &Request,
    stream: &mut TcpStream,
) -> io::Result<Then> {
    let header = |name: &str| request.header(name).unwrap_or_default().to_owned();
    let event = header("x-retrohook-event-id");
    let message = request.json();
    let id = id_in(message["request"]["uri"].as_str().unwrap_or_default()).unwrap_or(0);
    let told =
        Told { event: event.clone(), outcome: Outcome::of(&header("x-retrohook-outcome")), reason: None };
    let is_first = {
        let mut memory = lock(memory);
        memory.heard.push((id, told));
        let is_first = memory.known.insert(event.clone());
        if is_first {
            let position = header("x-retrohook-sequence").parse().unwrap_or(0);
            memory.order.push((header("x-retrohook-key"), position));
        }
        is_first
    };
    match id % 50 {
        7 if is_first && manner == Manner::Moody => answer(stream, 500, &[], b"not now")?,
        // It heard, but its answer is lost.
        8 if is_first && manner == Manner::Moody => return Ok(Then::Reset),
        slowness => {
            if slowness == 9 && is_first {
                pause(Duration::from_millis(400));
            }
            // First the record: an answer that the gateway has is an event that stands here.
            lock(memory).acknowledged.insert(event);
            answer(stream, 200, &[], b"")?;
        }
    }
    Ok(Then::KeepOpen)
}

/// A worker that receives, notes and deletes.
pub(super) struct QueueReader {
    heard: Arc<Mutex<Heard>>,
    stopping: Arc<AtomicBool>,
    worker: JoinHandle<()>,
}

impl QueueReader {
    pub(super) fn start(target: &Target) -> Self {
        let (heard, stopping) = (Arc::new(Mutex::new(Heard::new())), Arc::new(AtomicBool::new(false)));
        let worker = Worker { target: target.clone(), heard: heard.clone(), stopping: stopping.clone() };
        Self { heard, stopping, worker: std::thread::spawn(move || worker.run()) }
    }

    pub(super) fn events(&self) -> BTreeSet<String> {
        lock(&self.heard).iter().map(|(_, told)| told.event.clone()).collect()
    }

    pub(super) fn stop(self) -> Heard {
        self.stopping.store(true, Ordering::Relaxed);
        self.worker.join().expect("the worker does not panic");
        lock(&self.heard).clone()
    }
}

struct Worker {
    target: Target,
    heard: Arc<Mutex<Heard>>,
    stopping: Arc<AtomicBool>,
}

impl Worker {
    fn run(self) {
        while !self.stopping.load(Ordering::Relaxed) {
            if let Some(addresses) = self.target.get() {
                // A hub that was killed is looked for again.
                let _ = self.work(addresses.hub);
            }
            pause(Duration::from_millis(5));
        }
    }

    fn work(&self, hub: SocketAddr) -> io::Result<()> {
        let mut client = Client::connect(hub)?;
        let url = format!("http://{hub}/000000000000/storm");
        while !self.stopping.load(Ordering::Relaxed) {
            let ask = json!({
                "QueueUrl": url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1, "MessageAttributeNames": ["All"]
            });
            let received = call(&mut client, "ReceiveMessage", &ask)?;
            let messages = received["Messages"].as_array().map(Vec::as_slice).unwrap_or_default();
            lock(&self.heard).extend(messages.iter().map(read));
            if messages.is_empty() {
                continue;
            }
            let entries = messages.iter().enumerate().map(|(index, message)| {
                json!({ "Id": index.to_string(), "ReceiptHandle": message["ReceiptHandle"] })
            });
            let entries: Vec<Value> = entries.collect();
            call(&mut client, "DeleteMessageBatch", &json!({ "QueueUrl": url, "Entries": entries }))?;
        }
        Ok(())
    }
}

pub(super) fn call(client: &mut Client, operation: &str, input: &Value) -> io::Result<Value> {
    let answer = aws::sqs_over(client, operation, input)?;
    if answer.status != 200 {
        return Err(io::Error::other(answer.text()));
    }
    Ok(answer.json())
}

fn read(message: &Value) -> (u64, Told) {
    let body: Value =
        message["Body"].as_str().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default();
    let attribute =
        |name: &str| message["MessageAttributes"][name]["StringValue"].as_str().map(str::to_owned);
    let id = id_in(body["request"]["uri"].as_str().unwrap_or_default()).unwrap_or(0);
    let told = Told {
        event: attribute("retrohook_event_id").unwrap_or_default(),
        outcome: Outcome::of(&attribute("retrohook_outcome").unwrap_or_default()),
        reason: attribute("retrohook_reason"),
    };
    (id, told)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
