//! Turns the SDK's result of a request into the report of an attempt.

use std::error::Error;
use std::time::Duration;

use aws_sdk_sns::error::SdkError;
use aws_sdk_sns::operation::publish::{PublishError, PublishOutput};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use bytes::Bytes;
use delivery::AttemptReport;
use delivery::sink::{Failure, MAX_ANSWER, Verdict};
use event::Timestamp;

use super::connector::{Answered, Unanswered};
use super::verdict::{Refusal, verdict};

/// The SDK's result of a request.
pub(super) type Said = Result<PublishOutput, SdkError<PublishError, HttpResponse>>;

/// The report of an attempt with this result. `now` is the wall clock, `took` the time of the whole attempt, including the search for
/// credentials.
pub(super) fn report(said: &Said, took: Duration, now: Timestamp) -> AttemptReport {
    match said {
        // The SDK has understood the answer, so it is a success; the exact status does not matter.
        Ok(_) => taken(200, took),
        Err(SdkError::ServiceError(error)) => {
            let meta = error.err().meta();
            judged(error.raw(), meta.code(), meta.message(), now)
        }
        Err(SdkError::ResponseError(error)) => judged(error.raw(), None, None, now),
        Err(error) => match cause::<Unanswered>(error) {
            Some(Unanswered { error, took }) => AttemptReport::failed(error.kind, error.text.clone(), *took),
            None => {
                let reason = format!("the request to SNS could not be signed: {}", causes(error));
                AttemptReport::failed(Failure::Internal, reason, took)
            }
        },
    }
}

fn taken(status: u16, took: Duration) -> AttemptReport {
    let (verdict, answer) = (Verdict::Delivered, Bytes::new());
    AttemptReport { verdict, status: Some(status), took, answer, failure: None }
}

/// An answer that is not a success, or that cannot be read. A success that cannot be read counts as one: publishing again would make a
/// duplicate.
fn judged(raw: &HttpResponse, code: Option<&str>, words: Option<&str>, now: Timestamp) -> AttemptReport {
    let status = raw.status().as_u16();
    let answered = answered(raw);
    if (200..300).contains(&status) {
        return taken(status, answered.map(|answered| answered.took).unwrap_or_default());
    }
    let retry_after = answered.and_then(|answered| answered.retry_after.as_deref());
    let verdict = verdict(&Refusal { status, code, words, retry_after }, now);
    let body = answered.map(|answered| answered.body.clone()).unwrap_or_default();
    AttemptReport {
        verdict,
        status: Some(status),
        took: answered.map(|answered| answered.took).unwrap_or_default(),
        answer: body.slice(..body.len().min(MAX_ANSWER)),
        failure: None,
    }
}

fn answered(raw: &HttpResponse) -> Option<&Answered> {
    raw.extension::<Answered>()
}

/// The first cause of this type.
fn cause<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    chain(error).find_map(|cause| cause.downcast_ref())
}

/// The causes of an error, without its own message: the SDK's outer messages say nothing useful.
fn causes(error: &(dyn Error + 'static)) -> String {
    let causes: Vec<String> = chain(error).skip(1).map(ToString::to_string).collect();
    if causes.is_empty() { error.to_string() } else { causes.join(": ") }
}

fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'e (dyn Error + 'static)| {
        let error: &'e (dyn Error + 'static) = *error;
        error.source()
    })
}
