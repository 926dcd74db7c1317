//! Parses the answers of endpoints: no I/O, and every step has a limit.
//!
//! An answer is that of a POST on a connection with one request at a time. Its status line must be HTTP/1; only that line decides about the
//! delivery. The rest is read as RFC 9112 says if possible, and leniently otherwise: folded lines, spaces before a colon, lines without one,
//! lengths that contradict each other, any number of lines. If it does not follow the standard, the connection is closed, but the answer counts.
//! If the end of a body is unclear, nobody waits for it.

use bytes::{Buf as _, BytesMut};

use super::MAX_HEAD;

/// The longest `Retry-After` that is passed on, in bytes.
const MAX_RETRY_AFTER: usize = 64;
/// The longest line of a chunked body (its size, or a trailer), in bytes.
const MAX_LINE: usize = 4 << 10;
/// The most trailer lines of a chunked body.
const MAX_TRAILERS: usize = 64;
/// What every answer begins with, except for empty lines.
const BEGINS: &[u8] = b"HTTP/1.";

/// The parts of a head that matter.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    /// 100 to 999.
    pub status: u16,
    /// `Retry-After` as it came, if it is a short text.
    pub retry_after: Option<String>,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether another request may follow on the connection.
    pub keep: bool,
}

/// What the bytes so far begin with.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// An incomplete head.
    Partial,
    /// A 1xx answer of so many bytes; the real one follows.
    Interim(usize),
    /// The answer's head, of so many bytes.
    Final(Head, usize),
}

/// Why bytes are not an answer: a text for people, without any of the bytes.
pub type Invalid = &'static str;

/// Reads a head.
///
/// # Errors
/// If this is not an answer, and will never become one.
pub fn head(bytes: &[u8]) -> Result<Parsed, Invalid> {
    let mut lines = Lines { rest: bytes };
    let first = loop {
        match lines.next() {
            // Some servers send an empty line after the body of the previous answer.
            Some([]) => {}
            Some(line) => break line,
            None if may_begin(lines.rest) => return partial(bytes),
            None => return Err("it does not begin with HTTP/1"),
        }
    };
    let (is_exact, status) = status_line(first)?;
    let mut fields = Fields::default();
    loop {
        match lines.next() {
            Some([]) => break,
            Some(line) => fields.read(line),
            None => return partial(bytes),
        }
    }
    let length = bytes.len() - lines.rest.len();
    if length > MAX_HEAD {
        return Err(TOO_LARGE);
    }
    if matches!(status, 100 | 102..=199) {
        return Ok(Parsed::Interim(length));
    }
    Ok(Parsed::Final(fields.head(status, is_exact), length))
}

const TOO_LARGE: Invalid = "its head is larger than 64 KiB";

/// More has to come, if the limit allows it.
fn partial(bytes: &[u8]) -> Result<Parsed, Invalid> {
    if bytes.len() < MAX_HEAD { Ok(Parsed::Partial) } else { Err(TOO_LARGE) }
}

/// Whether an incomplete line may become a status line.
fn may_begin(line: &[u8]) -> bool {
    let known = line.len().min(BEGINS.len());
    line[..known] == BEGINS[..known] || line == b"\r"
}

/// Whole lines without their ends: a line feed, with or without a carriage return before it.
struct Lines<'b> {
    rest: &'b [u8],
}

impl<'b> Iterator for Lines<'b> {
    type Item = &'b [u8];

