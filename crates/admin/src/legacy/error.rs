//! Errors in the form of 0.x: a flat object with a text for each field, or a `message`.

use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use control::{NotApplied, Refusal};
use entities::{Kind, Origin};
use serde_json::{Map, Value, json};

/// The `Content-Type` of every answer that has a body.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// Problems by the name of their field, one for each field.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Wrong(Map<String, Value>);

impl Wrong {
    /// Adds a problem, unless the field has one already.
    pub(super) fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        let message = message.into();
        self.0.entry(field.into()).or_insert_with(|| message.into());
    }

    /// Returns an error if there are problems.
    pub(super) fn check(self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::fields(StatusCode::BAD_REQUEST, self)) }
    }
}

/// An answer that says why something was not done.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Error {
    status: StatusCode,
    body: Value,
    allow: Option<&'static str>,
}

impl Error {
    pub(super) fn message(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, body: json!({ "message": message.into() }), allow: None }
    }

    pub(super) fn fields(status: StatusCode, wrong: Wrong) -> Self {
        Self { status, body: Value::Object(wrong.0), allow: None }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::message(StatusCode::BAD_REQUEST, message)
    }

    /// A problem with one field.
    pub(super) fn field(status: StatusCode, field: &str, message: impl Into<String>) -> Self {
        let mut wrong = Wrong::default();
        wrong.add(field, message);
        Self::fields(status, wrong)
    }

    /// A field refers to an entity that does not exist.
    pub(super) fn no_foreign(field: &str, value: &str) -> Self {
        Self::field(StatusCode::NOT_FOUND, field, format!("does not exist with value '{value}'"))
    }

    pub(super) fn not_found() -> Self {
        Self::message(StatusCode::NOT_FOUND, "Not found")
    }

    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        Self { allow: Some(allow), ..Self::message(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed") }
    }

    /// An entity of a file cannot be changed here.
    pub(super) fn of_file(kind: Kind, label: &str) -> Self {
        let message = format!(
            "Method not allowed: {kind} '{label}' is declared in a configuration file of this gateway: change it there"
        );
        Self { allow: Some(super::dispatch::READ), ..Self::message(StatusCode::METHOD_NOT_ALLOWED, message) }
    }

    /// Another entity has the same value in a field that must be unique.
    pub(super) fn taken(field: &str, value: &str, by: Origin) -> Self {
        let whose = match by {
            Origin::Api => "",
            Origin::File => ", which is declared in a configuration file of this gateway",
        };
        Self::field(StatusCode::CONFLICT, field, format!("already exists with value '{value}'{whose}"))
    }

    pub(super) fn into_response(self) -> Response {
        let Self { status, body, allow } = self;
        let mut response = (status, [(CONTENT_TYPE, JSON)], body.to_string()).into_response();
        if let Some(allow) = allow {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}

impl From<NotApplied> for Error {
    fn from(error: NotApplied) -> Self {
        match error {
            NotApplied::Refused(refusals) => refused(refusals),
            NotApplied::NamedByRule { .. } => Self::bad_request(error.to_string()),
            NotApplied::Unavailable(cause) => {
                tracing::warn!(cause, "the 0.x Admin API cannot change anything");
                let message = format!("nothing can be changed now, try again later: {cause}");
                Self::message(StatusCode::SERVICE_UNAVAILABLE, message)
            }
            NotApplied::Broken(cause) => {
                tracing::error!(
                    cause,
                    "a change through the 0.x Admin API failed; this is a bug in Retrohook"
                );
                Self::message(StatusCode::INTERNAL_SERVER_ERROR, "An unexpected error occurred")
            }
        }
    }
}

/// All problems with fields at once, if there are any; otherwise the first reason.
fn refused(refusals: Vec<Refusal>) -> Error {
    let mut wrong = Wrong::default();
    for refusal in &refusals {
        if let Refusal::Field { error, .. } = refusal {
            wrong.add(error.path.to_string(), &error.message);
        }
    }
    if let Err(error) = wrong.check() {
        return error;
    }
    match refusals.into_iter().next() {
        Some(Refusal::Taken { label, by, .. }) => Error::taken("name", &label, by),
        Some(Refusal::OfFile { kind, label }) => Error::of_file(kind, &label),
        Some(Refusal::Unknown { .. }) | None => Error::not_found(),
        Some(other) => Error::bad_request(other.to_string()),
    }
}
