//! Finds frames of the write-ahead log that a start will not read, because they come after a damaged one.
//!
//! SQLite reads a log up to the first frame with a wrong checksum, and takes that for the end, because a crash in the middle of a write leaves such a
//! frame. But each commit is synced before the next one begins, so a crash can damage only the last one. Whole frames of later commits after the
//! damaged one mean that the disk has lost something that was acknowledged. SQLite does not report that, so this module reads the file first.
//!
//! The file is specified in <https://www.sqlite.org/fileformat2.html#walformat>: a header of 32 bytes (magic, version, page size, checkpoint number,
//! two salts, checksum), then frames of page number, size of the database if the frame ends a commit, salts, checksum, and the page. A frame's
//! checksum continues that of the frame before. When the log is written from its beginning again, it gets new salts, so that old frames after its
//! end are not part of it.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::PAGE_BYTES;

/// Whole frames that SQLite will not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// The number of the damaged frame; 1 is the first frame, 0 the header.
    pub(super) damaged: u64,
    /// How many whole frames come after it.
    pub(super) frames: u64,
    /// How many commits end in these.
    pub(super) commits: u64,
}

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// The magic number. Its last bit is 0 if checksums are computed over little-endian words, 1 if over big-endian ones.
const MAGIC: u32 = 0x377f_0682;

type Checksum = [u32; 2];

/// What a start would not read of a log; `None` if it reads all of it, or if there is no log.
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

/// Reads a whole part. Returns `false` at the end of the file, even in the middle of a part.
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
    /// The salts of the log. `None` if the header is damaged; then those of the first frame count.
    salts: Option<[u8; 8]>,
    /// The checksum that the header or frame before has.
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
            // The database's header has 1 for 65,536, so it is read here in the same way.
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
        // If the header is damaged, the salts of the first frame count as the log's.
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