    fn next(&mut self) -> Option<&'b [u8]> {
        let end = self.rest.iter().position(|byte| *byte == b'\n')?;
        let (line, rest) = (&self.rest[..end], &self.rest[end + 1..]);
        self.rest = rest;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

/// Whether it follows the standard of HTTP/1.1, and the status. The reason phrase may be missing, or be anything.
fn status_line(line: &[u8]) -> Result<(bool, u16), Invalid> {
    let rest = line.strip_prefix(BEGINS).ok_or("it does not begin with HTTP/1")?;
    let [minor @ b'0'..=b'9', space @ (b' ' | b'\t'), rest @ ..] = rest else {
        return Err("its first line is not HTTP/1");
    };
    let is_exact = *minor == b'1' && *space == b' ' && rest.first().is_some_and(u8::is_ascii_digit);
    match trimmed(rest) {
        [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..]
            if rest.first().is_none_or(u8::is_ascii_whitespace) =>
        {
            let digit = |byte: &u8| u16::from(byte - b'0');
            Ok((is_exact, digit(a) * 100 + digit(b) * 10 + digit(c)))
        }
        _ => Err("its first line has no status"),
    }
}

/// Without the spaces and tabs around it.
fn trimmed(text: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let begin = text.iter().position(|byte| !is_space(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_space(byte)).map_or(begin, |last| last + 1);
    &text[begin..end]
}

/// The header lines so far.
#[derive(Default)]
struct Fields {
    length: Option<u64>,
    /// Whether there is a `Transfer-Encoding`, and its last coding is `chunked`.
    coded: Option<bool>,
    close: bool,
    retry_after: Option<String>,
    /// Whether something does not follow the standard.
    odd: bool,
    /// Whether the end of the body is unclear.
    unclear: bool,
    /// Whether the previous line says where the body ends.
    framing_line: bool,
}

impl Fields {
    fn read(&mut self, line: &[u8]) {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            // This line continues the previous one. The headers that matter are never that long.
            self.odd = true;
            self.unclear |= self.framing_line;
            return;
        }
        self.framing_line = false;
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            self.odd = true;
            return;
        };
        let (written, value) = (&line[..colon], trimmed(&line[colon + 1..]));
        let name = written.trim_ascii_end();
        let is_token = |byte: &u8| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
        };
        let is_text = |byte: &u8| *byte == b'\t' || !byte.is_ascii_control();
        self.odd |= name.len() != written.len()
            || name.is_empty()
            || !name.iter().all(is_token)
            || !value.iter().all(is_text);
        self.field(name, value);
    }

    fn field(&mut self, name: &[u8], value: &[u8]) {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("content-length") {
            self.framing_line = true;
            match length(value) {
                Some(length) => {
                    self.unclear |= self.length.replace(length).is_some_and(|before| before != length)
                }
                None => self.unclear = true,
            }
        } else if is("transfer-encoding") {
            self.framing_line = true;
            self.coded = Some(tokens(value).last().is_some_and(|last| last.eq_ignore_ascii_case(b"chunked")));
        } else if is("connection") {
            self.close |= tokens(value).any(|token| token.eq_ignore_ascii_case(b"close"));
        } else if is("retry-after") && self.retry_after.is_none() && value.len() <= MAX_RETRY_AFTER {
            self.retry_after =
                std::str::from_utf8(value).ok().filter(|text| text.is_ascii()).map(str::to_owned);
        }
    }

    fn head(self, status: u16, is_exact: bool) -> Head {
        let framing = match (status, self.coded, self.length) {
            (204 | 304, ..) => Framing::Length(0),
            _ if self.unclear => Framing::Unclear,
            (_, Some(true), _) => Framing::Chunked(Chunk::Size),
            (_, None, Some(length)) => Framing::Length(length),
            (_, Some(false), _) | (_, None, None) => Framing::UntilClose,
        };
        // Two framings at once are a way to smuggle answers: nothing else is read from such a connection.
        let one_framing = !self.unclear && (self.coded.is_none() || self.length.is_none());
        // The same holds for a body where there must be none: it may come nevertheless.
        let no_false_body =
            !matches!(status, 204 | 304) || self.coded.is_none() && self.length.is_none_or(|n| n == 0);
        let keep = is_exact
            && !self.close
            && !self.odd
            && one_framing
            && no_false_body
            && status != 101
            && framing != Framing::UntilClose;
        Head { status, retry_after: self.retry_after, framing, keep }
    }
}

/// Only digits, as in RFC 9110; several values if they are equal.
fn length(value: &[u8]) -> Option<u64> {
    let mut numbers = tokens(value).map(|digits| {
        let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        is_number.then(|| std::str::from_utf8(digits).ok()?.parse::<u64>().ok()).flatten()
    });
    let first = numbers.next()??;
    numbers.all(|number| number == Some(first)).then_some(first)
}

