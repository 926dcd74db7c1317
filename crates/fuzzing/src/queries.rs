//! Queries with characters that hyper does not take: only these are replaced, and never anything of a body.
//!
//! Read as: a byte, the size of the pieces in which the rest comes, which are requests. They are read as hyper does it: heads by `httparse`, bodies by
//! the length or the chunks that a head says. What must hold: every byte that the reader changed is a `"`, `<` or `>` in the query of a request line; what
//! it says of a head puts the query back as it was; and after a request that came by itself, it knows its place.

use http::uri::PathAndQuery;
use listener::connection::{OddCharacters, Reader};

const MAX_HEADERS: usize = 32;

/// Panics when a promise is broken.
pub fn target(data: &[u8]) {
    let Some((&size, came)) = data.split_first() else { return };
    let mut hyper = Hyper::default();
    for piece in came.chunks(usize::from(size).max(1)) {
        let mut changed = piece.to_vec();
        hyper.reader.came(&mut changed);
        hyper.came.extend_from_slice(piece);
        hyper.given.extend_from_slice(&changed);
        if !hyper.reads() {
            break;
        }
    }
    hyper.nothing_else_is_changed();
}

/// Reads what it is given, as hyper does.
#[derive(Default)]
struct Hyper {
    reader: Reader,
    /// What the client sent.
    came: Vec<u8>,
    /// What the reader made of it.
    given: Vec<u8>,
    /// So much of it has been read.
    read: usize,
    body: Body,
    /// Where the targets were.
    targets: Vec<std::ops::Range<usize>>,
}

#[derive(Clone, Copy, Default)]
enum Body {
    /// None: a head is next.
    #[default]
    None,
    Length(usize),
    Chunk,
    /// So much of a chunk, with its line end.
    Data(usize),
    Trailers,
}

impl Hyper {
    /// Reads as far as it can; false if the connection ends.
    fn reads(&mut self) -> bool {
        loop {
            let rest = &self.given[self.read..];
            let (read, body) = match self.body {
                Body::None => match self.head() {
                    Ok(Some(read)) => read,
                    Ok(None) => return true,
                    Err(Ended) => return false,
                },
                _ if rest.is_empty() => return true,
                Body::Length(left) => some_of(rest, left, Body::None, Body::Length),
                Body::Data(left) => some_of(rest, left, Body::Chunk, Body::Data),
                Body::Chunk => match httparse::parse_chunk_size(rest) {
                    // hyper takes no line feed in what follows a size.
                    Ok(httparse::Status::Complete((read, _))) if rest[..read - 1].contains(&b'\n') => {
                        return false;
                    }
                    Ok(httparse::Status::Complete((read, 0))) => (read, Body::Trailers),
                    Ok(httparse::Status::Complete((read, size))) => match usize::try_from(size) {
                        Ok(size) if size < usize::MAX - 2 => (read, Body::Data(size + 2)),
                        _ => return false,
                    },
                    Ok(httparse::Status::Partial) => return true,
                    Err(_) => return false,
                },
                Body::Trailers => match rest.iter().position(|byte| *byte == b'\n') {
                    Some(end) if rest[..end].iter().all(|byte| *byte == b'\r') => (end + 1, Body::None),
                    Some(end) => (end + 1, Body::Trailers),
                    None => return true,
                },
            };
            self.read += read;
            self.body = body;
        }
    }

    /// Reads a head, and asks the reader what it replaced in it.
    fn head(&mut self) -> Result<Option<(usize, Body)>, Ended> {
        let rest = &self.given[self.read..];
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut head = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(length) = head.parse(rest).map_err(|_| Ended)? else {
            return Ok(None);
        };
        let target = head.path.ok_or(Ended)?;
        let begin = target.as_ptr() as usize - self.given.as_ptr() as usize;
        self.targets.push(begin..begin + target.len());
        let named = |name: &str| head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        let body = match (named("transfer-encoding"), named("content-length")) {
            (Some(coding), None) if coding.value.eq_ignore_ascii_case(b"chunked") => Body::Chunk,
            (None, None) => Body::None,
            (None, Some(length)) => {
                let length = std::str::from_utf8(length.value).ok().and_then(|text| text.parse().ok());
                match length.ok_or(Ended)? {
                    0 => Body::None,
                    length => Body::Length(length),
                }
            }
            _ => return Err(Ended),
        };
        let known = match body {
            Body::None => Some(0),
            Body::Length(length) => Some(length as u64),
            _ => None,
        };
        if let Some(odd) = self.reader.head_read(known) {
            restores(&odd, target, &self.came[begin..begin + target.len()]);
        }
        Ok(Some((length, body)))
    }

    fn nothing_else_is_changed(&self) {
        let pairs = self.came.iter().zip(&self.given).enumerate();
        for (place, (came, given)) in pairs.filter(|(_, (came, given))| came != given) {
            assert!(
                b"\"<>".contains(came) && *given == b'!',
                "{} became {}",
                came.escape_ascii(),
                given.escape_ascii()
            );
            let is_read = place < self.read;
            let is_of_target = self.targets.iter().any(|target| target.contains(&place));
            assert!(is_of_target || !is_read, "byte {place} is none of a target");
        }
    }
}

struct Ended;

fn some_of(rest: &[u8], left: usize, then: Body, more: fn(usize) -> Body) -> (usize, Body) {
    let read = left.min(rest.len());
    (read, if read == left { then } else { more(left - read) })
}

/// The characters are put back into the query of a target that hyper takes.
fn restores(odd: &OddCharacters, given: &str, came: &[u8]) {
    let Some(at) = given.find('?') else { panic!("{given} has no query") };
    let Ok(target) = format!("/{}", &given[at..]).parse::<PathAndQuery>() else { return };
    let query = target.query().expect("it has one");
    let escaped = odd.escaped(query);
    assert!(!escaped.contains(['"', '<', '>']), "{escaped}");
    assert_eq!(odd.unescaped(&escaped), query);
    let mut restored = query.as_bytes().to_vec();
    odd.restore(&mut restored);
    assert_eq!(restored, came[at + 1..at + 1 + query.len()], "{given}");
}
