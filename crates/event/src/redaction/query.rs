//! Query parameters whose values are secrets, wherever a query stands: in a request target, in a header that holds a URL, in a URL that is
//! itself a parameter's value.
//!
//! Names are compared without regard to case, after percent-decoding, and part by part: `user[password]` and `user.password` are
//! passwords. Where servers disagree about what ends a value (`;`), a secret goes on to where all of them agree that it ended: a
//! character too many is redacted, never one too few.

use std::borrow::Cow;
use std::sync::Arc;

use super::CredentialNames;
use crate::facts::REDACTED;
use crate::percent::decode;

/// Parameters that carry a secret, as a rule.
const SECRETS: [&str; 14] = [
    "access_token",
    "refresh_token",
    "id_token",
    "token",
    "api_key",
    "apikey",
    "password",
    "client_secret",
    "signature",
    "sig",
    "x-amz-signature",
    "x-amz-credential",
    "x-amz-security-token",
    "_state",
];

/// What stands between the parts of a name that means a member of something.
const PARTED: [char; 3] = ['[', ']', '.'];

/// How often a value may be encoded in another before it is looked at no more.
const MAX_NESTED: usize = 3;

/// Which query parameters' values are kept out of events. The default keeps out none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryRedaction {
    of_secrets: bool,
    names: Vec<String>,
}

/// What is replaced: from the first byte, up to and without the second.
type Span = (usize, usize);

impl QueryRedaction {
    /// The parameters that usually carry a secret; `code` beside `state`, which is how OAuth hands out a login; the user info of a URL.
    pub fn of_secrets() -> Self {
        Self { of_secrets: true, names: Vec::new() }
    }

    /// Adds a parameter by its whole name.
    pub fn add(&mut self, name: &str) {
        self.names.push(name.to_owned());
    }

    /// A request target with the secrets of its query replaced. Its path stays what it is.
    pub fn uri<'t>(&self, uri: &'t str) -> Cow<'t, str> {
        self.with(&[]).uri(uri)
    }

    /// A header's value with the secrets of all queries in it replaced.
    pub fn value<'t>(&self, value: &'t str) -> Cow<'t, str> {
        self.with(&[]).value(value)
    }

    /// The secrets themselves, as they stand in the text.
    pub fn secrets<'t>(&self, text: &'t str) -> Vec<&'t str> {
        let spans = self.with(&[]).spans(text, 0, 0);
        spans.into_iter().map(|(begin, end)| &text[begin..end]).collect()
    }

    /// The same, and parameters of these names as well.
    pub(super) fn with<'a>(&'a self, credentials: &'a [Arc<CredentialNames>]) -> Search<'a> {
        Search { rule: self, credentials }
    }
}

/// Looks for what is replaced in one text.
#[derive(Clone, Copy)]
pub(super) struct Search<'a> {
    rule: &'a QueryRedaction,
    credentials: &'a [Arc<CredentialNames>],
}

