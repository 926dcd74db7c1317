//! The write connection: its one open transaction, and what is kept in memory beside the tables.
//!
//! Three things are kept in memory, because every commit needs them: the open intents of this incarnation, which queues are subscribed to each
//! topic, and how far housekeeping has come. When a transaction is rolled back, its changes to them are undone, or they are made again from the
//! tables.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use event::{EventId, Intent, NewEvent, Position, Stamp, Timestamp, TopicId};
use rusqlite::Connection;
use storage::backend::Committed;
use storage::clock::{Record, Trace};
use storage::delivery::{Attempt, Delivery, DeliveryId};
use storage::dropped::Dropped;
use storage::entities::{
    Cursor, Desired, DesiredSubscription, Entities, Incarnation, Queue, QueueId, Subscription,
    SubscriptionId, Topic,
};
use storage::ports::{DeliveriesTx, JournalTx, LogTx, QueuesTx, RegistryTx, UpkeepTx};
use storage::queue::{MessageHandle, Received, VisibilityChange};
use storage::redrive::Redrive;
use storage::registry::Row;
use storage::retention::{Housekept, Retention};
use storage::steps::Step;
use storage::throttle::Throttle;
use storage::{Result, StoreError};
use uuid::Uuid;

use super::housekeeping::Sweep;
use super::journal::OpenIntents;
use super::lock::{DataDir, IncarnationLock};
use super::queues::Bin;
use super::rows::{micros, ticks};
use super::statements::Statements;
use super::{deliveries, entities, gaps, queues, registry};

pub(super) struct Transaction {
    pub(super) database: Connection,
    /// The moment of the open transaction, on the store's clock.
    pub(super) now: Stamp,
    /// Which stamps the open transaction has written. [`UpkeepTx::trace`] adds changes without stamps.
    pub(super) stamped: Trace,
    /// How many rows this connection had changed when the transaction began.
    changes_before: u64,
    pub(super) incarnation: Incarnation,
    pub(super) data_dir: Arc<DataDir>,
    _alive: IncarnationLock,
    pub(super) intents: OpenIntents,
    /// The queues to which each topic's events are sent.
    pub(super) routes: Routes,
    pub(super) routes_changed: bool,
    pub(super) sweep: Sweep,
    /// Whether the open transaction deletes history before its time.
    pub(super) makes_room: bool,
    pub(super) committed: Committed,
    /// Incarnations that the open transaction forgets.
    pub(super) forgotten: Vec<Incarnation>,
}

/// The queues that are subscribed to each topic; a topic without any has no entry, or an empty one.
pub(super) type Routes = HashMap<TopicId, Vec<Route>>;

/// A queue to which a topic's events are sent, because of a subscription.
#[derive(Clone, Copy)]
pub(super) struct Route {
    pub(super) subscription: SubscriptionId,
    pub(super) queue: QueueId,
    /// The bin of the queue's messages.
    pub(super) bin: Bin,
}

impl Transaction {
    pub(super) fn new(
        database: Connection,
        data_dir: Arc<DataDir>,
        incarnation: Incarnation,
        alive: IncarnationLock,
    ) -> Result<Self> {
        let routes = entities::routes(&database)?;
        let intents = OpenIntents::read(&database)?;
        Ok(Self {
            database,
            now: Stamp::default(),
            stamped: Trace::Nothing,
            changes_before: 0,
            incarnation,
            data_dir,
            _alive: alive,
            intents,
            routes,
            routes_changed: false,
            sweep: Sweep::default(),
            makes_room: false,
            committed: Committed::default(),
            forgotten: Vec::new(),
        })
    }

    pub(super) fn database(&self) -> &Connection {
        &self.database
    }

    pub(super) fn begin(&mut self, now: Stamp) -> Result<()> {
        (self.now, self.stamped) = (now, Trace::Nothing);
        self.changes_before = self.database.total_changes();
        self.database.run("begin", "BEGIN IMMEDIATE", []).map(drop)
    }

    pub(super) fn commit(&mut self) -> Result<Committed> {
        // The note only saves the next start some reading, so its failure does not matter, unless SQLite has rolled everything back.
        if let Err(error) = self.note_open_intents()
            && self.database.is_autocommit()
        {
            self.rollback();
            return Err(StoreError::Full(format!("nothing was committed: {error}")));
        }
        if let Err(error) = self.database.run("commit", "COMMIT", []) {
            self.rollback();
            return Err(error);
        }
        self.intents.keep();
        self.routes_changed = false;
        for incarnation in self.forgotten.drain(..) {
            self.data_dir.forget(incarnation);
        }
        Ok(std::mem::take(&mut self.committed))
    }

