//! The suite that every sink must pass: what [`Sink`] and [`Target`] promise, each sentence a case.
//!
//! A sink's tests implement [`Subject`] over real targets and call [`run`].

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use event::{Event, Position, Stamp};
use storage::entities::Protocol;
use storage::memory::{SAMPLE_TIME, sample_event};

use super::{AttemptReport, Content, Failure, Job, MAX_ANSWER, Sink, Target, To, Verdict};
use crate::signing::SignatureVersion;
use crate::wire::{Message, Recipient, WireFormat, sns};

/// What a subscription says of its timeout.
const TIMEOUT: Duration = Duration::from_millis(700);
/// Until when a report must have come, however loaded the machine is.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a target behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Takes whatever comes.
    Takes,
    /// Fails, for now.
    Fails,
    /// Fails, and asks to be left alone for 90 seconds.
    AsksToWait,
    /// Wants it neither now nor later.
    Refuses,
    /// Fails with a very long answer.
    FailsAtLength,
    /// Accepts, and never answers.
    Hangs,
    /// Accepts, and leaves without an answer.
    Leaves,
    /// There is nobody.
    Absent,
}

/// An endpoint, once its target stands.
pub type Endpoint<'s> = Pin<Box<dyn Future<Output = String> + 's>>;

/// A sink with targets that do as they are told.
pub trait Subject {
    /// The sink.
    fn sink(&self) -> Arc<dyn Sink>;

    /// A new target that behaves so: what its subscription has as endpoint.
    fn target(&mut self, behaviour: Behaviour) -> Endpoint<'_>;
}

/// Runs every case.
///
/// # Panics
/// If the sink breaks a promise.
pub async fn run(subject: &mut impl Subject) {
    it_serves_some_protocols_and_opens_no_nonsense(&*subject.sink());
    what_is_taken_is_delivered(subject).await;
    what_fails_says_why_and_whether_to_wait(subject).await;
    what_is_refused_is_not_asked_for_again(subject).await;
    an_answer_is_kept_up_to_its_limit(subject).await;
    no_answer_is_a_failure_of_its_kind(subject).await;
    an_attempt_ends_with_its_timeout(subject).await;
    what_cannot_be_signed_is_not_sent(subject).await;
    attempts_stand_beside_each_other(subject).await;
    assert_eq!(subject.sink().waiting(), 0, "nobody waits when nothing is under way");
}

/// A subscription of this endpoint as the suite has it: raw, so that nothing is signed, and less patient than any of a user.
pub fn to(sink: &dyn Sink, endpoint: String) -> To {
    let names = sns::Names {
        topic_arn: "arn:aws:sns:us-east-1:000000000000:profile-changes".into(),
        subscription_arn: "arn:aws:sns:us-east-1:000000000000:profile-changes:1".into(),
        hub_url: "http://127.0.0.1:4566".into(),
        signature_version: SignatureVersion::default(),
    };
    let (format, protocol) = (WireFormat::SnsRaw, sink.protocols()[0]);
    let recipient = Recipient { format, content_type: None, protocol, names };
    To { endpoint, recipient, access: None, timeout: TIMEOUT }
}

async fn open(subject: &mut impl Subject, behaviour: Behaviour) -> Arc<dyn Target> {
    let endpoint = subject.target(behaviour).await;
    let sink = subject.sink();
    sink.open(to(&*sink, endpoint)).expect("a target that stands")
}

/// The delivery of a sample event, at this attempt.
///
/// # Panics
/// If the sample cannot be rendered.
pub fn event(number: u32) -> Job {
    let event = Event { position: Position(7), stamp: Stamp::default(), body: sample_event(1) };
    let message = Arc::new(Message::render(Arc::new(event)).expect("a sample"));
    Job { content: Content::Event { message, number }, at: SAMPLE_TIME, sns_key: None }
}

async fn attempt(target: &dyn Target, job: Job) -> AttemptReport {
    tokio::time::timeout(PATIENCE, target.attempt(job)).await.expect("a report, in its time")
}

