//! From a name and a port to a connection: what the gateway's upstream pool and the deliveries' client have in common.
//!
//! * [`Names`] asks the system's resolver, so that `/etc/hosts` and `nsswitch.conf` decide as they do for any other program. One lookup
//!   is under way for a name, whoever waits for it, and no name waits for the lookup of another.
//! * [`connect()`] tries the addresses of a name in parallel with a staggered start (RFC 8305).
//! * [`tls`] is whom a client trusts: one set of the system's authorities for the process, the settings of a handshake, and why one failed.
//! * [`Lifetime`] is how old a connection may grow, so that a name that moves is followed under steady traffic.
//!
//! What may be dialled is not decided here: a client with a guard asks it about the addresses before it hands them to [`connect()`].

mod addresses;
mod connect;
mod lifetime;
mod names;
mod system;
pub mod tls;

pub use addresses::literal;
pub use connect::{MAX_RACERS, STAGGER, connect};
pub use lifetime::{Lifetime, MAX_AGE, MIN_AGE};
pub use names::{Asked, MAX_LOOKUPS, Names, Pending, Source, Times, Unresolved};
