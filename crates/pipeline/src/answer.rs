//! Answers that are not the upstream's, in Kong's forms: the gateway's own, and those of plug-ins.

use bytes::Bytes;
use event::EventId;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};

use crate::Context;

/// An answer that says `message` in the form that the client's `Accept` prefers. Latencies and id headers are added where it is sent.
pub fn error(
    status: StatusCode,
    message: &str,
    id: EventId,
    accept: Option<&HeaderValue>,
) -> Response<Bytes> {
    let form = Form::preferred(accept);
    let mut digits = [0; 32];
    let body = form.body(message, id.write_simple(&mut digits));
    let length = body.len();
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    response.headers_mut().insert(CONTENT_TYPE, form.content_type());
    response
}

/// The answer of a plug-in that refuses a request.
pub fn refusal(status: StatusCode, message: &str, context: &Context) -> Response<Bytes> {
    error(status, message, context.id, context.accept.as_ref())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Plain,
    Html,
    Xml,
}

impl Form {
    /// The form with the highest q-value that we have; JSON if none is named, and the first named of equals.
    fn preferred(accept: Option<&HeaderValue>) -> Self {
        let Some(accept) = accept.and_then(|value| value.to_str().ok()) else { return Self::Json };
        let mut best = (0.0, Self::Json);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let form = match parts.next().unwrap_or_default() {
                "application/json" | "application/*" | "*/*" => Self::Json,
                "text/plain" | "text/*" => Self::Plain,
                "text/html" => Self::Html,
                "application/xml" => Self::Xml,
                _ => continue,
            };
            let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse);
            let quality: f32 = quality.unwrap_or(0.0);
            if quality > best.0 {
                best = (quality, form);
            }
        }
        best.1
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/json; charset=utf-8",
            Self::Plain => "text/plain; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
            Self::Xml => "application/xml; charset=utf-8",
        })
    }

    fn body(self, message: &str, id: &str) -> String {
        match self {
            Self::Json => {
                let message = serde_json::Value::from(message);
                format!("{{\n  \"message\":{message},\n  \"request_id\":\"{id}\"\n}}")
            }
            Self::Plain => format!("{message}\nrequest_id: {id}\n"),
            Self::Html => format!(
                "<!doctype html>\n<html>\n  <head>\n    <meta charset=\"utf-8\">\n    <title>Error</title>\n  </head>\n  \
                 <body>\n    <h1>Error</h1>\n    <p>{}.</p>\n    <p>request_id: {id}</p>\n  </body>\n</html>\n",
                escaped(message)
            ),
            Self::Xml => format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error>\n  <message>{}</message>\n  \
                 <requestid>{id}</requestid>\n</error>\n",
                escaped(message)
            ),
        }
    }
}

/// Escapes a text for markup: a message may come from a configuration.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::Timestamp;

    #[test]
    fn accept_chooses_the_form() {
        let form = |accept: &'static str| Form::preferred(Some(&HeaderValue::from_static(accept)));
        assert_eq!(form("text/html,application/xml;q=0.9,*/*;q=0.8"), Form::Html);
        assert_eq!(form("text/plain"), Form::Plain);
        assert_eq!(form("text/html;q=0.1, application/json;q=0.2"), Form::Json);
        assert_eq!(form("image/png"), Form::Json);
        assert_eq!(form("application/xml"), Form::Xml);
    }

    #[test]
    fn a_message_cannot_break_out_of_its_form() {
        let id = EventId::v7(Timestamp::from_millis(0), [0; 10]);
        let body = |accept: &'static str| {
            let accept = HeaderValue::from_static(accept);
            let answer = error(StatusCode::TOO_MANY_REQUESTS, "say \"</p>&\"", id, Some(&accept));
            String::from_utf8(answer.into_body().to_vec()).expect("a text")
        };
        let json: serde_json::Value = serde_json::from_str(&body("application/json")).expect("JSON");
        assert_eq!(json["message"], "say \"</p>&\"");
        assert!(body("text/html").contains("<p>say \"&lt;/p&gt;&amp;\".</p>"));
        assert!(body("application/xml").contains("<message>say \"&lt;/p&gt;&amp;\"</message>"));
    }
}
