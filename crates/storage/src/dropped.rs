//! What an owner's command (unsubscribe, delete, purge), or the end of a removed subscription's grace, drops: events, deliveries and messages that
//! were owed until its commit, and that nobody gets afterwards.
//!
//! There may be millions of rows, so the commit only marks them. [`UpkeepTx::housekeep`](crate::ports::UpkeepTx::housekeep) deletes them later, a
//! slice at a time. Until then no read finds them.

use std::fmt;

use crate::entities::{SubscriptionId, Whose};

/// Counting for [`Dropped`] ends at this number, so that the commit is short, however much the store has.
pub const MAX_COUNTED: u64 = 10_000;

/// How much of what was owed a command dropped. A number that is [`MAX_COUNTED`] means that many or more; `subscriptions` is exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Subscriptions that no longer exist.
    pub subscriptions: u64,
    /// Events that subscriptions had not read yet, or that were not sent to a queue yet. An event counts once for each subscription.
    pub unread: u64,
    /// Deliveries that waited for an attempt.
    pub waiting: u64,
    /// Dead letters.
    pub dead: u64,
    /// Messages in a queue.
    pub messages: u64,
}

impl Dropped {
    /// Whether nothing that was owed was dropped.
    pub fn is_nothing(&self) -> bool {
        self.deliveries() == 0
    }

    /// How many deliveries and messages were owed, of every kind together. An event that waits for an attempt while the cursor has not passed it yet
    /// counts twice.
    pub fn deliveries(&self) -> u64 {
        self.unread + self.waiting + self.dead + self.messages
    }
}

/// A removed subscription whose grace is over, and what it was owed until then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its number.
    pub id: SubscriptionId,
    /// Its name, topic and endpoint.
    pub whose: Whose,
    /// What nobody gets any more.
    pub owed: Dropped,
}

/// As a log line says it: "2 unread events, 1 dead letter".
impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.unread, "unread event"),
            (self.waiting, "waiting delivery"),
            (self.dead, "dead letter"),
            (self.messages, "message"),
        ];
        let mut separator = "";
        for (count, what) in parts.into_iter().filter(|(count, _)| *count > 0) {
            let more = if count >= MAX_COUNTED { " or more" } else { "" };
            let what = match (count, what.strip_suffix('y')) {
                (1, _) => what.to_owned(),
                (_, Some(stem)) => format!("{stem}ies"),
                _ => format!("{what}s"),
            };
            write!(f, "{separator}{count}{more} {what}")?;
            separator = ", ";
        }
        if separator.is_empty() { f.write_str("nothing that was owed") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_it_was_in_one_line() {
        let said = |unread, waiting, dead, messages| {
            Dropped { subscriptions: 3, unread, waiting, dead, messages }.to_string()
        };
        assert_eq!(said(0, 0, 0, 0), "nothing that was owed");
        assert_eq!(said(1, 1, 1, 1), "1 unread event, 1 waiting delivery, 1 dead letter, 1 message");
        assert_eq!(said(0, 2, 0, MAX_COUNTED), "2 waiting deliveries, 10000 or more messages");
        assert!(Dropped { subscriptions: 1, ..Dropped::default() }.is_nothing());
        assert!(!Dropped { dead: 1, ..Dropped::default() }.is_nothing());
    }
}