    pub(super) fn rollback(&mut self) {
        // SQLite itself rolls back after some errors.
        if !self.database.is_autocommit()
            && let Err(error) = self.database.run("roll back", "ROLLBACK", [])
        {
            static FAILED: Throttle = Throttle::new();
            if let Some(times) = FAILED.happened() {
                tracing::error!(%error, times, "a transaction was not rolled back");
            }
        }
        self.intents.undo();
        self.sweep.begin_anew();
        self.makes_room = false;
        self.committed = Committed::default();
        self.forgotten.clear();
        if std::mem::take(&mut self.routes_changed) {
            match entities::routes(&self.database) {
                Ok(routes) => self.routes = routes,
                Err(error) => tracing::error!(%error, "the subscribed queues were not read again"),
            }
        }
    }

    /// Notes that this incarnation has ended in order. Its row stays if it has open intents, so that the next start recovers them.
    pub(super) fn end_incarnation(&mut self, now: Timestamp) -> Result<()> {
        let me = self.incarnation.0;
        if self.intents.is_empty() {
            self.database.run("end the run", "DELETE FROM incarnations WHERE id = ?1", [me])?;
            self.data_dir.forget(self.incarnation);
        } else {
            let sql = "UPDATE incarnations SET ended_at = ?2 WHERE id = ?1";
            self.database.run("end the run", sql, [me, micros(now)])?;
        }
        Ok(())
    }

    fn reload_routes(&mut self) -> Result<()> {
        self.routes_changed = true;
        self.routes = entities::routes(&self.database)?;
        self.sweep.entities_changed();
        Ok(())
    }

    fn rerouted(&mut self, changed: Option<Subscription>) -> Result<Option<Subscription>> {
        if let Some(known) = &changed {
            self.reroute(known)?;
        }
        Ok(changed)
    }

    fn released(&mut self, position: Option<Position>) {
        if let Some(position) = position {
            self.sweep.released(position);
        }
    }
}

impl JournalTx for Transaction {
    fn insert_intent(&mut self, intent: &Intent) -> Result<()> {
        self.note_intent(intent)
    }

    fn remove_intent(&mut self, id: EventId) -> Result<bool> {
        self.settle_intent(id)
    }

    fn recover(&mut self, now: Timestamp, limit: usize) -> Result<usize> {
        self.recover_dead(now, limit)
    }
}

impl LogTx for Transaction {
    fn append(&mut self, event: &NewEvent) -> Result<Position> {
        self.append_event(event)
    }
}

impl QueuesTx for Transaction {
    fn send(&mut self, event: &NewEvent, queue: QueueId, delay: Duration) -> Result<Option<Uuid>> {
        self.send_event(event, queue, delay)
    }

    fn copy_missed(&mut self, limit: usize) -> Result<usize> {
        Transaction::copy_missed(self, limit)
    }

    fn receive(
        &mut self,
        queue: QueueId,
        max: usize,
        visibility: Duration,
        now: Timestamp,
    ) -> Result<Vec<Received>> {
        self.stamped.note(Trace::Stamped);
        let ask = queues::Ask { max, visibility, wall: now, now: self.now };
        queues::receive(&self.database, queue, ask, &mut self.committed)
    }

    fn delete_message(&mut self, queue: QueueId, handle: MessageHandle) -> Result<bool> {
        let position = queues::delete(&self.database, queue, handle)?;
        self.released(position);
        Ok(position.is_some())
    }

    fn change_visibility(
        &mut self,
        queue: QueueId,
        handle: MessageHandle,
        visibility: Duration,
    ) -> Result<VisibilityChange> {
        self.stamped.note(Trace::Stamped);
        queues::change_visibility(&self.database, queue, handle, visibility, self.now)
    }

    fn purge_queue(&mut self, id: QueueId) -> Result<Dropped> {
        let dropped = self.empty_queue(id)?;
        Ok(self.committed.dropped(dropped))
    }
}

impl DeliveriesTx for Transaction {
    fn advance_cursor(&mut self, id: SubscriptionId, to: Cursor) -> Result<()> {
        entities::advance(&self.database, id, to)
    }

    fn put_delivery(&mut self, delivery: &Delivery) -> Result<()> {
        self.stamped.note(Trace::Stamped);
        deliveries::put(&self.database, delivery)
    }

    fn remove_delivery(&mut self, id: DeliveryId) -> Result<()> {
        let removed = deliveries::remove(&self.database, id)?;
        self.released(removed.then_some(id.position));
        Ok(())
    }

    fn record_attempt(&mut self, attempt: &Attempt) -> Result<()> {
        deliveries::record_attempt(&self.database, attempt)
    }
}

impl RegistryTx for Transaction {
    fn sync_entities(&mut self, desired: &Desired, now: Timestamp) -> Result<Entities> {
        self.stamped.note(Trace::Stamped);
        let entities = entities::sync(&self.database, desired, (now, self.now))?;
        self.reload_routes()?;
        Ok(entities)
    }

    fn take_step(&mut self, step: &Step, now: Timestamp) -> Result<()> {
        self.stamped.note(Trace::Stamped);
        self.step(step, now)
    }

    fn create_topic(&mut self, name: &str) -> Result<(Topic, bool)> {
        self.make_topic(name)
    }

