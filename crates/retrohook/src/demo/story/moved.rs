//! The round in which an api is made and moved through Kong's 0.x Admin API, while clients ask without a pause.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Story;
use crate::demo::forum::Heard;
use crate::demo::{DemoError, http};

/// Clients that ask at once.
const CLIENTS: usize = 4;
/// How often the api moves.
const MOVES: usize = 10;
/// Answers that the clients have between two moves, together.
const BETWEEN: usize = 10;

/// What the clients have done.
#[derive(Default)]
struct Load {
    answered: AtomicUsize,
    failed: AtomicUsize,
    over: AtomicBool,
}

impl Load {
    fn asked(&self) -> usize {
        self.answered.load(Ordering::Relaxed) + self.failed.load(Ordering::Relaxed)
    }
}

impl Story {
    pub(super) async fn moved(&mut self) -> Result<(), DemoError> {
        self.round("reconfigured live: an api moves under load, and nothing is lost");
        let before = self.events().await?;
        let homes = [self.profiles.start().await?, self.profiles.start().await?];
        self.make_api(homes[0]).await?;

        let load = Arc::new(Load::default());
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let url = format!("http://{}/people/client-{client}", self.gateway.proxy);
            clients.spawn(ask(url, load.clone()));
        }
        self.timeline.step("clients", &format!("{CLIENTS} of them PUT /people/… without a pause"));
        for home in homes.iter().cycle().skip(1).take(MOVES) {
            let wanted = load.asked() + BETWEEN;
            self.until("the clients' answers", |_| load.asked() >= wanted).await?;
            self.legacy("PATCH", "/apis/people", &json!({ "upstream_url": upstream(*home) }), 200).await?;
        }
        load.over.store(true, Ordering::Relaxed);
        while clients.join_next().await.is_some() {}
        let (answered, failed) = (load.answered.load(Ordering::Relaxed), load.failed.load(Ordering::Relaxed));
        let [first, second] = homes.map(|home| home.port());
        self.timeline.step(
            "operator",
            &format!("PATCH /apis/people, {MOVES} times: it moves from port {first} to {second} and back"),
        );
        self.timeline.step("clients", &format!("{answered} requests answered with 200, {failed} failed"));
        self.expect(failed == 0, "no request to fail")?;

        self.heard_by_both(answered).await?;
        let made = self.events().await? - before;
        self.expect(made == answered, "an event of each request")?;
        self.timeline.step("gateway", &format!("{made} events; webhook and worker heard of each"));
        Ok(())
    }

    /// Makes an api that leads there, with a rule.
    async fn make_api(&self, home: SocketAddr) -> Result<(), DemoError> {
        let api = json!({ "name": "people", "uris": ["/people"], "upstream_url": upstream(home) });
        self.legacy("POST", "/apis", &api, 201).await?;
        self.timeline.step("operator", "POST /apis: people, in the words of Kong 0.x, as kongfig does");
        let routes = json!([{ "method": "PUT", "matcher": "^/people/" }]);
        let rule =
            json!({ "name": "publish-sns", "config": { "topic_arn": "profile-changes", "routes": routes } });
        self.legacy("POST", "/apis/people/plugins", &rule, 201).await?;
        self.timeline.step("operator", "POST /apis/people/plugins: publish-sns");
        Ok(())
    }

    /// Asks the 0.x Admin API.
    async fn legacy(&self, method: &str, path: &str, body: &Value, status: u16) -> Result<(), DemoError> {
        let url = format!("http://{}{path}", self.gateway.legacy_admin);
        let answer = http::send(method, &url, &body.to_string()).await?;
        let what = format!("status {status} for {method} {path}, and not {}: {}", answer.status, answer.body);
        self.expect(answer.status == status, &what)
    }

    /// Waits until both subscribers heard of so many changes of people.
    async fn heard_by_both(&mut self, count: usize) -> Result<(), DemoError> {
        let (mut webhook, mut worker) = (0, 0);
        while webhook < count || worker < count {
            let what = format!("{count} events at both subscribers (webhook {webhook}, worker {worker})");
            let heard = self.wait_for(
                &what,
                |heard| matches!(heard, Heard::Event { path, .. } if path.starts_with("/people/")),
            );
            match heard.await? {
                Heard::Event { by: "webhook", .. } => webhook += 1,
                _ => worker += 1,
            }
        }
        Ok(())
    }
}

fn upstream(home: SocketAddr) -> String {
    format!("http://{home}/profiles")
}

/// Changes a person until it is over.
async fn ask(url: String, load: Arc<Load>) {
    while !load.over.load(Ordering::Relaxed) {
        let title = load.asked().to_string();
        let answer = http::send("PUT", &url, &super::body(&title)).await;
        let count =
            if answer.is_ok_and(|answer| answer.status == 200) { &load.answered } else { &load.failed };
        count.fetch_add(1, Ordering::Relaxed);
    }
}
