//! Reading a request's body before anything is sent upstream. So a slow client holds only a buffer here and no worker of the service; and if a
//! client leaves in the middle of a small body, it is certain that the service got nothing.
//!
//! While more is awaited, each body has one buffer, however small its pieces are, and counts against a budget that all cores share. When the
//! budget is used up, bodies are passed on as they come; a watched one only after its intent is durable, so that nothing is lost.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Extensions, HeaderMap};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::body::Body;
use pipeline::RequestBody;
use tokio::time::Instant;

use crate::answer::Refusal;
use crate::body::request::UpstreamBody;
use crate::body::upload::Upload;
use crate::budget::Held;
use crate::core::Core;
use crate::headers::trailers_of_client;
use crate::limits::Limits;

/// A body whose declared length is at most this is read whole; of any other, at most this much is read ahead. In bytes.
pub(crate) const WHOLE_BODY: usize = 64 << 10;

/// What was read of a body before anything was sent.
pub(crate) enum Ahead {
    Whole(Bytes),
    Begun(VecDeque<Bytes>, Stopped),
}

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// Nothing of it should be read ahead, or the time for that is over.
    AsAsked,
    /// It is longer than [`WHOLE_BODY`].
    TooLong,
    /// The budget has no room for it now.
    NoRoom,
}

/// How much of a body is read ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of it, as long as the client keeps sending.
    Whole,
    /// What comes within a moment, up to [`WHOLE_BODY`].
    Beginning,
    /// None of it.
    Nothing,
}

impl Extent {
    /// By the body's length, if its head says one. `buffering` is the route's `request_buffering`.
    pub fn of(length: Option<u64>, watched: bool, buffering: bool) -> Self {
        match length {
            Some(length) if length <= WHOLE_BODY as u64 && (watched || buffering) => Self::Whole,
            // Reading ahead does not help a watched one: if it breaks off, the outcome is unknown in any case.
            Some(_) if watched => Self::Nothing,
            _ if buffering => Self::Beginning,
            _ => Self::Nothing,
        }
    }
}

/// A body on its way from the client, with what was read of it for plug-ins.
pub(crate) struct Sent {
    pub incoming: Upload,
    ahead: Option<Ahead>,
    /// The client sends it in chunks, and so does the gateway.
    is_chunked: bool,
    /// What came after it, if it was read to its end.
    trailers: Option<HeaderMap>,
    /// How the names of the head's headers were written, if that is kept.
    pub names: Extensions,
}

impl Sent {
    pub fn new(incoming: Upload, names: Extensions) -> Self {
        let is_chunked = !incoming.is_end_stream() && incoming.size_hint().exact().is_none();
        Self { incoming, ahead: None, is_chunked, trailers: None, names }
    }

    /// Whether its length is not known in advance.
    pub fn is_chunked(&self) -> bool {
        self.is_chunked
    }

    /// The body for the service, all of which has been read.
    pub fn all(&mut self, bytes: Bytes) -> UpstreamBody {
        match self.trailers.take() {
            Some(trailers) => UpstreamBody::trailed(bytes, trailers),
            None if self.is_chunked => UpstreamBody::Whole(Some(bytes)),
            None => UpstreamBody::whole(bytes),
        }
    }

    /// Reads all of it for a plug-in.
    ///
    /// # Errors
    /// If it breaks off, does not come in time, or there is no room for it now. A plug-in must not judge by only a part of a body.
    pub async fn whole(&mut self, core: &Core) -> Result<RequestBody, Refusal> {
        let length = self.incoming.size_hint().exact();
        let ahead = match length.is_some_and(|length| length > WHOLE_BODY as u64) {
            true => Ahead::Begun(VecDeque::new(), Stopped::TooLong),
            false => read(core, &mut self.incoming, &mut self.trailers, Extent::Whole).await?,
        };
        let body = match &ahead {
            Ahead::Whole(bytes) => RequestBody::Whole(bytes.clone()),
            Ahead::Begun(_, Stopped::NoRoom) => return Err(Refusal::NoRoom),
            Ahead::Begun(_, Stopped::TooLong | Stopped::AsAsked) => RequestBody::TooLong,
        };
        self.ahead = Some(ahead);
        Ok(body)
    }

    /// Replaces the body that the service gets.
    pub fn replace(&mut self, bytes: Bytes) {
        self.ahead = Some(Ahead::Whole(bytes));
    }

    /// Reads ahead, with the client's patience for each piece, unless it was read already.
    pub async fn read_ahead(
        &mut self,
        core: &Core,
        watched: bool,
        buffering: bool,
    ) -> Result<Ahead, Refusal> {
        if let Some(ahead) = self.ahead.take() {
            return Ok(ahead);
        }
        let extent = Extent::of(self.incoming.size_hint().exact(), watched, buffering);
        read(core, &mut self.incoming, &mut self.trailers, extent).await
    }
}

