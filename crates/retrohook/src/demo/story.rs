//! The rounds of the demo. Each step waits for what must happen and fails if it does not.

use std::future::pending;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;

use super::DemoError;
use super::forum::{self, Cache, Heard, Webhook};
use super::gateway::{self, Gateway};
use super::http;
use super::profiles::Profiles;
use super::timeline::Timeline;
use super::worker;

mod moved;

/// What must happen happens within this time, a retry after five seconds included.
const PATIENCE: Duration = Duration::from_secs(20);
const QUEUE: &str = "profile-worker";

/// The cast, and how far the story got.
pub struct Story {
    timeline: Timeline,
    profiles: Profiles,
    gateway: Gateway,
    forum: Cache,
    mobile: Cache,
    webhook: Webhook,
    page: std::net::SocketAddr,
    heard: mpsc::UnboundedReceiver<Heard>,
    rounds: usize,
}

impl Story {
    /// Starts everybody.
    pub async fn begin(place: &Path) -> Result<Self, DemoError> {
        let timeline = Timeline::new();
        timeline.intro("retrohook demo: a forum caches profiles that live in a service without events.\n");
        let profiles = Profiles::default();
        let service = profiles.start().await?;
        timeline.part(
            "service",
            &format!("http://{service}"),
            "the third party; keeps a record of what it executed",
        );

        let (tell, heard) = mpsc::unbounded_channel();
        // The webhook's address stands in the configuration, the gateway's in the caches: the webhook starts first, empty.
        let nowhere = Cache::new(String::new());
        let mut webhook = Webhook::start(nowhere, tell.clone()).await?;
        let gateway = Gateway::start(place, &configuration(&service.to_string(), &webhook.url())).await?;
        let forum = Cache::new(format!("http://{}", gateway.proxy));
        let mobile = Cache::new(format!("http://{}", gateway.proxy));
        webhook.serve_for(forum.clone()).await?;
        let page = forum::serve_page(forum.clone()).await?;
        tokio::spawn(worker::work(gateway.hub, QUEUE, mobile.clone(), tell));

        timeline.part(
            "gateway",
            &format!("http://{}", gateway.proxy),
            "this binary, in front of it, a process of its own",
        );
        timeline.part(
            "",
            gateway::ALLOWED,
            "one of its flags: webhooks reach public addresses alone, and the forum is on loopback",
        );
        timeline.part("", &gateway.data().display().to_string(), "its data: a real database");
        timeline.part("forum", &format!("http://{page}"), "caches profiles; a webhook expires them");
        timeline.part(
            "mobile app",
            &format!("queue {QUEUE}"),
            &format!("a second cache; {} expires it", worker::KIND),
        );
        Ok(Self { timeline, profiles, gateway, forum, mobile, webhook, page, heard, rounds: 0 })
    }

    /// All rounds.
    pub async fn tell(&mut self) -> Result<(), DemoError> {
        self.confirmation().await?;
        self.change().await?;
        self.failing_change().await?;
        self.outage().await?;
        self.moved().await?;
        self.killed().await
    }

    fn round(&mut self, title: &str) {
        self.rounds += 1;
        self.timeline.round(self.rounds, title);
    }

    async fn confirmation(&mut self) -> Result<(), DemoError> {
        self.round("the forum confirms its subscription");
        self.timeline.step("gateway", "asks the webhook whether it wants this: SNS's handshake");
        self.wait_for("the confirmation", |heard| matches!(heard, Heard::Confirmed)).await?;
        self.timeline.step("forum", "visits the SubscribeURL: confirmed");
        Ok(())
    }

    async fn change(&mut self) -> Result<(), DemoError> {
        self.round("a profile changes, and both caches know");
        self.show_both("/profiles/ada", "newcomer", "fresh").await?;
        self.show_both("/profiles/ada", "newcomer", "cached").await?;
        self.put("/profiles/ada", "Countess", 200).await?;
        self.wait_for_both("/profiles/ada", "succeeded").await?;
        self.show_both("/profiles/ada", "Countess", "fresh").await
    }

    async fn failing_change(&mut self) -> Result<(), DemoError> {
        self.round("a change that fails makes no event");
        let before = self.events().await?;
        self.put("/profiles/ada", "", 422).await?;
        self.put("/profiles/bob", "Builder", 200).await?;
        self.wait_for_both("/profiles/bob", "succeeded").await?;
        self.show_both("/profiles/ada", "Countess", "cached").await?;
        let made = self.events().await? - before;
        self.expect(made == 1, "exactly one event for the two requests")?;
        self.timeline.step("gateway", "two requests, one event: bob's");
        Ok(())
    }

    async fn outage(&mut self) -> Result<(), DemoError> {
        self.round("the forum's webhook is down, and hears of everything later");
        self.webhook.go_away().await;
        self.timeline.step("forum", "its webhook refuses connections");
        self.put("/profiles/ada", "Programmer", 200).await?;
        self.wait_for_event("worker", "/profiles/ada", "succeeded").await?;
        self.timeline.step("worker", "has it at once: a failing endpoint delays nobody else");
        self.wait_for_failed_attempt().await?;
        self.webhook.come_back().await?;
        self.timeline.step("forum", "its webhook is back");
        self.wait_for_event("webhook", "/profiles/ada", "succeeded").await?;
        self.timeline.step("webhook", "the retry came through: /profiles/ada expired");
        self.show_both("/profiles/ada", "Programmer", "fresh").await
    }

