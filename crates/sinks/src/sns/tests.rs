//! Against real sockets on loopback that answer as SNS does.

use std::sync::Arc;
use std::time::Duration;

use delivery::guard::Allow;
use delivery::signing::SignatureVersion;
use delivery::sink::conformance::{Behaviour, Endpoint, Subject, run};
use delivery::sink::{Content, Failure, Job, MAX_ANSWER, Sink, Target, To, Verdict};
use delivery::wire::{Message, Recipient, WireFormat, sns::Names};
use event::{Event, Position, Stamp};
use storage::entities::{Access, AccessKey, Protocol, Secret};
use storage::memory::{SAMPLE_TIME, sample_event};

use super::SnsSink;
use crate::http::HttpSink;
use crate::http::tests::receiver::{Receiver, absent, read_request};
use crate::http::tests::{Answers, config, private};

const ARN: &str = "arn:aws:sns:eu-west-1:123456789012:orders";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const TAKEN: &str = "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult><MessageId>7</MessageId>\
    </PublishResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></PublishResponse>";

fn sink(allow: Allow) -> Arc<SnsSink> {
    Arc::new(SnsSink::build(&HttpSink::build(config(allow, &Arc::new(Answers::default())))))
}

fn access() -> Access {
    let key = AccessKey { id: "AKIAIOSFODNN7EXAMPLE".into(), secret: Secret::new(SECRET.into()) };
    Access { region: None, key: Some(key) }
}

/// An error as SNS writes it.
fn error(code: &str, words: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{words}</Message></Error><RequestId>1</RequestId></ErrorResponse>"
    )
}

async fn answering(status: &str, headers: &str, body: &str) -> Receiver {
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Type: text/xml\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    Receiver::answering(head + body).await
}

/// Every subscription of the suite has an access key.
struct WithKey(Arc<SnsSink>);

impl Sink for WithKey {
    fn protocols(&self) -> &'static [Protocol] {
        self.0.protocols()
    }

    fn open(&self, to: To) -> Result<Arc<dyn Target>, delivery::sink::TargetError> {
        self.0.open(To { access: Some(access()), ..to })
    }

    fn waiting(&self) -> usize {
        self.0.waiting()
    }
}

struct Topics {
    sink: Arc<WithKey>,
    receivers: Vec<Receiver>,
}

impl Subject for Topics {
    fn sink(&self) -> Arc<dyn Sink> {
        self.sink.clone()
    }

    fn target(&mut self, behaviour: Behaviour) -> Endpoint<'_> {
        Box::pin(async move {
            let receiver = match behaviour {
                Behaviour::Takes => answering("200 OK", "", TAKEN).await,
                Behaviour::Fails => {
                    answering("500 Internal Server Error", "", &error("InternalError", "oh")).await
                }
                Behaviour::AsksToWait => {
                    answering("429 Too Many", "Retry-After: 90\r\n", &error("Throttled", "Rate exceeded"))
                        .await
                }
                Behaviour::Refuses => {
                    answering("400 Bad Request", "", &error("InvalidParameter", "no")).await
                }
                Behaviour::FailsAtLength => {
                    answering(
                        "500 Internal Server Error",
                        "",
                        &error("InternalError", &"a".repeat(4 * MAX_ANSWER)),
                    )
                    .await
                }
                Behaviour::Hangs => Receiver::hanging().await,
                Behaviour::Leaves => Receiver::leaving().await,
                Behaviour::Absent => return format!("{ARN} via http://{}", absent().await),
            };
            let endpoint = format!("{ARN} via {}", receiver.url());
            self.receivers.push(receiver);
            endpoint
        })
    }
}

#[tokio::test]
async fn passes_the_suite() {
    run(&mut Topics { sink: Arc::new(WithKey(sink(private()))), receivers: Vec::new() }).await;
}

fn to(endpoint: String) -> To {
    let names = Names {
        topic_arn: String::new(),
        subscription_arn: String::new(),
        hub_url: String::new(),
        signature_version: SignatureVersion::default(),
    };
    let format = WireFormat::SnsRaw;
    let recipient = Recipient { format, content_type: None, protocol: Protocol::Sns, names };
    To { endpoint, recipient, access: Some(access()), timeout: Duration::from_secs(10) }
}

fn job() -> Job {
    let event = Event { position: Position(7), stamp: Stamp::default(), body: sample_event(1) };
    let message = Arc::new(Message::render(Arc::new(event)).expect("a sample"));
    Job { content: Content::Event { message, number: 1 }, at: SAMPLE_TIME, sns_key: None }
}

