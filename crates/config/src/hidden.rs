//! The secrets of files, so that no message shows one: the values of keys that name a secret, and the secret parts of URLs.
//!
//! Messages quote names and values. To the rule that refuses it, a secret in a wrong place is a value like any other. So every message is
//! searched for secrets at the end.

use std::collections::HashMap;

use event::facts::REDACTED;
use event::redaction::{self, QueryRedaction};

use crate::tree::{Kind, Node, Source};

/// The shortest secret that is looked for, in bytes: a shorter text may be in a message by chance.
const SHORTEST: usize = 6;

/// The secrets of all files, by their first bytes.
pub(crate) struct Hidden<'s>(HashMap<&'s [u8], Vec<&'s str>>);

impl<'s> Hidden<'s> {
    pub(crate) fn of(sources: &'s [Source]) -> Self {
        let mut hidden = Self(HashMap::new());
        let query = QueryRedaction::of_secrets();
        sources.iter().for_each(|source| hidden.gather(&source.root, Held::Open, &query));
        hidden.0.values_mut().for_each(|secrets| {
            // The longest first: one may be the beginning of another.
            secrets.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
            secrets.dedup();
        });
        hidden
    }

    fn gather(&mut self, node: &'s Node, held: Held, query: &QueryRedaction) {
        match &node.kind {
            Kind::Text(text) | Kind::Number(_, text) if held == Held::Secret => self.add(text),
            Kind::Text(text) => query.secrets(text).into_iter().for_each(|secret| self.add(secret)),
            Kind::List(items) => items.iter().for_each(|item| self.gather(item, held, query)),
            Kind::Map(entries) => {
                for entry in entries {
                    self.gather(&entry.value, held.under(&entry.key), query);
                }
            }
            Kind::Null | Kind::Bool(_) | Kind::Number(..) => {}
        }
    }

    fn add(&mut self, secret: &'s str) {
        // A reference to a secret is not a secret.
        if let Some(begin) = secret.as_bytes().get(..SHORTEST)
            && !secret.starts_with("{vault:")
        {
            self.0.entry(begin).or_default().push(secret);
        }
    }

    /// The text without any secret of the files, and without anything that looks like one.
    pub(crate) fn shown(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let known = rest.as_bytes().get(..SHORTEST).and_then(|begin| self.0.get(begin));
            let secret = known.into_iter().flatten().find(|secret| rest.starts_with(**secret));
            let taken = match secret {
                Some(secret) => {
                    out.push_str(REDACTED);
                    secret.len()
                }
                None => {
                    out.push(first);
                    first.len_utf8()
                }
            };
            rest = &rest[taken..];
        }
        redaction::shown(&out).into_owned()
    }
}

/// What the keys above a value say about it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    /// Not a secret, as far as keys say.
    Open,
    /// A credential: its `key` is a secret; elsewhere `key` is a word like any other.
    Credential,
    /// A secret.
    Secret,
}

impl Held {
    /// What that means for the value of a key in it.
    fn under(self, key: &str) -> Self {
        match (self, key) {
            (Self::Secret, _) | (Self::Credential, "key") => Self::Secret,
            _ if names_a_secret(key) => Self::Secret,
            (_, "keyauth_credentials") => Self::Credential,
            _ => Self::Open,
        }
    }
}

/// Whether a key names a secret, however its words are joined: `api_key`, `apiKey`, `API-KEY`, `secrets`.
pub(crate) fn names_a_secret(key: &str) -> bool {
    let mut name = String::with_capacity(key.len() + 4);
    let mut before = '_';
    for c in key.chars() {
        if before.is_lowercase() && c.is_uppercase() {
            name.push('_');
        }
        name.extend(c.to_lowercase());
        before = c;
    }
    let singular = name.split(['_', '-']).map(|word| word.strip_suffix('s').unwrap_or(word));
    redaction::names_a_secret(&name) || redaction::names_a_secret(&singular.collect::<Vec<_>>().join("_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_name_secrets_in_every_style() {
        for key in [
            "secret",
            "secrets",
            "password",
            "Passwords",
            "token",
            "access_token",
            "apiKey",
            "api-keys",
            "clientSecret",
            "X-Auth",
            "PASSWORD",
        ] {
            assert!(names_a_secret(key), "{key}");
        }
        for key in ["key", "key_names", "name", "endpoint", "author", "format", "secretary", "topic", ""] {
            assert!(!names_a_secret(key), "{key}");
        }
    }
}
