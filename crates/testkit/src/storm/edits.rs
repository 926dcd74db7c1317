//! A client of SNS, SQS and the 0.x Admin API that makes and ends topics, subscriptions, queues and apis all the time, and remembers what it
//! was told: what was acknowledged must be so after all kills, and an api is served as soon as it is acknowledged.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::json;

use super::{Addresses, Target};
use crate::wait::pause;
use crate::{aws, client};

/// How many topics, and how many queues, there are at most.
const NAMES: u8 = 3;
const ACCOUNT: &str = "us-east-1:000000000000";

/// What may be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Topic(u8),
    Queue(u8),
    Api(u8),
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
    /// ARNs of subscriptions that are there, and of those that were ended.
    subscribed: Vec<String>,
    ended: Vec<String>,
    done: usize,
    wrong: Vec<String>,
    upstream: String,
}

impl Edits {
    pub(super) fn start(target: &Target, upstream: SocketAddr, seed: u64) -> Self {
        let stopping = Arc::new(AtomicBool::new(false));
        let (target, stop) = (target.clone(), stopping.clone());
        let worker = std::thread::spawn(move || {
            let mut memory = Memory { upstream: format!("http://{upstream}"), ..Memory::default() };
            let mut rng = fastrand::Rng::with_seed(seed);
            while !stop.load(Ordering::Relaxed) {
                match target.get() {
                    Some(addresses) => memory.change(addresses, &mut rng),
                    None => pause(Duration::from_millis(5)),
                }
            }
            memory
        });
        Self { stopping, worker }
    }

    /// Ends the client, and compares what it was told with what is there; how many changes were acknowledged.
    pub(super) fn stop(self, addresses: Addresses, violations: &mut Vec<String>) -> usize {
        self.stopping.store(true, Ordering::Relaxed);
        let Memory { there, ended, done, wrong, .. } = self.worker.join().expect("the client does not panic");
        violations.extend(wrong);
        let hub = addresses.hub;
        let topics = sns(hub, "ListTopics", &[]).map(|(_, text)| text).unwrap_or_default();
        let queues = sqs(hub, "ListQueues", "").map(|(_, text)| text).unwrap_or_default();
        let subscriptions = sns(hub, "ListSubscriptions", &[]).map(|(_, text)| text).unwrap_or_default();
        let ended = ended.iter().filter(|arn| subscriptions.contains(*arn));
        violations.extend(ended.map(|arn| format!("{arn} is there; acknowledged was its end")));
        let apis =
            legacy(addresses.legacy_admin, "GET", "/apis", None).map(|(_, text)| text).unwrap_or_default();
        for (what, expected) in there {
            let found = match what {
                What::Topic(number) => topics.contains(&format!(":made-{number}<")),
                What::Queue(number) => queues.contains(&format!("/made-{number}\"")),
                What::Api(number) => apis.contains(&format!("\"made-{number}\"")),
            };
            if found != expected {
                violations.push(format!("{what:?} is there: {found}; acknowledged was {expected}"));
            }
        }
        done
    }
}

