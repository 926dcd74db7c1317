//! A connection to an upstream as the pool sees it: what of a request was taken, whether bytes wait to be taken, and whether the upstream
//! said or closed anything without being asked.
//!
//! hyper owns the connection's protocol and reads and writes through [`WireIo`]; the pool keeps the other handle. The kernel is asked
//! right before the first byte of every request: what the reactor reported may be a moment old, and an answer that came before its request
//! was written for somebody else (ADR 0010).

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use dialing::Lifetime;
use http::{HeaderMap, HeaderName, Request};
use listener::connection::OddCharacters;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::AbortHandle;

use super::habits::{self, Habits};
use super::interim::{self, Interim};
use super::name::Name;
use super::stream::{Sent, Stream};
use crate::keep_alive;
use crate::stall::Stall;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// What is known of one connection.
pub(crate) struct Wire {
    stream: RefCell<Stream>,
    /// Whom it was made for.
    name: Name,
    life: RefCell<Lifetime>,
    habits: Rc<RefCell<Habits>>,
    /// Since its last answer ended; `None` while a request is under way.
    idle_since: Cell<Option<Instant>>,
    /// How long it had been idle before the request that is under way.
    idle_before: Cell<Duration>,
    answers: Cell<u32>,
    /// How long it may be idle.
    may_be_idle: Cell<Duration>,
    /// Its close by the upstream has been noted, or was announced.
    closed: Cell<bool>,
    /// The next write is the first of a request.
    begins: Cell<bool>,
    /// The head of the request that was last begun, and perhaps what hyper wrote behind it.
    head: RefCell<Vec<u8>>,
    /// What hyper could not write of the query, and where that begins in the head.
    odd: Cell<Option<(usize, Box<OddCharacters>)>>,
    /// Bytes that are written in the place of hyper's first ones.
    instead: RefCell<Option<Instead>>,
    /// The kernel took bytes of the request.
    wrote: Cell<bool>,
    /// Bytes came since the request began.
    read: Cell<bool>,
    /// Since when the kernel takes no more.
    blocked_since: Cell<Option<Instant>>,
    /// When it last took some after it had not.
    unblocked_at: Cell<Option<Instant>>,
    /// A write has failed after an earlier one had not: nothing more can be sent. What the upstream sent before can still be read.
    is_deaf: Cell<bool>,
    /// Looks for interim answers in what comes.
    interim: RefCell<Interim>,
    /// The task in which hyper runs the connection.
    task: RefCell<Option<AbortHandle>>,
    /// For a body that goes on after its answer: the request's task does not wait any more, so that nothing else would end it.
    behind_answer: RefCell<Stall>,
}

impl Wire {
    pub fn new(stream: Stream, name: Name, habits: Rc<RefCell<Habits>>, write_timeout: Duration) -> Rc<Self> {
        Rc::new(Self {
            stream: RefCell::new(stream),
            name,
            life: RefCell::new(Lifetime::begin(Instant::now())),
            habits,
            idle_since: Cell::new(None),
            idle_before: Cell::new(Duration::ZERO),
            answers: Cell::new(0),
            may_be_idle: Cell::new(habits::UNSAID),
            closed: Cell::new(false),
            begins: Cell::new(false),
            head: RefCell::default(),
            odd: Cell::default(),
            instead: RefCell::default(),
            wrote: Cell::new(false),
            read: Cell::new(false),
            blocked_since: Cell::new(None),
            unblocked_at: Cell::new(None),
            is_deaf: Cell::new(false),
            interim: RefCell::default(),
            task: RefCell::new(None),
            behind_answer: RefCell::new(Stall::new(write_timeout)),
        })
    }

    /// Whether it was made for this name.
    pub fn is_for(&self, name: &Name) -> bool {
        self.name == *name
    }

    /// Whether it is not to be used for another request, so that a name that moves is followed.
    pub fn is_old(&self, now: Instant) -> bool {
        self.life.borrow().is_over(now)
    }

    /// Whether the service's name should be looked up anew, because this connection will soon be old. Says so once.
    pub fn wants_refresh(&self, now: Instant) -> bool {
        self.life.borrow_mut().wants_refresh(now)
    }

