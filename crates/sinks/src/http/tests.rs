//! Against real sockets on loopback, most of them hostile.

pub(crate) mod receiver;
mod suite;
mod tls;
mod waits;

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use delivery::sink::MAX_ANSWER;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use self::receiver::{NO_CONTENT, Receiver, answer_early, read_request};
use super::*;

const PATIENT: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(300);

fn sink(allow: Allow) -> Client {
    Client::build(config(allow, &Arc::new(Answers::default())))
}

pub(crate) fn private() -> Allow {
    Allow::parse(true, []).unwrap()
}

fn open_sink() -> Client {
    sink(private())
}

fn request(url: &str, timeout: Duration) -> Request {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("x-retrohook-outcome", HeaderValue::from_static("succeeded"));
    Request {
        endpoint: Arc::new(url.parse().unwrap()),
        headers,
        body: Bytes::from_static(b"{\"a\":1}"),
        timeout,
        keep: MAX_ANSWER,
    }
}

fn kind(report: &Reply) -> Option<Failure> {
    assert_eq!(report.status.is_none(), report.error.is_some(), "{report:?}");
    report.error.as_ref().map(|error| error.kind)
}

/// Answers from a list, one list a lookup; the last one repeats.
#[derive(Default)]
pub(crate) struct Answers {
    answers: Vec<Vec<IpAddr>>,
    asked: Mutex<Vec<String>>,
    never: bool,
    /// The first lookup ends when the other side is gone.
    gate: Mutex<Option<std::sync::mpsc::Receiver<()>>>,
}

impl Answers {
    fn of(answers: &[&[&str]]) -> Arc<Self> {
        Arc::new(Self::of_vec(answers))
    }

