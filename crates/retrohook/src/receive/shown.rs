//! An arrival as text for people, in 80 columns, and as a JSON object on one line.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::arrival::{Arrival, Kind};
use super::signature::Checked;

/// The columns of a line.
const COLUMNS: usize = 80;

/// As lines for people, each of at most [`COLUMNS`] characters. What came from outside cannot move the cursor or colour the screen.
pub fn text(arrival: &Arrival) -> String {
    let Arrival { port, method, uri, status, .. } = arrival;
    let mut lines = format!("{}\n", line(&format!("{port}  {method} {uri}  -> {status}")));
    // A string takes whatever is written to it.
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(lines, "{}", line(&format!("      {name:<10}{value}")));
    };
    if !matches!(arrival.kind, Kind::Request) {
        row("kind", &kind(arrival));
        if let Some(id) = arrival.header("x-retrohook-event-id") {
            row("event", &event(arrival, id));
        }
        if let Some(key) = arrival.header("x-retrohook-key") {
            row("key", key);
        }
    }
    match arrival.signature() {
        Some(Checked::Good(by)) => row("signature", &format!("good, {by}")),
        Some(Checked::Bad(why)) => row("signature", &format!("BAD: {why}")),
        Some(Checked::Not(why)) => row("signature", &format!("not checked: {why}")),
        None => {}
    }
    if let Kind::Confirmation { confirmed, link, .. } = &arrival.kind {
        match (confirmed, link) {
            (Ok(()), _) => row("confirmed", "deliveries begin"),
            (Err(why), _) => row("confirmed", &format!("no: {why}")),
        }
        return match (confirmed, link) {
            // Whoever wants to visit it needs the whole of it.
            (Err(_), Some(link)) => lines + &format!("      link      {}\n", plain(link)),
            _ => lines,
        };
    }
    let message = arrival.message();
    if !message.is_empty() {
        row("body", &message);
    }
    lines
}

fn kind(arrival: &Arrival) -> String {
    let again = if arrival.is_repeated { ", which came before" } else { "" };
    match &arrival.kind {
        Kind::Notification { .. } => format!("SNS notification{again}"),
        Kind::Confirmation { kind, .. } => format!("SNS {kind}"),
        Kind::Raw => format!("the message alone{again}"),
        Kind::StandardWebhooks { .. } => format!("Standard Webhooks{again}"),
        Kind::Request => "request".to_owned(),
    }
}

/// The event's id, and what is short: `… succeeded, attempt 2`.
fn event(arrival: &Arrival, id: &str) -> String {
    let outcome = arrival.header("x-retrohook-outcome").unwrap_or("of no outcome");
    match arrival.header("x-retrohook-attempt") {
        None | Some("1") => format!("{id} {outcome}"),
        Some(attempt) => format!("{id} {outcome}, attempt {attempt}"),
    }
}

/// A line that fits, without characters that control a terminal.
fn line(text: &str) -> String {
    let text = plain(text);
    if text.chars().count() <= COLUMNS {
        return text;
    }
    text.chars().take(COLUMNS - 1).chain(['…']).collect()
}

fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// As one line of JSON, with the whole body.
pub fn json(arrival: &Arrival) -> String {
    let Arrival { port, method, uri, status, body, .. } = arrival;
    let mut object = Map::from_iter([
        ("kind".to_owned(), json!(arrival.kind())),
        ("port".to_owned(), json!(port)),
        ("method".to_owned(), json!(method.as_str())),
        ("target".to_owned(), json!(uri.to_string())),
        ("status".to_owned(), json!(status)),
    ]);
    let mut put = |name: &str, value: Value| drop(object.insert(name.to_owned(), value));
    for (name, header) in [
        ("event", "x-retrohook-event-id"),
        ("outcome", "x-retrohook-outcome"),
        ("key", "x-retrohook-key"),
        ("sequence", "x-retrohook-sequence"),
        ("attempt", "x-retrohook-attempt"),
    ] {
        if let Some(value) = arrival.header(header) {
            let number = value.parse::<u64>().ok().filter(|_| ["sequence", "attempt"].contains(&name));
            put(name, number.map_or_else(|| json!(value), |number| json!(number)));
        }
    }
    if arrival.header("x-retrohook-event-id").is_some() {
        put("repeated", json!(arrival.is_repeated));
    }
    match arrival.signature() {
        Some(Checked::Good(by)) => put("signature", json!({ "checked": "good", "by": by })),
        Some(Checked::Bad(why)) => put("signature", json!({ "checked": "bad", "why": why })),
        Some(Checked::Not(why)) => put("signature", json!({ "checked": "not", "why": why })),
        None => {}
    }
    match &arrival.kind {
        Kind::Confirmation { confirmed, .. } => match confirmed {
            Ok(()) => put("confirmed", json!(true)),
            Err(why) => {
                put("confirmed", json!(false));
                put("why", json!(why));
            }
        },
        Kind::Notification { message, .. } => put("message", json!(message)),
        _ => {}
    }
    put("headers", headers(arrival));
    put("body", json!(String::from_utf8_lossy(body)));
    Value::Object(object).to_string() + "\n"
}

