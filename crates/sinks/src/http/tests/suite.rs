//! What every sink promises, kept by webhooks.

use std::sync::Arc;

use delivery::Sink;
use delivery::sink::MAX_ANSWER;
use delivery::sink::conformance::{Behaviour, Endpoint, Subject, run};

use super::receiver::{NO_CONTENT, Receiver, absent};
use super::{Answers, HttpSink, config, private};

struct Webhooks {
    sink: Arc<HttpSink>,
    /// They live as long as this does.
    receivers: Vec<Receiver>,
}

impl Subject for Webhooks {
    fn sink(&self) -> Arc<dyn Sink> {
        self.sink.clone()
    }

    fn target(&mut self, behaviour: Behaviour) -> Endpoint<'_> {
        Box::pin(async move {
            let receiver = match behaviour {
                Behaviour::Takes => Receiver::answering(NO_CONTENT).await,
                Behaviour::Fails => answering("500 Internal Server Error", "", "no").await,
                Behaviour::AsksToWait => answering("429 Too Many", "Retry-After: 90\r\n", "no").await,
                Behaviour::Refuses => answering("410 Gone", "", "gone").await,
                Behaviour::FailsAtLength => {
                    answering("500 Internal Server Error", "", &"a".repeat(4 * MAX_ANSWER)).await
                }
                Behaviour::Hangs => Receiver::hanging().await,
                Behaviour::Leaves => Receiver::leaving().await,
                Behaviour::Absent => return format!("http://{}/", absent().await),
            };
            let url = receiver.url();
            self.receivers.push(receiver);
            url
        })
    }
}

async fn answering(status: &str, headers: &str, body: &str) -> Receiver {
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    Receiver::answering(head + body).await
}

#[tokio::test]
async fn passes_the_suite() {
    let sink = Arc::new(HttpSink::build(config(private(), &Arc::new(Answers::default()))));
    run(&mut Webhooks { sink, receivers: Vec::new() }).await;
}
