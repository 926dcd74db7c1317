//! Bytes read as values, one after the other; what is missing at the end is zero or empty.

use event::facts::text_of;

pub(crate) struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *first
    }

    /// Odd bytes are yes: `1` is, `0` is not.
    pub(crate) fn yes(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub(crate) fn number(&mut self) -> u64 {
        let mut bytes = [0; 8];
        bytes.fill_with(|| self.byte());
        u64::from_le_bytes(bytes)
    }

    /// Up to the next line feed, which is left out. What is not UTF-8 is read as Latin-1.
    pub(crate) fn line(&mut self) -> String {
        let end = self.rest.iter().position(|byte| *byte == b'\n').unwrap_or(self.rest.len());
        let line = text_of(&self.rest[..end]).into_owned();
        self.rest = self.rest.get(end + 1..).unwrap_or_default();
        line
    }

    /// `name: value` lines up to one without a colon.
    pub(crate) fn pairs(&mut self) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        while !self.is_empty() {
            match self.line().split_once(": ") {
                Some((name, value)) => pairs.push((name.to_owned(), value.to_owned())),
                None => break,
            }
        }
        pairs
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }
}
