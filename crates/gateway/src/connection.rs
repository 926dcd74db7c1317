//! Accepting connections on one core and serving each until it ends or the drain tells it to.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use storage::failpoint;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::core::Core;
use crate::proxy::{Origin, serve};
use crate::seldom::Seldom;

mod client_io;

use client_io::ClientIo;

/// The least room for a head that hyper takes, in bytes.
const MIN_HEAD: usize = 8 << 10;
/// After an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts until the drain begins. Returns when the last connection has ended.
pub(crate) async fn accept(core: Rc<Core>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(core.limits.connections.max(1)));
    let mut serving = JoinSet::new();
    let address = listener.local_addr().unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
    let failures = Seldom::default();
    let mut draining = pin!(core.draining());
    loop {
        // Reaps what has ended, so that the set does not grow with every connection there ever was.
        while serving.try_join_next().is_some() {}
        let accepted = tokio::select! {
            biased;
            () = &mut draining => break,
            accepted = accept_one(&listener, &places) => accepted,
        };
        match accepted {
            Ok((stream, peer, place)) => {
                failpoint::hit(failpoint::CORE_TURN);
                core.stats.connections.fetch_add(1, Ordering::Relaxed);
                let core = core.clone();
                let local = stream.local_addr().unwrap_or(address);
                let origin = Origin { peer: canonical(peer), local: canonical(local) };
                serving.spawn_local(async move {
                    serve_connection(core, stream, origin).await;
                    drop(place);
                });
            }
            Err(error) => {
                if let Some(times) = failures.happened(Instant::now()) {
                    tracing::warn!(%error, times, "cannot accept connections");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    while serving.join_next().await.is_some() {}
}

/// A client that comes over IPv4 is known by its IPv4 address, also where the listener takes both (`[::]`).
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

async fn accept_one(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, place))
}

async fn serve_connection(core: Rc<Core>, stream: TcpStream, origin: Origin) {
    let _ = stream.set_nodelay(true);
    let limits = core.limits;
    let asked = Rc::new(Cell::new(false));
    let service = service_fn({
        let (core, asked) = (core.clone(), asked.clone());
        move |request| {
            asked.set(true);
            serve(core.clone(), origin, request)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_headers(limits.headers)
        .max_buf_size(limits.head_size.max(MIN_HEAD))
        .serve_connection(TokioIo::new(ClientIo::new(stream, limits.answer_patience)), service);
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        () = core.draining() => connection.as_mut().graceful_shutdown(),
    }
    if !asked.get() {
        // There was no request yet: one that comes whole in a moment is served, the rest of a head is not waited for. (A connection
        // between two requests has just been closed by the shutdown.)
        tokio::select! {
            biased;
            _ = connection.as_mut() => return,
            () = tokio::time::sleep(limits.drain_grace), if !asked.get() => {}
        }
        if !asked.get() {
            return;
        }
    }
    // A client that broke off is no news.
    let _ = connection.await;
}
