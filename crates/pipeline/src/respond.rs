//! The role *respond*: change an answer on its way to the client.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::Context;
use crate::observe::Source;

/// Sees the head of each answer that its routes give, in the order of the chain: the upstream's, and those that a plug-in or the gateway
/// itself makes. An instance that is for all requests sees the answers to those that find no route, too.
pub trait Respond: Send + Sync + 'static {
    /// Changes the head. Whoever wants to change the body as well returns what does it; then the answer is sent without a length.
    ///
    /// Recorders judge by the status that the upstream sent, whatever is made of it here, and see the upstream's body.
    fn respond(&self, answer: &mut AnswerHead<'_>, context: &mut Context) -> Option<Box<dyn Transform>>;
}

/// The head of an answer, as the client will see it.
#[derive(Debug)]
pub struct AnswerHead<'a> {
    /// The status.
    pub status: &'a mut StatusCode,
    /// The headers, with what the gateway adds; without those that concern one connection.
    pub headers: &'a mut HeaderMap,
    /// Who made the answer.
    pub source: Source,
}

/// Changes the body of one answer as it passes. Not asked for an answer that has no body.
pub trait Transform {
    /// What is sent in place of a piece: nothing for now, if it is empty.
    fn piece(&mut self, piece: Bytes) -> Bytes;

    /// What is still to be sent when the last piece has passed. Not called for a body that broke off.
    fn end(&mut self) -> Bytes {
        Bytes::new()
    }
}
