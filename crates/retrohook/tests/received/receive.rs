//! `retrohook receive`: what it prints, checks, confirms and answers, and how it ends.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver as Lines};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use testkit::client::{self, Answer};
use testkit::wait;

use super::*;

/// The command, running.
pub(crate) struct Receive {
    child: Child,
    lines: Lines<String>,
    /// Where it listens, in the order of its arguments.
    pub(crate) addresses: Vec<SocketAddr>,
}

impl Receive {
    /// Starts with these arguments and waits until it listens at `count` places.
    #[track_caller]
    pub(crate) fn start(arguments: &[&str], count: usize) -> Self {
        let mut child = Command::new(PROGRAM)
            .arg("receive")
            .args(arguments)
            .env_remove("WEBHOOK_SECRET")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let (sender, lines) = mpsc::channel();
        let out = BufReader::new(child.stdout.take().expect("piped"));
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                // The test may have ended.
                let _ = sender.send(line);
            }
        });
        let mut receive = Self { child, lines, addresses: Vec::new() };
        for _ in 0..count {
            let line = receive.line();
            let address = match serde_json::from_str::<Value>(&line) {
                Ok(listening) => listening["address"].as_str().expect("an address").to_owned(),
                Err(_) => line
                    .strip_prefix("listening on http://")
                    .and_then(|rest| rest.split(',').next())
                    .unwrap_or_else(|| panic!("{line}"))
                    .to_owned(),
            };
            receive.addresses.push(address.parse().expect("an address"));
        }
        receive
    }

    #[track_caller]
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(wait::SOON).expect("a line")
    }

    /// The next arrival of this kind, with `--json`.
    #[track_caller]
    pub(crate) fn next(&self, kind: &str) -> Value {
        loop {
            let arrival: Value = serde_json::from_str(&self.line()).expect("JSON");
            if arrival["kind"] == kind {
                return arrival;
            }
        }
    }

    #[track_caller]
    fn send(&self, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        client::send(self.addresses[0], "POST", "/hook?a=b", headers, body).expect("an answer")
    }

    /// Sends a signal; the status that it ends with, and its standard error.
    #[track_caller]
    fn end(mut self, signal: Signal) -> (Option<i32>, String) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
        self.ended()
    }

    #[track_caller]
    fn ended(&mut self) -> (Option<i32>, String) {
        let status = wait::until("its end", || self.child.try_wait().expect("a status"));
        let mut error = String::new();
        self.child.stderr.take().expect("piped").read_to_string(&mut error).expect("text");
        (status.code(), error)
    }
}