    /// A request is about to be given to hyper. The connection may have been opened for a service with another timeout.
    pub fn begin(&self, now: Instant, write_timeout: Duration, audience: Option<interim::Audience>) {
        self.interim.borrow_mut().begin(audience);
        self.behind_answer.borrow_mut().set_limit(write_timeout);
        let idle = self.idle_since.take().map_or(Duration::ZERO, |since| now.duration_since(since));
        self.idle_before.set(idle);
        self.head.borrow_mut().clear();
        self.odd.set(None);
        *self.instead.borrow_mut() = None;
        self.begins.set(true);
        self.wrote.set(false);
        self.read.set(false);
        self.blocked_since.set(None);
        self.unblocked_at.set(None);
    }

    /// Characters that hyper does not write are put into the query of the request that was begun, which has others in their places.
    pub fn puts_in<B>(&self, request: &Request<B>) {
        if let Some(odd) = request.extensions().get::<Box<OddCharacters>>() {
            let before = request.method().as_str().len() + request.uri().path().len() + " ?".len();
            self.odd.set(Some((before, odd.clone())));
        }
    }

    /// An answer has ended, and the connection goes to the pool.
    pub fn rest(&self, now: Instant) {
        self.answers.set(self.answers.get().saturating_add(1));
        self.idle_since.set(Some(now));
    }

    /// Notes the task in which hyper runs the connection.
    pub fn runs_in(&self, task: AbortHandle) {
        self.task.replace(Some(task));
    }

    /// Whether hyper still runs the connection.
    pub fn is_running(&self) -> bool {
        self.task.borrow().as_ref().is_some_and(|task| !task.is_finished())
    }

    /// Closes the connection, whatever is still to be sent.
    pub fn hang_up(&self) {
        if let Some(task) = &*self.task.borrow() {
            task.abort();
        }
    }

    /// Whether a write has failed.
    pub fn is_deaf(&self) -> bool {
        self.is_deaf.get()
    }

    /// How many answers it has given.
    pub fn answers(&self) -> u32 {
        self.answers.get()
    }

    /// How long it may be idle and still be used again.
    pub fn may_be_idle(&self) -> Duration {
        self.may_be_idle.get()
    }

    /// Heeds what the upstream says about that. It says the same on every answer, so its first one on this connection is enough.
    pub fn heed(&self, answer: &HeaderMap) {
        if self.answers.get() > 0 {
            return;
        }
        if let Some(said) = answer.get(KEEP_ALIVE).and_then(|value| keep_alive::said(value.as_bytes())) {
            self.may_be_idle.set(said);
        }
    }

    /// Whether the kernel took any byte of the request.
    pub fn has_written(&self) -> bool {
        self.wrote.get()
    }

    /// Whether any byte of an answer came.
    pub fn has_read(&self) -> bool {
        self.read.get()
    }

    /// Reads the head of the request that was last begun; it is empty if hyper has not written it.
    pub fn with_head<T>(&self, read: impl FnOnce(&[u8]) -> T) -> T {
        read(&self.head.borrow())
    }

    /// Since when bytes wait that the upstream does not take.
    pub fn blocked_since(&self) -> Option<Instant> {
        self.blocked_since.get()
    }

    /// When the upstream took bytes that had had to wait.
    pub fn unblocked_at(&self) -> Option<Instant> {
        self.unblocked_at.get()
    }

    /// The upstream closed the connection instead of answering the request that is under way.
    pub fn closed_on_reuse(&self) {
        self.note_close(self.idle_before.get());
    }

    /// The upstream said that it closes the connection.
    pub fn will_be_closed(&self) {
        self.closed.set(true);
    }

    /// Whether the upstream said so, or closed it.
    pub fn is_closing(&self) -> bool {
        self.closed.get()
    }

    /// The connection ended together with its last answer.
    pub fn closed_at_rest(&self) {
        self.note_close(Duration::ZERO);
    }

    /// Whether the connection is at its end, or has bytes that no request asked for. Asks the kernel.
    pub fn spoilt(&self) -> Option<io::Error> {
        let spoilt = self.stream.borrow_mut().unasked()?;
        if spoilt.kind() != ErrorKind::InvalidData {
            self.note_close(self.idle_since.get().map_or(self.idle_before.get(), |since| since.elapsed()));
        }
        Some(spoilt)
    }

    fn note_close(&self, idle: Duration) {
        // One that never answered says nothing about how long answers keep it open.
        if self.answers.get() > 0 && !self.closed.replace(true) {
            self.habits.borrow_mut().closed(Instant::now(), idle, self.answers.get());
        }
    }

