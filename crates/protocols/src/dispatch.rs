//! Finds the service and action that a request means. Both services share the listener, and clients name the action in different places.
//!
//! In this order: the `X-Amz-Target` header (SQS in JSON); `Action` in the query string or the form, whose service follows from `Version`, the
//! signature's scope, the path of a queue URL or the action's own name; the signing certificate's path.

use axum::extract::Request;
use axum::response::Response;
use event::message::MAX_TRACE;
use http::header::{ALLOW, AUTHORIZATION, HOST};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};

use crate::body::{BodyError, MAX_BODY, MAX_PUBLIC_BODY, Whole};
use crate::query::Parameters;
use crate::reply::{Reply, RequestId};
use crate::{Shared, Surface, sns, sqs};

/// The methods of the Query protocol and of the links in messages. HEAD and OPTIONS are not among them: link checkers and browsers send them
/// although nobody wants to confirm or to unsubscribe.
const OF_QUERY: &str = "GET, POST";
/// The method of actions in JSON.
const OF_JSON: &str = "POST";
/// The methods of files.
const OF_FILES: &str = "GET, HEAD";

/// The answer in the Query protocol to a request that names no action.
const NO_ACTION: &str = "<UnknownOperationException/>";

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call<'a> {
    /// SQS in JSON. `None`: the target belongs to another service.
    Json { operation: Option<&'a str> },
    /// SNS in the Query protocol.
    SnsQuery { action: &'a str },
    /// SQS in the Query protocol.
    SqsQuery { action: &'a str },
    /// A file: the signing certificate, if it has that name.
    File { name: &'a str },
    /// Nothing that can be recognised.
    NoAction,
}

pub(crate) async fn answer(shared: &Shared, request: Request) -> Response {
    let id = RequestId::random();
    let (parts, body) = request.into_parts();
    let limit = match shared.surface {
        Surface::All => MAX_BODY,
        Surface::Public => MAX_PUBLIC_BODY,
    };
    let body = match parts.method {
        Method::POST => shared.bodies.read(body, limit).await,
        _ => Ok(Whole::empty()),
    };
    let reply = match body {
        Ok(body) => call(shared, &parts, &body.bytes, id).await,
        Err(error) => refuse_body(&parts.headers, error, id),
    };
    reply.into_response(id)
}

async fn call(shared: &Shared, parts: &Parts, body: &[u8], id: RequestId) -> Reply {
    let target = target(&parts.headers);
    let form = if target.is_some() { &[][..] } else { body };
    let parameters = Parameters::parse(parts.uri.query().unwrap_or_default(), form);
    let public = shared.surface == Surface::Public;
    let meant = classify(parts, target, &parameters);
    if let Some(allowed) = meant.refuses(&parts.method, &parts.headers, shared.surface) {
        return refuse_method(&parts.headers, &parts.method, allowed, id);
    }
    match meant {
        Call::Json { operation: Some(operation) } if !public => {
            sqs::answer(&sqs_context(shared, parts, &origin(shared, parts)), operation, body).await
        }
        Call::Json { operation } => sqs::unknown_operation(operation.unwrap_or_default()),
        Call::SqsQuery { action } if !public => {
            let origin = origin(shared, parts);
            sqs::answer_query(&sqs_context(shared, parts, &origin), action, &parameters, id).await
        }
        Call::SqsQuery { action } => sqs::refuse_query(action, sqs::Error::unknown_operation(action), id),
        Call::SnsQuery { action } => {
            let context = sns::Context {
                hub: &shared.hub,
                control: shared.options.control.as_ref(),
                links_only: public,
                parameters: &parameters,
                is_signed: is_signed(parts),
                trace: trace(&parts.headers),
            };
            sns::answer(&context, action, id).await
        }
        Call::File { name } => sns::certificate::answer(&shared.hub, name, id),
        Call::NoAction => Reply::new(StatusCode::NOT_FOUND, sns::CONTENT_TYPE, NO_ACTION),
    }
}

fn sqs_context<'a>(shared: &'a Shared, parts: &'a Parts, origin: &'a str) -> sqs::Context<'a> {
    sqs::Context {
        hub: &shared.hub,
        control: shared.options.control.as_ref(),
        origin,
        path: parts.uri.path(),
        trace: trace(&parts.headers),
    }
}

/// Whether a request comes from a client that signs, and not from a link: the author of a link chooses its query, but neither the method nor the
/// headers of the request that follows it.
fn is_signed(parts: &Parts) -> bool {
    parts.method == Method::POST && parts.headers.contains_key(AUTHORIZATION)
}

/// The trace header of the client.
fn trace(headers: &HeaderMap) -> Option<&str> {
    let trace = headers.get("x-amzn-trace-id")?.to_str().ok()?;
    // The trace is not a part of the message, so one that is too long is left out.
    (1..=MAX_TRACE).contains(&trace.len()).then_some(trace)
}

fn refuse_method(headers: &HeaderMap, method: &Method, allowed: &'static str, id: RequestId) -> Reply {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let message = format!("{method} is not a method for this request: use one of {allowed}.");
    refuse(headers, status, message, id).with_header(ALLOW, allowed)
}

pub(crate) fn is_link(head: &Parts) -> bool {
    let parameters = Parameters::parse(head.uri.query().unwrap_or_default(), &[]);
    let is_link = matches!(parameters.get("Action"), Some("ConfirmSubscription" | "Unsubscribe"));
    head.method == Method::GET && target(&head.headers).is_none() && is_link
}

pub(crate) fn refusal(head: &Parts, status: StatusCode, message: &str) -> Response {
    let id = RequestId::random();
    refuse(&head.headers, status, message.to_owned(), id).into_response(id)
}

/// Refuses a request, whatever it asks for, in the format of its protocol.
fn refuse(headers: &HeaderMap, status: StatusCode, message: String, id: RequestId) -> Reply {
    match target(headers) {
        Some(_) => sqs::Error::refused(message).into_reply().with_status(status),
        None => sns::Error::refused(status, message).into_reply(id),
    }
}

fn refuse_body(headers: &HeaderMap, error: BodyError, id: RequestId) -> Reply {
    match target(headers) {
        Some(_) => sqs::Error::from(error).into_reply(),
        None => sns::Error::from(error).into_reply(id),
    }
}

fn target(headers: &HeaderMap) -> Option<&str> {
    // A target that is not text names no known operation.
    headers.get("x-amz-target").map(|target| target.to_str().unwrap_or_default())
}

fn classify<'a>(parts: &'a Parts, target: Option<&'a str>, parameters: &'a Parameters<'_>) -> Call<'a> {
    if let Some(target) = target {
        return Call::Json { operation: target.strip_prefix("AmazonSQS.") };
    }
    let path = parts.uri.path();
    if let Some(action) = parameters.get("Action") {
        return match service(&parts.headers, parameters, path, action) {
            Service::Sns => Call::SnsQuery { action },
            Service::Sqs => Call::SqsQuery { action },
        };
    }
    match path.strip_prefix('/') {
        Some(name) if name.ends_with(".pem") => Call::File { name },
        _ => Call::NoAction,
    }
}

impl Call<'_> {
    /// The allowed methods, if this one is not allowed.
    ///
    /// A page of another site can make a browser get any address, with an action in its query and without an `Origin`. So actions that change or
    /// hide something are accepted by GET only from clients that can set a header. The links in messages are safe, because only their receiver
    /// knows their tokens; the public listener has only those.
    fn refuses(&self, method: &Method, headers: &HeaderMap, surface: Surface) -> Option<&'static str> {
        let (takes, allowed) = match self {
            Self::Json { .. } => (*method == Method::POST, OF_JSON),
            Self::SnsQuery { action } | Self::SqsQuery { action } => {
                let by_get =
                    surface == Surface::Public || is_for_links(action) || headers.contains_key(AUTHORIZATION);
                match by_get {
                    true => (matches!(*method, Method::GET | Method::POST), OF_QUERY),
                    false => (*method == Method::POST, OF_JSON),
                }
            }
            Self::File { .. } => (matches!(*method, Method::GET | Method::HEAD), OF_FILES),
            // There is nothing to do here with any method.
            Self::NoAction => (true, ""),
        };
        (!takes).then_some(allowed)
    }
}

