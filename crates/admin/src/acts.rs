//! What operators do through this port is said in the log, one line for each act: whoever asks later why a delivery came twice, or why a subscription
//! is confirmed, finds it there.

use storage::entities::Subscription;

use crate::Node;

/// What an operator did to a subscription, besides its name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Act {
    /// The sequence of one delivery's event.
    pub sequence: Option<i64>,
    /// Many deliveries: how many.
    pub count: Option<u64>,
    /// Of many deliveries: those of events from this time on.
    pub since: Option<String>,
    /// Of many dead letters: those with this in their reason.
    pub reason: Option<String>,
}

/// Says that an operator did it: `what` goes on after "an operator".
pub(crate) fn say(node: &Node, known: &Subscription, what: &str, act: Act) {
    let whose = known.whose(Some(&node.declared().topic_name(known.topic)));
    let Act { sequence, count, since, reason } = act;
    tracing::info!(
        subscription = known.id.0,
        name = whose.name,
        topic = whose.topic,
        endpoint = whose.endpoint,
        sequence,
        count,
        since,
        reason,
        "an operator {what}"
    );
}

/// An act on many deliveries, done in parts: said once, at its end, with how many it reached. That is also so if the store fails in between or the
/// operator does not wait for it.
pub(crate) struct Many<'a> {
    node: &'a Node,
    known: &'a Subscription,
    what: &'static str,
    act: Act,
    count: u64,
}

impl<'a> Many<'a> {
    /// One that has reached nothing so far.
    pub fn new(node: &'a Node, known: &'a Subscription, what: &'static str, act: Act) -> Self {
        Self { node, known, what, act, count: 0 }
    }

    /// So many more.
    pub fn reached(&mut self, count: u64) {
        self.count += count;
    }

    /// How many so far.
    pub fn count(&self) -> u64 {
        self.count
    }
}

impl Drop for Many<'_> {
    fn drop(&mut self) {
        if self.count > 0 {
            let act = Act { count: Some(self.count), ..std::mem::take(&mut self.act) };
            say(self.node, self.known, self.what, act);
        }
    }
}
