//! Plug-ins that are told what became of exchanges: of every one, once, when it is over.

use event::outcome::{SuccessStatuses, decide};
use event::{Decision, Fate};
use pipeline::{Answer, Forward, Hold, Joint, Observe, Observed, Plugin, Record, Watch};

use super::*;

/// Notes what it is told; with headers if it asks for them.
struct Tells {
    notes: Notes,
    headers: bool,
}

impl Observe for Tells {
    fn wants_headers(&self) -> bool {
        self.headers
    }

    fn observed(&self, seen: &Observed<'_>) {
        let facts = seen.context.route.as_ref().map(|route| route.facts());
        let facts = facts.map(|facts| format!("{}/{}", facts.service, facts.route)).unwrap_or_default();
        let consumer = seen.context.consumer.as_ref().and_then(|consumer| consumer.username.clone());
        let status = |status: Option<http::StatusCode>| status.map_or(0, |status| status.as_u16());
        let (method, uri, source, end) = (seen.method, seen.uri, seen.source, seen.end);
        let body = seen.response_size.min(99_999);
        assert!(seen.took.total >= seen.took.gateway + seen.took.upstream.unwrap_or_default());
        assert_eq!(seen.took.upstream.is_some(), seen.upstream_status.is_some());
        if self.headers {
            let request = seen.request_headers.unwrap().get("x-key").is_some();
            let response =
                seen.response_headers.is_some_and(|headers| headers.contains_key("x-kong-request-id"));
            self.notes.push(format!("request {request} response {response}"));
            return;
        }
        assert!(seen.request_headers.is_none() && seen.response_headers.is_none());
        assert_eq!(body > 0, seen.status.is_some());
        self.notes.push(format!(
            "{facts} {method} {uri} {} by {source:?}, upstream {}, {end:?}, consumer {consumer:?}",
            status(seen.status),
            status(seen.upstream_status),
        ));
    }
}

/// Follows every PUT and keeps nothing.
struct Follows;

impl Record for Follows {
    fn watch(&self, forward: &Forward<'_>) -> Option<Box<dyn Watch>> {
        (forward.method == "PUT").then(|| Box::new(Follows) as Box<dyn Watch>)
    }
}

impl Watch for Follows {
    fn intend(&mut self, _: &mut Joint) -> Option<Hold> {
        None
    }

    fn may_hold(&self) -> bool {
        false
    }

    fn decision(&self, fate: Fate) -> Decision {
        decide(fate, &SuccessStatuses::Any2xx, true)
    }

