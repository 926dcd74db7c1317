//! What answers: looks at each request, prints it, and sends the answer.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use delivery::wire::envelope::Envelope;
use http::request::Parts;
use serde_json::{Value, json};

use super::arrival::{Arrival, Form, Kind, form};
use super::printer::Printer;
use super::seen::Seen;
use super::shown;
use super::signature::{Checked, Checker};
use crate::cli::ReceiveArgs;

/// The longest body, in bytes: more than a delivery ever has.
const MAX_BODY: usize = 16 << 20;

/// One for all ports.
pub struct Service {
    status: u16,
    checker: Checker,
    printer: Printer,
    seen: Seen,
}

impl Service {
    pub fn new(args: ReceiveArgs, printer: Printer) -> Self {
        let ReceiveArgs { status, secret, hub_url, .. } = args;
        Self { status, checker: Checker::new(secret, hub_url), printer, seen: Seen::default() }
    }

    /// Says where it listens.
    pub async fn say_listening(&self, address: SocketAddr) {
        let lines = match self.printer.is_json {
            true => json!({ "kind": "listening", "address": address.to_string() }).to_string(),
            false => format!("listening on http://{address}, for deliveries and other requests"),
        };
        self.printer.print(lines + "\n").await;
    }

    /// Answers a request that came to this address.
    pub async fn answer(&self, address: SocketAddr, request: Request<Body>) -> Response {
        let (parts, body) = request.into_parts();
        let Ok(body) = to_bytes(body, MAX_BODY).await else {
            let told = json!({ "message": format!("the body broke off, or has more than {MAX_BODY} bytes") });
            return (StatusCode::PAYLOAD_TOO_LARGE, Json(told)).into_response();
        };
        let arrival = self.look(address, parts, body.to_vec()).await;
        let status = StatusCode::from_u16(arrival.status).unwrap_or(StatusCode::OK);
        let lines = if self.printer.is_json { shown::json(&arrival) } else { shown::text(&arrival) };
        self.printer.print(lines).await;
        match arrival.kind {
            Kind::Request => (status, Json(echo(&arrival))).into_response(),
            _ => status.into_response(),
        }
    }

    async fn look(&self, address: SocketAddr, parts: Parts, body: Vec<u8>) -> Arrival {
        let Parts { method, uri, headers, .. } = parts;
        let (kind, status) = match form(&headers, &body) {
            Form::Sns(envelope) if envelope.kind == "Notification" => {
                let signature = self.checker.sns(&envelope).await;
                (Kind::Notification { message: envelope.message, signature }, self.status)
            }
            Form::Sns(envelope) => (self.confirm(*envelope).await, 200),
            Form::StandardWebhooks => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
                let signature = self.checker.standard_webhooks(&headers, &body, now);
                (Kind::StandardWebhooks { signature }, self.status)
            }
            Form::Raw => (Kind::Raw, self.status),
            Form::Request => (Kind::Request, self.status),
        };
        let id = headers.get("x-retrohook-event-id").and_then(|id| id.to_str().ok());
        let is_repeated = id.is_some_and(|id| self.seen.again(address.port(), uri.path(), id));
        Arrival { port: address.port(), method, uri, headers, body, kind, is_repeated, status }
    }

    /// Confirms what is signed well. An end that somebody asked for is left as it is: only a visit by hand undoes it.
    async fn confirm(&self, envelope: Envelope) -> Kind {
        let signature = self.checker.sns(&envelope).await;
        let confirmed = match (&signature, envelope.kind.as_str()) {
            (Checked::Good(_), "SubscriptionConfirmation") => self.checker.confirm(&envelope).await,
            (Checked::Good(_), _) => Err("the subscription was ended; the link undoes that".to_owned()),
            (Checked::Bad(_) | Checked::Not(_), _) => Err("its signature is not known to be good".to_owned()),
        };
        let Envelope { kind, subscribe_url: link, .. } = envelope;
        Kind::Confirmation { kind, signature, confirmed, link }
    }
}

/// What a service would answer that only says what it was asked.
fn echo(arrival: &Arrival) -> Value {
    json!({
        "method": arrival.method.as_str(),
        "path": arrival.uri.path(),
        "query": arrival.uri.query(),
        "headers": shown::headers(arrival),
        "body": String::from_utf8_lossy(&arrival.body),
    })
}
