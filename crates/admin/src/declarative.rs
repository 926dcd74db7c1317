//! `POST /config`, as Kong has it without a database: the text of a whole declarative configuration, which takes the place of the files.
//!
//! The text is read as Kong reads it: from the body (YAML or JSON), from the member `config` of a JSON object, or from the field `config` of a form
//! (`application/x-www-form-urlencoded` or `multipart/form-data`). With `?check_hash=1` the answer is 304 if this configuration is served already;
//! `?flatten_errors=1` adds a list of the problems by entity. Beside Kong's fields, the answer has the report of the reload.

use std::time::Duration;

use axum::Json;
use axum::body::{Bytes, HttpBody};
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest, Multipart, Query, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use crate::reload::{Fault, NotAsked, Outcome, Problem, Report, not_asked, refuse_while_draining};
use crate::{Error, Node, page, reload};

/// The largest body, in bytes. A configuration has at most 16 MiB, and as JSON or in a form it takes up to three times as much.
pub(crate) const MAX_BODY: usize = 48 << 20;
/// The most bodies that are read at once. A further one is answered with 429.
const MAX_BODIES: usize = 4;
/// How long the whole body may take to arrive.
const BODY_PATIENCE: Duration = Duration::from_secs(60);

/// The limit of [`MAX_BODIES`], for the process.
static BODIES: Semaphore = Semaphore::const_new(MAX_BODIES);
/// Kong's error code for an invalid declarative configuration.
const INVALID: u64 = 14;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewConfigQuery")]
pub(crate) struct Parameters {
    #[serde(default)]
    check_hash: Option<Switch>,
    #[serde(default)]
    flatten_errors: Option<Switch>,
}

/// Kong's `1`; anything else is no.
#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
struct Switch(String);

impl Switch {
    fn is_on(switch: Option<&Self>) -> bool {
        switch.is_some_and(|Self(value)| value == "1" || value == "true")
    }
}

/// `POST /config`.
pub(crate) async fn post(
    State(node): State<Node>,
    parameters: Result<Query<Parameters>, QueryRejection>,
    request: Request,
) -> Result<Response, Error> {
    let parameters = page::parameters(parameters, "`check_hash` and `flatten_errors` (1)")?;
    refuse_while_draining(&node)?;
    let permit = BODIES.try_acquire().map_err(|_| not_asked(NotAsked::Busy))?;
    let text = tokio::time::timeout(BODY_PATIENCE, text(request)).await.map_err(|_| too_slow())??;
    drop(permit);
    let report = node.reloads.take(text).await.map_err(not_asked)?;
    let checks_hash = Switch::is_on(parameters.check_hash.as_ref());
    Ok(match report.fault {
        Some(Fault::Configuration) => {
            let flat = Switch::is_on(parameters.flatten_errors.as_ref());
            (StatusCode::BAD_REQUEST, Json(refused(report, flat))).into_response()
        }
        None if report.result == Outcome::Unchanged && checks_hash => {
            StatusCode::NOT_MODIFIED.into_response()
        }
        _ => reload::answer(report, StatusCode::CREATED),
    })
}

/// The configuration's text, in whichever way it came.
async fn text(request: Request) -> Result<String, Error> {
    if request.body().size_hint().lower() > MAX_BODY as u64 {
        // It says so itself: none of it has to be read.
        return Err(too_large());
    }
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind == "multipart/form-data" {
        return of_multipart(request).await;
    }
    let body = Bytes::from_request(request, &()).await.map_err(|error| no_body(error.status(), &error))?;
    let body = String::from_utf8(body.into()).map_err(|error| unreadable(&error))?;
    match kind.as_str() {
        // Parsing a large body takes a moment, and the admin port has only one thread.
        "application/json" => {
            tokio::task::spawn_blocking(|| of_json(body)).await.map_err(|error| unreadable(&error))
        }
        "application/x-www-form-urlencoded" => of_form(&body),
        _ => Ok(body),
    }
}

/// A JSON document is a configuration itself, or has its text as `config`.
fn of_json(body: String) -> String {
    // Other members are skipped and not kept.
    #[derive(Deserialize)]
    struct Member {
        config: String,
    }
    match serde_json::from_str::<Member>(&body) {
        Ok(Member { config }) => config,
        // The body is the configuration itself; if it is not, the check reports what is wrong, and where.
        Err(_) => body,
    }
}

fn of_form(body: &str) -> Result<String, Error> {
    let mut fields = form_urlencoded::parse(body.as_bytes());
    let found = fields.find(|(name, _)| name == "config");
    let (_, text) =
        found.ok_or_else(|| if body.contains("_format_version") { as_form() } else { no_config() })?;
    // Bytes that are not UTF-8 are decoded to this character, which no configuration needs.
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return Err(unreadable(&"it is not UTF-8"));
    }
    Ok(text.into_owned())
}

