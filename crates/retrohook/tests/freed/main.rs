//! What is stuck can be freed by an operator, through the admin port: deliveries that wait, a poisonous event at the head of its key, a
//! subscription that nobody confirmed; and what cannot be done gets a clear answer.

mod acts;
mod answers;
mod bounded;
mod deliveries;
mod killed;
mod pending;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::admin::Admin;
use testkit::scene::{Profiles, Scene};
use testkit::server::{Server, Then, answer};
use testkit::wait;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

const RAW: &str = "raw_message_delivery: true, confirm: skip";
const FIFO: &str = "raw_message_delivery: true, confirm: skip, fifo: true, name: expire";

/// A webhook that refuses what it is told to, and then asks to be left alone for an hour: what comes all the same was asked for.
struct Hook {
    server: Server,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Queries of the requests whose events it refuses; those that contain one of these.
    refuses: Vec<&'static str>,
    /// For how long it thinks before it refuses; then it does not ask to be left alone.
    thinks: Option<Duration>,
    /// The query of each event that came, and the status that it got, in their order.
    came: Vec<(String, u16)>,
}

impl Hook {
    fn refusing(refuses: &[&'static str]) -> Self {
        let state = Arc::new(Mutex::new(State { refuses: refuses.to_vec(), ..State::default() }));
        let kept = state.clone();
        let server = Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), move |request, stream| {
            let uri = request.json()["request"]["uri"].as_str().unwrap_or_default().to_owned();
            let query = uri.split_once('?').map_or("", |(_, query)| query).to_owned();
            let (status, thinks) = {
                let mut state = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let status = if state.refuses.iter().any(|one| query.contains(one)) { 500 } else { 200 };
                state.came.push((query, status));
                (status, state.thinks)
            };
            match thinks {
                Some(time) => {
                    wait::pause(time);
                    answer(stream, status, &[], b"")?;
                }
                None => answer(stream, status, &[("retry-after", "3600")], b"")?,
            }
            Ok(Then::KeepOpen)
        });
        Self { server: server.expect("a free port"), state }
    }

    /// From now on it takes all.
    fn is_well(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).refuses.clear();
    }

    /// From now on it thinks for so long before it answers, and does not ask to be left alone.
    fn thinks(&self, time: Duration) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).thinks = Some(time);
    }

    /// What it took, in the order in which it came.
    fn taken(&self) -> Vec<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.came.iter().filter(|(_, status)| *status == 200).map(|(query, _)| query.clone()).collect()
    }

    /// How often the event of a request came.
    fn times(&self, query: &str) -> usize {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.came.iter().filter(|(came, _)| came == query).count()
    }

    /// The usual arrangement with this hook.
    fn scene(&self, subscription: &str) -> Scene {
        let yaml = Profiles { subscription, ..Profiles::default() }.yaml();
        Scene::prepare(RETROHOOK, &yaml.replace("{receiver}", &self.url()))
    }

    fn url(&self) -> String {
        format!("http://{}/hook", self.server.address())
    }

    /// Waits until it took these, in this order and no others.
    #[track_caller]
    fn wait_for(&self, taken: &[&str]) {
        let came = wait::until(&format!("{taken:?} to be taken"), || {
            let came = self.taken();
            (came.len() >= taken.len()).then_some(came)
        });
        assert_eq!(came, taken);
    }
}

/// Puts the profile with these queries, one after the other.
#[track_caller]
fn put(scene: &Scene, queries: &[&str]) {
    let before = scene.admin().events().len();
    for (query, count) in queries.iter().zip(before + 1..) {
        assert_eq!(scene.put(&format!("?{query}")).expect("an answer").status, 200);
        scene.admin().wait_for_events(count);
    }
}

/// The deliveries that are listed with a query, once there are so many.
#[track_caller]
fn deliveries(admin: Admin, query: &str, count: usize) -> Vec<Value> {
    wait::until(&format!("{count} deliveries with {query}"), || {
        let list = ok(&admin.get(&format!("/retrohook/deliveries{query}")));
        let all = list["deliveries"].as_array().expect("a list").clone();
        // A lease of an attempt under way is not yet a failure on record.
        let settled = all.iter().all(|one| one["state"] != "waiting" || one["last_attempt_at"].is_string());
        (all.len() == count && settled).then_some(all)
    })
}

#[track_caller]
fn ok(answer: &testkit::client::Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// An answer with this status; its message and its hint.
#[track_caller]
fn refused(answer: &testkit::client::Answer, status: u16) -> (String, String) {
    assert_eq!(answer.status, status, "{}", answer.text());
    let body = answer.json();
    let text =
        |member: &str| body[member].as_str().unwrap_or_else(|| panic!("{member} in {body}")).to_owned();
    (text("message"), text("hint"))
}

/// The link of a delivery.
#[track_caller]
fn link(delivery: &Value, what: &str) -> String {
    delivery["links"][what].as_str().unwrap_or_else(|| panic!("a link to {what} in {delivery}")).to_owned()
}

/// The dead letters of the node.
#[track_caller]
fn dead_letters(admin: Admin) -> Vec<Value> {
    ok(&admin.get("/retrohook/dead-letters"))["dead_letters"].as_array().expect("a list").clone()
}
