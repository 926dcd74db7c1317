//! Headers whose values are secrets, by the words of their names.

use http::header::HeaderName;

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
        let by_words = self.by_words && names_a_secret(name.as_str());
        self.names.contains(name) || (by_words && !is_open(name.as_str()) && !self.open.contains(name))
    }
}

fn is_open(name: &str) -> bool {
    name == OPEN || OPEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// A header with one of these words between the hyphens of its name carries a secret, as a rule. By their lengths, because each event asks
/// this of every word of every header.
fn is_secret_word(word: &[u8]) -> bool {
    match word.len() {
        4 => word == b"auth",
        5 => word == b"token",
        6 => matches!(word, b"secret" | b"apikey" | b"cookie"),
        7 => matches!(word, b"cookies" | b"cookie2"),
        8 => word == b"password",
        13 => word == b"authorization",
        _ => false,
    }
}

/// Whether a name in lower case has a word for a secret in it. Words end at underscores, too, which many servers take for hyphens.
pub fn names_a_secret(name: &str) -> bool {
    let mut before = &b""[..];
    // Each event asks this of every letter of every header: most are above all that ends a word.
    let mut words = name.as_bytes().split(|&byte| byte < b'a' && matches!(byte, b'-' | b'_'));
    words.any(|word| {
        let is_secret = is_secret_word(word) || (word == b"key" && before == b"api");
        before = word;
        is_secret
    })
}