    fn of_vec(answers: &[&[&str]]) -> Self {
        let answers =
            answers.iter().map(|answer| answer.iter().map(|text| text.parse().unwrap()).collect()).collect();
        Self { answers, ..Self::default() }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

struct Asked(Arc<Answers>);

impl dialing::Source for Asked {
    fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, dialing::Unresolved> {
        let Answers { answers, asked, gate, .. } = &*self.0;
        let turn = {
            let mut asked = asked.lock().unwrap();
            asked.push(name.to_owned());
            asked.len() - 1
        };
        if self.0.never {
            loop {
                std::thread::park();
            }
        }
        if let Some(gate) = gate.lock().unwrap().take() {
            let _ = gate.recv();
        }
        answers.get(turn).or(answers.last()).cloned().ok_or(dialing::Unresolved::NoSuchName)
    }
}

/// Every connection asks anew.
const ALWAYS: dialing::Times = dialing::Times {
    fresh: Duration::ZERO,
    stale: Duration::ZERO,
    wait: Duration::from_secs(2),
    ..dialing::Times::DEFAULT
};

pub(crate) fn config(allow: Allow, answers: &Arc<Answers>) -> Config {
    Config {
        allow,
        names: Names::new(Asked(answers.clone()), ALWAYS),
        connections: Connections { max: 1_024, max_per_endpoint: 512 },
        roots: Roots::Only(Vec::new()),
    }
}

fn named_sink(allow: &[&str], names: &Arc<Answers>) -> Client {
    let allow = Allow::parse(false, allow.iter().copied()).unwrap();
    Client::build(config(allow, names))
}

#[tokio::test]
async fn posts_what_it_is_given_and_reports_what_came() {
    let receiver = Receiver::answering("HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello").await;
    let url = receiver.url().replace("http://", "http://me:p%3aw@") + "expire?a=b";
    let report = open_sink().attempt(request(&url, PATIENT)).await;
    assert_eq!(
        (report.status, &report.answer[..], report.retry_after.clone()),
        (Some(201), &b"hello"[..], None)
    );
    assert_eq!(kind(&report), None);

    let sent = receiver.requests().remove(0);
    assert!(sent.starts_with("POST /expire?a=b HTTP/1.1\r\n"), "{sent}");
    assert!(sent.ends_with("\r\n\r\n{\"a\":1}"), "{sent}");
    for line in [
        &format!("host: {}", receiver.authority()),
        "content-type: application/json",
        "content-length: 7",
        "accept-encoding: identity",
        "x-retrohook-outcome: succeeded",
        "authorization: Basic bWU6cDp3",
    ] {
        assert!(sent.contains(&format!("\r\n{line}\r\n")), "no {line} in {sent}");
    }
}

#[tokio::test]
async fn uses_a_connection_again() {
    let receiver = Receiver::answering(NO_CONTENT).await;
    let sink = open_sink();
    for _ in 0..5 {
        assert_eq!(sink.attempt(request(&receiver.url(), PATIENT)).await.status, Some(204));
    }
    assert_eq!((receiver.connections(), receiver.requests().len()), (1, 5));
}

#[tokio::test]
async fn an_ipv4_address_in_ipv6_clothing_is_the_ipv4_address() {
    let receiver = Receiver::answering(NO_CONTENT).await;
    let sink = open_sink();
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"] {
        let url = receiver.url().replace("127.0.0.1", host);
        assert_eq!(sink.attempt(request(&url, PATIENT)).await.status, Some(204), "{host}");
    }
    assert_eq!(receiver.connections(), 1, "so all share its connection");
}

#[tokio::test]
async fn replaces_a_kept_connection_that_was_closed() {
    // Each connection answers once, without a word of closing, and closes at the next request.
    let receiver = Receiver::scripted(|mut stream, log| async move {
        log.push(read_request(&mut stream).await);
        stream.write_all(NO_CONTENT.as_bytes()).await.unwrap();
        let mut byte = [0];
        // Whatever comes next is not answered.
        let _ = stream.read(&mut byte).await;
    })
    .await;
    let sink = open_sink();
    for _ in 0..4 {
        let report = sink.attempt(request(&receiver.url(), PATIENT)).await;
        assert_eq!(report.status, Some(204), "{report:?}");
    }
    assert_eq!(receiver.connections(), 4);
}

#[tokio::test]
async fn gives_up_after_one_replacement() {
    let receiver = Receiver::scripted(|mut stream, log| async move {
        log.push(read_request(&mut stream).await);
    })
    .await;
    let report = open_sink().attempt(request(&receiver.url(), PATIENT)).await;
    assert_eq!(kind(&report), Some(Failure::Broken), "{report:?}");
    assert_eq!(receiver.connections(), 1, "a fresh connection is not replaced");
}

#[tokio::test]
async fn a_body_may_come_in_chunks_and_leaves_the_connection_as_it_was() {
    let chunked = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
    let receiver = Receiver::answering(chunked).await;
    let sink = open_sink();
    for _ in 0..3 {
        let report = sink.attempt(request(&receiver.url(), PATIENT)).await;
        assert_eq!((report.status, &report.answer[..]), (Some(200), &b"hello"[..]));
    }
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn a_connection_on_which_more_came_than_an_answer_is_not_used_again() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 500 Planted\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    ] {
        let receiver = Receiver::answering(answer).await;
        let sink = open_sink();
        for _ in 0..2 {
            assert_eq!(sink.attempt(request(&receiver.url(), PATIENT)).await.status, Some(200), "{answer}");
        }
        assert_eq!(receiver.connections(), 2, "{answer}");
    }
}

#[tokio::test]
async fn an_endpoint_may_answer_before_it_has_read_all() {
    let receiver = Receiver::scripted(|mut stream, _| async move {
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        // It reads no more, and keeps the connection.
        std::future::pending::<()>().await;
    })
    .await;
    let sink = open_sink();
    let large = Request { body: vec![b'x'; 32 << 20].into(), ..request(&receiver.url(), PATIENT) };
    for _ in 0..2 {
        assert_eq!(sink.attempt(large.clone()).await.status, Some(413));
    }
    assert_eq!(receiver.connections(), 2, "half a request is on the first");
}

