//! Memory for bodies that are not complete yet: one buffer each, within a budget that all cores share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};

/// How many bytes of incomplete bodies all cores together hold.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicUsize,
    limit: usize,
}

impl Budget {
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), limit })
    }

    fn take(&self, bytes: usize) -> bool {
        let take = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.limit);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

/// The bytes of one body so far: one buffer that grows as they come.
pub(crate) struct Held {
    buffer: BytesMut,
    most: usize,
    share: Share,
}

/// A part of the budget, given back when dropped.
struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

/// A buffer that gives its share back when the last handle of its bytes is gone.
struct Counted {
    buffer: BytesMut,
    _share: Share,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Held {
    /// The smallest size that a buffer grows to, in bytes.
    const LEAST: usize = 1 << 10;

    pub fn new(budget: Arc<Budget>, most: usize) -> Self {
        Self { buffer: BytesMut::new(), most, share: Share { budget, bytes: 0 } }
    }

    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Adds a piece. Returns it as the error if the budget has no room for it.
    pub fn push(&mut self, data: Bytes) -> Result<(), Bytes> {
        let wanted = self.buffer.len() + data.len();
        if wanted > self.share.bytes {
            // The buffer grows to four times its size: so a fast client costs few copies, and a slow one little memory.
            let room = (self.share.bytes * 4).clamp(Self::LEAST, self.most.max(Self::LEAST)).max(wanted);
            if !self.share.budget.take(room - self.share.bytes) {
                return Err(data);
            }
            self.share.bytes = room;
            self.buffer.reserve(room - self.buffer.len());
        }
        self.buffer.extend_from_slice(&data);
        Ok(())
    }

    pub fn into_bytes(self) -> Bytes {
        if self.buffer.is_empty() {
            return Bytes::new();
        }
        Bytes::from_owner(Counted { buffer: self.buffer, _share: self.share })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 64 << 10;

    #[test]
    fn one_buffer_holds_all_pieces_and_its_share_goes_with_its_bytes() {
        let budget = Budget::new(100 << 10);
        let used = || budget.used.load(Ordering::Relaxed);
        let mut held = Held::new(budget.clone(), MOST);
        for _ in 0..40_000 {
            held.push(Bytes::from_static(b"x")).unwrap();
        }
        assert_eq!((held.len(), used()), (40_000, MOST), "what is allocated counts");
        assert!(held.buffer.capacity() <= MOST, "{}", held.buffer.capacity());
        let mut other = Held::new(budget.clone(), MOST);
        let large = Bytes::from(vec![b'y'; 50 << 10]);
        assert_eq!(other.push(large.clone()), Err(large), "there is no room for it");
        let bytes = held.into_bytes();
        let copy = bytes.clone();
        drop(bytes);
        assert_eq!(used(), MOST, "the other handle holds it");
        drop(copy);
        drop(other);
        assert_eq!(used(), 0);
    }

    #[test]
    fn a_buffer_is_no_larger_than_its_body() {
        let budget = Budget::new(100 << 10);
        let mut held = Held::new(budget.clone(), 5_000);
        for piece in [1_000, 2_000, 2_000] {
            held.push(Bytes::from(vec![b'x'; piece])).unwrap();
        }
        assert_eq!(budget.used.load(Ordering::Relaxed), 5_000);
        assert_eq!(held.into_bytes().len(), 5_000);
    }
}