    fn check_first_write(&self, bytes: &[u8]) -> io::Result<()> {
        if !self.begins.replace(false) {
            return Ok(());
        }
        self.head.borrow_mut().extend_from_slice(bytes);
        if self.is_deaf.get() {
            return Err(ErrorKind::ConnectionAborted.into());
        }
        if let Some((before, odd)) = self.odd.take() {
            let mut bytes = bytes.to_vec();
            odd.restore(bytes.get_mut(before..).unwrap_or_default());
            self.instead.replace(Some(Instead { bytes, written: 0 }));
        }
        self.spoilt().map_or(Ok(()), Err)
    }

    /// Notes what became of a write or a flush, and ends one that makes no progress after an answer.
    fn note_write<T>(
        &self,
        sent: Sent,
        ended: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if sent.accepted {
            self.wrote.set(true);
        }
        if sent.moved && self.blocked_since.take().is_some() {
            self.unblocked_at.set(Some(Instant::now()));
            self.behind_answer.borrow_mut().moved();
        }
        if sent.waits && self.blocked_since.get().is_none() {
            self.blocked_since.set(Some(Instant::now()));
        }
        if matches!(ended, Poll::Ready(Err(_))) && self.wrote.get() {
            // The upstream may have answered before it closed. So hyper hears of the end by a read, after all that came before it.
            if !self.is_deaf.replace(true) {
                cx.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
        if ended.is_pending() && self.read.get() && self.behind_answer.borrow_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        ended
    }

    /// What a write comes to.
    fn write(
        &self,
        write: impl FnOnce(Pin<&mut Stream>) -> Poll<io::Result<usize>>,
    ) -> (Poll<io::Result<usize>>, Sent) {
        let mut stream = self.stream.borrow_mut();
        let ended = write(Pin::new(&mut *stream));
        let sent = stream.sent(&ended);
        (ended, sent)
    }

    /// Writes what is to be written in the place of hyper's first bytes, if anything is left of it. As many of hyper's count as written.
    fn write_instead(&self, cx: &mut Context<'_>) -> Option<Poll<io::Result<usize>>> {
        let mut instead = self.instead.borrow_mut();
        let Instead { bytes, written } = instead.as_mut()?;
        let (ended, sent) = self.write(|stream| stream.poll_write(cx, &bytes[*written..]));
        if let Poll::Ready(Ok(more)) = &ended {
            *written += more;
            if *written == bytes.len() {
                *instead = None;
            }
        }
        Some(self.note_write(sent, ended, cx))
    }

    fn note_read(&self, filled: usize) {
        if filled > 0 {
            self.read.set(true);
        } else if let Some(since) = self.idle_since.get() {
            self.note_close(since.elapsed());
        }
    }
}

/// Bytes that are written in the place of others, of which there are as many.
struct Instead {
    bytes: Vec<u8>,
    written: usize,
}

/// hyper's handle of a [`Wire`].
pub(crate) struct WireIo(pub Rc<Wire>);

impl AsyncRead for WireIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut *self.0.stream.borrow_mut()).poll_read(cx, buffer));
        match &read {
            Ok(()) => {
                self.0.note_read(buffer.filled().len() - before);
                self.0.interim.borrow_mut().came(&buffer.filled()[before..]);
            }
            // Over TLS: closed, and not said so within it.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => self.0.note_read(0),
            Err(_) => {}
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for WireIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.check_first_write(bytes)?;
        if let Some(written) = self.0.write_instead(cx) {
            return written;
        }
        let (written, sent) = self.0.write(|stream| stream.poll_write(cx, bytes));
        self.0.note_write(sent, written, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // hyper's first slice is the head.
        self.0.check_first_write(slices.first().map_or(&[], |slice| slice))?;
        if let Some(written) = self.0.write_instead(cx) {
            return written;
        }
        let (written, sent) = self.0.write(|stream| stream.poll_write_vectored(cx, slices));
        self.0.note_write(sent, written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stream = self.0.stream.borrow_mut();
        let flushed = Pin::new(&mut *stream).poll_flush(cx);
        let sent = stream.flushed(&flushed);
        drop(stream);
        match sent {
            Some(sent) => self.0.note_write(sent, flushed, cx),
            None => flushed,
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.stream.borrow_mut()).poll_shutdown(cx)
    }
}