impl Search<'_> {
    pub fn uri<'t>(&self, uri: &'t str) -> Cow<'t, str> {
        let query = uri.find(['?', '#']).map_or(uri.len(), |mark| mark + 1);
        self.replaced(uri, query)
    }

    pub fn value<'t>(&self, value: &'t str) -> Cow<'t, str> {
        self.replaced(value, 0)
    }

    fn finds_nothing(&self) -> bool {
        let QueryRedaction { of_secrets, names } = self.rule;
        !of_secrets && names.is_empty() && self.credentials.iter().all(|also| also.arguments.is_empty())
    }

    fn replaced<'t>(&self, text: &'t str, start: usize) -> Cow<'t, str> {
        // No value stands without one of these before, in or behind it; most texts have none, and looking closer costs more.
        if self.finds_nothing() || !has_any(text, [b'=', b'%', b'@']) {
            return Cow::Borrowed(text);
        }
        let spans = self.spans(text, start, 0);
        if spans.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len() + spans.len() * REDACTED.len());
        let mut at = 0;
        for (begin, end) in spans.into_iter().filter(|(begin, end)| begin < end) {
            // Two that overlap become one: a secret may be a URL with user info.
            if begin >= at {
                out.push_str(&text[at..begin]);
                out.push_str(REDACTED);
            }
            at = at.max(end);
        }
        out.push_str(&text[at..]);
        Cow::Owned(out)
    }

    /// The secrets of a text, in order of their begin; queries in it begin at `start` at the earliest.
    fn spans(&self, text: &str, start: usize, depth: usize) -> Vec<Span> {
        let mut spans = Vec::new();
        if self.rule.of_secrets {
            user_infos(text, &mut spans);
        }
        let query = &text[start..];
        if !query.bytes().any(|byte| byte == b'=' || byte == b'%') {
            return spans;
        }
        let mut has_state = None;
        let mut at = start;
        while at < text.len() {
            let end = text[at..].find(is_separator).map_or(text.len(), |length| at + length);
            let argument = &text[at..end];
            let (name, value) = argument.split_once('=').map_or((argument, None), |(n, v)| (n, Some(v)));
            let value_at = if value.is_some() { at + name.len() + 1 } else { at };
            let is_secret = value.is_some()
                && self.is_secret(name, || *has_state.get_or_insert_with(|| has_parameter(query, "state")));
            at = end + 1;
            if is_secret || self.is_nested(&text[value_at..end], depth) {
                let end = value_end(text, value_at);
                spans.push((value_at, end));
                at = end + 1;
            }
        }
        spans.sort_unstable();
        spans
    }

    fn is_secret(&self, name: &str, has_state: impl FnOnce() -> bool) -> bool {
        let name = decode(name);
        let name = name.trim();
        let QueryRedaction { of_secrets, names } = self.rule;
        let is_named = |part: &str| {
            let same = |known: &str| known.eq_ignore_ascii_case(part);
            let any = |names: &[String]| names.iter().any(|known| same(known));
            any(names)
                || (*of_secrets && SECRETS.into_iter().any(same))
                || self.credentials.iter().any(|also| any(&also.arguments))
        };
        is_named(name)
            || (name.contains(PARTED) && name.split(PARTED).any(is_named))
            || (*of_secrets && name.eq_ignore_ascii_case("code") && has_state())
    }

    /// Whether a secret shows once the value is decoded: it may be a URL with a query of its own.
    fn is_nested(&self, value: &str, depth: usize) -> bool {
        if depth == MAX_NESTED || !value.contains('%') {
            return false;
        }
        let value = decode(value);
        let mut spans = self.spans(&value, 0, depth + 1).into_iter();
        // What was replaced before is none.
        spans.any(|(begin, end)| begin < end && &value[begin..end] != REDACTED)
    }
}

/// Whether one of these bytes, none of them 0, stands in the text. Looks at eight at a time: most texts are short, and each event has many.
fn has_any(text: &str, bytes: [u8; 3]) -> bool {
    let found = |eight: [u8; 8]| {
        let eight = u64::from_ne_bytes(eight);
        bytes.iter().fold(0, |found, &byte| found | zeros(eight ^ u64::from_ne_bytes([byte; 8]))) != 0
    };
    let (eights, rest) = text.as_bytes().as_chunks();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    eights.iter().any(|eight| found(*eight)) || found(last)
}

/// Not 0 if one of these eight bytes is 0.
fn zeros(eight: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGHEST: u64 = u64::from_ne_bytes([0x80; 8]);
    eight.wrapping_sub(ONES) & !eight & HIGHEST
}

/// What may stand between two arguments, or between a URL and what is around it in a header.
fn is_separator(c: char) -> bool {
    matches!(c, '&' | ';' | '?' | '#' | ' ' | '\t' | ',' | '<' | '>' | '"' | '\'')
}

/// Where the value at `begin` ends: at the next `&`, or where its URL ends in a header that writes URLs as `<…>`.
fn value_end(text: &str, begin: usize) -> usize {
    let is_link = text.starts_with('<');
    let ends = |c: char| c == '&' || (is_link && c == '>');
    text[begin..].find(ends).map_or(text.len(), |length| begin + length)
}

fn has_parameter(query: &str, wanted: &str) -> bool {
    query.split(is_separator).any(|argument| {
        let name = argument.split('=').next().unwrap_or_default();
        decode(name).trim().eq_ignore_ascii_case(wanted)
    })
}

/// What stands before the `@` of each URL.
fn user_infos(text: &str, spans: &mut Vec<Span>) {
    for (at, mark) in text.match_indices("://") {
        let begin = at + mark.len();
        let authority = &text[begin..];
        let end = authority.find(|c: char| "/?#\\<>\"".contains(c) || c.is_whitespace());
        if let Some(length) = authority[..end.unwrap_or(authority.len())].rfind('@') {
            spans.push((begin, begin + length));
        }
    }
}
