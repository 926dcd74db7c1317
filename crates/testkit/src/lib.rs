//! Real parts for tests: the binary under test, an upstream that keeps its own record, a receiver that keeps its own, and a client that
//! can break off in every way. Blocking, on threads of their own: what a test reads top to bottom happens top to bottom.

pub mod admin;
pub mod aws;
pub mod client;
pub mod load;
pub mod process;
pub mod python;
pub mod receiver;
pub mod scene;
pub mod server;
pub mod small_disk;
pub mod storm;
pub mod tls;
pub mod tools;
pub mod upstream;
pub mod wait;
pub mod wall_clock;
