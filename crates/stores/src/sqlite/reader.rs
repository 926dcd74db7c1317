//! Reads beside the writer, on a few read-only connections that all callers share.
//!
//! A read of several statements is one short transaction. A transaction that stays open would keep the write-ahead log from being moved into the
//! database, so no transaction lasts longer than a call. Only the full check may take longer than a second.
//!
//! A read that fails is tried once more on a new connection, which has nothing in its cache. It is reported as damaged only if it is damaged then,
//! too, and not because of an I/O error.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use event::{Event, EventId, Position, Stamp, Timestamp, TopicId};
use rusqlite::{Connection, OpenFlags, params};
use storage::delivery::{Attempt, Death, Delivery, DeliveryId};
use storage::entities::{Queue, QueueId, Subscription, SubscriptionId, Topic};
use storage::ports::{
    BlockedKey, DeliveriesReader, JournalReader, Lag, LogReader, LookBack, Looked, OpenIntents, QueuesReader,
    RegistryReader, Rows, StoreStats, UpkeepReader, Waiting,
};
use storage::queue::{Limits, QueueDepth, QueuedMessage};
use storage::registry::Row;
use storage::{Result, StoreError};

use super::journal::LEFT_OPEN;
use super::rows::{self, EVENT, EVENT_STAMP};
use super::statements::{Statements, failed, forget_last_error};
use super::{
    Files, OTHER_CACHE, check, configure, dead_letters, deliveries, entities, journal, look_back, queues,
    registry,
};

/// The most connections that are open at the same time. A further reader waits.
const MAX_CONNECTIONS: usize = 4;

pub(super) struct Readers {
    files: Files,
    pool: Mutex<Pool>,
    returned: Condvar,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Connection>,
    /// How many connections are open, idle or lent.
    open: usize,
}

/// One of the pool's connections, lent to a caller. Returned when this is dropped, also by a panic. `connection` is `None` while it is not open, or
/// in use, or closed after an error.
struct Lent<'r> {
    readers: &'r Readers,
    connection: Option<Connection>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut pool = self.readers.pool();
        match self.connection.take() {
            Some(connection) => pool.idle.push(connection),
            None => pool.open -= 1,
        }
        drop(pool);
        self.readers.returned.notify_one();
    }
}

impl Readers {
    pub(super) fn new(files: Files) -> Arc<Self> {
        Arc::new(Self { files, pool: Mutex::default(), returned: Condvar::new() })
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `read` in a transaction, and once more on a new connection if it fails.
    fn read<T>(&self, read: impl Fn(&Connection) -> Result<T>) -> Result<T> {
        match self.read_once(self.lend(), &read) {
            Err(StoreError::Damaged(_) | StoreError::Io { .. }) => {
                let mut lent = self.lend();
                lent.connection = None;
                forget_last_error();
                self.read_once(lent, &read)
            }
            answer => answer,
        }
    }

    /// Reads rows of a subscription. If it no longer exists, its rows were dropped, and the result is empty.
    fn read_of<T: Default>(&self, of: SubscriptionId, read: impl Fn(&Connection) -> Result<T>) -> Result<T> {
        self.read(|database| if entities::exists(database, of)? { read(database) } else { Ok(T::default()) })
    }

    fn read_once<T>(&self, mut lent: Lent<'_>, read: &impl Fn(&Connection) -> Result<T>) -> Result<T> {
        let connection = match lent.connection.take() {
            Some(idle) => idle,
            None => connect(&self.files).map_err(failed("open the store for reading"))?,
        };
        let transaction = connection.unchecked_transaction().map_err(failed("begin a read"))?;
        // If the read fails, the connection is dropped here, and so closed.
        let value = read(&transaction)?;
        drop(transaction);
        lent.connection = Some(connection);
        Ok(value)
    }

    fn lend(&self) -> Lent<'_> {
        let mut pool = self.pool();
        while pool.idle.is_empty() && pool.open == MAX_CONNECTIONS {
            pool = self.returned.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
        let connection = pool.idle.pop();
        if connection.is_none() {
            pool.open += 1;
        }
        Lent { readers: self, connection }
    }
}

pub(super) fn connect(files: &Files) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&files.database, flags)?;
    configure(&connection, OTHER_CACHE)?;
    Ok(connection)
}

impl LogReader for Readers {
    fn head(&self) -> Result<Position> {
        self.read(entities::head)
    }