    fn create_queue(&mut self, name: &str, retention: Option<Duration>) -> Result<(Queue, bool)> {
        self.make_queue(name, retention)
    }

    fn set_queue_retention(&mut self, id: QueueId, retention: Option<Duration>) -> Result<bool> {
        entities::set_retention(&self.database, id, retention)
    }

    fn set_queue_redrive(&mut self, id: QueueId, redrive: Option<&Redrive>) -> Result<bool> {
        entities::set_redrive(&self.database, id, redrive)
    }

    fn subscribe(&mut self, wanted: &DesiredSubscription, now: Timestamp) -> Result<(Subscription, bool)> {
        self.stamped.note(Trace::Stamped);
        self.make_subscription(wanted, now)
    }

    fn unsubscribe(&mut self, id: SubscriptionId) -> Result<Dropped> {
        let dropped = self.end_subscription(id)?;
        Ok(self.committed.dropped(dropped))
    }

    fn has_topic(&mut self, id: TopicId) -> Result<bool> {
        self.is_topic(id)
    }

    fn delete_topic(&mut self, id: TopicId) -> Result<Dropped> {
        let dropped = self.end_topic(id)?;
        Ok(self.committed.dropped(dropped))
    }

    fn delete_queue(&mut self, id: QueueId) -> Result<Dropped> {
        let dropped = self.end_queue(id)?;
        Ok(self.committed.dropped(dropped))
    }

    fn confirm_subscription(&mut self, token: &str) -> Result<Option<Subscription>> {
        let confirmed = entities::confirm(&self.database, token)?;
        // A queue that was unsubscribed gets messages again.
        self.rerouted(confirmed)
    }

    fn disable_subscription(
        &mut self,
        id: SubscriptionId,
        token: Option<&str>,
    ) -> Result<Option<Subscription>> {
        if entities::disable(&self.database, id, token)? {
            gaps::close(&self.database, id)?;
        }
        let disabled = entities::find(&self.database, id)?;
        self.rerouted(disabled)
    }

    fn note_why_disabled(&mut self, id: SubscriptionId, why: &str) -> Result<()> {
        entities::note_why_disabled(&self.database, id, why)
    }

    fn enable_subscription(&mut self, id: SubscriptionId) -> Result<Option<Subscription>> {
        entities::enable(&self.database, id)?;
        let enabled = entities::find(&self.database, id)?;
        self.rerouted(enabled)
    }

    fn get_value(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        let sql = "SELECT value FROM small_values WHERE name = ?1";
        self.database.find("read a value", sql, [name], |row| row.get(0))
    }

    fn put_value(&mut self, name: &str, value: &[u8]) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO small_values (name, value) VALUES (?1, ?2)";
        self.database.run("write a value", sql, (name, value)).map(drop)
    }

    fn delete_value(&mut self, name: &str) -> Result<bool> {
        let sql = "DELETE FROM small_values WHERE name = ?1";
        Ok(self.database.run("delete a value", sql, [name])? > 0)
    }

    fn put_row(&mut self, row: &Row) -> Result<()> {
        registry::put(&self.database, row)
    }

    fn delete_row(&mut self, kind: &str, id: Uuid) -> Result<bool> {
        registry::delete(&self.database, kind, id)
    }

    fn rows(&mut self) -> Result<Vec<Row>> {
        registry::all(&self.database)
    }
}

impl UpkeepTx for Transaction {
    fn trace(&self) -> Trace {
        if self.database.total_changes() == self.changes_before {
            return Trace::Nothing;
        }
        self.stamped.max(Trace::Unstamped)
    }

    fn keep_clock(&mut self, record: &Record) -> Result<()> {
        let sql = "UPDATE clock SET stamp = ?1, wall = ?2, advanced = ?3, assumed = ?4";
        let advanced = record.advanced.as_micros() as i64;
        let row = (ticks(record.stamp), micros(record.wall), advanced, record.assumed.to_string());
        self.database.run("keep the clock", sql, row).map(drop)
    }

    fn housekeep(&mut self, retention: &Retention, now: Timestamp, budget: usize) -> Result<Housekept> {
        // Housekeeping stamps dead letters, and may delete the last event.
        self.stamped.note(Trace::Stamped);
        let moment = (now, self.now);
        let (of, committed) = ((&self.database, self.incarnation, &self.intents), &mut self.committed);
        self.sweep.housekeep(of, retention, moment, budget, committed)
    }

    fn make_room(&mut self, retention: &Retention, now: Timestamp, budget: usize) -> Result<Housekept> {
        self.makes_room = true;
        self.stamped.note(Trace::Stamped);
        let moment = (now, self.now);
        self.sweep.make_room(&self.database, retention, moment, budget, &mut self.committed)
    }
}

/// The error for rows that contradict each other or the schema.
pub(super) fn damaged(what: String) -> StoreError {
    StoreError::Damaged(what)
}
