//! The lists of the API: where their rows are, and what of a row a person is shown.

use serde_json::Value;

use super::table::{Column, Cut};

/// A list of the API.
pub struct Listing {
    /// The member that has the rows.
    pub rows: &'static str,
    /// The member that says where the next page is, and the flag that goes there.
    pub next: (&'static str, &'static str),
    /// What there is none of.
    pub what: &'static str,
    /// What is shown.
    pub columns: &'static [Column],
}

pub static EVENTS: Listing = Listing {
    rows: "events",
    next: ("next_before", "--before"),
    what: "events",
    columns: &[
        Column { title: "SEQ", of: |row| number(&row["sequence"]), cut: Cut::Never },
        Column { title: "RECORDED", of: |row| time(&row["recorded_at"]), cut: Cut::Never },
        Column { title: "WHAT", of: what, cut: Cut::Never },
        Column { title: "KEY", of: |row| text(&row["key"]), cut: Cut::Begin },
        Column { title: "EVENT", of: |row| text(&row["id"]), cut: Cut::Never },
    ],
};

pub static OPEN: Listing = Listing {
    rows: "intents",
    next: ("next_after", "--after"),
    what: "open intents",
    columns: &[
        Column { title: "AGE", of: |row| seconds(&row["age_seconds"]), cut: Cut::Never },
        Column { title: "METHOD", of: |row| text(&row["request"]["method"]), cut: Cut::Never },
        Column { title: "KEY", of: |row| text(&row["key"]), cut: Cut::Begin },
        Column { title: "EVENT", of: |row| text(&row["event"]), cut: Cut::Never },
    ],
};

pub static DELIVERIES: Listing = Listing {
    rows: "deliveries",
    next: ("next_after", "--after"),
    what: "deliveries that wait or are dead",
    columns: &[
        Column { title: "SUB", of: |row| number(&row["subscription"]), cut: Cut::Never },
        Column { title: "SEQ", of: |row| number(&row["sequence"]), cut: Cut::Never },
        Column { title: "STATE", of: |row| text(&row["state"]), cut: Cut::Never },
        Column { title: "TRIES", of: |row| number(&row["attempts"]), cut: Cut::Never },
        Column { title: "NEXT TRY", of: |row| time(&row["next_attempt_at"]), cut: Cut::Never },
        Column { title: "KEY", of: |row| text(&row["key"]), cut: Cut::Begin },
        Column { title: "CAUSE", of: |row| text(&row["cause"]), cut: Cut::End },
    ],
};

pub static SUBSCRIPTIONS: Listing = Listing {
    rows: "subscriptions",
    next: ("next_after", "--after"),
    what: "subscriptions",
    columns: &[
        Column { title: "SUB", of: |row| number(&row["subscription"]), cut: Cut::Never },
        Column { title: "NAME", of: |row| text(&row["name"]), cut: Cut::End },
        Column { title: "TOPIC", of: |row| text(&row["topic"]), cut: Cut::End },
        Column { title: "ENDPOINT", of: |row| text(&row["endpoint"]), cut: Cut::Begin },
        Column { title: "STATE", of: |row| text(&row["state"]), cut: Cut::Never },
        Column { title: "UNREAD", of: unread, cut: Cut::Never },
        Column { title: "RETRY", of: |row| number(&row["retrying"]), cut: Cut::Never },
        Column { title: "BEHIND", of: |row| number(&row["behind"]), cut: Cut::Never },
        Column { title: "DEAD", of: |row| number(&row["dead_letters"]), cut: Cut::Never },
    ],
};

pub static BLOCKED_KEYS: Listing = Listing {
    rows: "keys",
    next: ("next_after", "--after"),
    what: "keys that wait",
    columns: &[
        Column { title: "KEY", of: |row| text(&row["key"]), cut: Cut::Begin },
        Column { title: "BEHIND", of: behind, cut: Cut::Never },
        Column { title: "HEAD", of: |row| number(&row["head"]["sequence"]), cut: Cut::Never },
        Column { title: "TRIES", of: |row| number(&row["head"]["attempts"]), cut: Cut::Never },
        Column { title: "NEXT TRY", of: |row| time(&row["head"]["next_attempt_at"]), cut: Cut::Never },
        Column { title: "CAUSE", of: |row| text(&row["head"]["cause"]), cut: Cut::End },
    ],
};

pub static DEAD_LETTERS: Listing = Listing {
    rows: "dead_letters",
    next: ("next_before", "--before"),
    what: "dead letters",
    columns: &[
        Column { title: "SUB", of: |row| number(&row["subscription"]), cut: Cut::Never },
        Column { title: "SEQ", of: |row| number(&row["sequence"]), cut: Cut::Never },
        Column { title: "DIED", of: |row| time(&row["died_at"]), cut: Cut::Never },
        Column { title: "TRIES", of: |row| number(&row["attempts"]), cut: Cut::Never },
        Column { title: "KEY", of: |row| text(&row["key"]), cut: Cut::Begin },
        Column { title: "REASON", of: |row| text(&row["reason"]), cut: Cut::End },
    ],
};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value) -> String {
    value.as_i64().map(|number| number.to_string()).unwrap_or_default()
}

/// Without the year, and to the second.
fn time(value: &Value) -> String {
    value.as_str().and_then(|time| time.get(5..19)).unwrap_or_default().replace('T', " ")
}

fn seconds(value: &Value) -> String {
    value.as_f64().map(|age| format!("{age:.1}s")).unwrap_or_default()
}

fn what(event: &Value) -> String {
    event["outcome"].as_str().or(event["kind"].as_str()).unwrap_or_default().to_owned()
}

/// Of a queue, the messages that can be received.
fn unread(row: &Value) -> String {
    number(if row["unread"].is_number() { &row["unread"] } else { &row["messages"]["visible"] })
}

fn behind(row: &Value) -> String {
    let more = if row["at_least"] == true { "+" } else { "" };
    format!("{}{more}", number(&row["behind"]))
}