#[tokio::test]
async fn a_large_body_arrives_whole() {
    let receiver = Receiver::answering(NO_CONTENT).await;
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| b'a' + (n % 26) as u8).collect();
    let large = Request { body: body.clone().into(), ..request(&receiver.url(), PATIENT) };
    assert_eq!(open_sink().attempt(large).await.status, Some(204));
    let sent = receiver.requests().remove(0);
    assert!(sent.contains("\r\ncontent-length: 3000000\r\n"));
    assert!(sent.as_bytes().ends_with(&body));
}

#[tokio::test]
async fn who_answers_early_still_gets_the_whole_body() {
    let receiver = Receiver::scripted(answer_early).await;
    let large = Request { body: vec![b'a'; 8 << 20].into(), ..request(&receiver.url(), PATIENT) };
    assert_eq!(open_sink().attempt(large).await.status, Some(200));
    receiver.wait_for_requests(1).await;
    assert_eq!(receiver.requests(), [(8 << 20).to_string()]);
}

/// More of them than what one task may read before it lets others run.
#[tokio::test]
async fn an_answer_that_nobody_asked_for_is_never_taken_for_one() {
    const CONNECTIONS: usize = 200;
    let (all_kept, kept) = tokio::sync::watch::channel(false);
    let receiver = Receiver::scripted(move |mut stream, log| {
        let mut kept = kept.clone();
        async move {
            read_request(&mut stream).await;
            log.push("asked".into());
            // All at once, so that each has a connection of its own.
            while log.len() < CONNECTIONS {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            stream.write_all(NO_CONTENT.as_bytes()).await.unwrap();
            kept.wait_for(|kept| *kept).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            log.push("unasked".into());
            while !read_request(&mut stream).await.is_empty() {}
        }
    })
    .await;
    let sink = Arc::new(open_sink());
    let mut attempts = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (sink, request) = (sink.clone(), request(&receiver.url(), PATIENT));
        attempts.spawn(async move { sink.attempt(request).await.status });
    }
    assert_eq!(attempts.join_all().await, [Some(204); CONNECTIONS]);
    assert_eq!(sink.pool.len(), CONNECTIONS);
    all_kept.send(true).unwrap();
    receiver.wait_for_requests(2 * CONNECTIONS).await;
    let report = sink.attempt(request(&receiver.url(), PATIENT)).await;
    assert_eq!(report.status, Some(204), "on a new connection");
    assert_eq!(receiver.connections(), CONNECTIONS + 1);
}

#[tokio::test]
async fn idle_connections_are_closed_after_a_while() {
    let receiver = Receiver::answering(NO_CONTENT).await;
    let sink = open_sink();
    sink.attempt(request(&receiver.url(), PATIENT)).await;
    assert_eq!(sink.pool.len(), 1);
    tokio::time::pause();
    tokio::time::sleep(pool::MAX_IDLE + Duration::from_secs(2)).await;
    assert_eq!(sink.pool.len(), 0);
}

#[tokio::test]
async fn never_follows_a_redirect() {
    let target = Receiver::answering(NO_CONTENT).await;
    for status in [301, 302, 303, 307, 308] {
        let answer = format!(
            "HTTP/1.1 {status} Moved\r\nLocation: {}\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
            target.url()
        );
        let receiver = Receiver::answering(answer).await;
        let report = open_sink().attempt(request(&receiver.url(), PATIENT)).await;
        assert_eq!((report.status, report.retry_after.as_deref()), (Some(status), Some("7")));
    }
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn an_endless_body_is_cut_and_its_connection_closed() {
    let receiver = Receiver::scripted(|mut stream, log| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
        let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
        while stream.write_all(chunk.as_bytes()).await.is_ok() {}
        log.push("closed".into());
    })
    .await;
    let sink = open_sink();
    let report = sink.attempt(request(&receiver.url(), PATIENT)).await;
    assert_eq!((report.status, report.answer.len()), (Some(200), MAX_ANSWER));
    assert!(report.took < PATIENT);
    assert_eq!(sink.pool.len(), 0);
    receiver.wait_for_requests(1).await;
}