async fn read(
    core: &Core,
    body: &mut Upload,
    trailers: &mut Option<HeaderMap>,
    extent: Extent,
) -> Result<Ahead, Refusal> {
    if body.is_end_stream() {
        return Ok(Ahead::Whole(Bytes::new()));
    }
    let length = body.size_hint().exact();
    if extent == Extent::Nothing {
        return Ok(Ahead::Begun(VecDeque::new(), Stopped::AsAsked));
    }
    let most = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(WHOLE_BODY).min(WHOLE_BODY);
    let mut held = Held::new(core.read_ahead.clone(), most);
    let mut deadline = Deadline::new(extent, &core.limits);
    let mut stopped = Stopped::TooLong;
    while held.len() < WHOLE_BODY {
        let data = match next(core, body, &mut deadline).await? {
            Some(Next::Data(data)) => data,
            Some(Next::End(last)) => {
                *trailers = last;
                return Ok(Ahead::Whole(held.into_bytes()));
            }
            None => {
                stopped = Stopped::AsAsked;
                break;
            }
        };
        if body.is_end_stream() && held.len() == 0 {
            // The usual case: it came in one piece, which is passed on as it is.
            return Ok(Ahead::Whole(data));
        }
        if let Err(data) = held.push(data) {
            let pieces = [held.into_bytes(), data].into_iter().filter(|piece| !piece.is_empty());
            return Ok(Ahead::Begun(pieces.collect(), Stopped::NoRoom));
        }
        if body.is_end_stream() {
            return Ok(Ahead::Whole(held.into_bytes()));
        }
    }
    let pieces = [held.into_bytes()].into_iter().filter(|piece| !piece.is_empty());
    Ok(Ahead::Begun(pieces.collect(), stopped))
}

/// The deadline for a whole body, even if pieces keep coming: it holds memory that other requests need.
struct Deadline {
    time: Duration,
    /// Set at the first wait.
    at: Option<Instant>,
    /// Whether what was read until then is enough; otherwise the client is too slow.
    is_enough: bool,
}

impl Deadline {
    fn new(extent: Extent, limits: &Limits) -> Self {
        match extent {
            Extent::Whole => Self { time: limits.body_time, at: None, is_enough: false },
            Extent::Beginning | Extent::Nothing => {
                Self { time: limits.read_ahead_time, at: None, is_enough: true }
            }
        }
    }
}

enum Next {
    Data(Bytes),
    /// With trailers, if there are any.
    End(Option<HeaderMap>),
}

/// The next piece; `None` if it does not come before a deadline after which what was read is enough.
///
/// # Errors
/// If the body breaks off, makes no progress for too long, or takes too long as a whole.
async fn next(core: &Core, body: &mut Upload, deadline: &mut Deadline) -> Result<Option<Next>, Refusal> {
    let frame = match soon(body).await {
        Some(frame) => frame,
        None => {
            let now = Instant::now();
            let at = *deadline.at.get_or_insert(now + deadline.time);
            let due = at.min(now + core.limits.body_patience);
            tokio::select! {
                biased;
                frame = body.frame() => frame,
                () = tokio::time::sleep_until(due) => {
                    let is_enough = deadline.is_enough && due == at;
                    return if is_enough { Ok(None) } else { Err(Refusal::RequestTimeout) };
                }
                // During a drain, wait only for clients that keep sending.
                () = core.drained_for(core.limits.drain_grace) => return Err(Refusal::RequestTimeout),
            }
        }
    };
    match frame {
        None => Ok(Some(Next::End(None))),
        Some(Err(_)) => Err(Refusal::BadRequest),
        Some(Ok(frame)) => Ok(Some(match frame.into_data() {
            Ok(data) => Next::Data(data),
            Err(last) => {
                let trailers = last.into_trailers().ok().map(trailers_of_client);
                Next::End(trailers.filter(|trailers| !trailers.is_empty()))
            }
        })),
    }
}

/// The next frame if it has come already. The server's side of the connection runs in this task, too, and reads only after this side has asked
/// for data. So it gets one turn before a timer is set.
async fn soon(body: &mut Upload) -> Option<Option<Result<Frame<Bytes>, hyper::Error>>> {
    let mut asked = false;
    poll_fn(|cx: &mut Context<'_>| match Pin::new(&mut *body).poll_frame(cx) {
        Poll::Ready(frame) => Poll::Ready(Some(frame)),
        Poll::Pending if asked => Poll::Ready(None),
        Poll::Pending => {
            asked = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_ahead_depends_on_the_length_the_watch_and_the_route() {
        use Extent::{Beginning, Nothing, Whole};
        let (small, large) = (Some(WHOLE_BODY as u64), Some(WHOLE_BODY as u64 + 1));
        for (length, watched, buffering, extent) in [
            (small, false, true, Whole),
            (large, false, true, Beginning),
            (None, false, true, Beginning),
            (small, false, false, Nothing),
            (large, false, false, Nothing),
            (None, false, false, Nothing),
            (small, true, true, Whole),
            (large, true, true, Nothing),
            (None, true, true, Beginning),
            (small, true, false, Whole),
            (large, true, false, Nothing),
            (None, true, false, Nothing),
        ] {
            assert_eq!(Extent::of(length, watched, buffering), extent, "{length:?} {watched} {buffering}");
        }
    }
}
