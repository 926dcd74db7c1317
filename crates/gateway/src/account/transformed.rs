//! The body of an answer that plug-ins change as it passes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pipeline::Transform;

use crate::body::BodyError;
use crate::body::answer::{ClientBody, Passing};

/// The changes of one answer's body, in the order of the chain.
#[derive(Default)]
pub(crate) struct Transforms(Vec<Box<dyn Transform>>);

impl Transforms {
    pub fn extend(&mut self, transform: Option<Box<dyn Transform>>) {
        self.0.extend(transform);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A body with these changes.
    pub fn of(self, body: ClientBody) -> ClientBody {
        // A body that has ended already has nothing to change: its answer has no body.
        if self.is_empty() || body.is_end_stream() {
            return body;
        }
        ClientBody::Passing(Box::new(TransformedBody { body, transforms: self, rest: Rest::ToCome }))
    }

    /// A whole body, changed.
    pub fn whole(mut self, body: Bytes) -> Bytes {
        if self.is_empty() || body.is_empty() {
            return body;
        }
        let mut whole = self.piece(body).to_vec();
        whole.extend_from_slice(&self.end());
        whole.into()
    }

    fn piece(&mut self, piece: Bytes) -> Bytes {
        self.0.iter_mut().fold(piece, |piece, transform| transform.piece(piece))
    }

    /// The end of the body: what each change still holds goes through the changes after it.
    fn end(&mut self) -> Bytes {
        let mut rest = Bytes::new();
        for transform in &mut self.0 {
            let mut changed = if rest.is_empty() { Vec::new() } else { transform.piece(rest).to_vec() };
            changed.extend_from_slice(&transform.end());
            rest = changed.into();
        }
        rest
    }
}

struct TransformedBody {
    body: ClientBody,
    transforms: Transforms,
    rest: Rest,
}

/// What comes after the last piece of the body that is changed.
enum Rest {
    /// It is still coming.
    ToCome,
    /// Trailers.
    Trailers(Frame<Bytes>),
    /// Nothing.
    Nothing,
}

impl Passing for TransformedBody {
    fn is_end_stream(&self) -> bool {
        matches!(self.rest, Rest::Nothing)
    }

    /// Unknown, because nobody knows what the plug-ins make of the body.
    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            match std::mem::replace(&mut self.rest, Rest::Nothing) {
                Rest::ToCome => self.rest = Rest::ToCome,
                Rest::Trailers(frame) => return Poll::Ready(Some(Ok(frame))),
                Rest::Nothing => return Poll::Ready(None),
            }
            let changed = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(piece) => self.transforms.piece(piece),
                    Err(trailers) => {
                        self.rest = Rest::Trailers(trailers);
                        self.transforms.end()
                    }
                },
                Some(Err(error)) => {
                    self.rest = Rest::Nothing;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    self.rest = Rest::Nothing;
                    self.transforms.end()
                }
            };
            if !changed.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(changed))));
            }
        }
    }
}
