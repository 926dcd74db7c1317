//! The places to which an answer sends its client: where the references in `Location`, `Content-Location`, `Link` and `Refresh` are, and which
//! authority they name.
//!
//! Nothing here allocates, and nothing is refused: a value that is not well-formed has the references that were found before its fault.

use std::ops::Range;

use http::header::{CONTENT_LOCATION, HeaderMap, HeaderName, LINK, LOCATION, REFRESH};

/// The most references of one `Link` that are looked at; the rest stays as it is.
pub const MAX_REFERENCES: usize = 64;

/// A header of an answer that has references.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Referring {
    /// RFC 9110, 10.2.2.
    Location,
    /// RFC 9110, 8.7.
    ContentLocation,
    /// RFC 8288.
    Link,
    /// As HTML's `http-equiv=refresh` has it: `5; url=/next`.
    Refresh,
}

impl Referring {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Location, Self::ContentLocation, Self::Link, Self::Refresh];

    /// The header of this name, if it is one of them.
    #[inline]
    pub fn of(name: &HeaderName) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.header() == *name)
    }

    /// Its name.
    #[inline]
    pub fn header(self) -> HeaderName {
        match self {
            Self::Location => LOCATION,
            Self::ContentLocation => CONTENT_LOCATION,
            Self::Link => LINK,
            Self::Refresh => REFRESH,
        }
    }

    /// Its name in lower case, as metrics have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Location => "location",
            Self::ContentLocation => "content-location",
            Self::Link => "link",
            Self::Refresh => "refresh",
        }
    }

    /// Where the references of a value are, in their order, as far as [`MAX_REFERENCES`].
    pub fn references(self, value: &[u8]) -> impl Iterator<Item = Range<usize>> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            let found = match self {
                Self::Link => next_link(value, at)?,
                // These have one.
                _ if at > 0 => return None,
                Self::Location | Self::ContentLocation => trimmed(value, 0..value.len()),
                Self::Refresh => refresh(value)?,
            };
            at = found.end + 1;
            Some(found)
        })
        .take(MAX_REFERENCES)
    }
}

/// Whether an answer with these headers has one of them.
#[inline]
pub fn are_in(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| Referring::of(name).is_some())
}

/// A reference that names an authority: `http://host:port/…`, or `//host:port/…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absolute<'r> {
    /// Without the colon, as it is written; `None` where the reference takes that of its base.
    pub scheme: Option<&'r [u8]>,
    /// Host, and `:port` if it is written; without user information.
    pub authority: &'r [u8],
    /// Path, query and fragment; empty, or it begins with `/`, `?` or `#`.
    pub rest: &'r [u8],
}

impl<'r> Absolute<'r> {
    /// Reads a reference (RFC 3986, 4.1); `None` if it names no authority.
    pub fn of(reference: &'r [u8]) -> Option<Self> {
        let (scheme, after) = match reference.strip_prefix(b"//") {
            Some(after) => (None, after),
            None => {
                let colon = reference.iter().position(|byte| !is_of_a_scheme(*byte))?;
                let after = reference[colon..].strip_prefix(b"://")?;
                let scheme = &reference[..colon];
                (Some(scheme).filter(|scheme| scheme.first().is_some_and(u8::is_ascii_alphabetic)), after)
            }
        };
        let end = after.iter().position(|byte| b"/?#\\".contains(byte)).unwrap_or(after.len());
        let (authority, rest) = after.split_at(end);
        let host = authority.iter().rposition(|byte| *byte == b'@').map_or(0, |at| at + 1);
        let authority = &authority[host..];
        (!authority.is_empty()).then_some(Self { scheme, authority, rest })
    }
}

fn is_of_a_scheme(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)
}

/// What is left of a part of a value without the white space around it.
fn trimmed(value: &[u8], range: Range<usize>) -> Range<usize> {
    let part = &value[range.clone()];
    let start = range.start + (part.len() - part.trim_ascii_start().len());
    start..start + part.trim_ascii().len()
}

/// The next `<…>` from `at` on that is in no quotes.
fn next_link(value: &[u8], mut at: usize) -> Option<Range<usize>> {
    let mut is_quoted = false;
    loop {
        match *value.get(at)? {
            b'"' => is_quoted = !is_quoted,
            b'\\' if is_quoted => at += 1,
            b'<' if !is_quoted => {
                let length = value[at + 1..].iter().position(|byte| *byte == b'>')?;
                return Some(trimmed(value, at + 1..at + 1 + length));
            }
            _ => {}
        }
        at += 1;
    }
}

/// What follows the time: `5; url=…`, `5, '…'`, or without `url=`.
fn refresh(value: &[u8]) -> Option<Range<usize>> {
    let separator = value.iter().position(|byte| b";,".contains(byte))?;
    let mut range = trimmed(value, separator + 1..value.len());
    let text = &value[range.clone()];
    if text.len() >= 3 && text[..3].eq_ignore_ascii_case(b"url") {
        let equals = trimmed(value, range.start + 3..range.end);
        if value.get(equals.start) == Some(&b'=') {
            range = trimmed(value, equals.start + 1..range.end);
        }
    }
    let quote = value.get(range.start).copied().filter(|byte| b"\"'".contains(byte));
    if let Some(quote) = quote {
        let start = range.start + 1;
        let length = value[start..range.end].iter().position(|byte| *byte == quote);
        range = start..length.map_or(range.end, |length| start + length);
    }
    (!range.is_empty()).then_some(range)
}

#[cfg(test)]
mod tests;
