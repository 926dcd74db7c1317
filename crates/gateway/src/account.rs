//! What the gateway knows of one exchange, from its request's head to its end: its context, its route, and what its observers will get.
//!
//! It moves with the exchange: first it is in the task of the request, then with the body of the answer, or in the [`Exchange`](crate::exchange)
//! if the exchange is recorded. Dropping it is the end of the exchange; its observers are then called. Nothing of it is on the heap unless there
//! is an observer.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use event::Outcome;
use http::header::CONTENT_LENGTH;
use http::response::Parts;
use http::{HeaderValue, Method, Response, StatusCode, Version};
use listener::places::Seat;
use pipeline::context::RouteRef;
use pipeline::observe::{End, Source};
use pipeline::{AnswerHead, Chain, Context, RequestHead};

use crate::answer::Refusal;
use crate::body::answer::ClientBody;
use crate::headers;
use crate::inbound::Connection;
use crate::own_address::AskedFor;
use crate::references;
use crate::rewriting::Rewriting;
use crate::service::Service;
use crate::snapshot::{Place, ServiceRef};
use crate::stats::RouteNumber;
use crate::upstream::interim;

mod log;
pub(crate) mod observed;
pub(crate) mod transformed;

use log::Log;
use transformed::Transforms;

/// One exchange.
pub(crate) struct Account {
    connection: Rc<Connection>,
    pub context: Context,
    place: Option<Place>,
    /// The client's seat, for what is sent before the answer.
    seat: Rc<Seat>,
    /// What the client asked for.
    asked_for: AskedFor,
    /// How the answer is said in the client's terms, if its route asks for that.
    rewriting: Option<Box<Rewriting>>,
    /// What the observers will get; only if there is an observer.
    log: Option<Box<Log>>,
}

impl Account {
    pub fn new(connection: Rc<Connection>, seat: Rc<Seat>, context: Context) -> Self {
        Self {
            connection,
            context,
            place: None,
            seat,
            asked_for: AskedFor::default(),
            rewriting: None,
            log: None,
        }
    }

    /// Who gets interim answers. HTTP/1.0 does not know them.
    pub fn interim(&self) -> Option<interim::Audience> {
        let knows = self.context.inbound.version >= Version::HTTP_11;
        knows.then(|| interim::Audience::of(self.seat.clone()))
    }

    /// The client's address, as headers have it.
    pub fn client_ip(&self) -> HeaderValue {
        let Self { connection, context, .. } = self;
        if context.client == connection.peer.ip() {
            connection.peer_ip.clone()
        } else {
            headers::address(context.client)
        }
    }

    /// Whether the peer's `X-Forwarded-*` headers are believed.
    pub fn peer_is_trusted(&self) -> bool {
        self.connection.peer_is_trusted
    }

    /// The port that the client connected to, as headers have it.
    pub fn port(&self) -> HeaderValue {
        self.connection.port.clone()
    }

    /// Notes the route of the request, or that it has none. `head` is as the client sent it and has `size` bytes.
    pub fn led_to(&mut self, place: Place, head: &RequestHead, size: u64) {
        let observers = || place.chains().all().flat_map(Chain::observe);
        if observers().next().is_some() || self.connection.access_log.is_some() {
            let wants_headers = observers().any(|link| link.role.wants_headers());
            self.log = Some(Box::new(Log::new(head, size, wants_headers)));
        }
        self.context.route = place.route();
        self.place = Some(place);
    }

    /// Notes what the client asked for and how, once it is known who answers.
    pub fn asks_for(&mut self, asked_for: AskedFor, rewriting: Option<Box<Rewriting>>) {
        (self.asked_for, self.rewriting) = (asked_for, rewriting);
    }

    /// Where the request is counted.
    pub fn number(&self) -> RouteNumber {
        self.place.as_ref().map_or(RouteNumber::UNROUTED, Place::number)
    }

    /// Counts an answer of a plug-in, if it is a refusal.
    pub fn count_plugins_answer(&self, status: StatusCode) {
        if status.as_u16() >= 400 {
            self.connection.stats.refused_by_plugin();
        }
    }

    /// The plug-ins that run, now that the consumer is known or there is none.
    pub fn chain(&self) -> Option<&Chain> {
        let place = self.place.as_ref()?;
        Some(place.chains().of(self.context.consumer.as_deref()))
    }

    /// A counter for the bytes of the request's body, if an observer wants to know them.
    pub fn request_counter(&self) -> Option<Rc<Cell<u64>>> {
        self.log.as_ref().map(|log| log.request_body_size.clone())
    }