    async fn killed(&mut self) -> Result<(), DemoError> {
        self.round("the gateway is killed in mid-request, and still reports");
        let url = format!("http://{}/profiles/ada?think=60", self.gateway.proxy);
        let asking = tokio::spawn(async move {
            http::send("PUT", &url, &body("Analyst")).await.map(|answer| answer.status)
        });
        self.timeline.step("client", "PUT /profiles/ada title=Analyst (the service answers late)");
        self.until("the service to execute it", |story| {
            story.profiles.executed().last().is_some_and(|last| last == "ada = Analyst")
        })
        .await?;
        self.timeline.step("service", "executed it, has not answered yet");
        let pid = self.gateway.pid();
        self.gateway.kill().await?;
        self.timeline.step("gateway", &format!("kill -9 {pid}"));
        let told = asking.await.map_err(|_| DemoError::Missed("the client's end".into()))?;
        self.expect(told.is_err(), "the client to lose its connection")?;
        self.timeline.step("client", "connection lost: it does not know whether the change happened");
        self.gateway.launch().await?;
        self.timeline.step("gateway", "started again: finds an open intent, publishes it as unknown");
        self.wait_for_both("/profiles/ada", "unknown").await?;
        self.show_both("/profiles/ada", "Analyst", "fresh").await?;
        self.timeline.note("what was executed was reported, although the answer was lost");
        Ok(())
    }

    /// The summary of `--once`.
    pub async fn end(&mut self) -> Result<(), DemoError> {
        let executed = self.profiles.executed();
        let events = self.events().await?;
        self.expect(events == executed.len(), "as many events as executed changes")?;
        self.timeline.intro(&format!(
            "\nAll {} rounds happened: {} changes executed, {events} events delivered,\nnone lost, one of them unknown.",
            self.rounds,
            executed.len()
        ));
        Ok(())
    }

    /// Lines to go on by hand; returns only with an error.
    pub async fn stay_up(&mut self) -> Result<(), DemoError> {
        let (proxy, admin, hub) = (self.gateway.proxy, self.gateway.admin, self.gateway.hub);
        let config = self.gateway.config().display();
        self.timeline.intro(&format!(
            r#"
Everything stays up until Ctrl-C. Go on by hand, in another terminal:

# the forum's page: cached
  curl http://{page}/users/ada
# a change, and the page is fresh
  curl -X PUT http://{proxy}/profiles/ada \
    -H 'content-type: application/json' -d '{{"title":"Engineer"}}'
  curl http://{page}/users/ada
# what was told, and the numbers
  curl 'http://{admin}/retrohook/events?limit=3'
  curl http://{admin}/metrics
# the queue, as SQS tells of it
  curl http://{hub} -d Action=GetQueueAttributes \
    -d AttributeName.1=All \
    -d QueueUrl=http://{hub}/000000000000/{QUEUE}
# the gateway dies; this demo starts it again
  kill -9 {pid}
# its configuration
  cat {config}
"#,
            page = self.page,
            pid = self.gateway.pid(),
        ));
        self.keep_running().await
    }

    /// Tells what is heard, and starts the gateway again whenever somebody kills it.
    async fn keep_running(&mut self) -> Result<(), DemoError> {
        loop {
            tokio::select! {
                () = self.gateway.ended() => {
                    self.timeline.step("gateway", "is gone; starting it again");
                    self.gateway.launch().await?;
                    self.timeline.step("gateway", &format!("is back, process {}", self.gateway.pid()));
                }
                heard = self.heard.recv() => match heard {
                    Some(Heard::Event { by, path, outcome, id }) => {
                        self.timeline.step(by, &format!("{path} changed ({outcome})"));
                        self.timeline.note(&format!("event {id}"));
                    }
                    Some(Heard::Confirmed) => {}
                    None => pending().await,
                },
            }
        }
    }

    async fn put(&self, path: &str, title: &str, expected: u16) -> Result<(), DemoError> {
        let answer = http::send("PUT", &format!("http://{}{path}", self.gateway.proxy), &body(title)).await?;
        self.timeline.step("client", &format!("PUT {path} title={title:?} → {}", answer.status));
        self.expect(answer.status == expected, &format!("status {expected} for PUT {path}"))
    }

    /// What both caches show of a profile.
    async fn show_both(&self, path: &str, title: &str, how: &str) -> Result<(), DemoError> {
        for (who, cache) in [("forum", &self.forum), ("mobile app", &self.mobile)] {
            let (shown, from) = cache.title(path).await?;
            self.timeline.step(who, &format!("shows {path} as {shown:?} ({from})"));
            self.expect(shown == title && from == how, &format!("{who} to show {title:?} ({how})"))?;
        }
        Ok(())
    }