/// All headers; repeated ones are joined as HTTP joins them.
pub fn headers(arrival: &Arrival) -> Value {
    let mut all = Map::new();
    for name in arrival.headers.keys() {
        let values =
            arrival.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        all.insert(name.to_string(), json!(values.collect::<Vec<_>>().join(", ")));
    }
    all.into()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue, Method};

    use super::*;

    fn arrival(kind: Kind, body: &str) -> Arrival {
        let headers = [
            ("x-retrohook-event-id", "018bcfe5-6807-7707-8707-070707070707"),
            ("x-retrohook-outcome", "succeeded"),
            ("x-retrohook-attempt", "2"),
            ("x-retrohook-key", "profiles/profiles/42"),
        ];
        let headers: HeaderMap = headers
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .into_iter()
            .collect();
        let uri = "/expire".parse().unwrap();
        let body = body.as_bytes().to_vec();
        Arrival { port: 9100, method: Method::POST, uri, headers, body, kind, is_repeated: true, status: 200 }
    }

    #[test]
    fn a_delivery_fits_80_columns_and_controls_no_terminal() {
        let signature = Checked::Good("version 2 by 127.0.0.1:4566".into());
        let message = format!("{{\"a\":\"\x1b[31m{}\"}}", "é".repeat(100));
        let shown = text(&arrival(Kind::Notification { message, signature }, "{}"));
        let expected = "\
9100  POST /expire  -> 200
      kind      SNS notification, which came before
      event     018bcfe5-6807-7707-8707-070707070707 succeeded, attempt 2
      key       profiles/profiles/42
      signature good, version 2 by 127.0.0.1:4566
      body      {\"a\":\" [31m";
        assert!(shown.starts_with(expected), "{shown}");
        assert!(shown.lines().all(|line| line.chars().count() <= COLUMNS) && shown.ends_with("é…\n"));
        assert!(!shown.contains('\x1b'));
    }

    #[test]
    fn a_request_is_shown_without_what_only_deliveries_have() {
        let mut request = arrival(Kind::Request, "{\"name\": \"Ada\"}");
        request.headers.clear();
        assert_eq!(text(&request), "9100  POST /expire  -> 200\n      body      {\"name\": \"Ada\"}\n");
        let object: Value = serde_json::from_str(&json(&request)).unwrap();
        assert_eq!((&object["kind"], &object["body"]), (&json!("request"), &json!("{\"name\": \"Ada\"}")));
        assert_eq!(object["event"], Value::Null);
    }

    #[test]
    fn a_link_that_was_not_visited_is_whole() {
        let link = format!("http://example.com/?Action=ConfirmSubscription&Token={}", "a".repeat(90));
        let kind = Kind::Confirmation {
            kind: "SubscriptionConfirmation".into(),
            signature: Checked::Bad("the key of the certificate did not sign this message".into()),
            confirmed: Err("its signature is not good".into()),
            link: Some(link.clone()),
        };
        let shown = text(&arrival(kind, "{}"));
        assert!(shown.ends_with(&format!("      link      {link}\n")), "{shown}");
        assert!(shown.contains("      signature BAD: the key"), "{shown}");
    }
}
