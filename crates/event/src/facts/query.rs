//! How much of a query the facts have.

use std::borrow::Cow;

/// What an event has of a request's query, in bytes.
pub const MAX_QUERY: usize = 16 * 1024;

/// A request target with a query of at most [`MAX_QUERY`] bytes, and whether something is missing: arguments go as a whole, the last first.
/// The path is never cut: it says what the event is about.
pub fn bounded(uri: Cow<'_, str>) -> (Cow<'_, str>, bool) {
    let Some(mark) = uri.find('?') else { return (uri, false) };
    let query = &uri.as_bytes()[mark + 1..];
    if query.len() <= MAX_QUERY {
        return (uri, false);
    }
    let end = query[..=MAX_QUERY].iter().rposition(|byte| *byte == b'&').map_or(mark, |end| mark + 1 + end);
    let kept = match uri {
        Cow::Borrowed(uri) => Cow::Borrowed(&uri[..end]),
        Cow::Owned(mut uri) => {
            uri.truncate(end);
            Cow::Owned(uri)
        }
    };
    (kept, true)
}
