//! Listening sockets and the connections on them, for the data path and for the listeners beside it.
//!
//! * [`bind`] and [`unix`] make the sockets.
//! * [`accept`] accepts connections, as many as there are [`places`], and logs at most once a second that it cannot.
//! * [`connection`] serves one, with time limits for the head of a request and for a client that does not read its answer, and ends it in a drain.
//! * [`guard`] keeps pages of other sites away from the admin API and the hub; [`surface`] puts it before a router.
//! * [`thread`] starts the threads that all this runs on.
//!
//! Invariants: knows nothing of what is served. Everything here runs on one thread with the runtime that serves the connections, so
//! nothing is shared between cores. If a place is needed, a connection without a whole request has to give up its place first.

pub mod accept;
pub mod bind;
pub mod connection;
pub mod guard;
pub mod places;
pub mod surface;
pub mod thread;
pub mod unix;
