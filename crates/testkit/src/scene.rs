//! The usual arrangement: an upstream that is mounted at `/mockbin`, a rule on its profiles, a receiver that subscribed to them, and the
//! gateway between them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::admin::Admin;
use crate::client::{self, Answer, Client};
use crate::process::{Process, Setup};
use crate::receiver::Receiver;
use crate::server::Request;
use crate::upstream::Upstream;
use crate::wait;

/// Between two looks whether a reload has ended.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A configuration of the arrangement. Each field has entries of a YAML flow mapping, `durability: strict, key: all`.
#[derive(Clone, Copy, Debug)]
pub struct Profiles<'a> {
    /// Of the service.
    pub service: &'a str,
    /// Of the rule.
    pub rule: &'a str,
    /// Of the subscription.
    pub subscription: &'a str,
}

impl Default for Profiles<'_> {
    fn default() -> Self {
        Self { service: "", rule: "", subscription: "raw_message_delivery: true, confirm: skip" }
    }
}

impl Profiles<'_> {
    /// The file's text; `{upstream}` and `{receiver}` stand for addresses that are not known yet.
    pub fn yaml(&self) -> String {
        let Self { service, rule, subscription } = self;
        format!(
            r#"_format_version: "3.0"
services:
- {{
    name: mockbin,
    url: "http://{{upstream}}",
    routes: [{{ name: mockbin, paths: [/mockbin], strip_path: true }}],
    plugins: [{{
      name: publish-sns,
      config: {{ topic_arn: profile-changes, routes: [{{ method: PUT, matcher: "^/profile$" }}], {rule} }}
    }}],
    {service}
  }}
topics:
- name: profile-changes
  subscriptions:
  - {{ protocol: http, endpoint: "{{receiver}}", {subscription} }}
"#
        )
    }
}

/// Upstream, gateway and receiver.
pub struct Scene {
    /// Keeps a record of what it executed.
    pub upstream: Upstream,
    /// Keeps a record of what it was told.
    pub receiver: Receiver,
    /// How the gateway is started.
    pub setup: Setup,
    gateway: Option<Process>,
    /// Whether a gateway was killed: from then on a message may come twice.
    killed: bool,
}

/// An event as the log has it, with the message that the receiver got of it.
#[derive(Clone, Debug)]
pub struct Told {
    /// From the admin API.
    pub event: Value,
    /// At the receiver.
    pub message: Request,
}

impl Told {
    /// `succeeded` or `unknown`.
    pub fn outcome(&self) -> &str {
        self.event["outcome"].as_str().expect("an outcome")
    }

    /// Why it is unknown.
    pub fn reason(&self) -> Option<&str> {
        self.event["reason"].as_str()
    }

    /// The request's raw target.
    pub fn uri(&self) -> &str {
        self.event["request"]["uri"].as_str().expect("a target")
    }
}

impl Scene {
    /// Upstream and receiver; the gateway is not started. `{upstream}` and `{receiver}` in `config` are replaced by their addresses.
    pub fn prepare(program: &str, config: &str) -> Self {
        let (upstream, receiver) = (Upstream::start(), Receiver::start());
        let config = config
            .replace("{upstream}", &upstream.address().to_string())
            .replace("{receiver}", &receiver.url("/hook"));
        Self { upstream, receiver, setup: Setup::new(program, config), gateway: None, killed: false }
    }

    /// All three.
    #[track_caller]
    pub fn start(program: &str, config: &str) -> Self {
        let mut scene = Self::prepare(program, config);
        scene.start_gateway();
        scene
    }

    /// Starts the gateway, on the data that there is.
    #[track_caller]
    pub fn start_gateway(&mut self) {
        self.gateway = Some(self.setup.start());
    }

    /// The gateway.
    ///
    /// # Panics
    /// If it is not running.
    #[track_caller]
    pub fn gateway(&self) -> &Process {
        self.gateway.as_ref().expect("the gateway runs")
    }

    /// The gateway, to be changed.
    ///
    /// # Panics
    /// If it is not running.
    #[track_caller]
    pub fn gateway_mut(&mut self) -> &mut Process {
        self.gateway.as_mut().expect("the gateway runs")
    }

    /// Takes the gateway out, to stop or kill it.
    ///
    /// # Panics
    /// If it is not running.
    #[track_caller]
    pub fn take_gateway(&mut self) -> Process {
        self.gateway.take().expect("the gateway runs")
    }