impl Memory {
    fn change(&mut self, addresses: Addresses, rng: &mut fastrand::Rng) {
        let hub = addresses.hub;
        let number = rng.u8(0..NAMES);
        let name = format!("made-{number}");
        let topic = format!("arn:aws:sns:{ACCOUNT}:{name}");
        let queue = format!("arn:aws:sqs:{ACCOUNT}:{name}");
        let (what, is_there, told) = match rng.u8(0..8) {
            0 => (What::Topic(number), true, told(sns(hub, "CreateTopic", &[("Name", &name)]))),
            1 => (What::Topic(number), false, told(sns(hub, "DeleteTopic", &[("TopicArn", &topic)]))),
            2 => (What::Queue(number), true, told(sqs(hub, "CreateQueue", &name))),
            3 => {
                let told = told(sqs(hub, "DeleteQueue", &name));
                // There may be none.
                let told = match told {
                    Told::Wrong(text) if text.contains("QueueDoesNotExist") => Told::Done,
                    told => told,
                };
                (What::Queue(number), false, told)
            }
            4 => (What::Api(number), true, self.make_api(addresses, number)),
            5 => {
                let ended = legacy(addresses.legacy_admin, "DELETE", &format!("/apis/made-{number}"), None);
                // There may be none.
                let ended = ended.map(|(status, text)| (if status == 404 { 204 } else { status }, text));
                (What::Api(number), false, told(ended))
            }
            6 => return self.subscribe(hub, &queue),
            _ => return self.unsubscribe(hub),
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

impl Memory {
    fn subscribe(&mut self, hub: SocketAddr, queue: &str) {
        let storm = format!("arn:aws:sns:{ACCOUNT}:storm");
        let answer = sns(hub, "Subscribe", &[("TopicArn", &storm), ("Protocol", "sqs"), ("Endpoint", queue)]);
        let text = answer.as_ref().map(|(_, text)| text.clone()).unwrap_or_default();
        match told(answer) {
            // Its queue may be gone.
            Told::Wrong(text) if text.contains("create it first") => {}
            Told::Wrong(text) => self.wrong.push(text),
            Told::Done => {
                self.done += 1;
                let arn = text.split_once("<SubscriptionArn>").and_then(|(_, rest)| rest.split('<').next());
                self.subscribed.extend(arn.map(str::to_owned));
            }
            Told::Nothing => {}
        }
    }

    fn unsubscribe(&mut self, hub: SocketAddr) {
        let Some(arn) = self.subscribed.pop() else { return };
        match told(sns(hub, "Unsubscribe", &[("SubscriptionArn", &arn)])) {
            Told::Done => {
                self.done += 1;
                // Asked for once more while it was there, it was given once more.
                self.subscribed.retain(|other| *other != arn);
                self.ended.push(arn);
            }
            // It may have ended with its queue.
            Told::Wrong(text) if text.contains("NotFound") => {}
            Told::Wrong(text) => self.wrong.push(text),
            // It may have ended, and nobody knows.
            Told::Nothing => {}
        }
    }

    /// One that is acknowledged is served.
    fn make_api(&mut self, addresses: Addresses, number: u8) -> Told {
        let api = json!({ "name": format!("made-{number}"), "uris": format!("/made-{number}"), "upstream_url": self.upstream });
        let made = legacy(addresses.legacy_admin, "POST", "/apis", Some(&api));
        let is_new = matches!(made, Ok((201, _)));
        // There may be one already.
        let made = told(made.map(|(status, text)| (if status == 409 { 200 } else { status }, text)));
        if is_new
            && let Ok(answer) = client::send(addresses.proxy, "GET", &format!("/made-{number}/x"), &[], b"")
            && answer.header("x-upstream").is_none()
        {
            let (status, text) = (answer.status, answer.text());
            self.wrong.push(format!("made-{number} was acknowledged and answered with {status}: {text}"));
        }
        made
    }
}

fn told(answer: std::io::Result<(u16, String)>) -> Told {
    match answer {
        Ok((200..=204, _)) => Told::Done,
        Ok((500.., _)) | Err(_) => Told::Nothing,
        Ok((status, text)) => Told::Wrong(format!("an API was answered with {status}: {text}")),
    }
}

fn sns(hub: SocketAddr, action: &str, parameters: &[(&str, &str)]) -> std::io::Result<(u16, String)> {
    let answer = aws::query(hub, aws::SNS, action, parameters, &[aws::SIGNED])?;
    Ok((answer.status, answer.text()))
}

fn sqs(hub: SocketAddr, operation: &str, queue: &str) -> std::io::Result<(u16, String)> {
    let input = if queue.is_empty() { json!({}) } else { json!({ "QueueName": queue, "QueueUrl": queue }) };
    let answer = aws::sqs(hub, operation, &input)?;
    Ok((answer.status, answer.text()))
}

fn legacy(
    admin: SocketAddr,
    method: &str,
    target: &str,
    body: Option<&serde_json::Value>,
) -> std::io::Result<(u16, String)> {
    let headers = [("host", "localhost"), ("content-type", "application/json")];
    let body = body.map(ToString::to_string).unwrap_or_default();
    let answer = client::send(admin, method, target, &headers, body.as_bytes())?;
    Ok((answer.status, answer.text()))
}
