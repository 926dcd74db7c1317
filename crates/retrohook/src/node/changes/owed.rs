//! What becomes of topics, subscriptions and queues when the configuration changes, and of what they are owed: the lines of a reload say it, and
//! so do the log lines of a start.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use control::{How, HubChange, HubEntity};
use delivery::endpoint::shown;
use delivery::policy::in_words;
use entities::subscription::spelling;
use storage::Reader;
use storage::clock::StoreClock;
use storage::dropped::{Dropped, MAX_COUNTED};
use storage::entities::{Entities, Queue, QueueId, Subscription, SubscriptionId, SubscriptionState, Topic};
use storage::ports::Lag;

use super::MOST_NAMED;

/// What is said of a number that could not be read.
const NOT_READ: &str = "the store cannot be read just now: see `retrohook` in /status for what it is owed";

/// What the store had before a change; all of it, what had been taken out, too.
#[derive(Default)]
pub struct Before {
    /// All topics.
    pub topics: Vec<Topic>,
    /// All subscriptions.
    pub subscriptions: Vec<Subscription>,
    /// All queues.
    pub queues: Vec<Queue>,
    /// What some of the subscriptions were owed.
    owed: HashMap<SubscriptionId, Dropped>,
}

impl Before {
    /// As the store has it now. What is owed is counted for those that these changes may mean, as many as are named: after the change their workers
    /// deliver it already.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(reader: &dyn Reader, changes: &[HubChange]) -> storage::Result<Self> {
        let queues = reader.queues()?.into_iter().map(|(queue, _)| queue).collect();
        let (topics, subscriptions) = (reader.topics()?, reader.subscriptions()?);
        let mut owed = HashMap::new();
        for HubChange { what, .. } in
            changes.iter().filter(|change| change.how != How::Removed).take(MOST_NAMED)
        {
            let HubEntity::Subscription { topic, name, protocol, endpoint } = what else { continue };
            let Some(topic) = topics.iter().find(|known| known.name == *topic) else { continue };
            let endpoint = spelling(*protocol, endpoint);
            let may_be_meant = |known: &&Subscription| {
                known.topic == topic.id
                    && (known.name.is_some() && known.name == *name
                        || spelling(known.protocol, &known.endpoint) == endpoint)
            };
            for known in subscriptions.iter().filter(may_be_meant) {
                owed.insert(known.id, count(reader, known.id)?);
            }
        }
        Ok(Self { topics, subscriptions, queues, owed })
    }
}

fn count(reader: &dyn Reader, id: SubscriptionId) -> storage::Result<Dropped> {
    let Lag { unread, waiting, dead, .. } = reader.lag(id, MAX_COUNTED)?;
    Ok(Dropped { subscriptions: 1, unread, waiting, dead, messages: 0 })
}

/// What the store had before a change, what is declared now, and how much is owed.
pub struct Owed<'a> {
    /// Before.
    pub before: &'a Before,
    /// Now.
    pub entities: &'a Entities,
    /// Who counts.
    pub reader: &'a dyn Reader,
    /// The store's clock.
    pub clock: &'a StoreClock,
    /// For how long events are kept for who is pending or disabled.
    pub pending_pin: Duration,
}

