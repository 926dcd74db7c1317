//! Plug-ins that need a request's body: when it is read, how long it is waited for, and what becomes of them when there is no room for it.

use gateway::limits::Limits;
use pipeline::{Access, Context, Deciding, Plugin, RequestBody, RequestHead, Verdict};

use super::*;

/// Needs the body of requests without `x-key`, and notes what it gets; with `x-insists` it needs it again and again.
struct Reads(Notes);

impl Access for Reads {
    fn access<'a>(&'a self, request: &'a mut RequestHead, _: &'a mut Context) -> Deciding<'a> {
        let insists = request.headers.contains_key("x-insists");
        if insists || (request.body == RequestBody::Unread && !request.headers.contains_key("x-key")) {
            return Deciding::Now(Verdict::NeedsBody);
        }
        self.0.push(match &request.body {
            RequestBody::Unread => "unread".to_owned(),
            RequestBody::Whole(bytes) => format!("{} bytes", bytes.len()),
            RequestBody::TooLong => "too long".to_owned(),
        });
        Deciding::Now(Verdict::Continue)
    }
}

fn reads(notes: &Notes) -> Instance {
    let access = Arc::new(Reads(notes.clone()));
    instance("reads", 1_000, Plugin { access: Some(access), ..Plugin::default() })
}

fn world(limits: Limits) -> (World, Notes) {
    let notes = Notes::default();
    (World::limited(limits, reads(&notes)), notes)
}

/// The head of a request with a body in chunks, and the first of them: what is held of it while more is awaited needs room.
const BEGUN: &str = "POST /mockbin/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n";
const END: &[u8] = b"0\r\n\r\n";

#[test]
fn a_plugin_sees_all_of_a_body_or_that_it_is_too_long_and_the_service_gets_it_either_way() {
    let (world, notes) = world(Limits::default());
    for (length, noted) in [(0, "0 bytes"), (5, "5 bytes"), (64 << 10, "65536 bytes"), (70_000, "too long")] {
        let body = vec![b'x'; length];
        let answer = client::send(world.proxy, "POST", "/mockbin/x", &[], &body).unwrap();
        assert_eq!((answer.status, notes.wait_for(1)), (200, vec![noted.to_owned()]));
        assert_eq!(world.upstream.executed().last().unwrap().body, body);
    }
    let mut client = world.connect();
    client.write(BEGUN.as_bytes()).unwrap();
    client.write(END).unwrap();
    assert_eq!((client.answer().unwrap().status, notes.wait_for(1)), (200, vec!["1 bytes".to_owned()]));
}

#[test]
fn without_room_a_body_that_is_needed_is_answered_with_503_and_one_that_is_not_flows() {
    // The least that anything is held in.
    let (world, notes) = world(Limits { read_ahead: 1 << 10, ..Limits::default() });
    let mut stranger = world.connect();
    stranger.write(BEGUN.as_bytes()).unwrap();
    let ask = |head: &str| {
        let mut client = world.connect();
        client.write(head.as_bytes()).unwrap();
        client.write(END).unwrap();
        client.answer().unwrap()
    };
    let refusal =
        wait::until("the room to be used up", || Some(ask(BEGUN)).filter(|answer| answer.status != 200));
    assert_eq!((refusal.status, refusal.header("retry-after")), (503, Some("5")));
    assert_eq!(
        refusal.json()["message"],
        "Too many request bodies are being read; nothing was sent to the upstream server"
    );
    notes.take();
    let asked = world.upstream.executed().len();
    let with_key = BEGUN.replace("host: a", "host: a\r\nx-key: 1");
    assert_eq!(ask(&with_key).status, 200);
    assert_eq!(notes.wait_for(1), ["unread"], "it is not held up by bodies of others");
    assert_eq!(world.upstream.executed().len(), asked + 1, "the refused one never got there");
    stranger.write(END).unwrap();
    assert_eq!(stranger.answer().unwrap().status, 200);
    wait::until("the room to be given back", || (ask(BEGUN).status == 200).then_some(()));
}

#[test]
fn a_body_that_trickles_is_given_up_however_often_a_piece_of_it_comes() {
    let (world, _) = world(Limits { body_time: Duration::from_millis(300), ..Limits::default() });
    let mut client = world.connect();
    client.write(BEGUN.as_bytes()).unwrap();
    let stats = world.running.as_ref().unwrap().stats()[0].clone();
    wait::until("an answer", || {
        // Each comes well within what a client is waited for, for one piece; the last ones may find the connection closed.
        let _ = client.write(b"1\r\nx\r\n");
        stats.answers().any(|(class, count)| (class, count) == (4, 1)).then_some(())
    });
    assert_eq!(world.upstream.executed().len(), 0);
}

#[test]
fn a_plugin_that_needs_a_body_that_it_has_is_given_up() {
    let (world, _) = world(Limits::default());
    let answer = world.send("POST", "/mockbin/x", &[("x-insists", "1")]).unwrap();
    assert_eq!((answer.status, &answer.json()["message"]), (500, &"An unexpected error occurred".into()));
}
