//! What does not work as it should while the node as a whole goes on: parts that have ended, wait for something, or lag behind.
//!
//! Each part keeps its own state; this module only asks. One function for each kind of part, listed in [`of`].

use delivery::worker::WorkerState;
use serde::Serialize;

use crate::Node;

/// One part that is degraded.
#[derive(Debug, Serialize)]
pub(crate) struct Degraded {
    /// Which part, as an operator knows it: `subscription 7`.
    pub part: String,
    /// What is wrong with it, and what to do.
    pub cause: String,
}

/// All parts that are degraded now; empty when all is well.
pub(crate) fn of(node: &Node) -> Vec<Degraded> {
    let mut found = Vec::new();
    workers(node, &mut found);
    found
}

/// Subscriptions whose worker has ended while the node goes on.
fn workers(node: &Node, found: &mut Vec<Degraded>) {
    for handle in node.deliveries.handles() {
        if let WorkerState::Failed(cause) = handle.state() {
            let part = format!("subscription {}", handle.subscription().0);
            found.push(Degraded { part, cause: format!("its deliveries have stopped: {cause}") });
        }
    }
}