/// Whether an action only reads, or is one of the two that links in messages ask for.
fn is_for_links(action: &str) -> bool {
    matches!(action, "ConfirmSubscription" | "Unsubscribe")
        || action.starts_with("Get")
        || action.starts_with("List")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    Sns,
    Sqs,
}

fn service(headers: &HeaderMap, parameters: &Parameters<'_>, path: &str, action: &str) -> Service {
    match parameters.get("Version") {
        Some("2010-03-31") => return Service::Sns,
        Some("2012-11-05") => return Service::Sqs,
        _ => {}
    }
    match scope(headers, parameters) {
        Some("sns") => return Service::Sns,
        Some("sqs") => return Service::Sqs,
        _ => {}
    }
    let of_a_queue = path.split('/').filter(|segment| !segment.is_empty()).count() >= 2;
    if of_a_queue || sqs::ACTIONS.contains(&action) { Service::Sqs } else { Service::Sns }
}

/// The service in a signature's scope: `<key>/<date>/<region>/<service>/aws4_request`.
fn scope<'a>(headers: &'a HeaderMap, parameters: &'a Parameters<'_>) -> Option<&'a str> {
    let in_header = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once("Credential="))
        .map(|(_, credential)| credential.split([',', ' ']).next().unwrap_or_default());
    let credential = in_header.or_else(|| parameters.get("X-Amz-Credential"))?;
    // The key may contain slashes, so count from the end.
    credential.rsplit('/').nth(1)
}

