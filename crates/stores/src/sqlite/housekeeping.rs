//! The rules of `storage::retention`, a slice at a time.
//!
//! Most rows that are old are found by an index. Events are not, because no column says whether an event is owed. So each topic has a *frontier* in
//! memory: a position up to which it has only events that a delivery's row or a message pins, or that are damaged. A transaction that removes such
//! a row calls [`Sweep::released`] with its position, and the event is looked at again. The frontier stops at the first event that is too young or
//! that a cursor has not passed yet. So in a topic where nothing can be deleted, one look is enough. After a start or a rollback the frontiers
//! begin anew.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use event::{Position, Stamp, Timestamp, TopicId};
use rusqlite::{Connection, Params, params};
use storage::backend::Committed;
use storage::dropped::Ended;
use storage::entities::{Incarnation, QueueId, SubscriptionId};
use storage::redrive::{Policy, Why};
use storage::retention::{Housekept, Retention, TOO_OLD};
use storage::{Result, StoreError};

use super::dropped::{self, Of};
use super::entities;
use super::gaps::HAS_GAP;
use super::journal::{LEFT_OPEN, OpenIntents};
use super::queues::{self, Bin, Expired, Expiring};
use super::rows::{self, EVENT_STAMP, micros, ticks};
use super::statements::{Statements, failed};

mod room;

/// How many looks a slice has for each row that it may delete. A look at an event is cheaper than a deletion.
const LOOKS_PER_ROW: usize = 4;
/// How many looks a queue costs.
const LOOKS_PER_QUEUE: usize = 4;
/// Unused pages of the database are returned to the file system if there are this many (16 MiB). Fewer are kept for new rows.
const SPARE_PAGES: i64 = 4_096;
/// How many pages are returned for each row of the budget, when there is nothing else to do.
const PAGES_PER_ROW: usize = 4;

/// How far housekeeping has come in its current round, and in each topic.
#[derive(Default)]
pub(super) struct Sweep {
    /// Each topic's frontier.
    frontiers: HashMap<TopicId, Position>,
    /// The greatest of the frontiers.
    furthest: Position,
    /// Events at or before a frontier that lost a row or a message.
    released: Vec<Position>,
    /// How far the topics of this round have been read.
    floors: HashMap<TopicId, Floors>,
    /// The last topic that this round is done with.
    passed: Option<TopicId>,
    /// How far making room has come.
    round: room::Round,
    /// Events that could not be deleted because they are damaged. They stay, and do not stop the frontier.
    damaged: HashSet<Position>,
    /// The last queue that this round is done with.
    passed_queue: Option<i64>,
    /// Whether this round is done with all queues.
    queues_done: bool,
    /// The last deleted topic that this round is done with.
    passed_deleted: Option<TopicId>,
}

/// How far the subscriptions of a topic have read it. Subscriptions of queues count only while they have a gap.
struct Floors {
    /// The least `done_to` of the confirmed subscriptions, and of those that reconfirm; `None` if there are none.
    confirmed: Option<Position>,
    /// The `done_to` of each pending and disabled push subscription that does not reconfirm.
    others: Vec<(SubscriptionId, Position)>,
}

impl Floors {
    /// Whether one of the `confirmed` subscriptions has not read a position yet.
    fn holds(&self, position: Position) -> bool {
        self.confirmed.is_some_and(|floor| floor < position)
    }

    /// Those of the `others` that have not read a position yet.
    fn unread_by(&self, position: Position) -> impl Iterator<Item = SubscriptionId> {
        self.others.iter().filter(move |(_, floor)| *floor < position).map(|(id, _)| *id)
    }
}

/// A queue, with what decides how long its messages are kept.
struct Aging {
    id: QueueId,
    name: String,
    bin: Bin,
    /// How long it keeps a message, if it has a retention of its own.
    kept: Option<Duration>,
    policy: Option<Policy<queues::DeadLetterQueue>>,
    /// The same for its dead-letter queue.
    kept_there: Option<Duration>,
}

fn next_queue(database: &Connection, after: Option<i64>) -> Result<Option<Aging>> {
    let sql = "SELECT q.id, q.bin, q.retention, d.retention, q.name, q.dead_letters, q.max_receives, d.id, d.bin
               FROM queues q LEFT JOIN queues d ON d.name = q.dead_letters WHERE q.id > ?1 ORDER BY q.id LIMIT 1";
    let after = after.unwrap_or(i64::MIN);
    database.find("find the next queue", sql, [after], |row| {
        let time =
            |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<u64>>(column)?.map(Duration::from_micros));
        Ok(Aging {
            id: QueueId(row.get(0)?),
            bin: Bin(row.get(1)?),
            kept: time(2)?,
            kept_there: time(3)?,
            name: row.get(4)?,
            policy: queues::policy(row, 4)?,
        })
    })
}

