//! Percent-encoding, as a query has it.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use crate::facts::text_of;

/// Undoes percent-encoding and reads `+` as a space; an escape that is none stays as it is. Bytes that are not UTF-8 are read as Latin-1.
pub(crate) fn decode(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return Cow::Borrowed(text);
    }
    let bytes: Vec<u8> = text.bytes().map(|byte| if byte == b'+' { b' ' } else { byte }).collect();
    let decoded: Vec<u8> = percent_decode(&bytes).collect();
    Cow::Owned(text_of(&decoded).into_owned())
}