impl Owed<'_> {
    /// Changes that have a line of their own: a subscription that got another name is not gone.
    pub fn without_former_names<'c>(&self, changes: &'c [HubChange]) -> Vec<&'c HubChange> {
        let stay: HashSet<SubscriptionId> = self.entities.subscriptions.iter().map(|one| one.id).collect();
        let is_former_name = |change: &HubChange| {
            change.how == How::Removed && self.had(&change.what).is_some_and(|known| stay.contains(&known.id))
        };
        changes.iter().filter(|change| !is_former_name(change)).collect()
    }

    /// What became of one entity.
    pub fn said(&self, HubChange { what, how }: &HubChange) -> String {
        match how {
            How::Added => self.came(what).unwrap_or_else(|| "is new".into()),
            How::Removed => self.went(what),
            How::Changed => self.changed(what).unwrap_or_else(|| "has other settings".into()),
        }
    }

    /// `None` if the store had never heard of it.
    fn came(&self, what: &HubEntity) -> Option<String> {
        let now = match what {
            HubEntity::Topic(name) => {
                return self.before.topics.iter().any(|topic| topic.name == *name).then(|| "is back".into());
            }
            HubEntity::Queue(name) => {
                let known = self.before.queues.iter().find(|queue| queue.name == *name)?;
                return Some(format!("is back, with {}", self.messages(known.id)));
            }
            HubEntity::Subscription { .. } => self.has(what)?,
        };
        let before = self.before.subscriptions.iter().find(|known| known.id == now.id)?;
        let how = match (&before.name, &now.name) {
            _ if before.removed_at.is_some() => "is back".to_owned(),
            (None, _) => "had no name, and is kept under this one".to_owned(),
            (Some(before), None) => format!("was called `{before}`, and is kept without a name"),
            (Some(before), Some(_)) => format!("was called `{before}`, and is kept under its new name"),
        };
        Some(format!("{how}: {}", self.waits_for(now)))
    }

    fn went(&self, what: &HubEntity) -> String {
        let left = match what {
            HubEntity::Topic(_) => None,
            HubEntity::Queue(name) => {
                let known = self.before.queues.iter().find(|queue| queue.name == *name);
                known.map(|known| {
                    format!(
                        "{} of it are kept, and can be received when it is declared again",
                        self.messages(known.id)
                    )
                })
            }
            HubEntity::Subscription { .. } => self.had(what).map(|known| self.left_of(known)),
        };
        left.map_or_else(|| "is gone".to_owned(), |left| format!("is gone: {left}"))
    }

    fn changed(&self, what: &HubEntity) -> Option<String> {
        let now = self.has(what)?;
        let before = self.before.subscriptions.iter().find(|known| known.id == now.id)?;
        (before.endpoint != now.endpoint).then(|| {
            format!(
                "was to {}, and has another endpoint now: {}",
                shown(&before.endpoint),
                self.waits_for(now)
            )
        })
    }

    /// What becomes of what one is owed that was taken out.
    pub fn left_of(&self, known: &Subscription) -> String {
        if known.protocol.is_pull() {
            return "its queue keeps the messages that it has; what it misses from now on is sent to it if the subscription is declared \
                    again within a day"
                .into();
        }
        match count(self.reader, known.id) {
            Err(_) => NOT_READ.into(),
            Ok(owed) if owed.is_nothing() => {
                "it is owed nothing; what it misses from now on is kept for a day, for the case that it is declared again"
                    .into()
            }
            Ok(owed) => format!(
                "what it is still owed ({owed}), and what it misses from now on, is dropped after a day, unless it is declared again before that"
            ),
        }
    }

    /// The name of its topic.
    pub fn topic(&self, subscription: &Subscription) -> &str {
        let all = self.entities.topics.iter().chain(&self.before.topics);
        let mut named = all.filter(|topic| topic.id == subscription.topic);
        named.next().map_or("", |topic| &topic.name)
    }

    /// What one that is pending is owed, and when that is dropped.
    pub fn lapses_of(&self, known: &Subscription) -> String {
        let kept = in_words(self.pending_pin);
        let Ok(Lag { unread, waiting, oldest, .. }) = self.reader.lag(known.id, MAX_COUNTED) else {
            return NOT_READ.into();
        };
        let events = match unread + waiting {
            0 => {
                return format!(
                    "it is owed nothing yet; each event from now on is dropped for it after {kept}"
                );
            }
            1 => "1 event".to_owned(),
            some if some >= MAX_COUNTED => format!("{some} events or more"),
            some => format!("{some} events"),
        };
        let first = self.clock.shown(oldest.unwrap_or_default().plus(self.pending_pin));
        format!(
            "it is owed {events}, and each is dropped for it {kept} after it was recorded, the first at {first}"
        )
    }

    fn waits_for(&self, now: &Subscription) -> String {
        if now.protocol.is_pull() {
            return "what its queue has missed is sent to it".into();
        }
        let counted = self.before.owed.get(&now.id).copied();
        let counted = counted.map_or_else(|| count(self.reader, now.id), Ok);
        let Ok(Dropped { unread, waiting, .. }) = counted else { return NOT_READ.into() };
        let events = match unread + waiting {
            0 => return "nothing waits for it".into(),
            1 => "1 event waits".to_owned(),
            some if some >= MAX_COUNTED => format!("{some} events or more wait"),
            some => format!("{some} events wait"),
        };
        let until = match now.state {
            SubscriptionState::Pending { .. } => " until its endpoint has confirmed",
            SubscriptionState::Confirmed => " for it",
            SubscriptionState::Disabled { .. } => " for it, and it is disabled",
        };
        events + until
    }

    fn messages(&self, id: QueueId) -> String {
        let Ok(depth) = self.reader.queue_depth(id, self.clock.now()) else { return "its messages".into() };
        match depth.visible + depth.in_flight + depth.delayed {
            0 => "no messages".into(),
            1 => "1 message".into(),
            some => format!("{some} messages"),
        }
    }

    /// The subscription of this description that is declared now.
    fn has(&self, what: &HubEntity) -> Option<&Subscription> {
        find(what, &self.entities.topics, self.entities.subscriptions.iter())
    }

    /// The one that was declared before.
    fn had(&self, what: &HubEntity) -> Option<&Subscription> {
        let declared = self.before.subscriptions.iter().filter(|known| known.removed_at.is_none());
        find(what, &self.before.topics, declared)
    }
}

fn find<'s>(
    what: &HubEntity,
    topics: &[Topic],
    mut subscriptions: impl Iterator<Item = &'s Subscription>,
) -> Option<&'s Subscription> {
    let HubEntity::Subscription { topic, name, protocol, endpoint } = what else { return None };
    let topic = topics.iter().find(|known| known.name == *topic)?.id;
    subscriptions.find(|known| {
        known.topic == topic
            && known.name == *name
            && known.protocol == *protocol
            && known.endpoint == *endpoint
    })
}