/// One call of housekeeping: its limits as stamps, how much it may still do, and what its commit reports.
struct Slice<'d> {
    database: &'d Connection,
    wall: Timestamp,
    now: Stamp,
    history: Stamp,
    pinned_since: Stamp,
    rows_left: usize,
    looks_left: usize,
    done: Housekept,
    committed: &'d mut Committed,
}

/// How a rule, or a part of one, ended.
enum Step {
    /// It has nothing left to do.
    Done,
    /// The slice is used up; there may be more to do.
    Spent,
}

type Rule = fn(&mut Sweep, &mut Slice<'_>, &Retention) -> Result<Step>;

/// Rules 0 to 7 of `storage::retention`, in that order. Rule 6 is two functions. Rule 8 comes afterwards ([`Sweep::forget_topics`]).
const RULES: [Rule; 9] = [
    |sweep, slice, _| sweep.drop_dropped(slice),
    Sweep::drop_removed,
    Sweep::drop_messages,
    Sweep::drop_dead,
    Sweep::drop_unreachable,
    Sweep::give_up,
    |sweep, slice, _| sweep.look_at_released(slice),
    |sweep, slice, _| sweep.advance_frontiers(slice),
    Sweep::drop_attempts,
];

impl<'d> Slice<'d> {
    /// A slice of `budget` rows. Events up to `history` may be deleted.
    fn new(
        database: &'d Connection,
        retention: &Retention,
        (wall, now): (Timestamp, Stamp),
        history: Stamp,
        budget: usize,
        committed: &'d mut Committed,
    ) -> Self {
        Self {
            database,
            wall,
            now,
            history,
            pinned_since: retention.past(retention.pending_pin, now),
            rows_left: budget,
            looks_left: budget * LOOKS_PER_ROW,
            done: Housekept::default(),
            committed,
        }
    }
}

impl Slice<'_> {
    /// Runs a statement that deletes or changes at most as many rows as its last parameter says, and returns a position for each.
    fn take(
        &mut self,
        operation: &'static str,
        sql: &str,
        params: impl Params,
    ) -> Result<(Step, Vec<Position>)> {
        let positions = self.database.list(operation, sql, params, |row| rows::position(row, 0))?;
        self.spend(positions.len());
        Ok((self.step(), positions))
    }

    fn spend(&mut self, rows: usize) {
        self.rows_left = self.rows_left.saturating_sub(rows);
        self.done.rows += rows as u64;
    }

    fn step(&self) -> Step {
        if self.rows_left == 0 { Step::Spent } else { Step::Done }
    }

    fn limit(&self) -> i64 {
        self.rows_left as i64
    }

    /// Takes one look from the slice.
    fn look(&mut self) -> Step {
        if self.looks_left == 0 {
            return Step::Spent;
        }
        self.looks_left -= 1;
        Step::Done
    }
}

impl Sweep {
    /// Notes that an event lost a row or a message, so that it is looked at again.
    pub(super) fn released(&mut self, position: Position) {
        if position <= self.furthest {
            self.released.push(position);
        }
    }

    /// The transaction was rolled back, so everything must be looked at again.
    pub(super) fn begin_anew(&mut self) {
        let damaged = std::mem::take(&mut self.damaged);
        *self = Self { damaged, ..Self::default() };
    }

    /// Subscriptions were added, were removed or changed their state, so their cursors must be read again.
    pub(super) fn entities_changed(&mut self) {
        self.floors.clear();
    }

    pub(super) fn housekeep(
        &mut self,
        (database, me, intents): (&Connection, Incarnation, &OpenIntents),
        retention: &Retention,
        (wall, now): (Timestamp, Stamp),
        budget: usize,
        committed: &mut Committed,
    ) -> Result<Housekept> {
        let history = retention.past(retention.history, now);
        let mut slice = Slice::new(database, retention, (wall, now), history, budget, committed);
        let mut step = self.sweep(&mut slice, retention)?;
        if let Step::Done = step {
            step = self.forget_topics(&mut slice, (me, intents))?;
        }
        slice.done.more = matches!(step, Step::Spent);
        if slice.done == Housekept::default() {
            give_back_pages(database, budget)?;
        }
        Ok(slice.done)
    }

