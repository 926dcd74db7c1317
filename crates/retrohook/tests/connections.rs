//! Connections on both sides of the gateway: what clients and services leave half done costs nobody else anything.

use std::io::Write;
use std::net::{Shutdown, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use testkit::client::Client;
use testkit::process::{Process, Setup};
use testkit::scene::{Profiles, Scene};
use testkit::server::{Server, Then, answer};
use testkit::wait;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

#[test]
fn half_a_request_does_not_hold_up_a_stop() {
    let mut scene = Scene::start(RETROHOOK, &Profiles::default().yaml());
    let mut half_a_head = scene.client();
    half_a_head.write(b"GET /mockbin/x HTTP/1.1\r\nHo").unwrap();
    let mut half_a_body = scene.client();
    half_a_body.write(b"PUT /mockbin/profile HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf").unwrap();
    assert_eq!(scene.send("GET", "/mockbin/x").unwrap().status, 200);
    let stopped = Instant::now();
    assert!(scene.take_gateway().terminate().success());
    // The drain timeout is 30 s.
    assert!(stopped.elapsed() < Duration::from_secs(15), "{:?}", stopped.elapsed());
    assert_eq!(half_a_body.answer().unwrap().status, 408);
    assert_eq!(scene.upstream.executed().len(), 1);
}

/// A service that answers, then closes the connection without a word if `closes` says so, and then keeps a record of it.
fn closing(closes: impl Fn(&str) -> bool + Send + Sync + 'static) -> (Server, Arc<Mutex<Vec<String>>>) {
    let executed = Arc::new(Mutex::new(Vec::new()));
    let record = executed.clone();
    let server = Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), move |request, stream| {
        answer(stream, 200, &[], b"ok")?;
        if closes(&request.target) {
            stream.shutdown(Shutdown::Both)?;
        }
        record.lock().unwrap().push(request.target.clone());
        Ok(Then::KeepOpen)
    });
    (server.unwrap(), executed)
}

#[test]
fn a_kept_connection_that_the_service_has_closed_costs_a_matching_request_nothing() {
    let (service, executed) = closing(|_| true);
    let config = Profiles::default().yaml().replace("{upstream}", &service.address().to_string());
    let scene = Scene::start(RETROHOOK, &config);
    let mut client = scene.client();
    for count in 0..30 {
        let target = format!("/mockbin/profile?{count}");
        assert_eq!(client.send("PUT", &target, &[], b"{}").unwrap().status, 200, "{count}");
        // Closed by now: the next request finds it so, whether or not the gateway has noticed.
        wait::until("the service to have closed", || {
            (executed.lock().unwrap().len() == count + 1).then_some(())
        });
    }
    let told = scene.told(30);
    assert!(told.iter().all(|told| told.outcome() == "succeeded"), "{told:?}");
}

/// Lines that say that connections cannot be accepted.
fn complaints(process: &Process) -> Vec<String> {
    let output = process.output();
    output.lines().filter(|line| line.contains("cannot accept connections")).map(str::to_owned).collect()
}

#[test]
fn failures_to_accept_are_said_once_a_second_with_their_number() {
    let (service, _) = closing(|_| false);
    let config = Profiles::default().yaml().replace("{upstream}", &service.address().to_string());
    let mut setup = Setup::new(RETROHOOK, config.replace("{receiver}", "http://127.0.0.1:9/"));
    setup.flags.retain(|flag| !flag.starts_with("--workers"));
    setup.flags.push("--workers=1".into());
    let process = setup.start();
    let pid = Pid::from_raw(process.pid().cast_signed());
    // Its hard limit is that of this process.
    let none = Rlimit { current: Some(0), ..getrlimit(Resource::Nofile) };
    let before = prlimit(pid, Resource::Nofile, none).unwrap();
    let started = Instant::now();
    // Accepted by the kernel, and by nobody else.
    let mut clients: Vec<_> = (0..3).map(|_| Client::connect(process.proxy()).unwrap()).collect();
    let line = wait::until("a line that counts several failures", || {
        complaints(&process).into_iter().find(|line| !line.contains("times=1 ") && !line.ends_with("times=1"))
    });
    assert!(line.contains("times="), "{line}");
    let lines = complaints(&process).len();
    assert!(lines <= started.elapsed().as_secs() as usize + 1, "{lines} lines in {:?}", started.elapsed());

    prlimit(pid, Resource::Nofile, before).unwrap();
    for client in &mut clients {
        assert_eq!(client.send("GET", "/mockbin/x", &[], b"").unwrap().status, 200, "it is served after all");
    }
    assert!(process.terminate().success());
}

#[test]
fn why_an_answer_was_not_valid_is_in_the_log() {
    let service = Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), |request, stream| {
        let lines = if request.target.contains("many") { 1_100 } else { 900 };
        let cookies: String = (0..lines).map(|number| format!("set-cookie: c{number}=1\r\n")).collect();
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{cookies}\r\nok")?;
        Ok(Then::KeepOpen)
    });
    let service = service.unwrap();
    let config = Profiles::default().yaml().replace("{upstream}", &service.address().to_string());
    let scene = Scene::start(RETROHOOK, &config);
    let answer = scene.put("?few").unwrap();
    assert_eq!((answer.status, answer.headers.len() > 900), (200, true));
    assert_eq!(scene.put("?many").unwrap().status, 502);
    let line = wait::until("the cause in the log", || {
        let output = scene.gateway().output();
        output.lines().find(|line| line.contains("a service gave no valid answer")).map(str::to_owned)
    });
    let cause = "the head of the answer has more than 1000 lines or 64 KiB";
    assert!(line.contains(cause) && line.contains("mockbin"), "{line}");
    let told = scene.told(2);
    assert_eq!((told[0].outcome(), told[1].outcome()), ("succeeded", "unknown"));
    assert_eq!(told[1].reason(), Some("upstream_invalid"));
}