/// The scheme and host by which the client reached the hub.
fn origin(shared: &Shared, parts: &Parts) -> String {
    if let Some(base) = &shared.options.queue_base_url {
        return base.clone();
    }
    let in_uri = parts.uri.authority().map(|authority| authority.as_str());
    let host = in_uri.or_else(|| parts.headers.get(HOST)?.to_str().ok());
    format!("http://{}", host.unwrap_or("localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a request of a method, a target, headers (`name: value`) and a form means.
    #[track_caller]
    fn check(request: &str, headers: &[&str], form: &str, expected: Call<'_>) {
        let (method, uri) = request.split_once(' ').unwrap();
        let mut builder = http::Request::builder().method(method).uri(uri);
        for header in headers {
            let (name, value) = header.split_once(": ").unwrap();
            builder = builder.header(name, value);
        }
        let (parts, ()) = builder.body(()).unwrap().into_parts();
        let parameters = Parameters::parse(parts.uri.query().unwrap_or_default(), form.as_bytes());
        assert_eq!(classify(&parts, target(&parts.headers), &parameters), expected);
    }

    #[test]
    fn tells_services_apart() {
        let json = Call::Json { operation: Some("ReceiveMessage") };
        check("POST /", &["x-amz-target: AmazonSQS.ReceiveMessage"], "", json);
        check("POST /000000000000/q", &["x-amz-target: AmazonSQS.ReceiveMessage"], "", json);
        check("POST /", &["x-amz-target: DynamoDB_20120810.Get"], "", Call::Json { operation: None });

        let (sns, sqs) =
            (Call::SnsQuery { action: "AddPermission" }, Call::SqsQuery { action: "AddPermission" });
        check("POST /", &[], "Action=AddPermission&Version=2010-03-31", sns);
        check("POST /", &[], "Action=AddPermission&Version=2012-11-05", sqs);
        let scoped = |service| {
            format!(
                "authorization: AWS4-HMAC-SHA256 Credential=k/e/y/20260101/r/{service}/aws4_request, Signature=0"
            )
        };
        check("POST /", &[&scoped("sqs")], "Action=AddPermission", sqs);
        check("POST /000000000000/q", &[&scoped("sns")], "Action=AddPermission", sns);
        check("GET /?Action=AddPermission&X-Amz-Credential=k/20260101/r/sqs/aws4_request", &[], "", sqs);
        check("GET /000000000000/q?Action=AddPermission", &[], "", sqs);
        check("GET /?Action=AddPermission", &[], "", sns);
        check("POST /", &[], "Action=SendMessage", Call::SqsQuery { action: "SendMessage" });
        check("GET /?Action=Unsubscribe", &[], "", Call::SnsQuery { action: "Unsubscribe" });
    }

    #[test]
    fn files_are_only_read() {
        let name = "SimpleNotificationService-0.pem";
        check(&format!("GET /{name}"), &[], "", Call::File { name });
        check(&format!("HEAD /{name}"), &[], "", Call::File { name });
        for (method, expected) in
            [("GET", None), ("HEAD", None), ("POST", Some(OF_FILES)), ("OPTIONS", Some(OF_FILES))]
        {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(
                Call::File { name }.refuses(&method, &HeaderMap::new(), Surface::All),
                expected,
                "{method}"
            );
        }
        check("GET /", &[], "", Call::NoAction);
        check("GET /000000000000/q", &[], "", Call::NoAction);
    }
}