    fn sweep(&mut self, slice: &mut Slice<'_>, retention: &Retention) -> Result<Step> {
        if let Step::Spent = slice.step() {
            return Ok(Step::Spent);
        }
        for rule in RULES {
            if let Step::Spent = rule(self, slice, retention)? {
                return Ok(Step::Spent);
            }
        }
        Ok(Step::Done)
    }

    /// Rule 0: deletes what owners dropped. Then looks at the events that it pinned at once, so that `released` stays short.
    fn drop_dropped(&mut self, slice: &mut Slice<'_>) -> Result<Step> {
        while let Some(mark) = dropped::first(slice.database)? {
            let half = (slice.limit() + 1) / 2;
            let positions = dropped::delete_some(slice.database, mark, half)?;
            slice.spend(positions.len());
            self.release(positions);
            if let Step::Spent = slice.step() {
                return Ok(Step::Spent);
            }
            if let Step::Spent = self.look_at_released(slice)? {
                return Ok(Step::Spent);
            }
        }
        Ok(Step::Done)
    }

    /// Rule 8: forgets deleted topics that no open intent and no event has. Each is looked at once a round.
    fn forget_topics(
        &mut self,
        slice: &mut Slice<'_>,
        (me, intents): (Incarnation, &OpenIntents),
    ) -> Result<Step> {
        loop {
            if let Step::Spent = slice.look() {
                return Ok(Step::Spent);
            }
            let sql = "SELECT id FROM deleted_topics WHERE id > ?1 ORDER BY id LIMIT 1";
            let passed = self.passed_deleted.map_or(i64::MIN, |topic| topic.0);
            let next =
                slice.database.find("find a deleted topic", sql, [passed], |row| row.get(0).map(TopicId))?;
            let Some(topic) = next else { break };
            if !intents.have_topic(topic) && !is_left_of(slice.database, topic, me)? {
                if let Step::Spent = slice.step() {
                    return Ok(Step::Spent);
                }
                slice.database.run(
                    "forget a topic",
                    "DELETE FROM deleted_topics WHERE id = ?1",
                    [topic.0],
                )?;
                slice.spend(1);
            }
            self.passed_deleted = Some(topic);
        }
        self.passed_deleted = None;
        self.queues_done = false;
        Ok(Step::Done)
    }

    fn release(&mut self, positions: Vec<Position>) {
        for position in positions {
            self.released(position);
        }
    }

    /// Rule 1: ends subscriptions as an owner's command would, so that what they were owed is counted, and goes, in one commit. Their rows are deleted
    /// by rule 0.
    fn drop_removed(&mut self, slice: &mut Slice<'_>, retention: &Retention) -> Result<Step> {
        let until = ticks(retention.past(retention.removed_grace, slice.now));
        loop {
            let sql = "SELECT id FROM subscriptions WHERE removed_at IS NOT NULL AND removed <= ?1 ORDER BY removed, id LIMIT 1";
            let gone = slice
                .database
                .find("find removed subscriptions", sql, [until], |row| row.get(0).map(SubscriptionId))?;
            let Some(id) = gone else { return Ok(Step::Done) };
            if let Some(whose) = entities::whose(slice.database, id)? {
                let owed = dropped::owed(slice.database, Of::One(id))?;
                slice.committed.ended.push(Ended { id, whose, owed });
            }
            dropped::end(slice.database, Of::One(id))?;
            slice.spend(1);
            self.entities_changed();
            if let Step::Spent = slice.step() {
                return Ok(Step::Spent);
            }
            if let Step::Spent = self.drop_dropped(slice)? {
                return Ok(Step::Spent);
            }
        }
    }

    /// Rule 2. Each queue is looked at once a round, so that slices have looks left for the events.
    fn drop_messages(&mut self, slice: &mut Slice<'_>, retention: &Retention) -> Result<Step> {
        while !self.queues_done {
            if slice.looks_left < LOOKS_PER_QUEUE {
                return Ok(Step::Spent);
            }
            slice.looks_left -= LOOKS_PER_QUEUE;
            let Some(queue) = next_queue(slice.database, self.passed_queue)? else {
                (self.passed_queue, self.queues_done) = (None, true);
                break;
            };
            if let Step::Spent = self.drop_messages_of(&queue, slice, retention)? {
                return Ok(Step::Spent);
            }
            self.passed_queue = Some(queue.id.0);
        }
        Ok(Step::Done)
    }

