//! A client of SNS and SQS that makes and ends topics, subscriptions and queues all the time, and remembers what it was told: what was
//! acknowledged must be so after all kills.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::json;

use super::Target;
use crate::client;
use crate::wait::pause;

/// How many topics, and how many queues, there are at most.
const NAMES: u8 = 3;
const ACCOUNT: &str = "us-east-1:000000000000";

/// What may be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Topic(u8),
    Queue(u8),
}

/// What a call came to.
enum Told {
    /// It is so.
    Done,
    /// Nobody answered, or somebody who could not: it may be so or not.
    Nothing,
    /// What must not be.
    Wrong(String),
}

/// A client at work.
pub(super) struct Edits {
    stopping: Arc<AtomicBool>,
    worker: JoinHandle<Memory>,
}

/// What the client was told.
#[derive(Default)]
struct Memory {
    /// Whether each is there; nothing for one of which nobody knows.
    there: BTreeMap<What, bool>,
    done: usize,
    wrong: Vec<String>,
}

impl Edits {
    pub(super) fn start(target: &Target, seed: u64) -> Self {
        let stopping = Arc::new(AtomicBool::new(false));
        let (target, stop) = (target.clone(), stopping.clone());
        let worker = std::thread::spawn(move || {
            let (mut memory, mut rng) = (Memory::default(), fastrand::Rng::with_seed(seed));
            while !stop.load(Ordering::Relaxed) {
                match target.get() {
                    Some(addresses) => memory.change(addresses.hub, &mut rng),
                    None => pause(Duration::from_millis(5)),
                }
            }
            memory
        });
        Self { stopping, worker }
    }

    /// Ends the client, and compares what it was told with what is there; how many changes were acknowledged.
    pub(super) fn stop(self, hub: SocketAddr, violations: &mut Vec<String>) -> usize {
        self.stopping.store(true, Ordering::Relaxed);
        let Memory { there, done, wrong } = self.worker.join().expect("the client does not panic");
        violations.extend(wrong);
        let topics = sns(hub, "ListTopics", "").map(|(_, text)| text).unwrap_or_default();
        let queues = sqs(hub, "ListQueues", "").map(|(_, text)| text).unwrap_or_default();
        for (what, expected) in there {
            let found = match what {
                What::Topic(number) => topics.contains(&format!(":made-{number}<")),
                What::Queue(number) => queues.contains(&format!("/made-{number}\"")),
            };
            if found != expected {
                violations.push(format!("{what:?} is there: {found}; acknowledged was {expected}"));
            }
        }
        done
    }
}

impl Memory {
    fn change(&mut self, hub: SocketAddr, rng: &mut fastrand::Rng) {
        let number = rng.u8(0..NAMES);
        let topic = format!("arn:aws:sns:{ACCOUNT}:made-{number}");
        let queue = format!("arn:aws:sqs:{ACCOUNT}:made-{number}");
        let (what, is_there, told) = match rng.u8(0..5) {
            0 => (What::Topic(number), true, told(sns(hub, "CreateTopic", &format!("&Name=made-{number}")))),
            1 => (What::Topic(number), false, told(sns(hub, "DeleteTopic", &format!("&TopicArn={topic}")))),
            2 => (What::Queue(number), true, told(sqs(hub, "CreateQueue", &format!("made-{number}")))),
            3 => {
                let told = told(sqs(hub, "DeleteQueue", &format!("made-{number}")));
                // There may be none.
                let told = match told {
                    Told::Wrong(text) if text.contains("QueueDoesNotExist") => Told::Done,
                    told => told,
                };
                (What::Queue(number), false, told)
            }
            _ => {
                let storm = format!("arn:aws:sns:{ACCOUNT}:storm");
                let form = format!("&TopicArn={storm}&Protocol=sqs&Endpoint={queue}");
                match told(sns(hub, "Subscribe", &form)) {
                    // Its queue may be gone.
                    Told::Wrong(text) if text.contains("create it first") => {}
                    Told::Wrong(text) => self.wrong.push(text),
                    Told::Done => self.done += 1,
                    Told::Nothing => {}
                }
                return;
            }
        };
        match told {
            Told::Done => {
                self.there.insert(what, is_there);
                self.done += 1;
            }
            Told::Nothing if self.there.get(&what) == Some(&is_there) => {}
            Told::Nothing => drop(self.there.remove(&what)),
            Told::Wrong(text) => self.wrong.push(text),
        }
    }
}

fn told(answer: std::io::Result<(u16, String)>) -> Told {
    match answer {
        Ok((200, _)) => Told::Done,
        Ok((500.., _)) | Err(_) => Told::Nothing,
        Ok((status, text)) => Told::Wrong(format!("an API was answered with {status}: {text}")),
    }
}

fn sns(hub: SocketAddr, action: &str, more: &str) -> std::io::Result<(u16, String)> {
    let form = format!("Action={action}&Version=2010-03-31{more}");
    let headers = [("host", "localhost"), ("content-type", "application/x-www-form-urlencoded")];
    let answer = client::send(hub, "POST", "/", &headers, form.as_bytes())?;
    Ok((answer.status, answer.text()))
}

fn sqs(hub: SocketAddr, operation: &str, queue: &str) -> std::io::Result<(u16, String)> {
    let target = format!("AmazonSQS.{operation}");
    let headers = [
        ("host", "localhost"),
        ("content-type", "application/x-amz-json-1.0"),
        ("x-amz-target", target.as_str()),
    ];
    let input = if queue.is_empty() { json!({}) } else { json!({ "QueueName": queue, "QueueUrl": queue }) };
    let answer = client::send(hub, "POST", "/", &headers, input.to_string().as_bytes())?;
    Ok((answer.status, answer.text()))
}
