//! Plug-ins that look at requests, and that say who the consumer is.

use bytes::Bytes;
use http::Response;
use pipeline::context::{Consumer, Credential};
use pipeline::{
    Access, AnswerHead, Context, Deciding, Forward, Observe, Observed, Plugin, Record, RequestHead, Respond,
    Transform, Verdict, Watch,
};

use super::*;

/// That bodies are to be changed: kept for those that change them.
pub(super) struct ChangesBodies;

/// Knows consumers by `x-key`, answers `x-answer`, and notes `x-body`. `x-later` makes it take its time.
struct Gate;

impl Access for Gate {
    fn access<'a>(&'a self, request: &'a mut RequestHead, context: &'a mut Context) -> Deciding<'a> {
        if request.headers.remove("x-body").is_some() {
            context.data.insert(ChangesBodies);
        }
        if let Some(key) = request.headers.remove("x-key") {
            let username = key.to_str().unwrap().to_owned();
            let id = consumer_id(&username);
            let identifier = Some(username.clone());
            context.consumer = Some(Arc::new(Consumer { id, username: Some(username), custom_id: None }));
            context.credential = Some(Arc::new(Credential { id, identifier }));
        }
        let verdict = match request.headers.contains_key("x-answer") {
            true => {
                Verdict::Respond(Response::builder().status(418).body(Bytes::from_static(b"teapot")).unwrap())
            }
            false => Verdict::Continue,
        };
        if !request.headers.contains_key("x-later") {
            return Deciding::Now(verdict);
        }
        Deciding::Later(Box::pin(async {
            tokio::task::yield_now().await;
            verdict
        }))
    }
}

pub(super) fn gate() -> Instance {
    instance("gate", 1_000, Plugin { access: Some(Arc::new(Gate)), ..Plugin::default() })
}

pub(super) fn consumer_id(username: &str) -> Uuid {
    Uuid::from_u128(username.bytes().fold(0, |id, byte| id * 256 + u128::from(byte)))
}

/// Tells the upstream that it had its turn.
struct Marks(&'static str);

impl Access for Marks {
    fn access<'a>(&'a self, request: &'a mut RequestHead, _: &'a mut Context) -> Deciding<'a> {
        request.headers.append("x-marks", HeaderValue::from_static(self.0));
        Deciding::Now(Verdict::Continue)
    }
}

fn marks(kind: &'static str, priority: i32, mark: &'static str) -> Instance {
    instance(kind, priority, Plugin { access: Some(Arc::new(Marks(mark))), ..Plugin::default() })
}

/// The marks that the upstream saw last.
fn seen(world: &World) -> String {
    let executed = world.upstream.executed();
    let headers = executed.last().unwrap().headers.iter();
    let marks = headers.filter(|(name, _)| name.eq_ignore_ascii_case("x-marks"));
    marks.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_first_that_answers_ends_it() {
    let world = World::start(vec![marks("after", 1, "after"), gate(), marks("before", 2_000, "before")]);
    for later in [&[][..], &[("x-later", "1")]] {
        assert_eq!(world.send("GET", "/mockbin/x", later).unwrap().status, 200);
        assert_eq!(seen(&world), "before after");
        let asked = world.upstream.executed().len();
        let headers = [later, &[("x-answer", "1")]].concat();
        let answer = world.send("GET", "/mockbin/x", &headers).unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (418, "teapot"));
        assert!(answer.header("x-kong-response-latency").is_some());
        assert_eq!(world.upstream.executed().len(), asked, "the upstream is not asked");
    }
}

#[test]
fn once_the_consumer_is_known_what_is_for_them_takes_its_turn() {
    let of = |username| Scope { consumer: Some(consumer_id(username)), ..Scope::default() };
    let all = Scope::default();
    let world = World::scoped(vec![
        (all, gate()),
        // Before anybody is known, and behind.
        (all, marks("early", 2_000, "early")),
        (of("ada"), marks("early", 2_000, "early-of-ada")),
        (all, marks("late", 5, "late")),
        (of("ada"), marks("late", 5, "late-of-ada")),
        (of("bob"), marks("bobs-own", 7, "bobs-own")),
    ]);
    for (key, expected) in [
        (None, "early late"),
        (Some("ada"), "early late-of-ada"),
        (Some("bob"), "early bobs-own late"),
        (Some("eve"), "early late"),
    ] {
        let headers: Vec<_> = key.map(|key| ("x-key", key)).into_iter().collect();
        assert_eq!(world.send("GET", "/mockbin/x", &headers).unwrap().status, 200);
        assert_eq!(seen(&world), expected, "{key:?}");
    }
}

/// Notes its name in every role but access.
struct InTheRest {
    name: &'static str,
    notes: Notes,
}

impl Record for InTheRest {
    fn watch(&self, forward: &Forward<'_>) -> Option<Box<dyn Watch>> {
        let consumer = forward.context.consumer.as_ref().and_then(|consumer| consumer.username.as_deref());
        self.notes.push(format!("{} is asked to record for {consumer:?}", self.name));
        None
    }
}

impl Respond for InTheRest {
    fn respond(&self, _: &mut AnswerHead<'_>, context: &mut Context) -> Option<Box<dyn Transform>> {
        let credential = context.credential.as_ref().and_then(|credential| credential.identifier.as_deref());
        self.notes.push(format!("{} responds to {credential:?}", self.name));
        None
    }
}

impl Observe for InTheRest {
    fn observed(&self, _: &Observed<'_>) {
        self.notes.push(format!("{} observes", self.name));
    }
}

#[test]
fn in_every_role_the_instance_of_the_consumer_takes_the_place_of_the_others() {
    let notes = Notes::default();
    let plays = |name: &'static str| {
        let role = Arc::new(InTheRest { name, notes: notes.clone() });
        let (record, respond, observe) = (role.clone(), role.clone(), role);
        let plugin =
            Plugin { record: Some(record), respond: Some(respond), observe: Some(observe), access: None };
        instance("plays", 3, plugin)
    };
    let of_ada = Scope { consumer: Some(consumer_id("ada")), ..Scope::default() };
    let all = Scope::default();
    let world = World::scoped(vec![(all, gate()), (of_ada, plays("adas")), (all, plays("everybodys"))]);
    for (key, name, who) in [("ada", "adas", "\"ada\""), ("eve", "everybodys", "\"eve\"")] {
        assert_eq!(world.send("PUT", "/mockbin/x", &[("x-key", key)]).unwrap().status, 200);
        let expected = [
            format!("{name} is asked to record for Some({who})"),
            format!("{name} responds to Some({who})"),
            format!("{name} observes"),
        ];
        assert_eq!(notes.wait_for(3), expected);
    }
}
