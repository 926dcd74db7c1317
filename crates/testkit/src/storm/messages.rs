//! Somebody who publishes to a topic and sends to a queue through the SNS and SQS APIs all the time, and a worker that reads the queue to
//! which both lead: what was acknowledged must come, and nothing else.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use super::Target;
use super::subscribers::call;
use crate::aws;
use crate::client::Client;
use crate::wait::pause;

/// Between two messages.
const BREATH: Duration = Duration::from_millis(10);
/// The topic, and the queue that is subscribed to it.
const SAID: &str = "said";
const URL: &str = "http://localhost/000000000000/said";

/// What was said and what was heard.
#[derive(Default)]
struct Record {
    /// Messages that were sent, whether or not somebody answered.
    sent: BTreeSet<String>,
    /// Those that were acknowledged.
    acknowledged: BTreeSet<String>,
    heard: BTreeSet<String>,
    wrong: Vec<String>,
}

/// Both at work.
pub(super) struct Messages {
    record: Arc<Mutex<Record>>,
    sending: Arc<AtomicBool>,
    reading: Arc<AtomicBool>,
    sender: JoinHandle<()>,
    reader: JoinHandle<()>,
}

impl Messages {
    pub(super) fn start(target: &Target) -> Self {
        let record = Arc::new(Mutex::new(Record::default()));
        let (sending, reading) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
        let worker = |goes_on: &Arc<AtomicBool>| Worker {
            target: target.clone(),
            record: record.clone(),
            goes_on: goes_on.clone(),
        };
        let (sender, reader) = (worker(&sending), worker(&reading));
        let sender = std::thread::spawn(move || sender.send());
        let reader = std::thread::spawn(move || reader.run(Worker::read));
        Self { record, sending, reading, sender, reader }
    }

    /// No more is sent.
    pub(super) fn end_sending(&self) {
        self.sending.store(false, Ordering::Relaxed);
    }

    /// What was acknowledged and has not come yet.
    pub(super) fn missing(&self) -> Vec<String> {
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        record.acknowledged.difference(&record.heard).cloned().collect()
    }

    /// Ends both; how many messages were acknowledged.
    pub(super) fn stop(self, violations: &mut Vec<String>) -> usize {
        self.end_sending();
        self.sender.join().expect("the sender does not panic");
        self.reading.store(false, Ordering::Relaxed);
        self.reader.join().expect("the reader does not panic");
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        violations.extend(record.wrong.iter().cloned());
        let lost = record.acknowledged.difference(&record.heard);
        violations.extend(lost.map(|text| format!("the message {text} was acknowledged and never came")));
        let invented = record.heard.difference(&record.sent);
        violations.extend(invented.map(|text| format!("the message {text} came and was never sent")));
        record.acknowledged.len()
    }
}

struct Worker {
    target: Target,
    record: Arc<Mutex<Record>>,
    goes_on: Arc<AtomicBool>,
}

impl Worker {
    /// Works over one connection after the other: a hub that was killed is looked for again.
    fn run(&self, mut work: impl FnMut(&Self, &mut Client) -> io::Result<()>) {
        while self.goes_on.load(Ordering::Relaxed) {
            let connected = self.target.get().and_then(|addresses| Client::connect(addresses.hub).ok());
            if let Some(mut client) = connected {
                while self.goes_on.load(Ordering::Relaxed) && work(self, &mut client).is_ok() {}
            }
            pause(Duration::from_millis(5));
        }
    }

    fn note(&self, note: impl FnOnce(&mut Record)) {
        note(&mut self.record.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn send(&self) {
        let mut number = 0;
        self.run(|worker, client| {
            number += 1;
            // Every other one goes through the topic.
            let text = format!("{}-{number}", if number % 2 == 0 { "published" } else { "sent" });
            worker.note(|record| record.sent.extend([text.clone()]));
            let status = if number % 2 == 0 { publish(client, &text)? } else { send(client, &text)? };
            match status {
                200 => worker.note(|record| record.acknowledged.extend([text])),
                500.. => {}
                _ => worker.note(|record| record.wrong.push(format!("{text} was answered with {status}"))),
            }
            pause(BREATH);
            Ok(())
        });
    }

    fn read(&self, client: &mut Client) -> io::Result<()> {
        let ask = json!({ "QueueUrl": URL, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1 });
        let received = call(client, "ReceiveMessage", &ask)?;
        let messages = received["Messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let texts = messages.iter().filter_map(|message| message["Body"].as_str().map(str::to_owned));
        self.note(|record| record.heard.extend(texts));
        if messages.is_empty() {
            return Ok(());
        }
        let entry = |(index, message): (usize, &Value)| json!({ "Id": index.to_string(), "ReceiptHandle": message["ReceiptHandle"] });
        let entries: Vec<Value> = messages.iter().enumerate().map(entry).collect();
        call(client, "DeleteMessageBatch", &json!({ "QueueUrl": URL, "Entries": entries })).map(drop)
    }
}

fn publish(client: &mut Client, text: &str) -> io::Result<u16> {
    let form = format!(
        "Action=Publish&Version=2010-03-31&TopicArn=arn:aws:sns:us-east-1:000000000000:{SAID}&Message={text}"
    );
    let headers = [("host", "localhost"), ("content-type", "application/x-www-form-urlencoded")];
    Ok(client.send("POST", "/", &headers, form.as_bytes())?.status)
}

fn send(client: &mut Client, text: &str) -> io::Result<u16> {
    let input = json!({ "QueueUrl": URL, "MessageBody": text });
    Ok(aws::sqs_over(client, "SendMessage", &input)?.status)
}

/// For [`super::config`].
pub(super) fn topic() -> String {
    format!(
        "- name: {SAID}\n  subscriptions:\n  - {{ protocol: sqs, endpoint: {SAID}, raw_message_delivery: true }}\n"
    )
}

/// For [`super::config`].
pub(super) fn queue() -> String {
    format!("- {{ name: {SAID}, visibility_timeout: 2 }}\n")
}
