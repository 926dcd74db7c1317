//! Accepting connections until the drain begins.
//!
//! A failure to accept (no descriptors, no memory) is said at most once a second with the number of failures; those who wait for a request
//! make room meanwhile.

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

/// After an accept that failed for want of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(50);

/// For all listeners, because what they lack is the process's.
static FAILED: Throttle = Throttle::new();

/// What connections come from.
pub trait Listener {
    /// One connection.
    type Stream: 'static;
    /// Whose it is.
    type Peer: 'static;

    /// Waits for a connection.
    ///
    /// # Errors
    /// What the operating system says.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Self::Peer)>>;
}

impl Listener for TcpListener {
    type Stream = TcpStream;
    type Peer = SocketAddr;

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = Self::accept(self).await?;
        // Without it a head and a body that leave apart wait for each other's acknowledgement.
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
/// `name` is the listener's in log lines.
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
        // Reaps what has ended, so that the set does not grow with every connection there ever was.
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

/// The connection is taken first: only then is it known that there is one to make room for.
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
