//! `GET /SimpleNotificationService-<32 hexadecimal digits>.pem`: the certificate that subscribers verify messages by.

use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderName};
use hub::Hub;

use super::{CONTENT_TYPE, NAMESPACE};
use crate::reply::{Reply, RequestId};

const PEM: &str = "application/x-pem-file";
/// A new key has a new name, so what is under a name never changes.
const FOR_EVER: (HeaderName, &str) = (CACHE_CONTROL, "public, max-age=31536000, immutable");

/// The certificate, or 404 if there is none of this name (or not yet).
pub(crate) fn answer(hub: &Hub, name: &str, id: RequestId) -> Reply {
    match hub.certificate(name) {
        Some(pem) => {
            let (header, value) = FOR_EVER;
            Reply::new(StatusCode::OK, PEM, pem).with_header(header, value)
        }
        None => {
            let body = format!(
                "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>Sender</Type><Code>NotFound</Code>\
                 <Message>There is no such certificate.</Message></Error><RequestId>{id}</RequestId></ErrorResponse>"
            );
            Reply::new(StatusCode::NOT_FOUND, CONTENT_TYPE, body)
        }
    }
}
