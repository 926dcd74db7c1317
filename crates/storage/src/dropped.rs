//! What an owner's command (unsubscribe, delete, purge) drops: it was owed, and from the commit on nobody gets it.
//!
//! There may be millions of rows, so they are only marked until [`UpkeepTx::housekeep`](crate::ports::UpkeepTx::housekeep) has deleted them, a
//! slice at a time. No read finds them meanwhile.

use std::fmt;

/// Each number of [`Dropped`] is counted up to here and no further, so that a commit is short, however much the store has.
pub const MAX_COUNTED: u64 = 10_000;

/// What was owed and was dropped. [`MAX_COUNTED`] stands for that many or more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Subscriptions that are gone.
    pub subscriptions: u64,
    /// Events that subscriptions had yet to read, or that were yet to be sent to a queue; one that several had yet to read counts for each.
    pub unread: u64,
    /// Deliveries that waited for an attempt.
    pub waiting: u64,
    /// Dead letters.
    pub dead: u64,
    /// Messages in a queue.
    pub messages: u64,
}

impl Dropped {
    /// Whether nobody was owed anything.
    pub fn is_nothing(&self) -> bool {
        *self == Self { subscriptions: self.subscriptions, ..Self::default() }
    }
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