    fn drop_messages_of(
        &mut self,
        queue: &Aging,
        slice: &mut Slice<'_>,
        retention: &Retention,
    ) -> Result<Step> {
        let past = |own: Option<Duration>| retention.past(own.unwrap_or(retention.queue_message), slice.now);
        let policy = queue.policy.as_ref();
        let keeper = policy.and_then(|policy| Some((policy, policy.target?, past(queue.kept_there))));
        let Expired { gone, given_up, more } = queues::expire(
            slice.database,
            &Expiring {
                queue: queue.id,
                bin: queue.bin,
                now: slice.now,
                until: past(queue.kept),
                limit: slice.limit(),
                keeper,
            },
        )?;
        if !gone.is_empty() {
            *slice.committed.expired.entry(queue.name.clone()).or_default() += gone.len() as u64;
        }
        if let Some((policy, to, _)) = keeper.filter(|_| given_up > 0) {
            slice.committed.dead_lettered(policy.way(Why::Age), to.into(), given_up as u64);
        }
        slice.spend(gone.len() + given_up);
        self.release(gone);
        Ok(if more { Step::Spent } else { Step::Done })
    }

    fn drop_dead(&mut self, slice: &mut Slice<'_>, retention: &Retention) -> Result<Step> {
        let until = ticks(retention.past(retention.dead_letter, slice.now));
        let sql = "DELETE FROM deliveries WHERE (subscription, position) IN
                   (SELECT subscription, position FROM deliveries WHERE state = 'dead' AND at <= ?1
                    ORDER BY at LIMIT ?2) RETURNING position";
        let (step, positions) = slice.take("drop dead letters", sql, [until, slice.limit()])?;
        self.release(positions);
        Ok(step)
    }

    fn drop_unreachable(&mut self, slice: &mut Slice<'_>, _: &Retention) -> Result<Step> {
        // CROSS JOIN: the few subscriptions that are not confirmed come first, whatever the planner thinks of the rest.
        let sql = format!(
            "DELETE FROM deliveries WHERE (subscription, position) IN
                   (SELECT d.subscription, d.position
                    FROM subscriptions s CROSS JOIN deliveries d INDEXED BY deliveries_waiting CROSS JOIN events e
                    WHERE s.state <> 'confirmed' AND NOT s.reconfirms AND d.subscription = s.id AND d.state <> 'dead'
                      AND e.position = d.position AND {EVENT_STAMP} <= ?1 LIMIT ?2)
                   RETURNING position, subscription, (SELECT done_to FROM subscriptions WHERE id = subscription)"
        );
        let range = [ticks(slice.pinned_since), slice.limit()];
        let dropped = slice.database.list("drop unreachable deliveries", &sql, range, |row| {
            Ok((rows::position(row, 0)?, SubscriptionId(row.get(1)?), rows::position(row, 2)?))
        })?;
        slice.spend(dropped.len());
        for (position, subscription, done_to) in dropped {
            self.released(position);
            // A delivery that the cursor has not passed counts as unread: it lapses when its event is deleted.
            if done_to >= position {
                slice.committed.lapsed(subscription);
            }
        }
        Ok(slice.step())
    }

    fn give_up(&mut self, slice: &mut Slice<'_>, retention: &Retention) -> Result<Step> {
        let until = ticks(retention.past(retention.max_age, slice.now));
        let sql =
            "UPDATE deliveries SET state = 'dead', at = ?1, died_at = ?5, reason = ?2 WHERE (subscription, position) IN
                   (SELECT subscription, position FROM deliveries WHERE state <> 'dead' AND since <= ?3
                    ORDER BY since LIMIT ?4) RETURNING position";
        let range = params![ticks(slice.now), TOO_OLD, until, slice.limit(), micros(slice.wall)];
        let (step, positions) = slice.take("give deliveries up", sql, range)?;
        slice.committed.given_up += positions.len() as u64;
        Ok(step)
    }

