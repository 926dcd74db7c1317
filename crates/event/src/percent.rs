//! Percent-encoding, as a query has it.

use std::borrow::Cow;

use crate::facts::text_of;

/// Undoes percent-encoding and reads `+` as a space; an escape that is none stays as it is. Bytes that are not UTF-8 are read as Latin-1.
pub(crate) fn decode(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let escaped = if first == b'%' { hex_pair(behind) } else { None };
        bytes.push(escaped.unwrap_or(if first == b'+' { b' ' } else { first }));
        rest = if escaped.is_some() { &behind[2..] } else { behind };
    }
    Cow::Owned(text_of(&bytes).into_owned())
}

fn hex_pair(text: &[u8]) -> Option<u8> {
    let digit = |index: usize| text.get(index).and_then(|&byte| char::from(byte).to_digit(16));
    Some((digit(0)? * 16 + digit(1)?) as u8)
}
