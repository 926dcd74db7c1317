//! Receipt handles: what a worker sends to delete a message or to change its visibility.
//!
//! A handle has queue, message and receive, and a MAC over them. So the hub keeps no list of handles, and can distinguish a text that it did not
//! write from a handle that is only old. The MAC's key is random, made at the first start and kept in the store, so that handles survive a
//! restart.
//!
//! Written as base64url without padding of: version (1 byte), queue (8), message (8), receive count (4), MAC (16). Numbers are
//! big-endian.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use storage::Writer;
use storage::entities::QueueId;
use storage::queue::MessageHandle;

use crate::{HubError, Result};

/// The key's name in the store's table of small things.
const KEY_NAME: &str = "hub.receipt-handle-key";
const KEY_BYTES: usize = 32;
const VERSION: u8 = 1;
const NAMED_BYTES: usize = 1 + 8 + 8 + 4;
/// Of HMAC-SHA256's 32 bytes.
const MAC_BYTES: usize = 16;

/// Why a text is not the handle of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandleError {
    /// This hub did not write it.
    #[error("this is not a receipt handle")]
    Garbage,
    /// It belongs to a message of another queue.
    #[error("this receipt handle belongs to another queue")]
    ForeignQueue,
}

/// Writes and reads receipt handles.
pub struct Receipts {
    key: hmac::Key,
}

impl Receipts {
    /// Loads the key from the store, or makes one and stores it.
    pub(crate) async fn load(writer: &Writer) -> Result<Self> {
        let mut fresh = [0; KEY_BYTES];
        SystemRandom::new()
            .fill(&mut fresh)
            .map_err(|_| HubError::NoRandomness { what: "the key of receipt handles" })?;
        let key = writer
            .transact(move |tx| match tx.get_value(KEY_NAME)? {
                Some(key) if key.len() == KEY_BYTES => Ok(key),
                // A key of another length is damage; with a new one, old handles are refused and their messages come again.
                _ => tx.put_value(KEY_NAME, &fresh).map(|()| fresh.to_vec()),
            })
            .await
            .map_err(HubError::store("load the key of receipt handles"))?;
        Ok(Self::with_key(&key))
    }

    fn with_key(key: &[u8]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key) }
    }

    /// The handle of one receive of a message.
    pub fn write(&self, queue: QueueId, handle: MessageHandle) -> String {
        let mut bytes = Vec::with_capacity(NAMED_BYTES + MAC_BYTES);
        bytes.push(VERSION);
        bytes.extend(queue.0.to_be_bytes());
        bytes.extend(handle.seq.to_be_bytes());
        bytes.extend(handle.receive_count.to_be_bytes());
        let mac = hmac::sign(&self.key, &bytes);
        bytes.extend(&mac.as_ref()[..MAC_BYTES]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The message and receive that a handle names, if it is one of this queue.
    ///
    /// # Errors
    /// If this hub did not write it, or wrote it for another queue.
    pub fn read(&self, queue: QueueId, text: &str) -> Result<MessageHandle, HandleError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| HandleError::Garbage)?;
        let (named, mac) = bytes.split_at_checked(NAMED_BYTES).ok_or(HandleError::Garbage)?;
        let expected = hmac::sign(&self.key, named);
        verify_slices_are_equal(mac, &expected.as_ref()[..MAC_BYTES]).map_err(|_| HandleError::Garbage)?;
        let (written_for, handle) = parse(named).ok_or(HandleError::Garbage)?;
        if written_for == queue { Ok(handle) } else { Err(HandleError::ForeignQueue) }
    }
}

fn parse(named: &[u8]) -> Option<(QueueId, MessageHandle)> {
    let (version, rest) = named.split_first()?;
    let (queue, rest) = rest.split_first_chunk()?;
    let (seq, rest) = rest.split_first_chunk()?;
    let receive_count = u32::from_be_bytes(rest.try_into().ok()?);
    let handle = MessageHandle { seq: i64::from_be_bytes(*seq), receive_count };
    (*version == VERSION).then_some((QueueId(i64::from_be_bytes(*queue)), handle))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::World;

    const QUEUE: QueueId = QueueId(3);
    const HANDLE: MessageHandle = MessageHandle { seq: 41, receive_count: 2 };

    #[test]
    fn a_handle_reads_back_for_its_own_queue_alone() {
        let receipts = Receipts::with_key(&[7; KEY_BYTES]);
        let text = receipts.write(QUEUE, HANDLE);
        assert_eq!(receipts.read(QUEUE, &text), Ok(HANDLE));
        assert_eq!(receipts.read(QueueId(4), &text), Err(HandleError::ForeignQueue));
    }

    #[test]
    fn another_key_a_changed_byte_and_garbage_are_refused() {
        let receipts = Receipts::with_key(&[7; KEY_BYTES]);
        let text = receipts.write(QUEUE, HANDLE);
        assert_eq!(Receipts::with_key(&[8; KEY_BYTES]).read(QUEUE, &text), Err(HandleError::Garbage));
        let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let changed = URL_SAFE_NO_PAD.encode(changed);
            assert_eq!(receipts.read(QUEUE, &changed), Err(HandleError::Garbage), "byte {at}");
        }
        for garbage in ["", "garbage", "AAAA", &text[..text.len() - 2], &format!("{text}AA")] {
            assert_eq!(receipts.read(QUEUE, garbage), Err(HandleError::Garbage), "{garbage}");
        }
    }

    #[tokio::test]
    async fn a_key_of_another_length_is_replaced_and_the_new_one_kept() {
        let world = World::new().await;
        let writer = &world.deps.writer;
        for damaged in [&b""[..], b"short", &[7; KEY_BYTES + 1]] {
            writer.transact(move |tx| tx.put_value(KEY_NAME, damaged)).await.unwrap();
            let text = Receipts::load(writer).await.unwrap().write(QUEUE, HANDLE);
            let kept = writer.transact(|tx| tx.get_value(KEY_NAME)).await.unwrap().unwrap();
            assert_eq!(kept.len(), KEY_BYTES, "{damaged:?}");
            assert_eq!(Receipts::load(writer).await.unwrap().read(QUEUE, &text), Ok(HANDLE), "{damaged:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}") {
            let receipts = Receipts::with_key(&[7; KEY_BYTES]);
            prop_assert_eq!(receipts.read(QUEUE, &text), Err(HandleError::Garbage));
        }
    }
}
