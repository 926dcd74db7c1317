//! Reading on after the last answer, so that the client gets it.
//!
//! A socket that is closed while the client is still sending is reset, and a reset throws away what the client has not read yet: the answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep};

/// The most that is read and thrown away, in bytes. It is for clients that send their whole request before they look at the answer.
const MOST: u64 = 256 << 20;
/// The longest time for all of it. As nginx's `lingering_time`.
const TIME: Duration = Duration::from_secs(30);
/// How long a client may send nothing. As nginx's `lingering_timeout`.
const SILENCE: Duration = Duration::from_secs(5);
/// How much is read at once, in bytes.
const PIECE: usize = 16 << 10;

/// What is left of the limits.
pub(super) struct ReadOn {
    bytes: u64,
    until: Instant,
    timer: Pin<Box<Sleep>>,
}

impl ReadOn {
    /// From now on.
    pub fn new() -> Self {
        let now = Instant::now();
        Self { bytes: MOST, until: now + TIME, timer: Box::pin(tokio::time::sleep_until(now + SILENCE)) }
    }

    /// Reads until the client is done or broken, or a limit is reached.
    pub fn poll<T: AsyncRead + Unpin>(&mut self, cx: &mut Context<'_>, stream: &mut T) -> Poll<()> {
        let mut piece = [0; PIECE];
        let mut came = false;
        while let Poll::Ready(read) = read(cx, stream, &mut piece) {
            match read {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(read) => self.bytes = self.bytes.saturating_sub(read as u64),
            }
            came = true;
            if self.bytes == 0 {
                return Poll::Ready(());
            }
        }
        if came {
            self.timer.as_mut().reset((Instant::now() + SILENCE).min(self.until));
        }
        self.timer.as_mut().poll(cx)
    }
}

/// Reads what has come; 0 at the end.
pub(super) fn read<T: AsyncRead + Unpin>(
    cx: &mut Context<'_>,
    stream: &mut T,
    piece: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut piece = ReadBuf::new(piece);
    ready!(Pin::new(stream).poll_read(cx, &mut piece))?;
    Poll::Ready(Ok(piece.filled().len()))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_is_left_before_one_that_goes_on_sending() {
        let (mut ours, mut theirs) = tokio::io::duplex(64);
        let mut read_on = ReadOn::new();
        let began = Instant::now();
        poll_fn(|cx| read_on.poll(cx, &mut ours)).await;
        assert_eq!(began.elapsed(), SILENCE);

        let mut read_on = ReadOn::new();
        let began = Instant::now();
        tokio::spawn(async move {
            while theirs.write_all(b"more").await.is_ok() {
                tokio::time::sleep(SILENCE / 2).await;
            }
        });
        poll_fn(|cx| read_on.poll(cx, &mut ours)).await;
        assert_eq!(began.elapsed(), TIME);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_without_end_is_left() {
        let (mut ours, mut theirs) = tokio::io::duplex(1 << 20);
        tokio::spawn(async move { while theirs.write_all(&[0; 1 << 20]).await.is_ok() {} });
        let mut read_on = ReadOn::new();
        let began = Instant::now();
        poll_fn(|cx| read_on.poll(cx, &mut ours)).await;
        assert!(began.elapsed() < SILENCE && read_on.bytes == 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_done_is_left_at_once() {
        let (mut ours, theirs) = tokio::io::duplex(64);
        drop(theirs);
        let began = Instant::now();
        let mut read_on = ReadOn::new();
        poll_fn(|cx| read_on.poll(cx, &mut ours)).await;
        assert!(began.elapsed().is_zero());
    }
}
