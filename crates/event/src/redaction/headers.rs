//! Headers whose values are secrets, by the words of their names.

use http::header::HeaderName;

/// A header with one of these words between the hyphens of its name carries a secret, as a rule.
const WORDS: [&str; 9] =
    ["authorization", "auth", "token", "secret", "password", "apikey", "cookie", "cookies", "cookie2"];
/// What a gateway says of the consumer that it recognised: no secrets, whatever words follow.
const OPEN_PREFIXES: [&str; 2] = ["x-consumer-", "x-authenticated-"];
/// The name of the credential, not the credential.
const OPEN: &str = "x-credential-identifier";

/// Which headers' values are kept out of events. The default keeps out none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderRedaction {
    by_words: bool,
    names: Vec<HeaderName>,
    open: Vec<HeaderName>,
}

impl HeaderRedaction {
    /// By the words of their names: `authorization`, `auth`, `token`, `secret`, `password`, `apikey`, `api-key` and cookies; never
    /// `x-consumer-*`, `x-authenticated-*` and `x-credential-identifier`.
    pub fn of_secrets() -> Self {
        Self { by_words: true, ..Self::default() }
    }

    /// Adds a header by its whole name.
    pub fn add(&mut self, name: HeaderName) {
        self.names.push(name);
    }

    /// Whether the header was added by its name.
    pub fn names(&self, name: &HeaderName) -> bool {
        self.names.contains(name)
    }

    /// Lets the value of a header be seen that is covered only because of the words of its name.
    pub fn open(&mut self, name: HeaderName) {
        self.open.push(name);
    }

    /// Whether the header's value is kept out.
    pub fn covers(&self, name: &HeaderName) -> bool {
        self.names.contains(name) || (self.by_words && is_secret(name.as_str()) && !self.open.contains(name))
    }
}

fn is_secret(name: &str) -> bool {
    let is_open = name == OPEN || OPEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    !is_open && names_a_secret(name)
}

/// Whether one of [`WORDS`] begins like this; nearly all others need no closer look.
fn begins_like_one(word: &str) -> bool {
    matches!(word.as_bytes().first(), Some(b'a' | b'c' | b'p' | b's' | b't'))
}

/// Whether a name in lower case has a word for a secret in it. Words end at underscores, too, which many servers take for hyphens.
pub fn names_a_secret(name: &str) -> bool {
    let mut before = "";
    name.split(['-', '_']).any(|word| {
        let is_key = before == "api" && word == "key";
        before = word;
        is_key || (begins_like_one(word) && WORDS.contains(&word))
    })
}