    async fn wait_for_both(&mut self, path: &str, outcome: &str) -> Result<(), DemoError> {
        let mut waiting = vec!["webhook", "worker"];
        while !waiting.is_empty() {
            let what = format!("{} to hear of {path}", waiting.join(" and "));
            let heard = self.wait_for(&what, |heard| {
                matches!(heard, Heard::Event { by, path: changed, .. } if waiting.contains(by) && changed == path)
            });
            let Heard::Event { by, outcome: told, id, .. } = heard.await? else { continue };
            self.expect(told == outcome, &format!("outcome {outcome} at the {by}"))?;
            self.timeline.step(by, &format!("{path} changed ({told}): expired"));
            self.timeline.note(&format!("event {id}"));
            waiting.retain(|waiting| *waiting != by);
        }
        Ok(())
    }

    async fn wait_for_event(
        &mut self,
        who: &'static str,
        path: &str,
        outcome: &str,
    ) -> Result<(), DemoError> {
        self.wait_for(&format!("{who} to hear of {path}"), |heard| {
            matches!(heard, Heard::Event { by, path: changed, outcome: told, .. }
                if *by == who && changed == path && told == outcome)
        })
        .await?;
        Ok(())
    }

    async fn wait_for(&mut self, what: &str, wanted: impl Fn(&Heard) -> bool) -> Result<Heard, DemoError> {
        let listening = async {
            while let Some(heard) = self.heard.recv().await {
                if wanted(&heard) {
                    return Some(heard);
                }
            }
            None
        };
        let heard = tokio::select! {
            heard = tokio::time::timeout(PATIENCE, listening) => heard.ok().flatten(),
            () = self.gateway.ended() => return Err(DemoError::Gone(what.to_owned())),
            never = self.timeline.waiting_for(what) => match never {},
        };
        heard.ok_or_else(|| DemoError::Missed(what.to_owned()))
    }

    /// Shows the failed attempt as the admin API tells it.
    async fn wait_for_failed_attempt(&self) -> Result<(), DemoError> {
        let admin = self.gateway.admin;
        let newest: Value = self.json(&format!("http://{admin}/retrohook/events?limit=1")).await?;
        let id = newest["events"][0]["id"].as_str().unwrap_or_default().to_owned();
        for _ in 0..1_000 {
            let event = self.json(&format!("http://{admin}/retrohook/events/{id}")).await?;
            let attempts = event["deliveries"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|delivery| delivery["attempts"].get(0));
            if let Some(attempt) = attempts.into_iter().find(|attempt| attempt["error"].is_string()) {
                let (error, next) = (&attempt["error"], &attempt["next_at"]);
                self.timeline
                    .step("gateway", &format!("attempt 1 failed: {}", error.as_str().unwrap_or_default()));
                self.timeline.note(&format!("next attempt at {}", next.as_str().unwrap_or_default()));
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(DemoError::Missed("a failed attempt in the record".into()))
    }

    /// How many events there are.
    async fn events(&self) -> Result<usize, DemoError> {
        let first = format!("http://{}/retrohook/events?limit=500", self.gateway.admin);
        let (mut count, mut url) = (0, first.clone());
        loop {
            let page = self.json(&url).await?;
            count += page["events"].as_array().map_or(0, Vec::len);
            match page["next_before"].as_u64() {
                Some(before) => url = format!("{first}&before={before}"),
                None => return Ok(count),
            }
        }
    }

    async fn json(&self, url: &str) -> Result<Value, DemoError> {
        let answer = http::get(url).await?;
        let failed =
            |source: serde_json::Error| DemoError::Request { url: url.to_owned(), source: source.into() };
        serde_json::from_str(&answer.body).map_err(failed)
    }

    async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) -> Result<(), DemoError> {
        let looking = async {
            while !condition(self) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            looked = tokio::time::timeout(PATIENCE, looking) => {
                looked.map_err(|_| DemoError::Missed(what.to_owned()))
            }
            never = self.timeline.waiting_for(what) => match never {},
        }
    }

    fn expect(&self, happened: bool, what: &str) -> Result<(), DemoError> {
        if happened { Ok(()) } else { Err(DemoError::Missed(what.to_owned())) }
    }
}

fn body(title: &str) -> String {
    serde_json::json!({ "title": title }).to_string()
}

fn configuration(service: &str, webhook: &str) -> String {
    format!(
        r#"_format_version: "3.0"
services:
- name: profiles
  url: http://{service}
  routes:
  - name: profiles
    paths: [/profiles]
    strip_path: false
    preserve_host: true
  plugins:
  - name: publish-sns
    config:
      topic_arn: profile-changes
      routes:
      - {{ method: PUT, matcher: "^/profiles/[^/]+$" }}
topics:
- name: profile-changes
  subscriptions:
  - {{ protocol: http, endpoint: "{webhook}" }}
  - {{ protocol: sqs, endpoint: {QUEUE} }}
queues:
- name: {QUEUE}
"#
    )
}