impl Drop for Receive {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A configuration whose service and endpoint are at these addresses.
fn config(service: SocketAddr, endpoint: SocketAddr, subscription: &str) -> String {
    Profiles { subscription, ..Profiles::default() }
        .yaml()
        .replace("{upstream}", &service.to_string())
        .replace("{receiver}", &format!("http://{endpoint}/hook"))
}

#[test]
fn it_is_the_service_and_the_webhook_checks_the_signature_and_confirms() {
    for version in ["1", "2"] {
        let receive = Receive::start(&["0", "0", "--json"], 2);
        let [service, endpoint] = receive.addresses[..] else { panic!("two places") };
        let scene =
            Scene::start(PROGRAM, &config(service, endpoint, &format!("signature_version: {version}")));
        let hub = scene.gateway().address("hub");
        let confirmed = receive.next("subscription-confirmation");
        let good = json!({ "checked": "good", "by": format!("version {version} by {hub}") });
        assert_eq!((&confirmed["confirmed"], &confirmed["signature"]), (&json!(true), &good), "{confirmed}");

        let answer = scene.put("?a=b").expect("an answer");
        let echo: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!(answer.status, 200);
        assert_eq!(
            (&echo["method"], &echo["path"], &echo["query"]),
            (&json!("PUT"), &json!("/profile"), &json!("a=b"))
        );
        assert_eq!(echo["body"], "{\"name\":\"Ada\"}");
        assert!(echo["headers"]["host"].is_string(), "{echo}");

        let delivered = receive.next("notification");
        let event = scene.admin().wait_for_events(1).remove(0);
        assert_eq!((&delivered["event"], &delivered["key"]), (&event["id"], &event["key"]));
        assert_eq!((&delivered["outcome"], &delivered["attempt"]), (&json!("succeeded"), &json!(1)));
        assert_eq!((&delivered["signature"], &delivered["repeated"]), (&good, &json!(false)));
        let message: Value =
            serde_json::from_str(delivered["message"].as_str().expect("a text")).expect("JSON");
        assert_eq!(message["request"]["method"], "PUT");
        assert_eq!(receive.end(Signal::TERM), (Some(0), String::new()));
    }
}

#[test]
fn text_is_for_people_and_fits_80_columns() {
    let receive = Receive::start(&["0", "0"], 2);
    let [service, endpoint] = receive.addresses[..] else { panic!("two places") };
    let scene =
        Scene::start(PROGRAM, &config(service, endpoint, "raw_message_delivery: true, confirm: skip"));
    assert_eq!(scene.put("").expect("an answer").status, 200);
    let lines: Vec<String> = (0..7).map(|_| receive.line()).collect();
    let text = lines.join("\n");
    let event = scene.admin().wait_for_events(1).remove(0);
    let id = event["id"].as_str().expect("an id");
    for expected in [
        format!("{}  PUT /profile  -> 200", service.port()),
        "      body      {\"name\":\"Ada\"}".to_owned(),
        format!("{}  POST /hook  -> 200", endpoint.port()),
        "      kind      the message alone".to_owned(),
        format!("      event     {id} succeeded"),
        format!("      key       {}", event["key"].as_str().expect("a key")),
        "      body      {\"request\":{".to_owned(),
    ] {
        assert!(text.contains(&expected), "{expected}\n{text}");
    }
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn a_status_makes_deliveries_wait_and_they_are_known_again() {
    let receive = Receive::start(&["0", "0", "--json", "--status=503"], 2);
    let [_, endpoint] = receive.addresses[..] else { panic!("two places") };
    let scene = Scene::start(PROGRAM, &{
        let service = testkit::receiver::Receiver::start();
        let address = service.url("").trim_start_matches("http://").parse().expect("an address");
        // It runs as long as the test.
        std::mem::forget(service);
        config(address, endpoint, "")
    });
    assert_eq!(receive.next("subscription-confirmation")["confirmed"], true);
    put(&scene);
    let first = receive.next("notification");
    assert_eq!((&first["status"], &first["repeated"]), (&json!(503), &json!(false)));
    let second = receive.next("notification");
    assert_eq!(
        (&second["event"], &second["repeated"], &second["attempt"]),
        (&first["event"], &json!(true), &json!(2))
    );
    assert_eq!(receive.end(Signal::INT), (Some(0), String::new()));
}

#[test]
fn standard_webhooks_are_checked_with_the_secret() {
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let receive = Receive::start(&["0", "0", "--json", "--secret", SECRET], 2);
    let [service, endpoint] = receive.addresses[..] else { panic!("two places") };
    let settings = format!("format: standard-webhooks, secret: {SECRET}");
    let scene = Scene::start(PROGRAM, &config(service, endpoint, &settings));
    put(&scene);
    let delivered = receive.next("standard-webhook");
    assert_eq!(delivered["signature"]["checked"], "good", "{delivered}");
    // The same again, changed, and without the secret.
    let headers = delivered["headers"].as_object().expect("headers").iter();
    let headers: Vec<(&str, &str)> = headers
        .filter(|(name, _)| name.starts_with("webhook-"))
        .map(|(name, value)| (name.as_str(), value.as_str().expect("a text")))
        .collect();
    let body = delivered["body"].as_str().expect("a text").replace("PUT", "GET");
    assert_eq!(receive.send(&headers, body.as_bytes()).status, 200);
    assert_eq!(receive.next("standard-webhook")["signature"]["checked"], "bad");
    let without = Receive::start(&["0", "--json"], 1);
    without.send(&headers, body.as_bytes());
    let arrived = without.next("standard-webhook");
    assert_eq!(arrived["signature"]["checked"], "not");
    assert!(arrived["signature"]["why"].as_str().is_some_and(|why| why.contains("--secret")), "{arrived}");
}

/// Everything that a message names is a trap here: nothing of it may be asked.
#[test]
fn a_forged_message_makes_it_ask_nobody() {
    let trap = testkit::receiver::Receiver::start();
    let receive = Receive::start(&["0", "--json"], 1);
    let trap_port = trap.url("").rsplit(':').next().expect("a port").to_owned();
    let name = format!("SimpleNotificationService-{}.pem", "0".repeat(32));
    let message = |certificate: &str, link: &str| {
        json!({
            "Type": "SubscriptionConfirmation", "MessageId": "1", "Token": "t", "TopicArn": "a", "Message": "m",
            "SubscribeURL": link, "Timestamp": "2026-01-01T00:00:00.000Z", "SignatureVersion": "1", "Signature": "AAAA",
            "SigningCertURL": certificate,
        })
        .to_string()
    };
    let headers = [("x-amz-sns-message-type", "SubscriptionConfirmation")];
    // Names that are this machine for the system, and are not taken for it.
    for host in [format!("localhost.localdomain:{trap_port}"), format!("127.0.0.1:{trap_port}@localhost")] {
        let body =
            message(&format!("http://{host}/{name}"), &trap.url("/?Action=ConfirmSubscription&Token=t"));
        assert_eq!(receive.send(&headers, body.as_bytes()).status, 200);
        let arrived = receive.next("subscription-confirmation");
        assert_eq!(arrived["signature"]["checked"], "not", "{arrived}");
        assert_eq!(arrived["confirmed"], false);
    }
    let body = message(&trap.url("/secrets"), &trap.url("/secrets"));
    receive.send(&headers, body.as_bytes());
    assert_eq!(receive.next("subscription-confirmation")["signature"]["checked"], "not");
    assert!(trap.received().is_empty(), "{:?}", trap.received());
    // What looks like a certificate's address on this machine is asked, and what answers there is no certificate.
    let body = message(&trap.url(&format!("/{name}")), &trap.url("/?Action=ConfirmSubscription&Token=t"));
    receive.send(&headers, body.as_bytes());
    let arrived = receive.next("subscription-confirmation");
    assert_eq!((&arrived["signature"]["checked"], &arrived["confirmed"]), (&json!("bad"), &json!(false)));
    let asked = trap.received();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!((asked[0].method.as_str(), asked[0].target.as_str()), ("GET", format!("/{name}").as_str()));
}

#[test]
fn it_ends_quietly_when_nobody_reads_and_says_which_port_is_taken() {
    let mut child = Command::new(PROGRAM)
        .args(["receive", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    out.read_line(&mut line).expect("a line");
    let address = line.trim_start_matches("listening on http://").split(',').next().expect("an address");
    let address: SocketAddr = address.parse().expect("an address");
    drop(out);
    // The first line that cannot be written ends it; its answer may be cut off by that.
    let _ = client::send(address, "GET", "/", &[], b"");
    let status = wait::until("its end", || child.try_wait().expect("a status"));
    let mut error = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut error).expect("text");
    assert_eq!((status.code(), error.as_str()), (Some(0), ""));

    let receive = Receive::start(&["0"], 1);
    let taken = receive.addresses[0].to_string();
    let second = Command::new(PROGRAM).args(["receive", &taken]).output().expect("it ends");
    let error = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{error}");
    assert!(
        error.contains(&format!("cannot listen on {taken}: name a port that no other program has")),
        "{error}"
    );
    assert!(error.contains("because: "), "{error}");
}
