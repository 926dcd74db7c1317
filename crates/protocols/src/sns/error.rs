//! Errors as SNS writes them.

use http::StatusCode;
use hub::HubError;
use storage::throttle::Throttle;

use super::{CONTENT_TYPE, NAMESPACE};
use crate::body::BodyError;
use crate::reply::{Reply, RequestId, describe};
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

    /// `what` is written behind `Invalid parameter: `.
    pub(super) fn invalid(what: &str) -> Self {
        Self::new("InvalidParameter", StatusCode::BAD_REQUEST, format!("Invalid parameter: {what}"))
    }

    pub(super) fn malformed_token() -> Self {
        Self::new("InvalidParameter", StatusCode::BAD_REQUEST, "Invalid token")
    }

    /// Members that must be there are not; at least one.
    pub(super) fn missing(members: &[&str]) -> Self {
        let null = |member: &&str| {
            format!("Value null at '{member}' failed to satisfy constraint: Member must not be null")
        };
        let errors: Vec<String> = members.iter().map(null).collect();
        let plural = if errors.len() == 1 { "" } else { "s" };
        let text = format!("{} validation error{plural} detected: {}", errors.len(), errors.join("; "));
        Self::new("ValidationError", StatusCode::BAD_REQUEST, text)
    }

    /// Of a request that is refused before its action is looked at.
    pub(crate) fn refused(status: StatusCode, message: String) -> Self {
        let code = match status {
            StatusCode::METHOD_NOT_ALLOWED => "MethodNotAllowed",
            StatusCode::MISDIRECTED_REQUEST => "MisdirectedRequest",
            StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
            _ => "AccessDenied",
        };
        Self::new(code, status, message)
    }

    pub(super) fn unknown_action(action: &str) -> Self {
        let text = format!(
            "The action {action} is not valid for this endpoint. Of SNS there are ConfirmSubscription and Unsubscribe; publishing \
             and managing topics through the API comes later, and until then both are in the gateway's configuration."
        );
        Self::new("InvalidAction", StatusCode::BAD_REQUEST, text)
    }

    pub(crate) fn into_reply(self, id: RequestId) -> Reply {
        let side = if self.status.is_client_error() { "Sender" } else { "Receiver" };
        let body = format!(
            "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>{side}</Type><Code>{}</Code><Message>{}</Message></Error>\
             <RequestId>{id}</RequestId></ErrorResponse>",
            self.code,
            xml::escape(&self.message)
        );
        Reply::new(self.status, CONTENT_TYPE, body)
    }
}

impl From<HubError> for Error {
    /// The public text says nothing of our insides; the log has them.
    fn from(error: HubError) -> Self {
        let cause = describe(&error);
        if error.is_transient() {
            static UNAVAILABLE: Throttle = Throttle::new();
            if let Some(times) = UNAVAILABLE.happened() {
                tracing::warn!(cause, times, "SNS is unavailable");
            }
            let text = "The service is unavailable for a while; try again later.";
            return Self::new("ServiceUnavailable", StatusCode::SERVICE_UNAVAILABLE, text);
        }
        static FAILED: Throttle = Throttle::new();
        if let Some(times) = FAILED.happened() {
            tracing::error!(cause, times, "an SNS action failed");
        }
        let text = "The request failed because of an internal error.";
        Self::new("InternalError", StatusCode::INTERNAL_SERVER_ERROR, text)
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
