//! Queries with `"`, `<` and `>`: browsers, curl and scanners send them as they are, nginx takes them, and the `http` crate does not.
//!
//! hyper has no hook for it. So each of these characters is replaced by a `!` before hyper sees it, and its place is given to whoever answers the
//! request. To know where a request line begins, a [`Reader`] follows the framing of what comes. It asks hyper for what it cannot know, the
//! length of a body. Where it loses its place it changes nothing any more, and hyper refuses such a query, as it would without it. Bodies are
//! never changed.

use std::cell::RefCell;

use memchr::{memchr, memchr3};

mod chunks;

use chunks::Chunks;

/// What stands in the place of a character that hyper does not take.
const PLACEHOLDER: u8 = b'!';

/// The characters of a query that were replaced by `!`, with their places: bytes from the query's first one, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OddCharacters(Vec<(usize, u8)>);

impl OddCharacters {
    /// The query with these characters, percent-encoded.
    pub fn escaped(&self, query: &str) -> String {
        let mut escaped = String::with_capacity(query.len() + 2 * self.0.len());
        let mut from = 0;
        for &(place, byte) in &self.0 {
            escaped.push_str(query.get(from..place).unwrap_or_default());
            escaped.push_str(escape(byte));
            from = place + 1;
        }
        escaped.push_str(query.get(from..).unwrap_or_default());
        escaped
    }

    /// The query with a `!` in each place, from what [`OddCharacters::escaped`] returned.
    pub fn unescaped(&self, escaped: &str) -> String {
        let mut query = String::with_capacity(escaped.len());
        let mut from = 0;
        for (count, &(place, byte)) in self.0.iter().enumerate() {
            let place = place + count * (escape(byte).len() - 1);
            query.push_str(escaped.get(from..place).unwrap_or_default());
            query.push(char::from(PLACEHOLDER));
            from = place + escape(byte).len();
        }
        query.push_str(escaped.get(from..).unwrap_or_default());
        query
    }

    /// Puts the characters back into bytes that begin with a query with a `!` in each place.
    pub fn restore(&self, query: &mut [u8]) {
        for &(place, byte) in &self.0 {
            if let Some(at) = query.get_mut(place) {
                *at = byte;
            }
        }
    }
}

fn escape(byte: u8) -> &'static str {
    match byte {
        b'"' => "%22",
        b'<' => "%3C",
        _ => "%3E",
    }
}

/// Follows what comes on one connection. Public for its fuzz target.
#[derive(Debug, Default)]
pub struct Reader(RefCell<State>);

#[derive(Debug, Default)]
struct State {
    at: At,
    /// Of the request line that has come.
    odd: OddCharacters,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// The first byte of a request, or an empty line before it.
    #[default]
    Begin,
    /// More of a request line.
    Line(Word),
    /// More of a head.
    Head(Ending),
    /// A head is whole, and hyper has not said what its body is. So many bytes came after it; what they are if they are chunks.
    Ended { more: usize, chunks: Chunks },
    /// So many bytes of a body.
    Body(u64),
    /// A body in chunks.
    Chunks(Chunks),
    /// It is not known.
    Lost,
}

/// The part of a request line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Method,
    /// The target before its query.
    Path,
    /// So many bytes of the query have come.
    Query(usize),
    Rest,
}

/// What of the end of a head has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Nothing,
    LineFeed,
    /// A line feed and a carriage return.
    Return,
}

impl Reader {
    /// These bytes came. Replaces what hyper would not take.
    pub fn came(&self, bytes: &mut [u8]) {
        self.0.borrow_mut().came(bytes);
    }

    /// hyper has read a head, whose body has this length if it is known. Returns what was replaced in its query.
    pub fn head_read(&self, length: Option<u64>) -> Option<Box<OddCharacters>> {
        let mut state = self.0.borrow_mut();
        let State { at, odd } = &mut *state;
        *at = match (*at, length) {
            (At::Ended { more, .. }, Some(length)) => match length.checked_sub(more as u64) {
                Some(0) => At::Begin,
                Some(left) => At::Body(left),
                // The next request came with this one.
                None => At::Lost,
            },
            (At::Ended { chunks: Chunks::Over, .. }, None) => At::Begin,
            (At::Ended { chunks, .. }, None) if chunks != Chunks::Broken => At::Chunks(chunks),
            _ => At::Lost,
        };
        (!odd.0.is_empty()).then(|| Box::new(std::mem::take(odd)))
    }
}

impl State {
    fn came(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let taken = match self.at {
                At::Begin => {
                    let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
                    if blank < bytes.len() {
                        self.at = At::Line(Word::Method);
                    }
                    blank
                }
                At::Line(word) => self.line(bytes, word),
                At::Head(ending) => self.head(bytes, ending),
                At::Body(left) => {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    self.at = if left == taken as u64 { At::Begin } else { At::Body(left - taken as u64) };
                    taken
                }
                At::Chunks(mut chunks) => {
                    let taken = chunks.came(bytes);
                    self.at = match chunks {
                        Chunks::Over => At::Begin,
                        Chunks::Broken => At::Lost,
                        _ => At::Chunks(chunks),
                    };
                    taken
                }
                // hyper says what a body is before it asks for more.
                At::Ended { .. } | At::Lost => {
                    self.at = At::Lost;
                    return;
                }
            };
            bytes = &mut bytes[taken..];
        }
    }

    /// More of a request line. Returns how many bytes are.
    fn line(&mut self, bytes: &mut [u8], word: Word) -> usize {
        let end = memchr(b'\n', bytes);
        let length = bytes.len();
        let line = &mut bytes[..end.unwrap_or(length)];
        let is_plain = end.is_some() && memchr3(b'"', b'<', b'>', line).is_none();
        let word = if is_plain { word } else { self.replace(line, word) };
        self.at = if end.is_some() { At::Head(Ending::LineFeed) } else { At::Line(word) };
        end.map_or(length, |end| end + 1)
    }

    /// Replaces what of a query hyper does not take. Returns what comes next.
    #[cold]
    fn replace(&mut self, line: &mut [u8], mut word: Word) -> Word {
        for byte in line {
            word = match (word, *byte) {
                (Word::Method, b' ') => Word::Path,
                (Word::Path, b'?') => Word::Query(0),
                // What follows is not part of the request.
                (Word::Path | Word::Query(_), b' ' | b'#') => Word::Rest,
                (Word::Query(place), odd @ (b'"' | b'<' | b'>')) => {
                    self.odd.0.push((place, odd));
                    *byte = PLACEHOLDER;
                    Word::Query(place + 1)
                }
                (Word::Query(place), _) => Word::Query(place + 1),
                (word, _) => word,
            };
        }
        word
    }

    /// More of a head after its first line. Returns how many bytes are.
    fn head(&mut self, bytes: &[u8], mut ending: Ending) -> usize {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            ending = match (ending, byte) {
                (Ending::LineFeed | Ending::Return, b'\n') => {
                    let rest = &bytes[at..];
                    let mut chunks = Chunks::default();
                    if chunks.came(rest) < rest.len() {
                        // The next request came with this one.
                        chunks = Chunks::Broken;
                    }
                    self.at = At::Ended { more: rest.len(), chunks };
                    return bytes.len();
                }
                (Ending::LineFeed, b'\r') => Ending::Return,
                (_, b'\n') => Ending::LineFeed,
                _ => {
                    at = memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |feed| at + feed);
                    Ending::Nothing
                }
            };
        }
        self.at = At::Head(ending);
        bytes.len()
    }
}

#[cfg(test)]
mod tests;
