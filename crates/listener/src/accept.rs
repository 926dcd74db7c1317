//! Accepting connections until the drain begins.
//!
//! Failures to accept (no descriptors, no memory) are logged at most once a second, with their number. If descriptors or memory are
//! lacking, connections without a whole request are closed to make room.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use storage::throttle::Throttle;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::JoinSet;

use crate::places::{Place, Places};

/// The wait after an accept that failed, for whatever reason: an immediate retry would most likely fail, too, and would keep the core busy.
const PAUSE: Duration = Duration::from_millis(50);

/// One for all listeners, because descriptors and memory are the process's.
static FAILED: Throttle = Throttle::new();

/// What connections come from.
pub trait Listener {
    /// One connection.
    type Stream: 'static;
    /// What is known of the client at its other end.
    type Peer: 'static;

    /// Waits for a connection.
    ///
    /// # Errors
    /// If the operating system reports an error: the listener may work again later.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Self::Peer)>>;
}

impl Listener for TcpListener {
    type Stream = TcpStream;
    type Peer = SocketAddr;

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = Self::accept(self).await?;
        // With Nagle's algorithm, a body that is written after its head would wait until the client acknowledges the head.
        let _ = stream.set_nodelay(true);
        Ok((stream, peer))
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;
    type Peer = ();

    async fn accept(&self) -> io::Result<(UnixStream, ())> {
        let (stream, _) = Self::accept(self).await?;
        Ok((stream, ()))
    }
}

/// Accepts until `drain` resolves, and gives each connection with its place to `serve`. Returns when the last connection has ended.
///
/// `name` is the listener's name in log lines.
pub async fn accept<L, F>(
    listener: L,
    name: &'static str,
    places: Rc<Places>,
    drain: impl Future<Output = ()>,
    serve: impl Fn(L::Stream, L::Peer, Place) -> F,
) where
    L: Listener,
    F: Future<Output = ()> + 'static,
{
    let mut serving = JoinSet::new();
    let mut drain = pin!(drain);
    loop {
        // Removes the tasks that have ended: otherwise the set would grow with every connection.
        while serving.try_join_next().is_some() {}
        let accepted = tokio::select! {
            biased;
            () = &mut drain => break,
            accepted = accept_one(&listener, &places) => accepted,
        };
        match accepted {
            Ok((stream, peer, place)) => drop(serving.spawn_local(serve(stream, peer, place))),
            Err(error) => {
                if is_want(&error) {
                    places.make_room();
                }
                if let Some(times) = FAILED.happened() {
                    tracing::warn!(listener = name, %error, times, "cannot accept connections{}", hint(&error));
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    places.end();
    while serving.join_next().await.is_some() {}
}

/// Accepts before there is a place: only then is it known that there is a connection to make room for.
async fn accept_one<L: Listener>(
    listener: &L,
    places: &Rc<Places>,
) -> io::Result<(L::Stream, L::Peer, Place)> {
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, places.take().await))
}

/// Whether it failed for want of descriptors or memory.
fn is_want(error: &io::Error) -> bool {
    Errno::from_io_error(error)
        .is_some_and(|errno| [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM].contains(&errno))
}

fn hint(error: &io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE) => ": raise the limit on open files of this process (LimitNOFILE, ulimit -n)",
        Some(Errno::NFILE) => ": the system has as many open files as it may (fs.file-max)",
        _ => "",
    }
}
