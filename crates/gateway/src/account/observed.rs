//! An answer's body on its way to the client, followed for observers: how much of it was handed on, and whether it came to its end.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pipeline::observe::End;

use super::Account;
use crate::body::BodyError;
use crate::body::answer::ClientBody;
use crate::exchange::Exchange;

pub(crate) struct ObservedBody {
    body: ClientBody,
    whose: Whose,
}

/// Whose body it is: it keeps the account until it is dropped.
pub(crate) enum Whose {
    /// Of an exchange that nobody records.
    Plain(Box<Account>),
    /// Of one that somebody does: it may go on when the client has all.
    Recorded(Rc<Exchange>),
}

impl Whose {
    fn account(&mut self, change: impl FnOnce(&mut Account)) {
        match self {
            Self::Plain(account) => change(account),
            Self::Recorded(exchange) => change(&mut exchange.account()),
        }
    }
}

impl ObservedBody {
    pub fn of(body: ClientBody, mut whose: Whose) -> ClientBody {
        let is_over = body.is_end_stream();
        whose.account(|account| {
            if is_over || account.asked_for_a_head() {
                account.ended(End::Whole);
            }
        });
        ClientBody::Observed(Box::new(Self { body, whose }))
    }

    pub fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    pub fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let size = match &frame {
            Some(Ok(frame)) => frame.data_ref().map_or(0, |data| data.len() as u64),
            Some(Err(_)) | None => 0,
        };
        // Nobody polls again for what has a length and has come to it.
        let end = match &frame {
            Some(Err(_)) => Some(End::Cut),
            Some(Ok(_)) if !self.body.is_end_stream() => None,
            Some(Ok(_)) | None => Some(End::Whole),
        };
        self.whose.account(|account| {
            account.handed_on(size);
            end.into_iter().for_each(|end| account.ended(end));
        });
        Poll::Ready(frame)
    }
}