    fn events_after(
        &self,
        topic: TopicId,
        after: Position,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Vec<Event>> {
        self.read(|database| events_after(database, topic, after, limit, max_bytes))
    }

    fn next_position(&self, topic: TopicId, after: Position) -> Result<Option<Position>> {
        let sql =
            "SELECT min(position) FROM events INDEXED BY events_topic WHERE topic = ?1 AND position > ?2";
        let next = self.read(|database| {
            database.find("find a topic's next event", sql, [topic.0, after.0], |row| {
                row.get::<_, Option<i64>>(0)
            })
        })?;
        Ok(next.flatten().map(Position))
    }

    fn event_at(&self, position: Position) -> Result<Option<Event>> {
        self.read(|database| queues::event_at(database, position))
    }

    fn first_since(&self, moment: Stamp) -> Result<Option<Position>> {
        self.read(|database| first_since(database, moment))
    }

    fn id_at(&self, position: Position) -> Result<Option<EventId>> {
        let sql = "SELECT id FROM events WHERE position = ?1";
        self.read(|database| {
            database.find("read an event's id", sql, [position.0], |row| Ok(EventId::from_bytes(row.get(0)?)))
        })
    }

    fn event(&self, id: EventId) -> Result<Option<Event>> {
        let sql = format!("SELECT {EVENT} FROM events e WHERE e.id = ?1");
        self.read(|database| database.find("read an event", &sql, [id.as_bytes()], rows::event))
    }

    fn look_back(&self, over: LookBack) -> Result<Looked> {
        self.read(|database| look_back::look_back(database, over))
    }
}

impl JournalReader for Readers {
    fn open_intents(&self, after: i64, rows: usize, max_bytes: usize) -> Result<OpenIntents> {
        self.read(|database| journal::open_after(database, after, rows, max_bytes))
    }

    fn intent_at(&self, position: Position) -> Result<Option<Timestamp>> {
        self.read(|database| journal::noted_at(database, position))
    }
}

impl QueuesReader for Readers {
    fn messages_at(&self, position: Position) -> Result<Vec<QueuedMessage>> {
        self.read(|database| queues::messages_at(database, position))
    }

    fn queue_depth(&self, queue: QueueId, now: Stamp) -> Result<QueueDepth> {
        self.read(|database| queues::depth(database, queue, now))
    }
}

impl DeliveriesReader for Readers {
    fn due_deliveries(
        &self,
        subscription: SubscriptionId,
        now: Stamp,
        limit: usize,
    ) -> Result<Vec<Delivery>> {
        self.read_of(subscription, |database| deliveries::due(database, subscription, now, limit))
    }

    fn next_due(&self, subscription: SubscriptionId) -> Result<Option<Stamp>> {
        self.read_of(subscription, |database| deliveries::next_due(database, subscription))
    }

    fn waiting_deliveries(
        &self,
        subscription: SubscriptionId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Delivery>> {
        self.read_of(subscription, |database| deliveries::waiting(database, subscription, after, limit))
    }

    fn deliveries_of_key(
        &self,
        subscription: SubscriptionId,
        key: &str,
        limit: usize,
    ) -> Result<Vec<Delivery>> {
        self.read_of(subscription, |database| deliveries::of_key(database, subscription, key, limit))
    }

    fn waiting_positions(
        &self,
        subscription: SubscriptionId,
        which: Waiting<'_>,
        limit: usize,
    ) -> Result<Vec<Position>> {
        self.read_of(subscription, |database| deliveries::positions(database, subscription, which, limit))
    }

    fn dead_letters(
        &self,
        of: Option<SubscriptionId>,
        before: Option<Death>,
        limit: usize,
    ) -> Result<Vec<Delivery>> {
        match of {
            Some(id) => self.read_of(id, |database| dead_letters::newest(database, of, before, limit)),
            None => self.read(|database| dead_letters::newest(database, None, before, limit)),
        }
    }

    fn dead_letters_until(
        &self,
        of: SubscriptionId,
        after: Option<Death>,
        until: Stamp,
        limit: usize,
    ) -> Result<Vec<Delivery>> {
        self.read_of(of, |database| dead_letters::oldest(database, of, after, until, limit))
    }

    fn deliveries_after(
        &self,
        of: Option<SubscriptionId>,
        after: Option<DeliveryId>,
        which: Rows,
        limit: usize,
    ) -> Result<Vec<Delivery>> {
        self.read(|database| deliveries::after(database, of, after, which, limit))
    }

    fn blocked_keys(
        &self,
        subscription: SubscriptionId,
        after: Option<&str>,
        limit: usize,
        at_most: u64,
    ) -> Result<Vec<BlockedKey>> {
        self.read_of(subscription, |database| {
            deliveries::blocked_keys(database, subscription, after, limit, at_most)
        })
    }

    fn deliveries_at(&self, position: Position) -> Result<Vec<Delivery>> {
        self.read(|database| deliveries::at(database, position))
    }

    fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>> {
        self.read_of(id.subscription, |database| deliveries::find(database, id))
    }

    fn attempts_at(&self, position: Position) -> Result<Vec<Attempt>> {
        self.read(|database| deliveries::attempts_at(database, position))
    }

    fn last_attempt(&self, id: DeliveryId) -> Result<Option<Attempt>> {
        self.read(|database| deliveries::last_attempt(database, id))
    }

    fn lag(&self, subscription: SubscriptionId, at_most: u64) -> Result<Lag> {
        self.read(|database| deliveries::lag(database, subscription, at_most))
    }
}

impl RegistryReader for Readers {
    fn topics(&self) -> Result<Vec<Topic>> {
        self.read(entities::topics)
    }