    fn resolve_after(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn bound(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn store_timeout(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn settle(&mut self, _: Fate, _: &Answer<'_>) -> Option<Hold> {
        None
    }
}

fn observer(priority: i32, notes: &Notes, headers: bool) -> Instance {
    let tells = Tells { notes: notes.clone(), headers };
    let kind = if headers { "tells-headers" } else { "tells" };
    instance(kind, priority, Plugin { observe: Some(Arc::new(tells)), ..Plugin::default() })
}

fn recorder() -> Instance {
    instance("follows", 1, Plugin { record: Some(Arc::new(Follows)), ..Plugin::default() })
}

const METHODS: [&str; 2] = ["GET", "PUT"];

#[test]
fn every_exchange_is_told_once() {
    let notes = Notes::default();
    let world = World::start(vec![access::gate(), recorder(), observer(9, &notes, false)]);
    for method in METHODS {
        let cases = [
            ("", &[][..], "200 by Some(Upstream), upstream 200, Whole, consumer None"),
            (
                "?script=chunked",
                &[("x-key", "ada")],
                "200 by Some(Upstream), upstream 200, Whole, consumer Some(\"ada\")",
            ),
            ("?status=404", &[], "404 by Some(Upstream), upstream 404, Whole, consumer None"),
            ("?status=204", &[], "204 by Some(Upstream), upstream 204, Whole, consumer None"),
            ("?script=reset", &[], "502 by Some(Gateway), upstream 0, Whole, consumer None"),
            ("?x=1", &[("x-answer", "1")], "418 by Some(Plugin), upstream 0, Whole, consumer None"),
            ("?script=half", &[], "200 by Some(Upstream), upstream 200, Cut, consumer None"),
        ];
        for (query, headers, expected) in cases {
            let _ = world.send(method, &format!("/mockbin/x{query}"), headers);
            let expected = format!("profiles/all {method} /mockbin/x{query} {expected}");
            assert_eq!(notes.wait_for(1), [expected]);
        }
    }
    for (method, target, status) in
        [("GET", "/other", 404), ("TRACE", "/mockbin/x", 405), ("put", "/other", 400)]
    {
        assert_eq!(world.send(method, target, &[("x-key", "ada")]).unwrap().status, status);
        let told = format!(" {method} {target} {status} by Some(Gateway), upstream 0, Whole, consumer None");
        assert_eq!(notes.wait_for(1), [told], "of no route");
    }
    assert_eq!(world.send("HEAD", "/mockbin/x?status=204", &[]).unwrap().status, 204);
    assert_eq!(
        notes.wait_for(1),
        ["profiles/all HEAD /mockbin/x?status=204 204 by Some(Upstream), upstream 204, Whole, consumer None"]
    );
}

#[test]
fn a_client_that_leaves_is_told_of_when_its_exchange_is_over() {
    let notes = Notes::default();
    let world = World::start(vec![recorder(), observer(9, &notes, false)]);
    let leave = |method: &str, query: &str, until: &dyn Fn(&mut Client)| {
        let mut client = world.connect();
        client.write(&client::request(method, &format!("/mockbin/x{query}"), &[], b"{}")).unwrap();
        until(&mut client);
        client.rst().unwrap();
    };
    let asked = |count: usize| {
        wait::until("the upstream to be asked", || (world.upstream.executed().len() >= count).then_some(()));
    };
    leave("GET", "?script=wait", &|_| asked(1));
    let told = "0 by None, upstream 0, ClientLeft, consumer None";
    assert_eq!(notes.wait_for(1), [format!("profiles/all GET /mockbin/x?script=wait {told}")]);
    // One that is recorded goes on without its client.
    leave("PUT", "?script=wait", &|_| asked(2));
    world.upstream.release();
    let told = "0 by None, upstream 200, ClientLeft, consumer None";
    assert_eq!(notes.wait_for(1), [format!("profiles/all PUT /mockbin/x?script=wait {told}")]);
    leave("GET", "?script=stream", &|client| client.until("200").unwrap());
    let told = "200 by Some(Upstream), upstream 200, ClientLeft, consumer None";
    assert_eq!(notes.wait_for(1), [format!("profiles/all GET /mockbin/x?script=stream {told}")]);
}

#[test]
fn no_observer_hides_another_and_headers_are_for_those_that_ask() {
    let notes = Notes::default();
    let world = World::start(vec![access::gate(), observer(9, &notes, true), observer(8, &notes, true)]);
    world.send("GET", "/mockbin/x", &[("x-key", "ada")]).unwrap();
    assert_eq!(notes.wait_for(1), ["request true response true"], "one of a kind");
    let (one, other) = (Notes::default(), Notes::default());
    let mut second = observer(8, &other, true);
    second.kind = "another";
    let mut world = World::start(vec![access::gate(), observer(9, &one, true), second]);
    world.send("GET", "/mockbin/x", &[]).unwrap();
    world.join();
    assert_eq!((one.take().len(), other.take().len()), (1, 1));
}

#[test]
fn sizes_are_those_of_the_wire() {
    struct Sizes(Notes);
    impl Observe for Sizes {
        fn observed(&self, seen: &Observed<'_>) {
            self.0.push(format!("{} {}", seen.request_size, seen.response_size));
        }
    }
    let notes = Notes::default();
    let plugin = Plugin { observe: Some(Arc::new(Sizes(notes.clone()))), ..Plugin::default() };
    let world = World::start(vec![recorder(), instance("sizes", 1, plugin)]);
    for method in METHODS {
        for size in [0, 2, 300_000] {
            let body = vec![b'x'; size];
            let request = client::request(method, "/mockbin/x", &[], &body);
            let mut client = world.connect();
            client.write(&request).unwrap();
            let answer = client.answer().unwrap();
            let lines = answer.headers.iter().map(|(name, value)| name.len() + value.len() + ": \r\n".len());
            let head = "HTTP/1.1 200 Scripted\r\n".len() + lines.sum::<usize>() + "\r\n".len();
            let expected = format!("{} {}", request.len(), head + answer.body.len());
            assert_eq!(notes.wait_for(1), [expected], "{method} {size}");
        }
    }
}
