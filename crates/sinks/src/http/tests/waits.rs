//! How long an endpoint that asks for it is left alone, whatever its attempt waited for before.

use delivery::sink::conformance::{event, to};
use delivery::sink::{Job, To, Verdict};
use delivery::{AttemptReport, Sink};
use event::Timestamp;
use tokio::sync::Notify;

use super::*;

/// The moment of [`DATE`].
const NAMED: Timestamp = Timestamp::from_millis(784_111_777_000);
const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// An endpoint has one connection. The second attempt waits for it for 100 s of the 160 s up to the date that its answer names.
#[tokio::test]
async fn a_date_is_compared_with_the_moment_at_which_it_came() {
    const ASKED: Duration = Duration::from_secs(160);
    const WAITED: Duration = Duration::from_secs(100);
    let release = Arc::new(Notify::new());
    let gate = release.clone();
    let receiver = Receiver::scripted(move |mut stream, log| {
        let gate = gate.clone();
        async move {
            let answer = format!("HTTP/1.1 503 Busy\r\nRetry-After: {DATE}\r\nContent-Length: 0\r\n\r\n");
            loop {
                let request = read_request(&mut stream).await;
                if request.is_empty() {
                    return;
                }
                log.push(request);
                if log.len() == 1 {
                    gate.notified().await;
                }
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let connections = Connections { max: 8, max_per_endpoint: 1 };
    let names = Arc::new(Answers::default());
    let sink = HttpSink::build(Config { connections, ..config(private(), &names) });
    let timeout = Duration::from_secs(3_600);
    let target = sink.open(To { timeout, ..to(&sink, receiver.url()) }).unwrap();
    let at = Timestamp::from_millis(NAMED.as_millis() - 160_000);
    let attempt = || {
        let target = target.clone();
        tokio::spawn(async move { target.attempt(Job { at, ..event(1) }).await })
    };
    let first = attempt();
    receiver.wait_for_requests(1).await;
    let second = attempt();
    while sink.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    tokio::time::pause();
    tokio::time::advance(WAITED).await;
    tokio::time::resume();
    release.notify_one();
    first.await.unwrap();
    let AttemptReport { verdict, .. } = second.await.unwrap();
    let Verdict::Failed { wait: Some(wait), .. } = verdict else { panic!("{verdict:?}") };
    assert!(wait <= ASKED - WAITED && wait + PATIENT > ASKED - WAITED, "{wait:?}");
}
