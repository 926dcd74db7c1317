//! The answer of a watched exchange on its way to the client.
//!
//! When its last byte has come from the upstream, the outcome enters the store's queue. Only then is the byte released; if the rule holds
//! answers, only when the outcome is durable. If the client leaves before, the rest of the answer is read without it.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use storage::throttle::Throttle;

use super::Exchange;
use crate::body::BodyError;
use crate::body::answer::{BegunBody, ClientBody, Passing, PlainBody};
use crate::hold::{Held, Unkept};
use crate::read_ahead::WHOLE_BODY;

/// A watched answer's body.
pub(crate) struct WatchedBody {
    exchange: Rc<Exchange>,
    state: State,
}

enum State {
    /// The upstream is sending.
    Flowing { body: PlainBody, resolver: Resolver },
    /// The whole body has come; its last frame (none after a chunked body's data) waits for the hold.
    Held { held: Option<Held>, last: Option<Frame<Bytes>> },
    /// The client must not get the rest.
    Cut(Unkept),
    /// Done.
    Ended,
}

/// Whether a task settles the exchange when `resolve_after` is over.
#[derive(PartialEq, Eq)]
enum Resolver {
    NotNeededYet,
    Running,
}

impl WatchedBody {
    pub fn new(exchange: Rc<Exchange>, body: PlainBody) -> Self {
        Self { exchange, state: State::Flowing { body, resolver: Resolver::NotNeededYet } }
    }

    /// The last byte has come: settle, then release it or hold it.
    fn end(&mut self, last: Option<Frame<Bytes>>) {
        self.exchange.settle_answered();
        self.state = State::Held { held: self.exchange.take_hold(), last };
    }
}

impl Passing for WatchedBody {
    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            State::Flowing { body, .. } => body.size_hint(),
            State::Held { last, .. } => {
                let left = last.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len);
                SizeHint::with_exact(left as u64)
            }
            State::Cut(_) => SizeHint::default(),
            State::Ended => SizeHint::with_exact(0),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            match &mut self.state {
                State::Flowing { body, resolver } => {
                    let Poll::Ready(frame) = body.poll(cx) else {
                        if *resolver == Resolver::NotNeededYet {
                            *resolver = Resolver::Running;
                            self.exchange.settle_later();
                        }
                        return Poll::Pending;
                    };
                    let ended = body.has_ended();
                    if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
                        self.exchange.response_data(data);
                    }
                    match frame {
                        Some(Ok(frame)) if !ended => {
                            if *resolver == Resolver::NotNeededYet {
                                *resolver = Resolver::Running;
                                self.exchange.settle_later();
                            }
                            return Poll::Ready(Some(Ok(frame)));
                        }
                        Some(Err(error)) => {
                            // The head decided the outcome: a body that breaks off does not change that.
                            self.exchange.settle_answered();
                            self.state = State::Ended;
                            return Poll::Ready(Some(Err(error)));
                        }
                        last => self.end(last.and_then(Result::ok)),
                    }
                }
                State::Held { held, last } => {
                    let kept = match held {
                        Some(held) => ready!(Pin::new(held).poll(cx)),
                        None => Ok(()),
                    };
                    let last = last.take();
                    self.state = match kept {
                        Ok(()) => State::Ended,
                        Err(error) => State::Cut(error),
                    };
                    if let (State::Ended, Some(last)) = (&self.state, last) {
                        return Poll::Ready(Some(Ok(last)));
                    }
                }
                State::Cut(error) => {
                    let error = cut(error.clone());
                    self.state = State::Ended;
                    return Poll::Ready(Some(Err(error)));
                }
                State::Ended => return Poll::Ready(None),
            }
        }
    }
}

impl Drop for WatchedBody {
    fn drop(&mut self) {
        let State::Flowing { body, .. } = std::mem::replace(&mut self.state, State::Ended) else { return };
        // The client left. The outcome is decided; only the sizes are missing, and reading the rest lets the connection be used again.
        self.exchange.client_left();
        if !self.exchange.is_settled() && !self.exchange.core.closing.get() {
            tokio::task::spawn_local(drain(self.exchange.clone(), body));
        }
    }
}

/// For an answer that is to be held, to a client for which the end of the connection is the end of the answer (HTTP/1.0 without a length). Such
/// a client cannot distinguish a cut answer from a complete one, so nothing is released before the outcome is durable. An answer that comes
/// completely within [`WHOLE_BODY`] and `resolve_after` is settled at its end and gets a length; any other is settled with what has come by
/// then.
///
/// # Errors
/// If nothing of it may reach the client: the outcome was not stored, or the answer broke off.
pub(crate) async fn durable_first(
    exchange: &Rc<Exchange>,
    mut body: PlainBody,
) -> Result<ClientBody, BodyError> {
    let after = exchange.watches.borrow().resolve_after();
    let mut ahead = BytesMut::new();
    let reading = async {
        while !body.has_ended() && ahead.len() <= WHOLE_BODY {
            let Some(frame) = poll_fn(|cx| body.poll(cx)).await.transpose()? else { break };
            if let Ok(data) = frame.into_data() {
                exchange.response_data(&data);
                ahead.extend_from_slice(&data);
            }
        }
        Ok(())
    };
    let read = tokio::time::timeout(after, reading).await;
    exchange.settle_answered();
    if let Some(held) = exchange.take_hold() {
        held.await.map_err(cut)?;
    }
    // An answer that is still coming may be released now.
    read.unwrap_or(Ok(()))?;
    let ahead = ahead.freeze();
    Ok(match body.has_ended() {
        true => ClientBody::Own(Some(ahead)),
        false => ClientBody::Begun(Box::new(BegunBody { ahead, rest: body })),
    })
}

/// The error that cuts an answer whose outcome was not stored.
pub(crate) fn cut(unkept: Unkept) -> BodyError {
    static CUT: Throttle = Throttle::new();
    if let Some(times) = CUT.happened() {
        tracing::warn!(error = %unkept, times, "an answer was cut because the outcome of its request could not be stored");
    }
    BodyError::Unstored(unkept)
}

/// Reads an answer to its end after the client has left, for at most `resolve_after`, and settles.
pub(crate) async fn drain(exchange: Rc<Exchange>, mut body: PlainBody) {
    let after = exchange.watches.borrow().resolve_after();
    let reading = poll_fn(|cx: &mut Context<'_>| {
        while let Some(frame) = ready!(body.poll(cx)) {
            match frame {
                Ok(frame) => frame.data_ref().into_iter().for_each(|data| exchange.response_data(data)),
                Err(_) => break,
            }
            if body.has_ended() {
                break;
            }
        }
        Poll::Ready(())
    });
    // Do not wait for a body that takes longer.
    let _ = tokio::time::timeout(after, Pin::from(Box::new(reading))).await;
    exchange.settle_answered();
}
