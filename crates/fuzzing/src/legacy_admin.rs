//! Requests to Kong's 0.x Admin API.
//!
//! Read as: a line `METHOD TARGET CONTENT-TYPE` (`-` for none), then the body. There is an api `a` with a rule on the topic `t`. What must
//! hold: every request is answered, in JSON or with nothing, and never as an error of ours; a refusal changes nothing; what is taken passes
//! every rule, is listed, and taken again as it is listed changes nothing.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use admin::legacy::{self, Legacy};
use axum::Router;
use axum::body::Body;
use control::{Applied, Changes, Control, Edit, Merged, NotApplied, Whole};
use entities::{Item, Origin, Set, Topic, ids};
use event::Timestamp;
use event::timestamp::Clock;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use storage::dropped::Dropped;
use tokio::runtime::Runtime;
use tower_service::Service;

thread_local! {
    static RUNTIME: Runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
}

/// Panics when a promise is broken.
pub fn target(data: &[u8]) {
    let line = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (line, body) = (&data[..line], data.get(line + 1..).unwrap_or_default());
    let Ok(line) = std::str::from_utf8(line) else { return };
    let mut words = line.splitn(3, ' ');
    let (method, target) = (words.next().unwrap_or("POST"), words.next().unwrap_or("/apis"));
    let mut request = Request::builder().method(method).uri(target).header("host", "localhost:8011");
    if let Some(kind) = words.next().filter(|kind| *kind != "-") {
        request = request.header("content-type", kind);
    }
    // What is no request never comes to the listener.
    let Ok(request) = request.body(Body::from(body.to_vec())) else { return };
    if request.method() == Method::CONNECT || !request.uri().path().starts_with('/') {
        return;
    }
    RUNTIME.with(|runtime| runtime.block_on(check(request)));
}

async fn check(request: Request<Body>) {
    let world = World::new().await;
    let before = world.whole().all().clone();
    let (status, body) = world.ask(request).await;
    assert!(!status.is_server_error() || status == StatusCode::NOT_IMPLEMENTED, "{status}");
    let after = world.whole().all().clone();
    if !status.is_success() {
        assert_eq!(after, before, "{status} changed something");
        assert!(body.as_ref().is_some_and(Value::is_object), "{status} without a reason");
    }
    passes_all_rules(&after);
    // Each api and plug-in, sent as it is listed.
    for list in ["/apis?size=1000", "/plugins?size=1000"] {
        let (status, page) = world.get(list).await;
        let page = page.expect("a page");
        assert_eq!((status, page["data"].is_array()), (StatusCode::OK, true));
        for one in page["data"].as_array().into_iter().flatten() {
            let path = list.split('?').next().unwrap_or_default();
            let (status, answer) =
                world.send("PATCH", &format!("{path}/{}", one["id"].as_str().expect("an id")), one).await;
            assert_eq!((status, answer.as_ref()), (StatusCode::OK, Some(one)));
        }
    }
    assert_eq!(*world.whole().all(), after, "what is sent as it is listed changes nothing");
}

fn passes_all_rules(set: &Set) {
    fn check<T: Item + std::fmt::Debug>(list: &[Arc<T>]) {
        for one in list {
            assert_eq!(one.check(), [], "{one:?}");
        }
    }
    check(&set.services);
    check(&set.routes);
    check(&set.plugins);
}

/// The API over a configuration in memory.
struct World {
    router: Router,
    node: Arc<Mutex<Node>>,
}

struct Node {
    whole: Whole,
    control: Option<Control>,
}

impl Changes for Node {
    fn whole(&self) -> &Whole {
        &self.whole
    }

    fn apply(&mut self, edit: Edit) -> Result<Applied, NotApplied> {
        self.whole = self.whole.edited(&edit).map_err(NotApplied::Refused)?;
        self.control.iter().for_each(|control| control.publish(self.whole.clone()));
        Ok(Applied::default())
    }

    fn purge(&mut self, _: &str) -> Result<Option<Dropped>, NotApplied> {
        Ok(None)
    }
}

/// Always the same time.
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000)
    }

    fn uptime(&self) -> Duration {
        Duration::ZERO
    }
}

impl World {
    async fn new() -> Self {
        let now = Still.now();
        let topic = Topic {
            id: ids::of_name("topics", "t"),
            origin: Origin::File,
            name: "t".into(),
            attributes: Default::default(),
            tags: Default::default(),
            created_at: now,
            updated_at: now,
        };
        let file = Set { topics: vec![topic.into()], ..Set::default() };
        let Merged { whole, .. } = Whole::merge(file, Set::default());
        let node = Arc::new(Mutex::new(Node { whole: whole.clone(), control: None }));
        let changed: Weak<Mutex<Node>> = Arc::downgrade(&node);
        let control = Control::new(whole, move |job| {
            let node = changed.upgrade().expect("it is asked while it is there");
            job(&mut *node.lock().expect("nobody panicked"));
            Ok(())
        });
        node.lock().expect("nobody panicked").control = Some(control.clone());
        let legacy = Legacy {
            control,
            clock: Arc::new(Still),
            kinds: plugins::all(),
            region: "us-east-1".into(),
            account: "000000000000".into(),
            hubs: Vec::new(),
        };
        let world = Self { router: legacy::router(legacy), node };
        let api = serde_json::json!({ "name": "a", "upstream_url": "http://a", "uris": ["/a"] });
        let rule = serde_json::json!({ "name": "publish-sns", "config": { "topic_arn": "t", "routes": [{ "method": "PUT", "matcher": "x" }] } });
        for (path, body) in [("/apis", api), ("/apis/a/plugins", rule)] {
            assert_eq!(world.send("POST", path, &body).await.0, StatusCode::CREATED);
        }
        world
    }

    fn whole(&self) -> Whole {
        self.node.lock().expect("nobody panicked").whole.clone()
    }

    async fn get(&self, target: &str) -> (StatusCode, Option<Value>) {
        self.ask(Request::get(target).header("host", "localhost").body(Body::empty()).expect("a request"))
            .await
    }

    async fn send(&self, method: &str, target: &str, body: &Value) -> (StatusCode, Option<Value>) {
        let request =
            Request::builder().method(method).uri(target).header("content-type", "application/json");
        self.ask(request.body(Body::from(body.to_string())).expect("a request")).await
    }

    async fn ask(&self, request: Request<Body>) -> (StatusCode, Option<Value>) {
        let response = self.router.clone().call(request).await.expect("a router does not fail");
        let status = response.status();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        (status, (!body.is_empty()).then(|| serde_json::from_slice(&body).expect("JSON")))
    }
}
