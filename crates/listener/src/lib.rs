//! Listening sockets and the connections on them, for the data path and for the listeners beside it.
//!
//! * [`bind`] and [`unix`] make the sockets.
//! * [`accept`] takes connections, as many as there are [`places`], and says at most once a second that it cannot.
//! * [`connection`] serves one: its head in time, its answer taken in time, its end when the drain begins.
//! * [`guard`] keeps pages of other sites away from the admin API and the hub; [`surface`] puts it before a router.
//!
//! Invariants: knows nothing of what is served. Everything here runs on one thread with the runtime that serves the connections, so
//! nothing is shared between cores. Each wait has a limit, and whoever keeps a place without asking anything gives it up first.

pub mod accept;
pub mod bind;
pub mod connection;
pub mod guard;
pub mod places;
pub mod surface;
pub mod unix;
