//! Commands of owners on single topics, queues and subscriptions, and the steps to what a configuration wants. The cost of each does not depend on
//! how many entities there are.

use std::time::Duration;

use event::{Timestamp, TopicId};
use rusqlite::Connection;
use storage::Result;
use storage::dropped::Dropped;
use storage::entities::{DesiredSubscription, Queue, QueueId, Subscription, SubscriptionId, Topic};
use storage::identity::{self, OneMore};
use storage::steps::Step;

use super::dropped::{self, Of};
use super::entities;
use super::queues::{self, Bin};
use super::rows::{self, SUBSCRIPTION};
use super::statements::Statements;
use super::transaction::{Route, Transaction};

impl Transaction {
    pub(super) fn make_topic(&mut self, name: &str) -> Result<(Topic, bool)> {
        let (id, is_new) = entities::ensure_topic(&self.database, name)?;
        Ok((Topic { id, name: name.to_owned() }, is_new))
    }

    pub(super) fn make_queue(&mut self, name: &str, retention: Option<Duration>) -> Result<(Queue, bool)> {
        let (id, is_new) = entities::ensure_queue(&self.database, name)?;
        if is_new {
            entities::set_retention(&self.database, id, retention)?;
            // Subscriptions may name the queue that did not exist until now.
            for known in subscriptions_to(&self.database, name)? {
                self.reroute(&known)?;
            }
        }
        Ok((Queue { id, name: name.to_owned() }, is_new))
    }

    pub(super) fn make_subscription(
        &mut self,
        wanted: &DesiredSubscription,
        now: Timestamp,
    ) -> Result<(Subscription, bool)> {
        let (topic, _) = self.make_topic(&wanted.topic)?;
        if wanted.protocol.is_pull() {
            self.make_queue(&wanted.endpoint, None)?;
        }
        let (database, head) = (&self.database, entities::head(&self.database)?);
        let known = candidates(database, topic.id, wanted)?;
        let (id, is_new) = match identity::one_more(&known, (topic.id, wanted)) {
            OneMore::Wanted(known, change) => {
                entities::change(database, known.id, wanted, change)?;
                (known.id, false)
            }
            OneMore::Back(known, unnamed) => {
                entities::take_names(database, unnamed)?;
                (entities::keep_subscription(database, known, wanted, head)?, false)
            }
            OneMore::New(unnamed) => {
                entities::take_names(database, unnamed)?;
                let moment = (now, self.now);
                (entities::add_subscription(database, (topic.id, wanted), head, moment)?, true)
            }
        };
        let subscription = entities::there(database, id)?;
        self.reroute(&subscription)?;
        Ok((subscription, is_new))
    }

    /// Takes one step to what a configuration wants.
    pub(super) fn step(&mut self, step: &Step, now: Timestamp) -> Result<()> {
        match step {
            Step::Topic(name) => self.make_topic(name).map(drop),
            Step::Queue(name, limits) => {
                let (queue, _) = self.make_queue(name, limits.retention)?;
                entities::set_limits(&self.database, queue.id, limits)
            }
            Step::Unname(id) => entities::take_names(&self.database, vec![*id]),
            Step::Keep(id, wanted) => match entities::find(&self.database, *id)? {
                Some(known) => {
                    let head = entities::head(&self.database)?;
                    entities::keep_subscription(&self.database, &known, wanted, head)?;
                    // Also removes the old route, because the subscription may have moved to another queue.
                    self.unroute(&known);
                    let kept = entities::there(&self.database, *id)?;
                    self.reroute(&kept)
                }
                None => self.step(&Step::Add(wanted.clone()), now),
            },
            Step::Add(wanted) => {
                let (topic, _) = self.make_topic(&wanted.topic)?;
                let (head, moment) = (entities::head(&self.database)?, (now, self.now));
                let id = entities::add_subscription(&self.database, (topic.id, wanted), head, moment)?;
                let added = entities::there(&self.database, id)?;
                self.reroute(&added)
            }
            Step::Remove(id) => {
                let Some(known) = entities::find(&self.database, *id)? else { return Ok(()) };
                let head = entities::head(&self.database)?;
                entities::remove(&self.database, &known, head, (now, self.now))?;
                self.unroute(&known);
                self.sweep.entities_changed();
                Ok(())
            }
        }
    }

    pub(super) fn end_subscription(&mut self, id: SubscriptionId) -> Result<Dropped> {
        let Some(known) = entities::find(&self.database, id)? else { return Ok(Dropped::default()) };
        let owed = dropped::owed(&self.database, Of::One(id))?;
        dropped::end(&self.database, Of::One(id))?;
        self.unroute(&known);
        self.sweep.entities_changed();
        Ok(owed)
    }