/// What an endpoint sends behind its head, or holds back, holds nothing up.
#[tokio::test]
async fn an_answer_counts_at_its_head_whatever_follows() {
    for (head, drip) in [
        ("HTTP/1.0 200 OK\r\n\r\n", ""),
        ("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nok", ""),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", "x"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", ""),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "x"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello", ""),
        ("HTTP/1.1 500 Oops\r\nContent-Length: 1000\r\n\r\n", "x"),
    ] {
        let receiver = Receiver::scripted(move |mut stream, _| async move {
            read_request(&mut stream).await;
            stream.write_all(head.as_bytes()).await.unwrap();
            while stream.write_all(drip.as_bytes()).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        let sink = open_sink();
        let report = sink.attempt(request(&receiver.url(), 6 * PATIENT)).await;
        assert!(matches!(report.status, Some(200 | 500)), "{report:?}");
        assert!(report.took < PATIENT, "{head:?}: {:?}", report.took);
        assert!(report.answer.len() < 50, "{}", report.answer.len());
        assert_eq!(
            report.answer.is_empty(),
            drip.is_empty() && !head.contains("ok") && !head.contains("hello")
        );
        assert_eq!(sink.pool.len(), 0, "what may still come would be taken for the next answer");
    }
}

#[tokio::test]
async fn a_dripping_body_ends_at_the_deadline_if_that_is_sooner() {
    let receiver = Receiver::scripted(|mut stream, _| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await.unwrap();
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let report = open_sink().attempt(request(&receiver.url(), SHORT)).await;
    assert_eq!(report.status, Some(200));
    assert!((1..50).contains(&report.answer.len()), "{}", report.answer.len());
    assert!(report.took >= SHORT && report.took < PATIENT, "{:?}", report.took);
}

/// A body that comes a little after its head is still waited for: its connection is used again.
#[tokio::test]
async fn a_body_that_comes_after_its_head_leaves_the_connection_as_it_was() {
    let receiver = Receiver::scripted(|mut stream, log| async move {
        loop {
            let request = read_request(&mut stream).await;
            if request.is_empty() {
                return;
            }
            log.push(request);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").await.unwrap();
            tokio::time::sleep(BODY_WITHIN / 10).await;
            stream.write_all(b"hello").await.unwrap();
        }
    })
    .await;
    let sink = open_sink();
    for _ in 0..3 {
        let report = sink.attempt(request(&receiver.url(), PATIENT)).await;
        assert_eq!((report.status, &report.answer[..]), (Some(200), &b"hello"[..]));
    }
    assert_eq!(receiver.connections(), 1);
}

/// It holds up its own attempt for a moment, not for the attempt's time.
#[tokio::test]
async fn who_answers_early_and_takes_no_more_is_not_waited_for() {
    let receiver = Receiver::scripted(|mut stream, _| async move {
        let mut some = [0; 1_024];
        assert!(stream.read(&mut some).await.unwrap() > 0);
        stream.write_all(NO_CONTENT.as_bytes()).await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let sink = open_sink();
    let large = Request { body: vec![b'a'; 32 << 20].into(), ..request(&receiver.url(), 6 * PATIENT) };
    let report = sink.attempt(large).await;
    assert_eq!(report.status, Some(204));
    assert!(report.took < PATIENT, "{:?}", report.took);
    assert_eq!(sink.pool.len(), 0);
}

/// Slowly, but it takes it: for longer than a body is waited for.
#[tokio::test]
async fn who_answers_early_and_reads_slowly_gets_the_whole_body() {
    const LARGE: usize = 16 << 20;
    let receiver = Receiver::scripted(|mut stream, log| async move {
        let mut some = vec![0; 1 << 20];
        let mut total = stream.read(&mut some).await.unwrap();
        stream.write_all(NO_CONTENT.as_bytes()).await.unwrap();
        while total < LARGE {
            tokio::time::sleep(BODY_WITHIN / 10).await;
            match stream.read(&mut some).await {
                Ok(read @ 1..) => total += read,
                _ => break,
            }
        }
        log.push((total >= LARGE).to_string());
    })
    .await;
    let large = Request { body: vec![b'a'; LARGE].into(), ..request(&receiver.url(), 6 * PATIENT) };
    assert_eq!(open_sink().attempt(large).await.status, Some(204));
    receiver.wait_for_requests(1).await;
    assert_eq!(receiver.requests(), ["true"]);
}

#[tokio::test]
async fn hostile_heads_are_bounded() {
    let huge = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(1 << 20));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(20_000));
    for (answer, expected) in [
        (huge.as_str(), Failure::Broken),
        (many.as_str(), Failure::Broken),
        ("SSH-2.0-OpenSSH_9.2\r\n", Failure::Broken),
        ("HTTP/1.1 999999 OK\r\n\r\n", Failure::Broken),
        ("HTTP/1.1 200 OK\r\nContent-Le", Failure::Broken),
    ] {
        let answer = answer.to_owned();
        let receiver = Receiver::scripted(move |mut stream, _| {
            let answer = answer.clone();
            async move {
                read_request(&mut stream).await;
                // The sink may close before all is written.
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        })
        .await;
        let report = open_sink().attempt(request(&receiver.url(), PATIENT)).await;
        assert_eq!(kind(&report), Some(expected), "{report:?}");
        assert!(report.took < PATIENT);
    }
}

#[tokio::test]
async fn silence_and_floods_end_at_the_deadline() {
    for drip in ["", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"] {
        let receiver = Receiver::scripted(move |mut stream, _| async move {
            read_request(&mut stream).await;
            while stream.write_all(drip.as_bytes()).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        let report = open_sink().attempt(request(&receiver.url(), SHORT)).await;
        assert_eq!(kind(&report), Some(Failure::Timeout), "{drip:?}: {report:?}");
        assert!(report.took < PATIENT);
    }
}

#[tokio::test]
async fn nobody_there_is_a_failure_to_connect() {
    let gone = Receiver::answering(NO_CONTENT).await.into_closed_url().await;
    let report = open_sink().attempt(request(&gone, PATIENT)).await;
    assert_eq!(kind(&report), Some(Failure::Connect));
    let text = report.error.unwrap().text;
    assert!(!text.contains("127.0.0.1"), "{text}");
}

#[tokio::test]
async fn forbidden_addresses_are_not_dialled() {
    let receiver = Receiver::answering(NO_CONTENT).await;
    let port = receiver.authority().split_once(':').unwrap().1.to_owned();
    let names = Answers::of(&[&["127.0.0.1"]]);
    let sink = named_sink(&[], &names);
    for host in ["127.0.0.1", "2130706433", "[::ffff:127.0.0.1]", "localhost", "hooks.example.com"] {
        let report = sink.attempt(request(&format!("http://{host}:{port}/"), PATIENT)).await;
        assert_eq!(kind(&report), Some(Failure::Blocked), "{host}");
        let text = report.error.unwrap().text;
        assert!(text.contains("--allow-endpoints") && !text.contains("127.0.0.1"), "{text}");
    }
    assert_eq!(receiver.connections(), 0);
    assert_eq!(names.asked(), ["hooks.example.com."], "fully qualified, and only where the name may pass");
}

#[tokio::test]
async fn one_forbidden_answer_rejects_all() {
    for answers in [["8.8.8.8", "10.0.0.1"], ["8.8.8.8", "::1"], ["2001:4860:4860::8888", "169.254.169.254"]]
    {
        let names = Answers::of(&[&answers]);
        let report = named_sink(&[], &names).attempt(request("http://hooks.example.com/", SHORT)).await;
        assert_eq!(kind(&report), Some(Failure::Blocked), "{answers:?}");
    }
}

#[tokio::test]
async fn what_a_name_resolves_to_is_vetted_at_every_connection() {
    let receiver = Receiver::answering("HTTP/1.1 204 OK\r\nConnection: close\r\n\r\n").await;
    let url = receiver.url().replace("127.0.0.1", "receiver");
    let names = Answers::of(&[&["127.0.0.1"], &["169.254.169.254"], &["224.0.0.1"]]);
    let sink = named_sink(&["receiver"], &names);
    assert_eq!(sink.attempt(request(&url, PATIENT)).await.status, Some(204));
    for _ in 0..2 {
        assert_eq!(kind(&sink.attempt(request(&url, PATIENT)).await), Some(Failure::Blocked));
    }
    assert_eq!(names.asked(), ["receiver"; 3], "a name at home is asked for as the system would");
}

#[tokio::test]
async fn goes_on_to_the_next_address() {
    let receiver = Receiver::answering(NO_CONTENT).await;
    let url = receiver.url().replace("127.0.0.1", "receiver");
    // Nobody listens on the second loopback address.
    let names = Answers::of(&[&["127.0.0.2", "127.0.0.1"]]);
    assert_eq!(named_sink(&["receiver"], &names).attempt(request(&url, PATIENT)).await.status, Some(204));
}

#[tokio::test]
async fn dns_that_fails_or_hangs_is_a_failure_to_try_again() {
    for (names, expected) in [
        (Answers::of(&[]), Failure::Dns),
        (Answers::of(&[&[]]), Failure::Dns),
        (Arc::new(Answers { never: true, ..Answers::default() }), Failure::Dns),
    ] {
        let report = named_sink(&[], &names).attempt(request("http://hooks.example.com/", SHORT)).await;
        assert_eq!(kind(&report), Some(expected));
    }
}

#[tokio::test]
async fn the_wait_for_a_name_does_not_count() {
    let receiver = Receiver::answering(NO_CONTENT).await;
    let url = receiver.url().replace("127.0.0.1", "receiver");
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let names = Answers { gate: Mutex::new(Some(gate)), ..Answers::of_vec(&[&["127.0.0.1"]]) };
    let sink = Arc::new(named_sink(&["receiver"], &Arc::new(names)));
    let attempt = tokio::spawn({
        let (sink, request) = (sink.clone(), request(&url, SHORT));
        async move { sink.attempt(request).await }
    });
    // Twice its timeout.
    tokio::time::sleep(2 * SHORT).await;
    assert_eq!(sink.turns.taken(), 0, "it takes no place from others meanwhile");
    drop(open);
    assert_eq!(attempt.await.unwrap().status, Some(204));
}

#[tokio::test]
async fn attempts_beyond_the_limit_wait_and_their_time_does_not_run() {
    let hung = Receiver::scripted(|mut stream, log| async move {
        log.push(read_request(&mut stream).await);
        while !read_request(&mut stream).await.is_empty() {}
    })
    .await;
    let good = Receiver::answering(NO_CONTENT).await;
    let connections = Connections { max: 8, max_per_endpoint: 2 };
    let names = Arc::new(Answers::default());
    let sink = Arc::new(Client::build(Config { connections, ..config(private(), &names) }));
    let mut attempts = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (sink, request) = (sink.clone(), request(&hung.url(), SHORT));
        attempts.spawn(async move { sink.attempt(request).await });
    }
    hung.wait_for_requests(2).await;
    assert_eq!(sink.waiting(), 4, "and it is said");
    for _ in 0..20 {
        let report = sink.attempt(request(&good.url(), PATIENT)).await;
        assert_eq!(report.status, Some(204), "others go on");
    }
    assert!(hung.connections() <= 4, "{}", hung.connections());
    for report in attempts.join_all().await {
        assert_eq!(kind(&report), Some(Failure::Timeout), "each had its time: {report:?}");
    }
    assert_eq!((hung.connections(), good.connections()), (6, 1));
    assert_eq!(sink.waiting(), 0);
}

#[tokio::test]
async fn idle_connections_make_room_for_those_in_use() {
    let mut receivers = Vec::new();
    let connections = Connections { max: 3, max_per_endpoint: 2 };
    let sink = Client::build(Config { connections, ..config(private(), &Arc::new(Answers::default())) });
    for _ in 0..6 {
        let receiver = Receiver::answering(NO_CONTENT).await;
        assert_eq!(sink.attempt(request(&receiver.url(), PATIENT)).await.status, Some(204));
        assert!(sink.pool.len() <= 3, "{}", sink.pool.len());
        receivers.push(receiver);
    }
    let last = &receivers[5];
    sink.attempt(request(&last.url(), PATIENT)).await;
    assert_eq!(last.connections(), 1, "the one that was used last is still there");
}
