//! What may be shown of a text that someone wrote into a file, a flag or a URL, when a message quotes it.

use std::borrow::Cow;

use super::QueryRedaction;
use crate::facts::REDACTED;

/// How the keys of well-known services begin; with so many characters more it is one.
const KEYS: [&str; 14] = [
    "whsec_",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "rk_test_",
    "ghp_",
    "gho_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "AKIA",
    "ASIA",
    "eyJ",
];
const REST_OF_KEY: usize = 8;
/// A word this long with capitals, small letters and digits in it is nothing that people give as a name.
const RANDOM: usize = 20;
/// As many hexadecimal digits in a row: a key or a digest. (An id has hyphens.)
const HEXADECIMAL: usize = 32;

/// The text with [`REDACTED`] in the place of what looks like a secret: keys such as `whsec_…`, long random words, the user info and the
/// secret parameters of URLs.
///
/// A guess, for messages: what a setting means as a secret is never quoted in the first place.
pub fn shown(text: &str) -> Cow<'_, str> {
    let mut out = String::with_capacity(text.len());
    for word in text.split_inclusive(|c: char| c.is_whitespace() || "\"'`<>".contains(c)) {
        out.push_str(&of_word(word));
    }
    if out == text { Cow::Borrowed(text) } else { Cow::Owned(out) }
}

fn of_word(word: &str) -> Cow<'_, str> {
    let word = match word.rsplit_once('@') {
        Some((info, host)) if info.contains(':') => {
            let scheme = info.find("://").map_or("", |at| &info[..at + 3]);
            Cow::Owned([scheme, REDACTED, "@", host].concat())
        }
        _ => Cow::Borrowed(word),
    };
    let word = match word.contains("://") || word.contains('?') {
        true => Cow::Owned(QueryRedaction::of_secrets().uri(&word).into_owned()),
        false => word,
    };
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-+/=.~".contains(c);
    let mut out = String::with_capacity(word.len());
    for run in word.split_inclusive(|c: char| !is_part(c)) {
        let part = run.trim_end_matches(|c: char| !is_part(c));
        out.push_str(if is_secret(part) { REDACTED } else { part });
        out.push_str(&run[part.len()..]);
    }
    if out == word { word } else { Cow::Owned(out) }
}

/// Whether a run of letters, digits and what base64 has besides is, or contains, what looks like a key.
fn is_secret(run: &str) -> bool {
    let has_key = |key: &&str| run.find(key).is_some_and(|at| run.len() - at >= key.len() + REST_OF_KEY);
    KEYS.iter().any(has_key) || run.split(['/', '.', '=']).any(is_random)
}

fn is_random(part: &str) -> bool {
    let count = |is: fn(&u8) -> bool| part.bytes().filter(is).count();
    let digits = count(u8::is_ascii_digit);
    let (capitals, small) = (count(u8::is_ascii_uppercase), count(u8::is_ascii_lowercase));
    let is_hexadecimal = part.len() >= HEXADECIMAL && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hexadecimal || (part.len() >= RANDOM && digits >= 2 && capitals >= 2 && small >= 2)
}
