//! A connection to one of several addresses: RFC 8305's staggered start.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

/// While an address gives no answer, the next one is tried after this long.
pub const STAGGER: Duration = Duration::from_millis(250);
/// Addresses that are tried at once. With more, each has its share of the time and then makes room for the next.
pub const MAX_RACERS: usize = 4;

/// Connects to the address that answers first, without Nagle's algorithm: a small request would wait for the acknowledgement of the one
/// before it.
///
/// An address that refuses is followed by the next at once, one that gives no answer after [`STAGGER`]. Every attempt beside the first
/// takes a descriptor more; `place` gives leave for it, and what it gives is dropped when that attempt is over.
///
/// # Errors
/// The error of the last address that failed, or [`io::ErrorKind::TimedOut`].
pub async fn connect<G>(
    addresses: &[IpAddr],
    port: u16,
    within: Duration,
    place: impl FnMut() -> Option<G>,
) -> io::Result<(TcpStream, IpAddr)> {
    let connecting = async {
        match addresses {
            [address] => {
                TcpStream::connect(SocketAddr::new(*address, port)).await.map(|stream| (stream, *address))
            }
            _ => race(addresses, port, within, place).await,
        }
    };
    let (stream, address) = timeout(within, connecting).await.map_err(|_| io::ErrorKind::TimedOut)??;
    stream.set_nodelay(true)?;
    Ok((stream, address))
}

/// An attempt at one address.
struct Racer<G> {
    address: IpAddr,
    began: Instant,
    connecting: Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>,
    /// Leave to have a descriptor; the caller has one already, for one racer.
    place: Option<G>,
}

impl<G> Racer<G> {
    fn start(address: IpAddr, port: u16, place: Option<G>) -> Self {
        let connecting = Box::pin(TcpStream::connect(SocketAddr::new(address, port)));
        Self { address, began: Instant::now(), connecting, place }
    }
}

async fn race<G>(
    addresses: &[IpAddr],
    port: u16,
    within: Duration,
    mut place: impl FnMut() -> Option<G>,
) -> io::Result<(TcpStream, IpAddr)> {
    let share = within / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
    let mut waiting = addresses.iter().copied();
    let mut racers: Vec<Racer<G>> = Vec::with_capacity(MAX_RACERS.min(addresses.len()));
    let Some(first) = waiting.next() else { return Err(io::ErrorKind::AddrNotAvailable.into()) };
    racers.push(Racer::start(first, port, None));
    let mut next_at = Instant::now() + STAGGER;
    loop {
        tokio::select! {
            (index, ended) = first_to_end(&mut racers) => {
                let ended_racer = racers.remove(index);
                match ended {
                    Ok(stream) => return Ok((stream, ended_racer.address)),
                    Err(error) => match waiting.next() {
                        Some(next) => racers.push(Racer::start(next, port, ended_racer.place)),
                        None if racers.is_empty() => return Err(error),
                        None => {}
                    },
                }
            }
            () = sleep_until(next_at), if waiting.len() > 0 => {
                let leave = if racers.len() < MAX_RACERS { place() } else { None };
                let now = Instant::now();
                let oldest_ends = racers.first().map_or(now, |oldest| oldest.began + share);
                if leave.is_none() && oldest_ends > now {
                    next_at = oldest_ends.min(now + STAGGER);
                    continue;
                }
                // Without leave for one more, the oldest has had its share and makes room.
                let leave = if leave.is_none() { racers.remove(0).place } else { leave };
                racers.extend(waiting.next().map(|next| Racer::start(next, port, leave)));
                next_at = now + STAGGER;
            }
        }
    }
}

/// Waits until one of them is connected or has failed; never if there is none.
async fn first_to_end<G>(racers: &mut [Racer<G>]) -> (usize, io::Result<TcpStream>) {
    poll_fn(|cx| {
        for (index, racer) in racers.iter_mut().enumerate() {
            if let Poll::Ready(ended) = racer.connecting.as_mut().poll(cx) {
                return Poll::Ready((index, ended));
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests;
