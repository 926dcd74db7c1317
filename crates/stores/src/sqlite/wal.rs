//! What a start cannot read of the write-ahead log: frames after one that is damaged.
//!
//! SQLite replays a log up to the first frame whose checksum is wrong and takes that for the end: so ends every log that a crash tore. But
//! each commit is synced before the next begins, so a crash tears the last one at most. Whole frames of later commits after the wrong one
//! mean that the disk lost something that was acknowledged; SQLite does not mention it, so this module reads the file first.
//!
//! The file: a header of 32 bytes (magic, version, page size, checkpoint number, two salts, checksum), then frames: page number, size of the
//! database if it ends a commit, the salts, checksum, and the page. A frame's checksum goes on from that of the frame before. A log that
//! begins anew over old frames has new salts, so what another round left is no part of it.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::PAGE_BYTES;

/// Frames that are whole and will not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// The frame that is damaged; 1 is the first, 0 the header.
    pub(super) damaged: u64,
    /// Whole frames after it.
    pub(super) frames: u64,
    /// Commits that end in them.
    pub(super) commits: u64,
}

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// Followed by 0 where checksums are of little-endian words, by 1 where they are of big-endian ones, in the last bit.
const MAGIC: u32 = 0x377f_0682;

type Checksum = [u32; 2];

/// What a start would pass over in a log.
///
/// # Errors
/// If the file cannot be read.
pub(super) fn cut(wal: &Path) -> io::Result<Option<Cut>> {
    let file = match File::open(wal) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut header = [0; HEADER];
    if !fill(&mut reader, &mut header)? {
        return Ok(None);
    }
    let mut walk = Walk::begin(&header);
    let mut frame = vec![0; FRAME_HEADER + walk.page];
    while fill(&mut reader, &mut frame)? {
        walk.pass(&frame);
    }
    Ok(walk.end())
}

/// `false` at the end, also in the middle of a part.
fn fill(reader: &mut impl Read, part: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(part) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

struct Walk {
    word: fn([u8; 4]) -> u32,
    page: usize,
    /// `None` where the header is damaged: then those of the first frame.
    salts: Option<[u8; 8]>,
    /// Of the part before, as it says.
    checksum: Checksum,
    passed: u64,
    damaged: Option<u64>,
    frames: u64,
    commits: u64,
}

impl Walk {
    fn begin(header: &[u8; HEADER]) -> Self {
        let magic = number(&header[0..4]);
        let big = magic == MAGIC | 1;
        let word = if big { u32::from_be_bytes } else { u32::from_le_bytes };
        let checksum = stored(&header[24..32]);
        let whole = magic | 1 == MAGIC | 1 && add([0, 0], &header[..24], word) == checksum;
        let page = match number(&header[8..12]) {
            _ if !whole => PAGE_BYTES,
            // As the database's header has it.
            1 => 1 << 16,
            page => page,
        };
        Self {
            word,
            page: page as usize,
            salts: whole.then(|| salts(&header[16..24])),
            checksum,
            passed: 0,
            damaged: (!whole).then_some(0),
            frames: 0,
            commits: 0,
        }
    }

    fn pass(&mut self, frame: &[u8]) {
        self.passed += 1;
        let (before, after) = (self.checksum, stored(&frame[16..24]));
        self.checksum = after;
        let sum = add(add(before, &frame[..8], self.word), &frame[FRAME_HEADER..], self.word);
        // Where the header is damaged, the first frame says which salts are the log's.
        let ours = *self.salts.get_or_insert_with(|| salts(&frame[8..16])) == frame[8..16];
        let whole = ours && sum == after;
        match self.damaged {
            None if !whole => self.damaged = Some(self.passed),
            Some(_) if whole => {
                self.frames += 1;
                self.commits += u64::from(number(&frame[4..8]) > 0);
            }
            _ => {}
        }
    }

    fn end(self) -> Option<Cut> {
        let damaged = self.damaged.filter(|_| self.frames > 0)?;
        Some(Cut { damaged, frames: self.frames, commits: self.commits })
    }
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().expect("four bytes"))
}

fn salts(bytes: &[u8]) -> [u8; 8] {
    bytes.try_into().expect("eight bytes")
}

fn stored(bytes: &[u8]) -> Checksum {
    [number(&bytes[..4]), number(&bytes[4..])]
}

/// SQLite's checksum, from `sum` on.
fn add([mut first, mut second]: Checksum, bytes: &[u8], word: fn([u8; 4]) -> u32) -> Checksum {
    for pair in bytes.chunks_exact(8) {
        let [a, b] = [&pair[..4], &pair[4..]].map(|half| word(half.try_into().expect("four bytes")));
        first = first.wrapping_add(a).wrapping_add(second);
        second = second.wrapping_add(b).wrapping_add(first);
    }
    [first, second]
}
