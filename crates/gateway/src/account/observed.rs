//! The body of an answer on its way to the client, followed for observers: how much of it was passed on, and whether it reached its end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use pipeline::observe::End;

use super::Account;
use crate::body::BodyError;
use crate::body::answer::{ClientBody, Passing};

/// Keeps the account of an exchange until it is dropped.
pub(crate) trait Keeper: 'static {
    /// Notes something in the account.
    fn note(&mut self, note: impl FnOnce(&mut Account));
}

/// For an exchange that nobody records.
impl Keeper for Box<Account> {
    fn note(&mut self, note: impl FnOnce(&mut Account)) {
        note(self);
    }
}

struct ObservedBody<K> {
    body: ClientBody,
    keeper: K,
}

impl Account {
    /// Moves into the body of the answer until its end, if an observer wants to know of it.
    pub fn attach(self, answer: Response<ClientBody>) -> Response<ClientBody> {
        if !self.is_observed() {
            return answer;
        }
        answer.map(|body| observed(body, Box::new(self)))
    }
}

/// The body, followed for observers until it is dropped.
pub(crate) fn observed(body: ClientBody, mut keeper: impl Keeper) -> ClientBody {
    let is_over = body.is_end_stream() || matches!(body, ClientBody::Absent(_));
    keeper.note(|account| {
        if is_over || account.asked_for_a_head() {
            account.ended(End::Whole);
        }
    });
    ClientBody::Passing(Box::new(ObservedBody { body, keeper }))
}

impl<K: Keeper> Passing for ObservedBody<K> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let size = match &frame {
            Some(Ok(frame)) => frame.data_ref().map_or(0, |data| data.len() as u64),
            Some(Err(_)) | None => 0,
        };
        // A body with a length is not polled again once all its bytes have come, nor is one after its trailers.
        let end = match &frame {
            Some(Err(_)) => Some(End::Cut),
            Some(Ok(frame)) if !frame.is_trailers() && !self.body.is_end_stream() => None,
            Some(Ok(_)) | None => Some(End::Whole),
        };
        self.keeper.note(|account| {
            account.handed_on(size);
            end.into_iter().for_each(|end| account.ended(end));
        });
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
