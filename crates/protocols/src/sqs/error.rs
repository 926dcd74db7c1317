//! Errors as SQS writes them: a shape's name and a text in the body, the Query protocol's code in `x-amzn-query-error`.
//!
//! Clients take the code from the header and the type of their exception from the body, so both must be right.

use control::{NotApplied, Refusal};
use entities::Kind as Entities;
use http::StatusCode;
use hub::HubError;
use hub::queue::VisibilityError;
use hub::receipt::HandleError;
use serde::Serialize;
use storage::describe;
use storage::throttle::Throttle;

use super::{CONTENT_TYPE, QUERY_ERROR, SUPPORTED};
use crate::body::BodyError;
use crate::reply::Reply;

/// An error of an action: its kind and the text for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub(super) kind: Kind,
    pub(super) message: String,
}

/// Which error: each is one row of [`Kind::row`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    QueueDoesNotExist,
    QueueNameExists,
    InvalidAttributeValue,
    ReceiptHandleIsInvalid,
    InvalidParameterValue,
    MissingParameter,
    InvalidAttributeName,
    InvalidAddress,
    EmptyBatch,
    TooManyEntries,
    BadEntryId,
    EntryIdsNotDistinct,
    BatchTooLong,
    InvalidContents,
    Throttled,
    OverLimit,
    UnknownOperation,
    Refused,
    Malformed,
    BodyTooLarge,
    BodyTooSlow,
    Unavailable,
    Internal,
}

/// One error on the wire.
struct Row {
    /// `__type`.
    shape: &'static str,
    /// `x-amzn-query-error`.
    query: &'static str,
    status: StatusCode,
}

/// The row of a batch that is refused: its shape and its older name are one.
macro_rules! of_batches {
    ($name:literal) => {
        (concat!("com.amazonaws.sqs#", $name), concat!("AWS.SimpleQueueService.", $name, ";Sender"), 400)
    };
}

impl Kind {
    fn row(self) -> Row {
        let (shape, query, status) = match self {
            Self::QueueDoesNotExist => {
                ("com.amazonaws.sqs#QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue;Sender", 400)
            }
            Self::QueueNameExists => ("com.amazonaws.sqs#QueueNameExists", "QueueAlreadyExists;Sender", 400),
            Self::InvalidAttributeValue => {
                ("com.amazonaws.sqs#InvalidAttributeValue", "InvalidAttributeValue;Sender", 400)
            }
            Self::ReceiptHandleIsInvalid => {
                ("com.amazonaws.sqs#ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid;Sender", 400)
            }
            Self::InvalidParameterValue => (
                "com.amazon.coral.service#InvalidParameterValueException",
                "InvalidParameterValue;Sender",
                400,
            ),
            Self::MissingParameter => {
                ("com.amazon.coral.service#MissingRequiredParameterException", "MissingParameter;Sender", 400)
            }
            Self::InvalidAttributeName => {
                ("com.amazonaws.sqs#InvalidAttributeName", "InvalidAttributeName;Sender", 400)
            }
            Self::InvalidAddress => ("com.amazonaws.sqs#InvalidAddress", "InvalidAddress;Sender", 400),
            Self::EmptyBatch => of_batches!("EmptyBatchRequest"),
            Self::TooManyEntries => of_batches!("TooManyEntriesInBatchRequest"),
            Self::BadEntryId => of_batches!("InvalidBatchEntryId"),
            Self::EntryIdsNotDistinct => of_batches!("BatchEntryIdsNotDistinct"),
            Self::BatchTooLong => of_batches!("BatchRequestTooLong"),
            Self::InvalidContents => {
                ("com.amazonaws.sqs#InvalidMessageContents", "InvalidMessageContents;Sender", 400)
            }
            Self::Throttled => ("com.amazonaws.sqs#RequestThrottled", "RequestThrottled;Sender", 403),
            Self::OverLimit => ("com.amazonaws.sqs#OverLimit", "OverLimit;Sender", 403),
            Self::UnknownOperation => {
                ("com.amazon.coral.service#UnknownOperationException", "InvalidAction;Sender", 400)
            }
            Self::Refused => ("com.amazon.coral.service#AccessDeniedException", "AccessDenied;Sender", 403),
            Self::Malformed => {
                ("com.amazon.coral.service#SerializationException", "MalformedInput;Sender", 400)
            }
            Self::BodyTooLarge => (
                "com.amazon.coral.service#RequestEntityTooLargeException",
                "RequestEntityTooLarge;Sender",
                413,
            ),
            Self::BodyTooSlow => {
                ("com.amazon.coral.service#RequestTimeoutException", "RequestTimeout;Sender", 408)
            }
            Self::Unavailable => {
                ("com.amazon.coral.service#ServiceUnavailableException", "ServiceUnavailable;Receiver", 503)
            }
            Self::Internal => ("com.amazon.coral.service#InternalFailure", "InternalFailure;Receiver", 500),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Row { shape, query, status }
    }
}

impl Error {
    pub(super) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(super) fn no_such_queue() -> Self {
        Self::new(Kind::QueueDoesNotExist, "The specified queue does not exist.")
    }

    pub(super) fn missing(parameter: &str) -> Self {
        Self::new(Kind::MissingParameter, format!("The request must contain the parameter {parameter}."))
    }

    pub(super) fn invalid(value: impl std::fmt::Display, parameter: &str, reason: &str) -> Self {
        let text = format!("Value {value} for parameter {parameter} is invalid. Reason: {reason}");
        Self::new(Kind::InvalidParameterValue, text)
    }