    /// An answer that the gateway makes itself.
    #[inline(never)]
    pub fn refuse(&mut self, refusal: Refusal) -> Response<ClientBody> {
        self.connection.stats.refused_because(refusal);
        let answer = refusal.answer(self.context.id, self.context.accept.as_ref());
        self.answer(answer, Source::Gateway)
    }

    /// Turns an answer that is not the upstream's into the client's: the plug-ins may change it.
    #[inline(never)]
    pub fn answer(&mut self, mut answer: Response<Bytes>, source: Source) -> Response<ClientBody> {
        headers::of_own_answer(answer.headers_mut(), self.context.id, self.context.started.elapsed());
        let (mut head, body) = answer.into_parts();
        let transforms = self.respond(&mut head, source);
        let body = transforms.whole(body);
        if let Some(log) = &mut self.log {
            log.told(&head, source);
        }
        Response::from_parts(head, ClientBody::Own(Some(body)))
    }

    /// Turns the head of the answer of `service` into the client's; it was asked at `asked`. Returns what changes the body, for
    /// [`Transforms::of`].
    pub fn upstream_answered(
        &mut self,
        head: &mut Parts,
        service: &Service,
        asked: Instant,
        audience: Audience,
    ) -> Transforms {
        if let Some(log) = &mut self.log {
            log.upstream_answered(head.status, asked);
        }
        headers::to_client(head, self.context.id, asked.elapsed(), asked - self.context.started);
        if let Some(rewriting) = &self.rewriting {
            rewriting.answer(&mut head.headers, service.own(rewriting));
        }
        let transforms = self.respond(head, Source::Upstream);
        if references::are_in(&head.headers) {
            service.referred(&head.headers, self.asked_for);
        }
        if let (Some(log), Audience::Client) = (&mut self.log, audience) {
            log.told(head, Source::Upstream);
        }
        transforms
    }

    fn respond(&mut self, head: &mut Parts, source: Source) -> Transforms {
        let Self { context, place: Some(place), .. } = self else { return Transforms::default() };
        let chain = place.chains().of(context.consumer.as_deref());
        let mut transforms = Transforms::default();
        for link in chain.respond() {
            let mut answer = AnswerHead { status: &mut head.status, headers: &mut head.headers, source };
            transforms.extend(link.role.respond(&mut answer, context));
        }
        if !transforms.is_empty() {
            head.headers.remove(CONTENT_LENGTH);
        }
        transforms
    }

    /// Notes that the upstream is asked now, at this service.
    pub fn asks(&mut self, now: Instant, service: &ServiceRef) {
        if let Some(log) = &mut self.log {
            log.asked = Some(now);
            log.service = Some(service.clone());
        }
    }

    /// Notes the outcome of the first event that comes of it.
    pub fn makes_an_event(&mut self, outcome: Outcome) {
        if let Some(log) = &mut self.log {
            log.outcome = Some(outcome);
        }
    }

    /// Tells the observers, and writes the line of the access log.
    #[inline(never)]
    fn is_over(&self, log: &Log) {
        let took = log.took(&self.context);
        if let Some(chain) = self.chain() {
            log.tell(chain, &self.context, took);
        }
        if let Some(lines) = &self.connection.access_log {
            let facts = self.context.route.as_ref().map(RouteRef::facts);
            let client = self.client_ip();
            lines.push(&log.line(&self.context, facts, client.to_str().unwrap_or_default(), took));
        }
    }

    /// Counts bytes of the answer's body that were passed on to the client.
    fn handed_on(&mut self, bytes: u64) {
        if let Some(log) = &mut self.log {
            log.answer_body_size += bytes;
        }
    }

    /// Notes how the answer ended for the client.
    pub fn ended(&mut self, end: End) {
        if let Some(log) = &mut self.log {
            log.end = end;
        }
    }

    pub fn is_observed(&self) -> bool {
        self.log.is_some()
    }

    /// Whether the client asked with `HEAD`, so that the answer has no body, whatever its head says.
    fn asked_for_a_head(&self) -> bool {
        self.log.as_ref().is_some_and(|log| log.method == Method::HEAD)
    }
}

/// Whether a client is still there to receive an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    Client,
    Nobody,
}

impl Drop for Account {
    fn drop(&mut self) {
        let Some(log) = self.log.take() else { return };
        self.is_over(&log);
    }
}
