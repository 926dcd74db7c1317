//! Media types, as a `Content-Type` header has them: `application/json; charset=utf-8`.

use crate::field::Flaw;

/// The longest one, in bytes.
pub const MAX: usize = 256;

/// The rule for a media type: type, subtype and parameters as RFC 9110 writes them.
///
/// # Errors
/// If the text does not keep it, or is longer than [`MAX`].
pub fn check(text: &str) -> Result<(), Flaw> {
    let hint = "write it like application/json, or text/plain; charset=utf-8";
    if text.len() > MAX {
        return Err(Flaw::invalid(format!("a media type has at most {MAX} bytes, not {}", text.len()), hint));
    }
    match is_media_type(text) {
        true => Ok(()),
        false => Err(Flaw::invalid("it is not a media type: a type, `/`, a subtype, and parameters", hint)),
    }
}

fn is_media_type(text: &str) -> bool {
    let blank = [' ', '\t'];
    let (essence, mut rest) = text.split_at(text.find([';', ' ', '\t']).unwrap_or(text.len()));
    if !essence.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype)) {
        return false;
    }
    while !rest.is_empty() {
        let Some(parameter) = rest.trim_start_matches(blank).strip_prefix(';') else { return false };
        let Some((name, after)) = parameter.trim_start_matches(blank).split_once('=') else { return false };
        let Some(length) = value_length(after) else { return false };
        if !is_token(name) {
            return false;
        }
        rest = &after[length..];
    }
    true
}

/// How many bytes a parameter's value has, which is a token or in quotes; `None` if there is none.
fn value_length(text: &str) -> Option<usize> {
    let Some(quoted) = text.strip_prefix('"') else {
        let length = text.find(|c| !is_token_char(c)).unwrap_or(text.len());
        return (length > 0).then_some(length);
    };
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some(at + 2),
            '\\' => drop(chars.next().filter(|(_, c)| is_printable(*c))?),
            c if is_printable(c) => {}
            _ => return None,
        }
    }
    None
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_token_char)
}

fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// What may be within quotes. RFC 9110 also allows bytes that are not ASCII, which receivers read in different ways.
fn is_printable(c: char) -> bool {
    c == '\t' || (' '..='~').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_the_header_may_have_and_nothing_else() {
        for good in [
            "application/json",
            "text/plain; charset=UTF-8",
            "application/cloudevents+json;charset=utf-8",
            "application/vnd.a.b-c+xml ; a=b\t;c=\"d; \\\" e\"",
            "a/b",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "json",
            "/json",
            "application/",
            "application/json/x",
            "application json",
            " application/json",
            "application/json ",
            "application/json;",
            "application/json; charset",
            "application/json; charset=",
            "application/json; =utf-8",
            "application/json; a=\"b",
            "application/json; a=\"b\"c",
            "application/json; a=\"\u{7f}\"",
            "application/json\r\nx-evil: 1",
            "application/json; a=\"\n\"",
            "text/plän",
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn has_a_limit() {
        let text = |length: usize| format!("a/{}", "b".repeat(length - 2));
        assert_eq!(check(&text(MAX)), Ok(()));
        let flaw = check(&text(MAX + 1)).unwrap_err();
        assert_eq!(flaw.message, "a media type has at most 256 bytes, not 257");
    }
}