    fn look_at_released(&mut self, slice: &mut Slice<'_>) -> Result<Step> {
        while let Some(position) = self.released.pop() {
            if let Step::Spent = slice.look() {
                self.released.push(position);
                return Ok(Step::Spent);
            }
            let sql = format!("SELECT e.topic, {EVENT_STAMP} FROM events e WHERE e.position = ?1");
            let found = slice.database.find("look at an event", &sql, [position.0], |row| {
                Ok((TopicId(row.get(0)?), rows::stamp(row, 1)?))
            })?;
            let Some((topic, stamp)) = found else { continue };
            if self.must_wait(slice, topic, position, stamp)? {
                // This happens only if a disabled subscription was enabled since: the frontier must pass the event again.
                let before = Position(position.0 - 1);
                self.frontiers.entry(topic).and_modify(|frontier| *frontier = before.min(*frontier));
            } else if let Step::Spent = self.drop_unless_pinned(slice, topic, position)? {
                self.released.push(position);
                return Ok(Step::Spent);
            }
        }
        Ok(Step::Done)
    }

    fn advance_frontiers(&mut self, slice: &mut Slice<'_>) -> Result<Step> {
        loop {
            if let Step::Spent = slice.look() {
                return Ok(Step::Spent);
            }
            let Some(topic) = topic_after(slice.database, self.passed)? else { break };
            if let Step::Spent = self.advance_frontier(slice, topic)? {
                return Ok(Step::Spent);
            }
            self.passed = Some(topic);
        }
        // The round is over. The next one reads the cursors again.
        self.passed = None;
        self.floors.clear();
        Ok(Step::Done)
    }

    fn advance_frontier(&mut self, slice: &mut Slice<'_>, topic: TopicId) -> Result<Step> {
        loop {
            if let Step::Spent = slice.look() {
                return Ok(Step::Spent);
            }
            let frontier = self.frontiers.get(&topic).copied().unwrap_or_default();
            let next = event_after(slice.database, topic, frontier)?;
            let Some((position, stamp)) = next else { return Ok(Step::Done) };
            if self.must_wait(slice, topic, position, stamp)? {
                return Ok(Step::Done);
            }
            if let Step::Spent = self.drop_unless_pinned(slice, topic, position)? {
                return Ok(Step::Spent);
            }
            self.passed_by(topic, position);
        }
    }

    /// Moves the frontier of a topic: up to here it has only events that are pinned or damaged.
    fn passed_by(&mut self, topic: TopicId, position: Position) {
        let frontier = self.frontiers.entry(topic).or_default();
        *frontier = position.max(*frontier);
        self.furthest = self.furthest.max(position);
    }

    /// Whether an event is too young to be deleted, or a cursor has not passed it yet.
    fn must_wait(
        &mut self,
        slice: &Slice<'_>,
        topic: TopicId,
        position: Position,
        stamp: Stamp,
    ) -> Result<bool> {
        if stamp > slice.history {
            return Ok(true);
        }
        let floors = self.floors(slice.database, topic)?;
        let pinned = stamp > slice.pinned_since && floors.unread_by(position).next().is_some();
        Ok(floors.holds(position) || pinned)
    }

    fn floors(&mut self, database: &Connection, topic: TopicId) -> Result<&Floors> {
        Ok(match self.floors.entry(topic) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(floors(database, topic)?),
        })
    }

    /// Deletes an event and its attempts, unless a row or a message pins it. Returns `Spent` if the slice is not large enough. A damaged event is an
    /// error once, for which the transaction is rolled back, because a part of it may be deleted already. Later calls leave it as it is.
    fn drop_unless_pinned(
        &mut self,
        slice: &mut Slice<'_>,
        topic: TopicId,
        position: Position,
    ) -> Result<Step> {
        if self.damaged.contains(&position) {
            return Ok(Step::Done);
        }
        let dropped = self.drop_whole_unless_pinned(slice, topic, position);
        if let Err(StoreError::Damaged(_)) = dropped {
            self.damaged.insert(position);
        }
        dropped
    }

    fn drop_whole_unless_pinned(
        &mut self,
        slice: &mut Slice<'_>,
        topic: TopicId,
        position: Position,
    ) -> Result<Step> {
        let sql = "SELECT EXISTS (SELECT 1 FROM deliveries WHERE position = ?1)
                       OR EXISTS (SELECT 1 FROM messages WHERE position = ?1)";
        let pinned = slice.database.find("look for pins", sql, [position.0], |row| row.get::<_, bool>(0))?;
        if pinned != Some(false) {
            return Ok(Step::Done);
        }
        let sql = "DELETE FROM attempts WHERE seq IN (SELECT seq FROM attempts WHERE position = ?1 LIMIT ?2)
                   RETURNING position";
        if let (Step::Spent, _) = slice.take("drop attempts", sql, [position.0, slice.limit()])? {
            return Ok(Step::Spent);
        }
        let sql = "DELETE FROM events WHERE position = ?1 RETURNING intent";
        let intent =
            slice.database.find("drop an event", sql, [position.0], |row| row.get::<_, Option<i64>>(0))?;
        if let Some(seq) = intent.flatten() {
            slice.database.run("drop an event's intent", "DELETE FROM intents WHERE seq = ?1", [seq])?;
        }
        slice.spend(1);
        for subscription in self.floors(slice.database, topic)?.unread_by(position) {
            slice.committed.lapsed(subscription);
        }
        Ok(Step::Done)
    }

    fn drop_attempts(&mut self, slice: &mut Slice<'_>, retention: &Retention) -> Result<Step> {
        let keep = i64::try_from(retention.max_attempts).unwrap_or(i64::MAX);
        let sql = "DELETE FROM attempts WHERE seq IN
                   (SELECT seq FROM attempts WHERE seq <= (SELECT max(seq) FROM attempts) - ?1 ORDER BY seq LIMIT ?2)
                   RETURNING position";
        Ok(slice.take("drop old attempts", sql, [keep, slice.limit()])?.0)
    }
}

