//! One request to a node's admin port, and what it answers or why it does not.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::cli::Listen;
use crate::client;

/// A read of the API takes 10 s at most; a retry of many deliveries may take longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request, without the node that it goes to.
#[derive(Clone, Debug)]
pub struct Call {
    method: &'static str,
    path: String,
    query: Vec<(&'static str, String)>,
}

impl Call {
    /// A read of what the API has under this name.
    pub fn get(name: &str) -> Self {
        Self { method: "GET", path: format!("/retrohook/{name}"), query: Vec::new() }
    }

    /// A command about what the API has under this name.
    pub fn post(name: &str) -> Self {
        Self { method: "POST", ..Self::get(name) }
    }

    /// With one more part of the path.
    pub fn then(mut self, part: &str) -> Self {
        self.path.push('/');
        self.path.extend(form_urlencoded::byte_serialize(part.as_bytes()));
        self
    }

    /// With a parameter, if it has a value; in the place of one of this name.
    pub fn with(mut self, name: &'static str, value: Option<impl fmt::Display>) -> Self {
        if let Some(value) = value {
            self.query.retain(|(known, _)| *known != name);
            self.query.push((name, value.to_string()));
        }
        self
    }

    fn target(&self) -> String {
        if self.query.is_empty() {
            return self.path.clone();
        }
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.query).finish();
        format!("{}?{query}", self.path)
    }

    /// Asks the node.
    pub async fn ask(&self, admin: &Listen) -> Result<Value, Failed> {
        let place = client::place(admin).map_err(Failed::Answered)?;
        let answer = client::ask(admin, self.method, &self.target(), PATIENCE).await.map_err(|error| {
            Failed::NoAnswer(format!(
                "no answer from {place}: {error}\n  hint: --admin is the node's --admin-listen"
            ))
        })?;
        let told: Option<Value> = serde_json::from_str(&answer.body).ok();
        match told {
            Some(told) if answer.status == 200 => Ok(told),
            Some(told) if told["message"].is_string() => {
                let hint = told["hint"].as_str().map(|hint| format!("\n  hint: {hint}"));
                let message = told["message"].as_str().unwrap_or_default();
                Err(Failed::Answered(format!("{message}{}", hint.unwrap_or_default())))
            }
            _ => Err(Failed::Answered(format!(
                "{place} answered {}: what listens there is not an admin port of Retrohook",
                answer.status
            ))),
        }
    }
}

/// Why there is nothing to print.
#[derive(Debug)]
pub enum Failed {
    /// The node cannot be reached; it may be the next time.
    NoAnswer(String),
    /// The node refused, in its own words.
    Answered(String),
    /// Nobody reads what is printed any more.
    Closed,
}