async fn of_multipart(request: Request) -> Result<String, Error> {
    let mut fields =
        Multipart::from_request(request, &()).await.map_err(|error| no_body(error.status(), &error))?;
    while let Some(field) = fields.next_field().await.map_err(|error| no_body(error.status(), &error))? {
        if field.name() == Some("config") {
            let bytes = field.bytes().await.map_err(|error| no_body(error.status(), &error))?;
            return String::from_utf8(bytes.into()).map_err(|error| unreadable(&error));
        }
    }
    Err(no_config())
}

fn too_slow() -> Error {
    Error {
        status: StatusCode::REQUEST_TIMEOUT,
        message: format!("the configuration did not come whole within {} s", BODY_PATIENCE.as_secs()),
        hint: "send it again".into(),
    }
}

/// The error for a body that broke off, or is too large.
fn no_body(status: StatusCode, error: &dyn std::fmt::Display) -> Error {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        _ => unreadable(error),
    }
}

fn too_large() -> Error {
    Error {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        message: format!("the request has more than {} MiB", MAX_BODY >> 20),
        hint: "a configuration has at most 16 MiB".into(),
    }
}

fn unreadable(error: &dyn std::fmt::Display) -> Error {
    Error::bad_request(
        format!("the configuration cannot be read: {error}"),
        "send it as the body, in UTF-8: curl --data-binary @kong.yml -H 'Content-Type: text/yaml'",
    )
}

fn no_config() -> Error {
    Error::bad_request(
        "expected a declarative configuration",
        "send it as the field `config`: curl -F config=@kong.yml, or as the body with Content-Type: text/yaml",
    )
}

/// The error for a YAML body that curl has declared as a form, because no `Content-Type` was given.
fn as_form() -> Error {
    Error::bad_request(
        "expected a declarative configuration, and got one under the name of a form (Content-Type: application/x-www-form-urlencoded)",
        "say that it is YAML: curl --data-binary @kong.yml -H 'Content-Type: text/yaml'; or send it as the field `config`: curl -F config=@kong.yml",
    )
}

/// The answer for a configuration that was refused: Kong's fields, and those of the report.
fn refused(report: Report, flat: bool) -> Value {
    let fields: Map<String, Value> = report
        .problems
        .iter()
        .map(|problem| (problem.path.clone(), Value::from(problem.message.clone())))
        .collect();
    let mut answer = json!({
        "code": INVALID,
        "name": "invalid declarative configuration",
        "message": format!("declarative config is invalid: {}", Value::from(fields.clone())),
        "fields": fields,
        "problems": report.problems,
        "hint": report.message,
    });
    if flat {
        answer["flattened_errors"] = report.problems.iter().map(flattened).collect();
    }
    answer
}

/// One problem, by the list that contains its entity.
fn flattened(problem: &Problem) -> Value {
    let Problem { path, message, .. } = problem;
    let (list, field) = path.rsplit_once(']').unwrap_or(("", path));
    let entity = list.rsplit_once('[').map_or("", |(list, _)| list);
    let entity = entity.rsplit('.').next().unwrap_or_default().trim_end_matches('s');
    let field = field.trim_start_matches('.');
    let kind = if field.is_empty() { "entity" } else { "field" };
    let mut error = json!({ "type": kind, "message": message });
    if !field.is_empty() {
        error["field"] = field.into();
    }
    json!({ "entity_type": entity, "errors": [error] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_body_is_the_configuration_or_has_it() {
        for (body, expected) in [
            (r#"{"config":"_format_version: \"3.0\""}"#, r#"_format_version: "3.0""#),
            (r#"{"_format_version":"3.0"}"#, r#"{"_format_version":"3.0"}"#),
            (r#"{"config":1}"#, r#"{"config":1}"#),
            ("{", "{"),
        ] {
            assert_eq!(of_json(body.to_owned()), expected);
        }
        assert_eq!(of_form("x=1&config=a%3A+b%0A").unwrap(), "a: b\n");
        assert_eq!(of_form("x=1").unwrap_err().status, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn a_problem_is_named_by_its_entity_and_field() {
        let flat = |path: &str| {
            let problem = Problem {
                file: String::new(),
                line: None,
                column: None,
                path: path.to_owned(),
                message: "wrong".to_owned(),
                hint: String::new(),
            };
            flattened(&problem)
        };
        let field = json!({ "type": "field", "field": "strip_path", "message": "wrong" });
        let entity = json!({ "type": "entity", "message": "wrong" });
        for (path, kind, error) in [
            ("services[0].routes[1].strip_path", "route", &field),
            ("plugins[2]", "plugin", &entity),
            ("", "", &entity),
        ] {
            assert_eq!(flat(path), json!({ "entity_type": kind, "errors": [error] }), "{path}");
        }
    }
}
