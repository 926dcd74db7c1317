//! One spelling for each path, so that a path spelt with `%70`, `//` or `/./` still matches its route and its rules.

use std::borrow::Cow;

use percent_encoding::percent_encode_byte;

/// Kong's normal form of a request path: unreserved characters decoded, `%xx` in upper case, slashes merged, dot segments removed.
///
/// A `%` that begins no escape becomes `%25`: left alone, it could begin one after decoding. Borrows when nothing changes.
pub fn normalise(path: &str) -> Cow<'_, str> {
    if is_normal(path.as_bytes()) {
        return Cow::Borrowed(path);
    }
    let decoded = normal_escapes(path);
    let mut normal = String::with_capacity(decoded.len());
    let (absolute, rest) = match decoded.strip_prefix('/') {
        Some(rest) => (true, rest),
        None => (false, &*decoded),
    };
    let mut ends_open = false;
    for segment in rest.split('/') {
        ends_open = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => normal.truncate(normal.rfind('/').unwrap_or(0)),
            _ => {
                if absolute || !normal.is_empty() {
                    normal.push('/');
                }
                normal.push_str(segment);
            }
        }
    }
    if ends_open && (absolute || !normal.is_empty()) {
        normal.push('/');
    }
    Cow::Owned(normal)
}

/// Whether the path is surely in normal form already: no escape, no `//`, no segment that begins with a dot.
fn is_normal(path: &[u8]) -> bool {
    let mut before = b'/';
    // The first slash of a path is not a double one.
    for &byte in path.strip_prefix(b"/").unwrap_or(path) {
        if byte == b'%' || (before == b'/' && (byte == b'/' || byte == b'.')) {
            return false;
        }
        before = byte;
    }
    true
}

/// The path with each escape in normal form: what needs none is decoded, every other one is in upper case, and a `%` that begins none is `%25`.
/// Dot segments and slashes stay as they are.
pub fn normal_escapes(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        decoded.push_str(&rest[..at]);
        let escape = rest.as_bytes().get(at + 1..at + 3);
        let mut byte = [0];
        if escape.is_none_or(|digits| hex::decode_to_slice(digits, &mut byte).is_err()) {
            decoded.push_str("%25");
            rest = &rest[at + 1..];
            continue;
        }
        if is_unreserved(byte[0]) {
            decoded.push(char::from(byte[0]));
        } else {
            decoded.push_str(percent_encode_byte(byte[0]));
        }
        rest = &rest[at + 3..];
    }
    decoded.push_str(rest);
    Cow::Owned(decoded)
}

/// RFC 3986's unreserved characters.
pub(crate) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests;