    pub(crate) fn unknown_operation(operation: &str) -> Self {
        let supported = SUPPORTED.join(", ");
        let text = format!("The operation {operation} is not supported here; of SQS there are {supported}.");
        Self::new(Kind::UnknownOperation, text)
    }

    /// Of a request that is refused before its action is looked at; the status is the caller's.
    pub(crate) fn refused(message: String) -> Self {
        Self::new(Kind::Refused, message)
    }

    pub(super) fn malformed(why: &str) -> Self {
        Self::new(Kind::Malformed, format!("The request could not be read: {why}"))
    }

    pub(super) fn internal() -> Self {
        Self::new(Kind::Internal, "The request failed because of an internal error.")
    }

    /// What a file declares is changed in that file.
    fn of_file(kind: Entities, label: &str) -> Self {
        let text = format!(
            "The {kind} {label} is declared in a configuration file of the gateway, and changes there."
        );
        Self::new(Kind::Refused, text)
    }

    /// A handle that names no message of the queue, outside a batch.
    pub(super) fn handle(handle: &str, error: HandleError) -> Self {
        let text = match error {
            HandleError::Garbage => {
                format!("The input receipt handle \"{handle}\" is not a valid receipt handle.")
            }
            HandleError::ForeignQueue => foreign_handle(handle),
        };
        Self::new(Kind::ReceiptHandleIsInvalid, text)
    }

    /// The same inside a batch, which has one text for both.
    pub(super) fn handle_in_batch(handle: &str) -> Self {
        Self::new(Kind::ReceiptHandleIsInvalid, foreign_handle(handle))
    }

    pub(super) fn visibility(handle: &str, seconds: i64, error: VisibilityError) -> Self {
        match error {
            VisibilityError::Handle(error) => Self::handle(handle, error),
            VisibilityError::Gone => Self::invalid(
                handle,
                "ReceiptHandle",
                "Message does not exist or is not available for visibility timeout change.",
            ),
            VisibilityError::BeyondLimit => Self::invalid(
                seconds,
                "VisibilityTimeout",
                "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]",
            ),
        }
    }

    /// Its status.
    pub(super) fn status(&self) -> StatusCode {
        self.kind.row().status
    }

    /// The code as the Query protocol writes it, and whether sender or receiver is at fault.
    pub(super) fn code_and_side(&self) -> (&'static str, &'static str) {
        let query = self.kind.row().query;
        query.split_once(';').unwrap_or((query, "Sender"))
    }

    pub(crate) fn into_reply(self) -> Reply {
        #[derive(Serialize)]
        struct Body<'a> {
            __type: &'a str,
            message: &'a str,
        }
        let row = self.kind.row();
        let body = serde_json::to_vec(&Body { __type: row.shape, message: &self.message });
        Reply::new(row.status, CONTENT_TYPE, body.unwrap_or_default()).with_header(QUERY_ERROR, row.query)
    }
}

impl From<NotApplied> for Error {
    fn from(error: NotApplied) -> Self {
        match error {
            NotApplied::Refused(refusals) => match refusals.into_iter().next() {
                Some(Refusal::OfFile { kind, label }) => Self::of_file(kind, &label),
                Some(Refusal::Unknown { kind: Entities::Queue }) => Self::no_such_queue(),
                Some(Refusal::TooMany { kind, limit }) => {
                    let text = format!("There are {limit} {kind}s already, as many as there may be.");
                    Self::new(Kind::OverLimit, text)
                }
                Some(other) => Self::new(Kind::InvalidParameterValue, other.to_string()),
                None => Self::internal(),
            },
            NotApplied::NamedByRule { .. } => Self::internal(),
            NotApplied::Unavailable(cause) => {
                tracing::warn!(cause, "SQS cannot change anything");
                Self::new(Kind::Unavailable, "The service is unavailable for a while; try again later.")
            }
            NotApplied::Broken(cause) => {
                tracing::error!(cause, "a change through SQS failed");
                Self::internal()
            }
        }
    }
}

impl From<HubError> for Error {
    /// The public text says nothing of our insides; the log has them.
    fn from(error: HubError) -> Self {
        let cause = describe(&error);
        if let HubError::TooManyPolls { limit } = error {
            static REFUSED: Throttle = Throttle::new();
            if let Some(times) = REFUSED.happened() {
                tracing::warn!(limit, times, "a long poll was refused: too many wait");
            }
            return Self::new(
                Kind::Throttled,
                format!("As many as {limit} receives wait already; try again later."),
            );
        }
        if let HubError::NoSuchQueue { .. } = error {
            return Self::no_such_queue();
        }
        if error.is_transient() {
            static UNAVAILABLE: Throttle = Throttle::new();
            if let Some(times) = UNAVAILABLE.happened() {
                tracing::warn!(cause, times, "SQS is unavailable");
            }
            return Self::new(Kind::Unavailable, "The service is unavailable for a while; try again later.");
        }
        static FAILED: Throttle = Throttle::new();
        if let Some(times) = FAILED.happened() {
            tracing::error!(cause, times, "an SQS action failed");
        }
        Self::internal()
    }
}

impl From<BodyError> for Error {
    fn from(error: BodyError) -> Self {
        let kind = match error {
            BodyError::TooLarge { .. } => Kind::BodyTooLarge,
            BodyError::TooSlow => Kind::BodyTooSlow,
            BodyError::NoRoom => Kind::Unavailable,
            BodyError::BrokeOff => Kind::Malformed,
        };
        Self::new(kind, error.to_string())
    }
}

fn foreign_handle(handle: &str) -> String {
    format!("The receipt handle \"{handle}\" is not valid for this queue.")
}
