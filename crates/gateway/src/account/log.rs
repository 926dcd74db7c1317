//! What the observers of one exchange get at its end.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use event::Outcome;
use http::response::Parts;
use http::{HeaderMap, Method, StatusCode, Uri};
use pipeline::observe::{End, Source, Took};
use pipeline::{Chain, Context, Observed, RequestHead, RouteFacts};

use crate::access_log::line::Line;
use crate::answer::head_size;
use crate::snapshot::ServiceRef;

/// Its functions are not inlined: a request that nobody observes passes by all of them.
pub(super) struct Log {
    pub method: Method,
    uri: Uri,
    /// Only if an observer looks at headers.
    request_headers: Option<HeaderMap>,
    response_headers: Option<HeaderMap>,
    request_head_size: u64,
    /// The size of the request's body, counted as it passes, in bytes.
    pub request_body_size: Rc<Cell<u64>>,
    status: Option<StatusCode>,
    upstream_status: Option<StatusCode>,
    source: Option<Source>,
    pub end: End,
    answer_head_size: u64,
    pub answer_body_size: u64,
    pub asked: Option<Instant>,
    upstream_answered: Option<Instant>,
    /// Where it was sent.
    pub service: Option<ServiceRef>,
    /// Of its first event.
    pub outcome: Option<Outcome>,
}

impl Log {
    #[inline(never)]
    pub fn new(head: &RequestHead, request_head_size: u64, wants_headers: bool) -> Self {
        Self {
            method: head.method.clone(),
            uri: head.uri.clone(),
            request_headers: wants_headers.then(|| head.headers.clone()),
            response_headers: None,
            request_head_size,
            request_body_size: Rc::default(),
            status: None,
            upstream_status: None,
            source: None,
            end: End::ClientLeft,
            answer_head_size: 0,
            answer_body_size: 0,
            asked: None,
            upstream_answered: None,
            service: None,
            outcome: None,
        }
    }

    #[inline(never)]
    pub fn upstream_answered(&mut self, status: StatusCode, asked: Instant) {
        self.upstream_status = Some(status);
        self.asked = Some(asked);
        self.upstream_answered = Some(Instant::now());
    }

    /// Notes the head that the client gets.
    #[inline(never)]
    pub fn told(&mut self, head: &Parts, source: Source) {
        self.status = Some(head.status);
        self.source = Some(source);
        self.answer_head_size = head_size(head.status, &head.headers, &head.extensions);
        if self.request_headers.is_some() {
            self.response_headers = Some(head.headers.clone());
        }
    }

    /// How long it took until now, when it is over.
    pub fn took(&self, context: &Context) -> Took {
        let now = Instant::now();
        let upstream = self.upstream_answered.zip(self.asked).map(|(answered, asked)| answered - asked);
        let gateway = self.asked.unwrap_or(now) - context.started;
        Took { gateway, upstream, total: now - context.started }
    }

    /// Its line in the access log. `facts` are those of its route, if it has one.
    pub fn line<'l>(
        &'l self,
        context: &'l Context,
        facts: Option<&'l RouteFacts>,
        client: &'l str,
        took: Took,
    ) -> Line<'l> {
        Line {
            at: context.started_at,
            id: context.id,
            client,
            method: self.method.as_str(),
            path: self.uri.path(),
            status: self.status.map(|status| status.as_u16()),
            upstream_status: self.upstream_status.map(|status| status.as_u16()),
            service: facts.map(|facts| facts.service.as_str()),
            route: facts.map(|facts| facts.route.as_str()),
            upstream: self.service.as_ref().map(|service| service.destination.authority()),
            took,
            bytes_in: self.request_head_size + self.request_body_size.get(),
            bytes_out: self.answer_head_size + self.answer_body_size,
            outcome: self.outcome.map(Outcome::as_str),
            source: self.source,
            end: self.end,
        }
    }

    #[inline(never)]
    pub fn tell(&self, chain: &Chain, context: &Context, took: Took) {
        let observed = Observed {
            context,
            method: &self.method,
            uri: &self.uri,
            request_headers: self.request_headers.as_ref(),
            response_headers: self.response_headers.as_ref(),
            status: self.status,
            upstream_status: self.upstream_status,
            source: self.source,
            end: self.end,
            request_size: self.request_head_size + self.request_body_size.get(),
            response_size: self.answer_head_size + self.answer_body_size,
            took,
        };
        for link in chain.observe() {
            link.role.observed(&observed);
        }
    }
}
