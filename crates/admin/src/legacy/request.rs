//! Reading a request: its body, within limits, as JSON, as a form or as multipart; and its query.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Multipart};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, StatusCode};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use super::error::Error;
use super::nest::nest;

/// The largest body, in bytes. It is twice as large as the largest settings of a plug-in.
pub(super) const MAX_BODY: usize = 2 << 20;
/// A body of up to this many bytes needs no permit.
const SMALL_BODY: usize = 16 << 10;
/// How many larger bodies are read at once. A further one is answered with 503.
pub(super) const MAX_LARGE_BODIES: usize = 16;
/// How long the whole body may take to arrive.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// The fields of a body, with dotted keys as nested objects.
pub(super) async fn parameters(
    head: &Parts,
    body: Body,
    bodies: &Semaphore,
) -> Result<Map<String, Value>, Error> {
    let bytes = tokio::time::timeout(BODY_PATIENCE, read(body, bodies)).await.map_err(|_| {
        let message = format!("the body did not come whole within {} s", BODY_PATIENCE.as_secs());
        Error::message(StatusCode::REQUEST_TIMEOUT, message)
    })??;
    let fields = match media_type(&head.headers).as_deref() {
        Some("application/json") => of_json(&bytes)?,
        Some("application/x-www-form-urlencoded") => of_form(&bytes)?,
        Some("multipart/form-data") => of_multipart(head, bytes).await?,
        None if bytes.is_empty() => Map::new(),
        _ => return Err(Error::message(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported media type")),
    };
    nest(fields)
}

async fn read(mut body: Body, bodies: &Semaphore) -> Result<Bytes, Error> {
    let (mut bytes, mut permit) = (BytesMut::new(), None);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Error::bad_request("the body broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        let length = bytes.len() + data.len();
        if length > MAX_BODY {
            let message = format!("the body is larger than {} MiB", MAX_BODY >> 20);
            return Err(Error::message(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        if length > SMALL_BODY && permit.is_none() {
            permit = Some(bodies.try_acquire().map_err(|_| {
                let message = "other large bodies are being read: try again later";
                Error::message(StatusCode::SERVICE_UNAVAILABLE, message)
            })?);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

/// The media type of a body in lower case, without parameters; `None` if there is no `Content-Type`.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let said = headers.get(CONTENT_TYPE)?.to_str().unwrap_or("?");
    Some(said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

fn of_json(bytes: &[u8]) -> Result<Map<String, Value>, Error> {
    serde_json::from_slice(bytes).map_err(|_| Error::bad_request("Cannot parse JSON body"))
}

fn of_form(bytes: &[u8]) -> Result<Map<String, Value>, Error> {
    let mut fields = Map::new();
    for (name, value) in form_urlencoded::parse(bytes) {
        // Bytes that are not UTF-8 are decoded to this character, which no field needs.
        if name.contains(char::REPLACEMENT_CHARACTER) || value.contains(char::REPLACEMENT_CHARACTER) {
            return Err(Error::bad_request("Cannot parse form body: it is not UTF-8"));
        }
        add(&mut fields, name.into_owned(), value.into_owned());
    }
    Ok(fields)
}

async fn of_multipart(head: &Parts, bytes: Bytes) -> Result<Map<String, Value>, Error> {
    let unreadable =
        |error: &dyn std::fmt::Display| Error::bad_request(format!("Cannot parse multipart body: {error}"));
    let mut request = Request::new(Body::from(bytes));
    request.headers_mut().clone_from(&head.headers);
    let mut parts = Multipart::from_request(request, &()).await.map_err(|error| unreadable(&error))?;
    let mut fields = Map::new();
    while let Some(part) = parts.next_field().await.map_err(|error| unreadable(&error))? {
        let name = part.name().unwrap_or_default().to_owned();
        let bytes = part.bytes().await.map_err(|error| unreadable(&error))?;
        let text = String::from_utf8(bytes.into()).map_err(|error| unreadable(&error))?;
        add(&mut fields, name, text);
    }
    Ok(fields)
}

/// Adds a field of a form. A field that appears several times becomes a list.
pub(super) fn add(fields: &mut Map<String, Value>, name: String, value: String) {
    match fields.get_mut(&name) {
        None => drop(fields.insert(name, value.into())),
        Some(Value::Array(values)) => values.push(value.into()),
        Some(first) => *first = Value::Array(vec![first.take(), value.into()]),
    }
}

/// The arguments of a query, in their order.
pub(super) fn query(head: &Parts) -> Vec<(String, String)> {
    let query = head.uri.query().unwrap_or_default().as_bytes();
    form_urlencoded::parse(query).map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}
