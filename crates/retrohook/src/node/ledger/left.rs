//! What a start finds that is still owed, for its line about the data.

use storage::Reader;
use storage::entities::{Subscription, SubscriptionState};
use storage::ports::Lag;

use crate::check::count;

/// As many subscriptions are looked at: a start with tens of thousands is not to wait for a sum.
const MOST: usize = 1_000;
/// So far each of their numbers is counted.
const COUNTED: u64 = 10_000;

/// All webhooks together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    unread: u64,
    waiting: u64,
    dead: u64,
    pending: u64,
    /// Whether more is owed than was counted.
    at_least: bool,
}

/// What is owed, in words: `owed: 3 unread events, 1 dead letter; 1 subscription is pending`. `None` if it is nothing.
///
/// # Errors
/// If the store fails.
pub fn owed(reader: &dyn Reader) -> storage::Result<Option<String>> {
    let webhooks = reader.subscriptions()?.into_iter().filter(is_webhook);
    let mut sum = Sum::default();
    for (number, one) in webhooks.enumerate() {
        sum.pending += u64::from(matches!(one.state, SubscriptionState::Pending { .. }));
        match number < MOST {
            true => sum.add(&reader.lag(one.id, COUNTED)?),
            false => sum.at_least = true,
        }
    }
    Ok(sum.words())
}

fn is_webhook(one: &Subscription) -> bool {
    one.removed_at.is_none() && !one.protocol.is_pull()
}

impl Sum {
    fn add(&mut self, lag: &Lag) {
        self.unread += lag.unread;
        self.waiting += lag.waiting;
        self.dead += lag.dead;
        self.at_least |= [lag.unread, lag.waiting, lag.dead].iter().any(|number| *number >= COUNTED);
    }

    fn words(self) -> Option<String> {
        let numbered = |number: u64, one: &str| (number > 0).then(|| count(number, one));
        let waiting = match self.waiting {
            0 => None,
            1 => Some("1 waiting delivery".to_owned()),
            more => Some(format!("{more} waiting deliveries")),
        };
        let owed = [numbered(self.unread, "unread event"), waiting, numbered(self.dead, "dead letter")];
        let owed: Vec<String> = owed.into_iter().flatten().collect();
        let at_least = if self.at_least { "at least " } else { "" };
        let owed = (!owed.is_empty()).then(|| format!("owed: {at_least}{}", owed.join(", ")));
        let pending = match self.pending {
            0 => None,
            1 => Some("1 subscription is pending".to_owned()),
            more => Some(format!("{more} subscriptions are pending")),
        };
        let all: Vec<String> = [owed, pending].into_iter().flatten().collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_owed_is_said_in_words() {
        let words = |unread, waiting, dead, pending| {
            Sum { unread, waiting, dead, pending, at_least: false }.words().unwrap_or_default()
        };
        assert_eq!(words(0, 0, 0, 0), "");
        assert_eq!(
            words(1, 1, 1, 1),
            "owed: 1 unread event, 1 waiting delivery, 1 dead letter; 1 subscription is pending"
        );
        assert_eq!(words(2, 3, 0, 0), "owed: 2 unread events, 3 waiting deliveries");
        assert_eq!(words(0, 0, 0, 2), "2 subscriptions are pending");
        let mut sum = Sum::default();
        sum.add(&Lag { unread: COUNTED, ..Lag::default() });
        assert_eq!(sum.words().as_deref(), Some("owed: at least 10000 unread events"));
    }
}