async fn tried(subject: &mut impl Subject, behaviour: Behaviour) -> AttemptReport {
    let target = open(subject, behaviour).await;
    attempt(&*target, event(1)).await
}

fn it_serves_some_protocols_and_opens_no_nonsense(sink: &dyn Sink) {
    assert!(!sink.protocols().is_empty());
    assert!(sink.protocols().iter().all(|protocol| protocol.is_push()), "what is pulled has no sink");
    assert!(sink.protocols().iter().all(|protocol| Protocol::ALL.contains(protocol)));
    let refused = sink.open(to(sink, "\0 no endpoint of anything".into()));
    assert!(!refused.err().expect("nothing can be sent there").to_string().is_empty());
}

async fn what_is_taken_is_delivered(subject: &mut impl Subject) {
    let target = open(subject, Behaviour::Takes).await;
    for number in 1..=3 {
        let report = attempt(&*target, event(number)).await;
        assert_eq!((&report.verdict, report.failure, report.reason()), (&Verdict::Delivered, None, None));
    }
}

async fn what_fails_says_why_and_whether_to_wait(subject: &mut impl Subject) {
    for (behaviour, expected) in
        [(Behaviour::Fails, None), (Behaviour::AsksToWait, Some(Duration::from_secs(90)))]
    {
        let report = tried(subject, behaviour).await;
        let Verdict::Failed { reason, wait } = &report.verdict else { panic!("{report:?}") };
        assert!(!reason.is_empty() && *wait == expected, "{report:?}");
        assert_eq!(report.failure, None, "it was answered");
    }
}

async fn what_is_refused_is_not_asked_for_again(subject: &mut impl Subject) {
    let report = tried(subject, Behaviour::Refuses).await;
    assert!(matches!(&report.verdict, Verdict::Refused { reason } if !reason.is_empty()), "{report:?}");
}

async fn an_answer_is_kept_up_to_its_limit(subject: &mut impl Subject) {
    let report = tried(subject, Behaviour::FailsAtLength).await;
    assert_eq!(report.answer.len(), MAX_ANSWER, "{report:?}");
}

async fn no_answer_is_a_failure_of_its_kind(subject: &mut impl Subject) {
    for (behaviour, failure) in [(Behaviour::Absent, Failure::Connect), (Behaviour::Leaves, Failure::Broken)]
    {
        let report = tried(subject, behaviour).await;
        assert!(matches!(report.verdict, Verdict::Failed { wait: None, .. }), "{report:?}");
        assert_eq!((report.status, report.failure), (None, Some(failure)), "{report:?}");
    }
}

async fn an_attempt_ends_with_its_timeout(subject: &mut impl Subject) {
    let target = open(subject, Behaviour::Hangs).await;
    let report = attempt(&*target, event(1)).await;
    assert_eq!(report.failure, Some(Failure::Timeout), "{report:?}");
    assert!(report.took >= TIMEOUT, "not before it: {report:?}");
}

async fn what_cannot_be_signed_is_not_sent(subject: &mut impl Subject) {
    let target = open(subject, Behaviour::Takes).await;
    let confirmation = sns::Confirmation {
        kind: sns::ConfirmationKind::Subscription,
        id: uuid::Uuid::nil(),
        token: "token".into(),
        at: SAMPLE_TIME,
    };
    let job = Job { content: Content::Confirmation(confirmation), at: SAMPLE_TIME, sns_key: None };
    let report = attempt(&*target, job).await;
    assert_eq!(report.failure, Some(Failure::Internal), "{report:?}");
}

async fn attempts_stand_beside_each_other(subject: &mut impl Subject) {
    let hangs = open(subject, Behaviour::Hangs).await;
    let takes = open(subject, Behaviour::Takes).await;
    let slow = tokio::spawn(async move { attempt(&*hangs, event(1)).await });
    let report = attempt(&*takes, event(1)).await;
    assert_eq!(report.verdict, Verdict::Delivered);
    assert!(!slow.is_finished(), "one that hangs holds up no other");
    let report = slow.await.expect("it does not panic");
    assert_eq!(report.failure, Some(Failure::Timeout));
}