    /// SIGKILL, and start again.
    #[track_caller]
    pub fn kill_and_restart(&mut self) {
        self.take_gateway().kill();
        self.killed = true;
        self.start_gateway();
    }

    /// The gateway's admin API.
    #[track_caller]
    pub fn admin(&self) -> Admin {
        self.gateway().admin()
    }

    /// A connection to the proxy.
    ///
    /// # Panics
    /// If it is refused.
    #[track_caller]
    pub fn client(&self) -> Client {
        Client::connect(self.gateway().proxy()).expect("the proxy accepts")
    }

    /// One request on a connection of its own.
    ///
    /// # Errors
    /// If the connection breaks before the whole answer.
    #[track_caller]
    pub fn send(&self, method: &str, target: &str) -> io::Result<Answer> {
        let body: &[u8] = if method == "GET" { b"" } else { br#"{"name":"Ada"}"# };
        client::send(self.gateway().proxy(), method, target, &[], body)
    }

    /// Puts the profile; `query` may choose what the upstream does.
    ///
    /// # Errors
    /// If the connection breaks before the whole answer.
    #[track_caller]
    pub fn put(&self, query: &str) -> io::Result<Answer> {
        self.send("PUT", &format!("/mockbin/profile{query}"))
    }

    /// A connection that asked for the profile to be put and did not wait for the answer; the upstream has executed it.
    ///
    /// # Panics
    /// If the upstream is not asked.
    #[track_caller]
    pub fn put_and_wait_for_upstream(&self, query: &str) -> Client {
        let before = self.upstream.executed().len();
        let mut client = self.client();
        let target = format!("/mockbin/profile{query}");
        client.write(&client::request("PUT", &target, &[], b"{}")).expect("the proxy reads");
        wait::until("the upstream to be asked", || (self.upstream.executed().len() > before).then_some(()));
        client
    }

    /// Writes the file and has it read anew while the gateway runs; all that was printed because of it.
    ///
    /// # Panics
    /// If the file cannot be written, or the reload does not end soon.
    #[track_caller]
    pub fn reload(&self, config: &str) -> String {
        std::fs::write(self.setup.config_file(), config).expect("the file can be written");
        let (before, ended) = (self.gateway().output().len(), self.gateway().reloads().len());
        self.gateway().signal(Signal::HUP);
        let began = Instant::now();
        while self.gateway().reloads().len() <= ended {
            let printed = &self.gateway().output()[before..];
            assert!(began.elapsed() < wait::SOON, "the reload does not end; it printed:\n{printed}");
            wait::pause(LOOK_EVERY);
        }
        self.gateway().output()[before..].to_owned()
    }

    /// Waits until no intent is open, the log has `count` events and the receiver a message of each. There must be no other event, no
    /// message of another and, unless a gateway was killed, no message twice.
    ///
    /// # Panics
    /// If there are more, or not so many soon.
    #[track_caller]
    pub fn told(&self, count: usize) -> Vec<Told> {
        let admin = self.admin();
        admin.wait_for_events(count);
        wait::until("all intents to be settled", || (admin.open_intents() == 0).then_some(()));
        let messages = wait::until(&format!("messages of {count} events"), || {
            let messages = self.messages();
            (messages.len() >= count).then_some(messages)
        });
        let events = admin.events();
        let id_of = |event: &Value| event["id"].as_str().unwrap_or_default().to_owned();
        let logged: Vec<String> = events.iter().map(id_of).collect();
        assert_eq!(logged.len(), count, "{events:#?}");
        assert_eq!(logged.iter().collect::<BTreeSet<_>>(), messages.keys().collect::<BTreeSet<_>>());
        let told =
            events.into_iter().zip(&logged).map(|(event, id)| Told { event, message: messages[id].clone() });
        told.collect()
    }

    /// The receiver's messages by the id of their event.
    #[track_caller]
    fn messages(&self) -> BTreeMap<String, Request> {
        let mut messages = BTreeMap::new();
        for message in self.receiver.messages() {
            let id = message.header("x-retrohook-event-id").unwrap_or_default().to_owned();
            let again = messages.insert(id.clone(), message);
            assert!(again.is_none() || self.killed, "the message of {id} came twice");
        }
        messages
    }
}
