//! The receivers under `examples/receivers`, run with the frameworks that they are for: each event is verified and applied once, and what was
//! forged is refused. What docs/receiving.md shows is theirs.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use testkit::admin::Admin;
use testkit::process::Setup;
use testkit::{client, python, tools, wait};

use super::receive::Receive;
use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/receivers")
}

fn free_port() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).expect("a port").local_addr().expect("an address")
}

/// A receiver, running.
struct App {
    name: &'static str,
    child: Child,
    output: Arc<Mutex<String>>,
}

impl App {
    fn start(name: &'static str, mut command: Command, hub: SocketAddr, data: &Path) -> Self {
        let (read, write) = std::io::pipe().expect("a pipe");
        let child = command
            .env("HUB_URL", format!("http://{hub}"))
            .env("WEBHOOK_SECRET", SECRET)
            .env("RECEIVER_DB", data.join(format!("{name}.db")))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONUNBUFFERED", "1")
            .env("WAIT", "1")
            .stdin(Stdio::null())
            .stdout(write.try_clone().expect("a pipe"))
            .stderr(write)
            .spawn();
        let child = child.unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        drop(command);
        let output = Arc::new(Mutex::new(String::new()));
        let kept = output.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(read).lines().map_while(Result::ok) {
                *kept.lock().unwrap_or_else(PoisonError::into_inner) += &(line + "\n");
            }
        });
        Self { name, child, output }
    }

    fn output(&self) -> String {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often it said this.
    fn said(&self, what: &str) -> usize {
        self.output().matches(what).count()
    }

    #[track_caller]
    fn wait_until_said(&mut self, what: &str, times: usize) {
        wait::until(&format!("{} to say {what} {times} times:\n{}", self.name, self.output()), || {
            let ended = self.child.try_wait().expect("a status");
            assert!(ended.is_none(), "{} has ended:\n{}", self.name, self.output());
            (self.said(what) >= times).then_some(())
        });
        assert_eq!(self.said(what), times, "{}", self.output());
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All of them, with the gateway and a service, at ports of their own.
struct Apps {
    flask: App,
    fastapi: App,
    express: App,
    worker: App,
    ports: [SocketAddr; 3],
    gateway: testkit::process::Process,
    _service: Receive,
    _setup: Setup,
    _data: tempfile::TempDir,
}

impl Apps {
    fn start() -> Self {
        let (data, hub) = (tempfile::tempdir().expect("a folder"), free_port());
        let ports = [free_port(), free_port(), free_port()];
        let port = |index: usize| SocketAddr::port(&ports[index]).to_string();
        let mut flask = python::module("flask");
        flask.args(["--app", "flask_receiver", "run", "--port", &port(0)]).current_dir(folder());
        let mut fastapi = python::module("uvicorn");
        fastapi.args(["fastapi_receiver:app", "--port", &port(1)]).current_dir(folder());
        let mut worker = python::command(Path::new("worker.py"));
        worker.current_dir(folder());
        // Modules are looked for beside the file.
        std::fs::copy(folder().join("express_receiver.mjs"), data.path().join("express_receiver.mjs"))
            .expect("a copy");
        let modules = std::env::var_os("RETROHOOK_TEST_NODE_MODULES").unwrap_or_else(|| {
            panic!("RETROHOOK_TEST_NODE_MODULES is not set: run `cargo xtask test`, or eval \"$(cargo xtask tools)\" first")
        });
        std::os::unix::fs::symlink(modules, data.path().join("node_modules")).expect("a link");
        let mut express = Command::new(tools::find("NODE", "node"));
        express.arg("express_receiver.mjs").current_dir(data.path()).env("PORT", port(2));
        let [flask, fastapi, express] = [("flask", flask), ("fastapi", fastapi), ("express", express)]
            .map(|(name, command)| App::start(name, command, hub, data.path()));
        for (app, address) in [&flask, &fastapi, &express].into_iter().zip(ports) {
            wait::until(&format!("{} at {address}:\n{}", app.name, app.output()), || {
                TcpStream::connect(address).ok()
            });
        }
        let service = Receive::start(&["0", "--json"], 1);
        let config = std::fs::read_to_string(folder().join("retrohook.yaml")).expect("the configuration");
        let mut config = config.replace(":9000", &format!(":{}", service.addresses[0].port()));
        for (index, written) in ["9101", "9102", "9103"].into_iter().enumerate() {
            config = config.replace(&format!("localhost:{written}"), &format!("localhost:{}", port(index)));
        }
        let mut setup = Setup::new(PROGRAM, config);
        setup.flags.push(format!("--hub-listen={hub}"));
        setup.env.push(("WEBHOOK_SECRET".into(), SECRET.into()));
        let gateway = setup.start();
        let worker = App::start("worker", worker, hub, data.path());
        Self {
            flask,
            fastapi,
            express,
            worker,
            ports,
            gateway,
            _service: service,
            _setup: setup,
            _data: data,
        }
    }

    fn admin(&self) -> Admin {
        self.gateway.admin()
    }

    #[track_caller]
    fn put(&self) {
        let target = "/profiles/42";
        let answer = client::send(self.gateway.proxy(), "PUT", target, &[], b"{\"name\":\"Ada\"}");
        assert_eq!(answer.expect("an answer").status, 200);
    }

    /// Waits until each has applied an event, once.
    #[track_caller]
    fn wait_until_applied(&mut self, id: &str) {
        let applied = format!("{id} applied");
        for app in [&mut self.flask, &mut self.fastapi, &mut self.express, &mut self.worker] {
            app.wait_until_said(&applied, 1);
        }
        // It has two subscriptions, and one database.
        self.express.wait_until_said(&format!("{id} known"), 1);
    }
}

#[test]
fn each_receiver_verifies_and_applies_an_event_once() {
    let mut apps = Apps::start();
    apps.put();
    let first = apps.admin().wait_for_events(1)[0]["id"].as_str().expect("an id").to_owned();
    apps.wait_until_applied(&first);
    apps.put();
    let events = apps.admin().wait_for_events(2);
    let ids: Vec<&str> = events.iter().map(|event| event["id"].as_str().expect("an id")).collect();
    let second = (*ids.iter().find(|id| **id != first).expect("another")).to_owned();
    apps.wait_until_applied(&second);

    // All of it once more.
    let listed = apps.admin().get("/retrohook/subscriptions");
    let listed: Value = serde_json::from_slice(&listed.body).expect("JSON");
    for one in listed["subscriptions"].as_array().expect("a list") {
        if one["protocol"] == "http" {
            let target = format!("/retrohook/events/{first}/deliveries/{}/redeliver", one["subscription"]);
            let answer = apps.admin().post(&target);
            assert!((200..300).contains(&answer.status), "{}", answer.text());
        }
    }
    let known = format!("{first} known");
    apps.flask.wait_until_said(&known, 1);
    apps.fastapi.wait_until_said(&known, 1);
    apps.express.wait_until_said(&known, 3);
    for app in [&apps.flask, &apps.fastapi, &apps.express] {
        assert_eq!(app.said(&format!("{first} applied")), 1, "{}", app.output());
    }
    forged_messages_are_refused(&mut apps);
}

/// Messages that nobody has signed, and one whose certificate is elsewhere.
#[track_caller]
fn forged_messages_are_refused(apps: &mut Apps) {
    let elsewhere = testkit::receiver::Receiver::start();
    let certificate = elsewhere.url(&format!("/SimpleNotificationService-{}.pem", "0".repeat(32)));
    let message = |certificate: &str| {
        serde_json::json!({
            "Type": "Notification", "MessageId": "forged", "TopicArn": "a", "Message": "m", "Signature": "AAAA",
            "Timestamp": "2026-01-01T00:00:00.000Z", "SignatureVersion": "2", "SigningCertURL": certificate,
            "SubscribeURL": elsewhere.url("/confirm"),
        })
        .to_string()
    };
    let [flask, fastapi, express] = apps.ports;
    let confirmation = message(&certificate).replace("Notification", "SubscriptionConfirmation");
    for (address, target) in [(flask, "/sns"), (express, "/sns")] {
        for body in [message(&certificate), message("http://127.0.0.1:1/x.pem"), confirmation.clone()] {
            let answer = client::send(address, "POST", target, &[], body.as_bytes()).expect("an answer");
            assert_eq!(answer.status, 403, "{target} {body}");
        }
    }
    assert!(elsewhere.received().is_empty(), "nothing that a forged message names is asked");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_secs();
    let now = now.to_string();
    for address in [fastapi, express] {
        let headers = [
            ("webhook-id", "forged"),
            ("webhook-timestamp", now.as_str()),
            ("webhook-signature", "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            ("content-type", "application/json"),
        ];
        let answer = client::send(address, "POST", "/webhook", &headers, b"{}").expect("an answer");
        assert_eq!(answer.status, 403);
    }
    for app in [&apps.flask, &apps.fastapi, &apps.express] {
        wait::until("a word about forged messages", || (app.said("not verified") >= 1).then_some(()));
        assert_eq!(app.said("forged applied"), 0, "{}", app.output());
    }
}

#[test]
fn older_news_do_not_replace_newer_and_a_failure_leaves_nothing() {
    let data = tempfile::tempdir().expect("a folder");
    let script = data.path().join("order.py");
    let code = "\
import sys
sys.path.insert(0, sys.argv[1])
from applied import Applied
applied = Applied(sys.argv[2])
assert applied.once('b', 'k', '2', 'succeeded', 'new')
assert not applied.once('b', 'k', '2', 'succeeded', 'new'), 'it came before'
assert not applied.once('a', 'k', '1', 'succeeded', 'old'), 'newer news came before'
assert applied.once('c', 'other', '1', 'unknown', 'x')
try:
    applied.once('d', 'k', 'three', 'succeeded', 'x')
    raise SystemExit('it must fail')
except ValueError:
    pass
again = Applied(sys.argv[2])
assert again.once('d', 'k', '3', 'succeeded', 'newest'), 'nothing is left of what failed'
assert again.db.execute(\"SELECT body FROM news WHERE key = 'k'\").fetchone() == ('newest',)
";
    std::fs::write(&script, code).expect("a file");
    let mut command = python::command(&script);
    command.arg(folder()).arg(data.path().join("x.db")).env("PYTHONDONTWRITEBYTECODE", "1");
    let ran = command.output().expect("it starts");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn what_the_guide_shows_is_what_runs() {
    let guide = folder().join("../../docs/receiving.md");
    let guide = std::fs::read_to_string(guide).expect("docs/receiving.md");
    let files = std::fs::read_dir(folder()).expect("the folder").filter_map(|entry| {
        let path = entry.expect("an entry").path();
        let is_code = path.extension().is_some_and(|kind| kind == "py" || kind == "mjs");
        is_code.then(|| std::fs::read_to_string(path).expect("a text"))
    });
    let files: Vec<String> = files.collect();
    let mut shown = 0;
    for block in guide.split("```").skip(1).step_by(2) {
        let (language, code) = block.split_once('\n').expect("lines");
        if language == "python" || language == "js" {
            assert!(files.iter().any(|file| file.contains(code)), "no file has this:\n{code}");
            shown += 1;
        }
    }
    assert_eq!(shown, 4);
}
