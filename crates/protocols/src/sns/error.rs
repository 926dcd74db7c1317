//! Errors as SNS writes them.

use control::{NotApplied, Refusal};
use entities::Kind;
use http::StatusCode;
use hub::HubError;
use storage::describe;
use storage::throttle::Throttle;

use super::{CONTENT_TYPE, NAMESPACE};
use crate::body::BodyError;
use crate::reply::{Reply, RequestId};
use crate::xml;

/// An error of an action: its code, its status and the text for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    code: &'static str,
    status: StatusCode,
    message: String,
}

impl Error {
    fn new(code: &'static str, status: StatusCode, message: impl Into<String>) -> Self {
        Self { code, status, message: message.into() }
    }

    /// `what` follows `Invalid parameter: `.
    pub(super) fn invalid(what: &str) -> Self {
        Self::new("InvalidParameter", StatusCode::BAD_REQUEST, format!("Invalid parameter: {what}"))
    }

    /// An error about a message attribute.
    pub(super) fn parameter_value(text: impl Into<String>) -> Self {
        Self::new("ParameterValueInvalid", StatusCode::BAD_REQUEST, text)
    }

    /// An error about a batch as a whole.
    pub(super) fn of_batch(code: &'static str, text: impl Into<String>) -> Self {
        Self::new(code, StatusCode::BAD_REQUEST, text)
    }

    /// Its code, for an entry of a batch.
    pub(super) fn code(&self) -> &'static str {
        self.code
    }

    /// Its text for people, not escaped.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// Whether the sender is at fault.
    pub(super) fn is_of_sender(&self) -> bool {
        self.status.is_client_error()
    }

    pub(super) fn malformed_token() -> Self {
        Self::new("InvalidParameter", StatusCode::BAD_REQUEST, "Invalid token")
    }

    /// Required members are missing; at least one.
    pub(super) fn missing(members: &[&str]) -> Self {
        let null = |member: &&str| {
            format!("Value null at '{member}' failed to satisfy constraint: Member must not be null")
        };
        let errors: Vec<String> = members.iter().map(null).collect();
        let plural = if errors.len() == 1 { "" } else { "s" };
        let text = format!("{} validation error{plural} detected: {}", errors.len(), errors.join("; "));
        Self::new("ValidationError", StatusCode::BAD_REQUEST, text)
    }

    /// For a request that is refused before its action is read.
    pub(crate) fn refused(status: StatusCode, message: String) -> Self {
        let code = match status {
            StatusCode::METHOD_NOT_ALLOWED => "MethodNotAllowed",
            StatusCode::MISDIRECTED_REQUEST => "MisdirectedRequest",
            StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
            _ => "AccessDenied",
        };
        Self::new(code, status, message)
    }

    pub(super) fn unknown_action(action: &str, supported: &[&str]) -> Self {
        let supported = supported.join(", ");
        let text =
            format!("The action {action} is not valid for this endpoint. Of SNS there are {supported}.");
        Self::new("InvalidAction", StatusCode::BAD_REQUEST, text)
    }

    pub(super) fn not_found(what: &str) -> Self {
        Self::new("NotFound", StatusCode::NOT_FOUND, format!("{what} does not exist"))
    }

    /// For something that a file declares: it must be changed in that file.
    pub(super) fn of_file(what: &str) -> Self {
        let text = format!("{what} is declared in a configuration file of the gateway, and changes there");
        Self::new("AuthorizationError", StatusCode::FORBIDDEN, text)
    }

    fn unavailable() -> Self {
        let text = "The service is unavailable for a while; try again later.";
        Self::new("ServiceUnavailable", StatusCode::SERVICE_UNAVAILABLE, text)
    }

    pub(super) fn internal() -> Self {
        let text = "The request failed because of an internal error.";
        Self::new("InternalError", StatusCode::INTERNAL_SERVER_ERROR, text)
    }

    pub(crate) fn into_reply(self, id: RequestId) -> Reply {
        let side = if self.is_of_sender() { "Sender" } else { "Receiver" };
        let body = format!(
            "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>{side}</Type><Code>{}</Code><Message>{}</Message></Error>\
             <RequestId>{id}</RequestId></ErrorResponse>",
            self.code,
            xml::escape(&self.message)
        );
        Reply::new(self.status, CONTENT_TYPE, body)
    }
}

impl From<NotApplied> for Error {
    fn from(error: NotApplied) -> Self {
        match error {
            NotApplied::Refused(refusals) => match refusals.into_iter().next() {
                Some(Refusal::OfFile { kind, label }) => Self::of_file(&format!("The {kind} {label}")),
                Some(Refusal::Unknown { kind: Kind::Topic }) => Self::not_found("Topic"),
                Some(Refusal::Unknown { .. }) => Self::not_found("Subscription"),
                Some(Refusal::TooMany { kind, limit }) => {
                    let code = match kind {
                        Kind::Topic => "TopicLimitExceeded",
                        _ => "SubscriptionLimitExceeded",
                    };
                    let text = format!("There are {limit} {kind}s already, as many as there may be");
                    Self::new(code, StatusCode::FORBIDDEN, text)
                }
                Some(other) => Self::invalid(&other.to_string()),
                None => Self::internal(),
            },
            NotApplied::NamedByRule { topic, by } => {
                let text =
                    format!("TopicArn Reason: the topic {topic} is named by {by}: remove the rule first");
                Self::invalid(&text)
            }
            NotApplied::Unavailable(cause) => {
                tracing::warn!(cause, "SNS cannot change anything");
                Self::unavailable()
            }
            NotApplied::Broken(cause) => {
                tracing::error!(cause, "a change through SNS failed");
                Self::internal()
            }
        }
    }
}

impl From<HubError> for Error {
    /// The public text has no internal details; the log lines have them.
    fn from(error: HubError) -> Self {
        let cause = describe(&error);
        if error.is_transient() {
            static UNAVAILABLE: Throttle = Throttle::new();
            if let Some(times) = UNAVAILABLE.happened() {
                tracing::warn!(cause, times, "SNS is unavailable");
            }
            return Self::unavailable();
        }
        static FAILED: Throttle = Throttle::new();
        if let Some(times) = FAILED.happened() {
            tracing::error!(cause, times, "an SNS action failed");
        }
        Self::internal()
    }
}

impl From<BodyError> for Error {
    fn from(error: BodyError) -> Self {
        let (code, status) = match error {
            BodyError::TooLarge { .. } => ("RequestEntityTooLarge", StatusCode::PAYLOAD_TOO_LARGE),
            BodyError::TooSlow => ("RequestTimeout", StatusCode::REQUEST_TIMEOUT),
            BodyError::NoRoom => ("ServiceUnavailable", StatusCode::SERVICE_UNAVAILABLE),
            BodyError::BrokeOff => ("MalformedInput", StatusCode::BAD_REQUEST),
        };
        Self::new(code, status, error.to_string())
    }
}