    pub(super) fn is_topic(&self, id: TopicId) -> Result<bool> {
        let sql = "SELECT 1 FROM topics WHERE id = ?1";
        Ok(self.database.find("look for a topic", sql, [id.0], |_| Ok(()))?.is_some())
    }

    pub(super) fn end_topic(&mut self, id: TopicId) -> Result<Dropped> {
        let sql = "INSERT INTO deleted_topics (id, name) SELECT id, name FROM topics WHERE id = ?1";
        if self.database.run("remember a deleted topic", sql, [id.0])? == 0 {
            return Ok(Dropped::default());
        }
        let owed = dropped::owed(&self.database, Of::Topic(id))?;
        dropped::end(&self.database, Of::Topic(id))?;
        self.database.run("delete a topic", "DELETE FROM topics WHERE id = ?1", [id.0])?;
        self.routes_changed = true;
        self.routes.remove(&id);
        self.sweep.entities_changed();
        Ok(owed)
    }

    pub(super) fn end_queue(&mut self, id: QueueId) -> Result<Dropped> {
        let sql = "DELETE FROM queues WHERE id = ?1 RETURNING name, bin";
        let deleted = self
            .database
            .list("delete a queue", sql, [id.0], |row| Ok((row.get::<_, String>(0)?, Bin(row.get(1)?))))?;
        let Some((name, bin)) = deleted.into_iter().next() else { return Ok(Dropped::default()) };
        let messages = dropped::messages(&self.database, bin)?;
        let unread = dropped::unread(&self.database, Of::Queue(&name))?;
        dropped::close_gaps(&self.database, Of::Queue(&name))?;
        dropped::drop_bin(&self.database, bin)?;
        self.routes_changed = true;
        self.routes.values_mut().for_each(|routes| routes.retain(|route| route.queue != id));
        self.sweep.entities_changed();
        Ok(Dropped { unread, messages, ..Dropped::default() })
    }

    pub(super) fn empty_queue(&mut self, id: QueueId) -> Result<Dropped> {
        let Some(bin) = queues::bin(&self.database, id)? else { return Ok(Dropped::default()) };
        let messages = dropped::messages(&self.database, bin)?;
        if messages == 0 {
            return Ok(Dropped::default());
        }
        dropped::drop_bin(&self.database, bin)?;
        let fresh = queues::give_fresh_bin(&self.database, id)?;
        self.routes_changed = true;
        let routes = self.routes.values_mut().flatten().filter(|route| route.queue == id);
        routes.for_each(|route| route.bin = fresh);
        Ok(Dropped { messages, ..Dropped::default() })
    }

    /// Updates the routes after a subscription was added or changed.
    pub(super) fn reroute(&mut self, known: &Subscription) -> Result<()> {
        self.sweep.entities_changed();
        if known.protocol.is_push() {
            return Ok(());
        }
        self.unroute(known);
        if known.removed_at.is_some() || known.state.is_disabled() {
            return Ok(());
        }
        let sql = "SELECT id, bin FROM queues WHERE name = ?1";
        let queue = self.database.find("find a subscription's queue", sql, [&known.endpoint], |row| {
            Ok((QueueId(row.get(0)?), Bin(row.get(1)?)))
        })?;
        if let Some((queue, bin)) = queue {
            let routes = self.routes.entry(known.topic).or_default();
            let index = routes.partition_point(|route| route.subscription < known.id);
            routes.insert(index, Route { subscription: known.id, queue, bin });
        }
        Ok(())
    }

    fn unroute(&mut self, known: &Subscription) {
        self.routes_changed = true;
        if let Some(routes) = self.routes.get_mut(&known.topic) {
            routes.retain(|route| route.subscription != known.id);
        }
    }
}

/// The known subscriptions that `identity::one_more` needs for a wanted one.
fn candidates(
    database: &Connection,
    topic: TopicId,
    wanted: &DesiredSubscription,
) -> Result<Vec<Subscription>> {
    let sql = format!(
        "SELECT {SUBSCRIPTION} FROM subscriptions WHERE id IN
         (SELECT id FROM subscriptions WHERE topic = ?1 AND name = ?2
          UNION SELECT id FROM subscriptions WHERE topic = ?1 AND protocol = ?3 AND endpoint = ?4
          UNION SELECT id FROM subscriptions WHERE removed_at IS NOT NULL AND topic = ?1 AND protocol = ?3) ORDER BY id"
    );
    let identity = (topic.0, &wanted.name, wanted.protocol.as_str(), &wanted.endpoint);
    database.list("find a subscription", &sql, identity, rows::subscription)
}

fn subscriptions_to(database: &Connection, queue: &str) -> Result<Vec<Subscription>> {
    let which = Of::Queue(queue).condition();
    let sql = format!("SELECT {SUBSCRIPTION} FROM subscriptions WHERE {which} ORDER BY id");
    database.list("read a queue's subscriptions", &sql, [queue], rows::subscription)
}
