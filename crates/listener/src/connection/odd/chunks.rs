//! Where a body in chunks ends. hyper reads the same bytes, and more strictly: what is not in order here ends the connection there.

use memchr::memchr;

/// What comes next of a body in chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunks {
    /// More digits of a chunk's size, which is this so far.
    Size(u64),
    /// More of what follows a size in its line.
    Extension(u64),
    /// So many bytes of a chunk, with its line end.
    Data(u64),
    /// More of the lines after the last chunk. Whether the line under way is empty so far.
    Trailers { empty: bool },
    /// Nothing: it is over.
    Over,
    /// It is not in order.
    Broken,
}

impl Default for Chunks {
    fn default() -> Self {
        Self::Size(0)
    }
}

impl Chunks {
    /// Whether nothing more of it comes, as far as can be said.
    fn is_over(self) -> bool {
        matches!(self, Self::Over | Self::Broken)
    }

    /// These bytes came. Returns how many of them are its own.
    pub fn came(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while !self.is_over()
            && let Some(&byte) = bytes.get(at)
        {
            at += 1;
            *self = match (*self, byte) {
                (Self::Size(size) | Self::Extension(size), b'\n') => match size.checked_add(2) {
                    _ if size == 0 => Self::Trailers { empty: true },
                    Some(left) => Self::Data(left),
                    None => Self::Broken,
                },
                (Self::Size(size), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                    let digit = u64::from(char::from(byte).to_digit(16).unwrap_or_default());
                    size.checked_mul(16).map_or(Self::Broken, |size| Self::Size(size + digit))
                }
                (Self::Size(size) | Self::Extension(size), _) => {
                    at = line_end(bytes, at);
                    Self::Extension(size)
                }
                (Self::Data(left), _) => {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() + 1 - at);
                    at += taken - 1;
                    if left == taken as u64 { Self::Size(0) } else { Self::Data(left - taken as u64) }
                }
                (Self::Trailers { empty: true }, b'\n') => Self::Over,
                (Self::Trailers { .. }, b'\n') => Self::Trailers { empty: true },
                (trailers @ Self::Trailers { .. }, b'\r') => trailers,
                (Self::Trailers { .. }, _) => {
                    at = line_end(bytes, at);
                    Self::Trailers { empty: false }
                }
                (over @ (Self::Over | Self::Broken), _) => over,
            };
        }
        at
    }
}

/// Where the next line feed is, from this place on. Every body that comes with its head is looked at as if it were in chunks, until hyper says
/// what it is: byte by byte that would cost more than the request.
fn line_end(bytes: &[u8], at: usize) -> usize {
    memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |feed| at + feed)
}