/// The form of a request, decoded.
fn form(request: &str) -> Vec<(String, String)> {
    let body = request.split_once("\r\n\r\n").expect("a body").1;
    url::form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

fn field<'f>(form: &'f [(String, String)], name: &str) -> Option<&'f str> {
    form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn a_standard_topic_gets_the_message_and_its_attributes() {
    let receiver = answering("200 OK", "", TAKEN).await;
    let target = sink(private()).open(to(format!("{ARN} via {}", receiver.url()))).expect("a topic");
    assert_eq!(target.attempt(job()).await.verdict, Verdict::Delivered);
    let request = receiver.requests().pop().expect("a request");
    assert!(request.starts_with("POST / HTTP/1.1\r\n"), "{request}");
    assert!(
        request.contains("Credential=AKIAIOSFODNN7EXAMPLE/")
            && request.contains("/eu-west-1/sns/aws4_request")
    );
    assert!(!request.contains(SECRET));
    let form = form(&request);
    assert_eq!(field(&form, "Action"), Some("Publish"));
    assert_eq!(field(&form, "TopicArn"), Some(ARN));
    assert!(field(&form, "Message").is_some_and(|message| message.starts_with('{')), "{form:?}");
    let id = sample_event(1).id.to_string();
    assert!(form.iter().any(|(_, value)| *value == id), "the event's id is an attribute: {form:?}");
    assert_eq!(field(&form, "MessageGroupId"), None);
}

#[tokio::test]
async fn a_fifo_topic_gets_the_key_as_group_and_the_id_to_deduplicate_by() {
    let receiver = answering("200 OK", "", TAKEN).await;
    let target = sink(private()).open(to(format!("{ARN}.fifo via {}", receiver.url()))).expect("a topic");
    target.attempt(job()).await;
    let form = form(&receiver.requests().pop().expect("a request"));
    assert_eq!(field(&form, "MessageGroupId"), Some(&*sample_event(1).key));
    assert_eq!(field(&form, "MessageDeduplicationId"), Some(&*sample_event(1).id.to_string()));
}

/// AWS repeats what it would have signed, the session token with it.
#[tokio::test]
async fn a_session_token_is_neither_in_the_answer_nor_in_the_reason() {
    let receiver = Receiver::scripted(|mut stream, log| async move {
        let request = read_request(&mut stream).await;
        let token =
            request.lines().find_map(|line| line.strip_prefix("x-amz-security-token: ")).unwrap_or("none");
        let body = error("SignatureDoesNotMatch", &format!("x-amz-security-token:{token}"));
        log.push(request.clone());
        let answer = format!("HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes()).await;
    })
    .await;
    let client = crate::http::tests::config(private(), &Arc::new(Answers::default()));
    let http = HttpSink::build(client);
    let credentials = aws_sdk_sns::config::Credentials::new(
        "AKIAIOSFODNN7EXAMPLE",
        SECRET,
        Some("t0ken-of-the-session".into()),
        None,
        "test",
    );
    let sns = aws_sdk_sns::Client::from_conf(
        aws_sdk_sns::Config::builder()
            .behavior_version(aws_sdk_sns::config::BehaviorVersion::latest())
            .region(aws_sdk_sns::config::Region::new("eu-west-1"))
            .endpoint_url(receiver.url())
            .http_client(super::connector::Connector::new(http.client().clone(), Duration::from_secs(10)))
            .retry_config(aws_sdk_sns::config::retry::RetryConfig::disabled())
            .credentials_provider(credentials)
            .build(),
    );
    let said = sns.publish().topic_arn(ARN).message("m").send().await;
    let report = super::answer::report(&said, Duration::ZERO, SAMPLE_TIME);
    assert!(receiver.requests()[0].contains("t0ken-of-the-session"), "it was sent");
    let shown = format!("{report:?}{}", String::from_utf8_lossy(&report.answer));
    assert!(shown.contains("SignatureDoesNotMatch") && !shown.contains("t0ken-of-the-session"), "{shown}");
    assert!(matches!(report.verdict, Verdict::Failed { .. }), "credentials are renewed");
}

#[tokio::test]
async fn the_guard_is_asked() {
    let receiver = answering("200 OK", "", TAKEN).await;
    let target = sink(Allow::default()).open(to(format!("{ARN} via {}", receiver.url()))).expect("a topic");
    assert_eq!(target.attempt(job()).await.failure, Some(Failure::Blocked));
    let metadata = sink(private()).open(to(format!("{ARN} via http://169.254.169.254"))).expect("a topic");
    assert_eq!(metadata.attempt(job()).await.failure, Some(Failure::Blocked));
    assert_eq!(receiver.requests().len(), 0);
}

#[tokio::test]
async fn an_answer_of_success_that_cannot_be_read_is_a_success() {
    let receiver = answering("200 OK", "", "not XML").await;
    let target = sink(private()).open(to(format!("{ARN} via {}", receiver.url()))).expect("a topic");
    assert_eq!(target.attempt(job()).await.verdict, Verdict::Delivered);
}
