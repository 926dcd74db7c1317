//! The connections of one core: each is served until it ends, or until the drain asks it to end.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use listener::connection::{self, Limits};
use listener::places::{Place, Places};
use storage::failpoint;
use tokio::net::{TcpListener, TcpStream};

use crate::core::Core;
use crate::inbound::Connection;
use crate::listeners::Listener;
use crate::proxy::serve;
use crate::slots::Slots;

/// Accepts on one listener until the drain begins. Returns when the last of its connections has ended.
pub(crate) async fn accept(core: Rc<Core>, places: Rc<Places>, listener: Listener, socket: TcpListener) {
    let Listener { name, address, scheme } = listener;
    let limits = Limits {
        head_size: core.limits.head_size,
        headers: core.limits.headers,
        head_timeout: core.limits.head_timeout,
        write_timeout: Some(core.limits.answer_patience),
        drain_grace: core.limits.drain_grace,
        bad_head: None,
        odd_queries: true,
        name_case: core.front.name_case,
    };
    let draining = core.clone();
    let slots = Slots::new();
    let serve_one = move |stream: TcpStream, peer, place: Place| {
        failpoint::hit(failpoint::CORE_TURN);
        core.stats.connections.fetch_add(1, Ordering::Relaxed);
        let local = stream.local_addr().unwrap_or(address);
        let (peer, local) = (canonical(peer), canonical(local));
        let came_on = Connection::new(
            scheme,
            core.front.trusts(peer.ip()),
            peer,
            local,
            (core.stats.clone(), core.access_log.clone()),
        );
        let (core, slots) = (core.clone(), slots.clone());
        async move {
            connection::serve(stream, place, &limits, |request, seat| {
                seat.begin_answer();
                // Otherwise hyper would keep the memory for one in every idle connection.
                slots.place(|| serve(core.clone(), came_on.clone(), seat, request))
            })
            .await;
        }
    };
    listener::accept::accept(socket, name, places, draining.draining(), serve_one).await;
}

/// A client that comes over IPv4 has its IPv4 address, even if the listener takes both (`[::]`).
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