fn tokens(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// Where a body ends, and how much of it is still to come.
#[derive(Debug, PartialEq, Eq)]
pub enum Framing {
    /// After so many bytes.
    Length(u64),
    /// After the chunk of size 0 and its trailer.
    Chunked(Chunk),
    /// Where the connection ends.
    UntilClose,
    /// Unknown: the bytes so far are taken, and nobody waits for more.
    Unclear,
}

/// What comes next in a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// A line with a size.
    Size,
    /// So many bytes.
    Data(u64),
    /// The line's end after the data.
    DataEnd,
    /// A line of the trailer; the number of those before it.
    Trailer(usize),
    /// Nothing.
    End,
}

impl Framing {
    /// Whether all of the body has been taken.
    pub fn has_ended(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::End))
    }

    /// Takes as much of the body as possible from `bytes` and passes the content to `content`, piece by piece. What it leaves is incomplete, or
    /// comes after the body.
    ///
    /// # Errors
    /// If a chunk makes no sense: where the body ends is unknown.
    pub fn take(&mut self, bytes: &mut BytesMut, mut content: impl FnMut(&[u8])) -> Result<(), Invalid> {
        match self {
            Self::Length(left) => *left -= take_data(bytes, *left, &mut content),
            Self::UntilClose => drop(take_data(bytes, u64::MAX, &mut content)),
            Self::Unclear => {
                take_data(bytes, u64::MAX, &mut content);
                *self = Self::Length(0);
            }
            Self::Chunked(chunk) => {
                while let Some(next) = chunk.step(bytes, &mut content)? {
                    *chunk = next;
                }
            }
        }
        Ok(())
    }
}

impl Chunk {
    /// `None` if more bytes are needed, or if the body has ended.
    fn step(self, bytes: &mut BytesMut, content: &mut impl FnMut(&[u8])) -> Result<Option<Self>, Invalid> {
        if let Self::Data(left) = self {
            let left = left - take_data(bytes, left, content);
            let next = if left == 0 { Self::DataEnd } else { Self::Data(left) };
            return Ok((next != self).then_some(next));
        }
        if self == Self::End {
            return Ok(None);
        }
        if self == Self::DataEnd && bytes.first().is_some_and(|byte| *byte != b'\r') {
            return Err("a chunk is longer than it says");
        }
        let Some(line) = take_line(bytes)? else { return Ok(None) };
        let next = match self {
            Self::Size => match size(&line)? {
                0 => Self::Trailer(0),
                size => Self::Data(size),
            },
            Self::DataEnd if line.is_empty() => Self::Size,
            Self::DataEnd => return Err("a chunk has a wrong end"),
            Self::Trailer(_) if line.is_empty() => Self::End,
            Self::Trailer(MAX_TRAILERS) => return Err("its trailer is too long"),
            Self::Trailer(before) => Self::Trailer(before + 1),
            Self::Data(_) | Self::End => return Ok(None),
        };
        Ok(Some(next))
    }
}

/// How many bytes were taken, at most `limit`.
fn take_data(bytes: &mut BytesMut, limit: u64, content: &mut impl FnMut(&[u8])) -> u64 {
    let taken = bytes.len().min(usize::try_from(limit).unwrap_or(usize::MAX));
    content(&bytes[..taken]);
    bytes.advance(taken);
    taken as u64
}

/// A complete line without its end.
fn take_line(bytes: &mut BytesMut) -> Result<Option<BytesMut>, Invalid> {
    let searched = &bytes[..bytes.len().min(MAX_LINE)];
    let Some(end) = searched.iter().position(|byte| *byte == b'\n') else {
        return if bytes.len() < MAX_LINE { Ok(None) } else { Err("a line of its body is too long") };
    };
    let mut line = bytes.split_to(end + 1);
    line.truncate(end);
    if line.last() != Some(&b'\r') {
        return Err("a line of its body has a wrong end");
    }
    line.truncate(end - 1);
    Ok(Some(line))
}

/// The size of a chunk; anything after a `;` is ignored.
fn size(line: &[u8]) -> Result<u64, Invalid> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
    if digits.is_empty() || digits.len() > 15 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err("a chunk has no size");
    }
    let text = std::str::from_utf8(digits).unwrap_or_default();
    u64::from_str_radix(text, 16).map_err(|_| "a chunk has no size")
}

#[cfg(test)]
mod tests;
