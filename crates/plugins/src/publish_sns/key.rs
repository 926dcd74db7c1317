//! Ordering keys from a template.

use std::fmt::Write;

use event::facts::{REDACTED, text_of};
use event::record::MAX_KEY;
use event::redaction::Redactor;
use http::HeaderMap;
use http::header::HeaderName;
use regex::{Captures, Regex};

/// A key's template, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyTemplate {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Service,
    Path,
    Group(usize),
    Named(String),
    Header(HeaderName),
}

/// The parts of a request that a key is made from.
pub(super) struct KeySource<'a> {
    pub service: &'a str,
    pub path: &'a str,
    pub headers: &'a HeaderMap,
    /// Redacts the values of headers.
    pub redactor: Redactor<'a>,
    /// The groups of the first entry that matched. They are needed only if [`KeyTemplate::needs_groups`].
    pub groups: Option<Captures<'a>>,
}

impl KeyTemplate {
    /// The service's name and the service path.
    pub const DEFAULT: &'static str = "{service}{path}";

    pub fn parse(template: &str) -> Result<Self, KeyError> {
        let mut parts = Vec::new();
        let mut rest = template;
        while !rest.is_empty() {
            let brace = rest.find(['{', '}']).unwrap_or(rest.len());
            let (literal, behind) = rest.split_at(brace);
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            rest = behind;
            if rest.is_empty() {
                break;
            }
            let inner = rest.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            let (placeholder, behind) = inner.ok_or_else(|| KeyError::Brace(template.to_owned()))?;
            parts.push(part(placeholder)?);
            rest = behind;
        }
        if parts.is_empty() { Err(KeyError::Empty) } else { Ok(Self { parts }) }
    }

    /// Whether the template uses groups of the matcher.
    pub fn needs_groups(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Group(_) | Part::Named(_)))
    }

    /// The headers that the template uses.
    pub fn headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.parts.iter().filter_map(|part| match part {
            Part::Header(name) => Some(name),
            _ => None,
        })
    }

    /// The first group that the template uses and that `regex` does not have.
    pub fn missing_group(&self, regex: &Regex) -> Option<String> {
        self.parts.iter().find_map(|part| match part {
            Part::Group(index) if *index >= regex.captures_len() => Some(index.to_string()),
            Part::Named(name) if !regex.capture_names().flatten().any(|known| known == name) => {
                Some(name.clone())
            }
            _ => None,
        })
    }

    /// The key of a request, at most [`MAX_KEY`] bytes; the default key if the template gives an empty text.
    pub fn render(&self, source: &KeySource<'_>) -> String {
        let mut key = String::with_capacity(64);
        for part in &self.parts {
            part.render(source, &mut key);
        }
        if key.is_empty() {
            append(&mut key, source.service);
            append(&mut key, source.path);
        }
        cut(&mut key);
        key
    }
}

impl Part {
    fn render(&self, source: &KeySource<'_>, key: &mut String) {
        let group = |text: Option<regex::Match<'_>>, key: &mut String| {
            append(key, text.map_or("", |text| text.as_str()));
        };
        match self {
            Self::Literal(text) => key.push_str(text),
            Self::Service => append(key, source.service),
            Self::Path => append(key, source.path),
            Self::Group(index) => group(source.groups.as_ref().and_then(|groups| groups.get(*index)), key),
            Self::Named(name) => group(source.groups.as_ref().and_then(|groups| groups.name(name)), key),
            Self::Header(name) if source.redactor.carries_a_credential(name) => {
                if source.headers.contains_key(name) {
                    key.push_str(REDACTED);
                }
            }
            Self::Header(name) => {
                if let Some(value) = source.headers.get(name) {
                    append(key, &source.redactor.value(&text_of(value.as_bytes())));
                }
            }
        }
    }
}

/// Cuts at the last character that ends within [`MAX_KEY`] bytes.
fn cut(key: &mut String) {
    let end = (0..=MAX_KEY.min(key.len())).rev().find(|&end| key.is_char_boundary(end));
    key.truncate(end.unwrap_or(0));
}

/// Appends a text with its control characters percent-encoded, because SNS and SQS accept none in an attribute.
fn append(key: &mut String, text: &str) {
    if !text.chars().any(char::is_control) {
        key.push_str(text);
        return;
    }
    for c in text.chars() {
        if !c.is_control() {
            key.push(c);
            continue;
        }
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            // Writing into a string never fails.
            let _ = write!(key, "%{byte:02X}");
        }
    }
}

fn part(placeholder: &str) -> Result<Part, KeyError> {
    if let Some(name) = placeholder.strip_prefix("header:") {
        return name.parse().map(Part::Header).map_err(|_| KeyError::Header(name.to_owned()));
    }
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match placeholder {
        "service" => Ok(Part::Service),
        "path" => Ok(Part::Path),
        number if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => {
            number.parse().map(Part::Group).map_err(|_| KeyError::Placeholder(number.to_owned()))
        }
        name if !name.is_empty() && name.chars().all(word) => Ok(Part::Named(name.to_owned())),
        other => Err(KeyError::Placeholder(other.to_owned())),
    }
}

/// Why a text is not a template.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum KeyError {
    Empty,
    Brace(String),
    Placeholder(String),
    Header(String),
}

impl std::fmt::Display for KeyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("the key is empty"),
            Self::Brace(template) => write!(f, "a brace of `{template}` has no partner"),
            Self::Placeholder(name) => write!(f, "`{{{name}}}` is not a placeholder"),
            Self::Header(name) => write!(f, "`{name}` is not the name of a header"),
        }
    }
}