    fn queues(&self) -> Result<Vec<(Queue, Limits)>> {
        self.read(entities::queues)
    }

    fn subscriptions(&self) -> Result<Vec<Subscription>> {
        self.read(entities::all)
    }

    fn rows(&self) -> Result<Vec<Row>> {
        self.read(registry::all)
    }
}

impl UpkeepReader for Readers {
    fn stats(&self) -> Result<StoreStats> {
        let sql = format!(
            "SELECT (SELECT count(*) FROM incarnations n CROSS JOIN intents i WHERE {LEFT_OPEN}), page_count * page_size
             FROM pragma_page_count(), pragma_page_size()"
        );
        let counted = self.read(|database| {
            database.find("read the sizes", &sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
        })?;
        let (open_intents, bytes) = counted.unwrap_or_default();
        Ok(StoreStats { open_intents, bytes, wal_bytes: self.files.wal_bytes() })
    }

    fn check(&self, full: bool) -> Result<Vec<String>> {
        self.read(|database| check::findings(database, full))
    }
}

/// A binary search over positions, because stamps grow with them.
fn first_since(database: &Connection, moment: Stamp) -> Result<Option<Position>> {
    let sql = format!(
        "SELECT e.position, {EVENT_STAMP} FROM events e WHERE e.position >= ?1 ORDER BY e.position LIMIT 1"
    );
    let next = |from: i64| {
        database.find("find the first event since a time", &sql, [from], |row| {
            Ok((row.get::<_, i64>(0)?, rows::stamp(row, 1)?))
        })
    };
    let (mut low, mut high) = (0, entities::head(database)?.0);
    let mut first = None;
    while low <= high {
        let middle = low + (high - low) / 2;
        match next(middle)? {
            Some((position, stamp)) if stamp < moment => low = position + 1,
            Some((position, _)) => (first, high) = (Some(Position(position)), middle - 1),
            None => high = middle - 1,
        }
    }
    Ok(first)
}

fn events_after(
    database: &Connection,
    topic: TopicId,
    after: Position,
    limit: usize,
    max_bytes: usize,
) -> Result<Vec<Event>> {
    let sql = format!(
        "SELECT {EVENT} FROM events e WHERE e.topic = ?1 AND e.position > ?2 ORDER BY e.position LIMIT ?3"
    );
    let mut events = Vec::new();
    let read = |events: &mut Vec<Event>| {
        let mut statement = database.prepare_cached(&sql)?;
        let mut rows = statement.query(params![topic.0, after.0, limit as i64])?;
        let mut bytes = 0;
        while let Some(row) = rows.next()? {
            let event: Event = rows::event(row)?;
            bytes += event.body.bytes();
            if bytes > max_bytes && !events.is_empty() {
                break;
            }
            events.push(event);
        }
        Ok(())
    };
    match read(&mut events).map_err(failed("read a topic's events")) {
        // The events before the unreadable one are returned. The next read begins with it, and fails.
        Err(_) if !events.is_empty() => Ok(events),
        Err(error) => Err(error),
        Ok(()) => Ok(events),
    }
}
