//! What the services behind the node do, and what the node does, is seen: in the log, in the metrics, in the answers of the admin port.

mod access_log;
mod errors;
mod metrics;
mod start;
mod upstreams;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");
