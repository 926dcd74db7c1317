//! Parts that do not work as they should while the node as a whole goes on: they have ended, wait for something, or have fallen behind.
//!
//! Each part keeps its own state, and this module only asks for it. There is one function for each kind of part; [`of`] calls them all.

use std::time::{Duration, Instant};

use delivery::worker::WorkerState;
use gateway::conditions::NamesItself;
use schemars::JsonSchema;
use serde::Serialize;
use storage::clock::{Jumps, in_words};

use crate::{Node, known};

/// How long a wall clock that was set is reported.
const JUMP_IS_NEWS: Duration = Duration::from_secs(3_600);
/// How long it is reported that a service named its own address.
const NAMING_IS_NEWS: Duration = Duration::from_secs(3_600);
/// A wall clock that was moved by less than this, in seconds, is not reported.
const MOVED: f64 = 60.0;

/// One part that is degraded.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Degraded {
    /// Which part, as an operator knows it: `signing key`, or a subscription with its number, name, topic and endpoint.
    pub part: String,
    /// What is wrong with it, and what to do.
    pub cause: String,
}

/// All parts that are degraded now; empty when all is well.
pub(crate) fn of(node: &Node) -> Vec<Degraded> {
    let mut found = Vec::new();
    deliveries(node, &mut found);
    signing_key(node, &mut found);
    listeners(node, &mut found);
    store(node, &mut found);
    wall_clock(node, &mut found);
    configuration(node, &mut found);
    services(node, &mut found);
    found
}

/// The same, with the reason why the store could not be read just now, if it could not.
pub(crate) fn with(node: &Node, reads: Option<String>) -> Vec<Degraded> {
    let mut found = of(node);
    found.extend(reads.map(|cause| Degraded { part: "reads of the store".into(), cause }));
    found
}

/// The store, if it is latched, if its disk hangs, or if room is short or used up.
fn store(node: &Node, found: &mut Vec<Degraded>) {
    let space = node.writer.space();
    if node.writer.is_latched() {
        let cause = "a commit failed, and nothing is taken any more: matching requests get 503, and what was answered and not acknowledged is \
                     found by the next start; look at the disk of the data directory and at the log lines, and restart this process";
        return found.push(Degraded { part: "store".into(), cause: cause.into() });
    }
    if let Some(taken) = node.writer.stalled_for() {
        let cause = format!(
            "its disk has not answered for {} s: matching requests get 503 until it does; look at the disk of the data directory",
            taken.as_secs()
        );
        return found.push(Degraded { part: "store".into(), cause });
    }
    let cause = match &space.full {
        Some(cause) => format!("matching requests are refused: {cause}"),
        None if space.is_tight => {
            "it is nearly full: delivered events go before their time, the oldest first; see --max-store, \
             --min-free and the disk"
                .into()
        }
        None => return,
    };
    found.push(Degraded { part: "store".into(), cause });
}

/// Subscriptions whose worker does not work as it should; or all deliveries at once, if their thread has ended.
fn deliveries(node: &Node, found: &mut Vec<Degraded>) {
    if node.deliveries.is_lost() {
        let cause = "the thread of the deliveries has ended: events are recorded, and nothing is delivered; restart this process";
        return found.push(Degraded { part: "deliveries".into(), cause: cause.into() });
    }
    for handle in node.deliveries.handles() {
        let Some(cause) = handle.trouble() else { continue };
        let cause = match handle.state() {
            WorkerState::Failed(_) => format!("its deliveries have stopped: {cause}"),
            _ => cause.to_string(),
        };
        let id = handle.subscription();
        let declared = node.declared();
        let whose = declared.subscription(id).map(|known| known::named(node, known));
        found.push(Degraded { part: whose.unwrap_or_else(|| format!("subscription {}", id.0)), cause });
    }
}

/// The key that signs messages in SNS's form, while there is none.
fn signing_key(node: &Node, found: &mut Vec<Degraded>) {
    if let Some(cause) = node.key.trouble() {
        let cause = format!("there is none, and deliveries in SNS's form wait; it is tried again: {cause}");
        found.push(Degraded { part: "signing key".into(), cause });
    }
}

/// Listeners of admin and hub that are not served, and those that panicked within the last hour.
fn listeners(node: &Node, found: &mut Vec<Degraded>) {
    let now = Instant::now();
    found.extend(node.listeners.iter().filter_map(|listener| {
        let cause = listener.trouble(now)?;
        Some(Degraded { part: format!("listener {}", listener.name()), cause })
    }));
}

/// The wall clock, for an hour after it was last set, if all its jumps together moved it: nobody here knows which time is right.
fn wall_clock(node: &Node, found: &mut Vec<Degraded>) {
    let clock = node.writer.clock();
    let Jumps { last: Some(jump), moved, .. } = clock.jumps() else { return };
    if moved.abs() < MOVED || clock.now().since(jump.stamp) > JUMP_IS_NEWS {
        return;
    }
    let direction = if moved < 0.0 { "back" } else { "forward" };
    found.push(Degraded {
        part: "wall clock".into(),
        cause: format!(
            "it was set {direction} by {} since this process began, or since the store was last used: times that are shown and sent \
             follow it, and nothing is deleted, given up or put off because of it; see what sets it (NTP)",
            in_words(moved)
        ),
    });
}

/// The configuration, after a reload was refused, until one is not (a start would meet the same problem), and after a change broke off.
fn configuration(node: &Node, found: &mut Vec<Degraded>) {
    if let Some(cause) = node.configuration.unsure() {
        let cause = format!(
            "a change of topics, queues or subscriptions broke off, and is stored perhaps, and not served as a whole ({cause}); the next \
             change through an API, the next reload or a restart serves what the store has"
        );
        found.push(Degraded { part: "configuration".into(), cause });
        return;
    }
    let Some(cause) = node.configuration.trouble() else { return };
    let generation = node.configuration.generation();
    let cause = format!(
        "the last reload changed nothing, and generation {generation} is served: {cause}; see the log lines"
    );
    found.push(Degraded { part: "configuration".into(), cause });
}

/// Services whose answers named their own address within the last hour: clients go past the gateway.
fn services(node: &Node, found: &mut Vec<Degraded>) {
    let naming = node.conditions.naming_themselves(Instant::now(), NAMING_IS_NEWS);
    found.extend(naming.into_iter().map(|NamesItself { service, address, header, remedy }| Degraded {
        part: format!("service {service}"),
        cause: format!(
            "its answers name its own address, {address}, last in `{header}`: clients that follow it go past the gateway, and no events come of that; {remedy}"
        ),
    }));
}
