//! Plug-ins that change answers: their heads, and their bodies as they pass.

use bytes::Bytes;
use http::StatusCode;
use pipeline::observe::Source;
use pipeline::{AnswerHead, Context, Plugin, Respond, Transform};

use super::*;

/// Adds its name to a header, and to the body what the request asks for: nothing unless it has `x-body`.
struct Signs(&'static str);

impl Respond for Signs {
    fn respond(&self, answer: &mut AnswerHead<'_>, context: &mut Context) -> Option<Box<dyn Transform>> {
        answer.headers.append("x-signed", HeaderValue::from_static(self.0));
        let source = match answer.source {
            Source::Upstream => "upstream",
            Source::Plugin => "plugin",
            Source::Gateway => "gateway",
        };
        answer.headers.insert("x-source", HeaderValue::from_static(source));
        if answer.headers.get("x-status").is_some() {
            *answer.status = StatusCode::ACCEPTED;
        }
        let changes = context.data.get::<super::access::ChangesBodies>().is_some();
        changes.then(|| Box::new(Brackets { name: self.0, begun: false }) as Box<dyn Transform>)
    }
}

/// `(name` before the body, `name)` after it.
struct Brackets {
    name: &'static str,
    begun: bool,
}

impl Transform for Brackets {
    fn piece(&mut self, piece: Bytes) -> Bytes {
        if std::mem::replace(&mut self.begun, true) {
            return piece;
        }
        [b"(", self.name.as_bytes(), &piece].concat().into()
    }

    fn end(&mut self) -> Bytes {
        format!("{})", self.name).into()
    }
}

fn world(more: Vec<Instance>) -> World {
    let signs = |name: &'static str, priority| {
        instance(name, priority, Plugin { respond: Some(Arc::new(Signs(name))), ..Plugin::default() })
    };
    let mut instances = vec![signs("b", 2), signs("a", 3), access::gate()];
    instances.extend(more);
    World::start(instances)
}

fn signatures(answer: &client::Answer) -> Vec<&str> {
    let signed = answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("x-signed"));
    signed.map(|(_, value)| value.as_str()).collect()
}

#[test]
fn every_responder_changes_every_answer_of_its_route() {
    let world = world(Vec::new());
    for (headers, status, source) in [(&[][..], 200, "upstream"), (&[("x-answer", "1")], 418, "plugin")] {
        let answer = world.send("GET", "/mockbin/x", headers).unwrap();
        assert_eq!((answer.status, answer.header("x-source")), (status, Some(source)));
        assert_eq!(signatures(&answer), ["a", "b"], "{source}");
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let plugin = Plugin { respond: Some(Arc::new(Signs("a"))), ..Plugin::default() };
    let world = World::to(closed, Upstream::start(), &[(Scope::default(), instance("a", 1, plugin))]);
    let answer = world.send("GET", "/mockbin/x", &[]).unwrap();
    assert_eq!((answer.status, answer.header("x-source")), (502, Some("gateway")));
    let answer = world.send("GET", "/other", &[]).unwrap();
    assert_eq!((answer.status, answer.header("x-source")), (404, Some("gateway")), "of no route");
}

#[test]
fn bodies_are_changed_as_they_pass() {
    let world = world(Vec::new());
    let changes = [("x-body", "1")];
    for (query, body) in [("", r#"{"done":true}"#), ("?script=chunked", "hello")] {
        let answer = world.send("GET", &format!("/mockbin/x{query}"), &changes).unwrap();
        assert_eq!(answer.text(), format!("(b(a{body}a)b)"), "{query}");
        assert_eq!(answer.header("content-length"), None, "{query}");
    }
    let answer = world.send("GET", "/mockbin/x", &[("x-body", "1"), ("x-answer", "1")]).unwrap();
    assert_eq!(answer.text(), "(b(ateapota)b)", "a plug-in's own answer");
    let mut client = world.connect();
    for _ in 0..2 {
        let answer = client.send("GET", "/mockbin/x?status=204", &changes, b"").unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (204, ""), "nothing is added to no body");
    }
    assert!(world.send("GET", "/mockbin/x?script=half", &changes).is_err(), "what broke off is not mended");
}