/// Whether an event, or an open intent of another incarnation than this one, has the number of a topic. There are few such intents.
fn is_left_of(database: &Connection, topic: TopicId, me: Incarnation) -> Result<bool> {
    if event_after(database, topic, Position(i64::MIN))?.is_some() {
        return Ok(true);
    }
    let sql = format!(
        "SELECT 1 FROM incarnations n CROSS JOIN intents i WHERE n.id <> ?1 AND {LEFT_OPEN} AND i.topic = ?2 LIMIT 1"
    );
    let open = database.find("look for a deleted topic's intents", &sql, [me.0, topic.0], |_| Ok(()))?;
    Ok(open.is_some())
}

/// The next topic that has events.
fn topic_after(database: &Connection, passed: Option<TopicId>) -> Result<Option<TopicId>> {
    let sql = "SELECT min(topic) FROM events WHERE topic > ?1";
    let passed = passed.map_or(i64::MIN, |topic| topic.0);
    let next = database.find("find the next topic", sql, [passed], |row| row.get::<_, Option<i64>>(0))?;
    Ok(next.flatten().map(TopicId))
}

/// The next event of a topic, and when it was recorded.
fn event_after(
    database: &Connection,
    topic: TopicId,
    frontier: Position,
) -> Result<Option<(Position, Stamp)>> {
    let sql = format!(
        "SELECT e.position, {EVENT_STAMP} FROM events e WHERE e.topic = ?1 AND e.position > ?2
         ORDER BY e.position LIMIT 1"
    );
    database.find("look at an event", &sql, [topic.0, frontier.0], |row| {
        Ok((rows::position(row, 0)?, rows::stamp(row, 1)?))
    })
}

fn floors(database: &Connection, topic: TopicId) -> Result<Floors> {
    let sql = format!(
        "SELECT min(done_to) FROM subscriptions WHERE topic = ?1 AND (state = 'confirmed' OR reconfirms)
         AND (protocol <> 'sqs' OR {HAS_GAP})"
    );
    let confirmed = database.find("read a topic's cursors", &sql, [topic.0], |row| {
        Ok(row.get::<_, Option<i64>>(0)?.map(Position))
    })?;
    let sql = "SELECT id, done_to FROM subscriptions INDEXED BY subscriptions_unconfirmed
               WHERE state <> 'confirmed' AND NOT reconfirms AND topic = ?1 AND protocol <> 'sqs'";
    let others = database.list("read the unconfirmed cursors", sql, [topic.0], |row| {
        Ok((SubscriptionId(row.get(0)?), rows::position(row, 1)?))
    })?;
    Ok(Floors { confirmed: confirmed.flatten(), others })
}

/// Returns unused pages to the file system, if there are many.
fn give_back_pages(database: &Connection, budget: usize) -> Result<()> {
    let unused =
        database.find("count unused pages", "PRAGMA freelist_count", [], |row| row.get::<_, i64>(0))?;
    if unused.is_none_or(|pages| pages < SPARE_PAGES) {
        return Ok(());
    }
    let sql = format!("PRAGMA incremental_vacuum({})", budget * PAGES_PER_ROW);
    database.execute_batch(&sql).map_err(failed("give pages back"))
}
