//! A store in memory, a sink that does as it is told, and a clock that stands until it is moved.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use event::timestamp::Clock;
use event::{EventId, NewEvent, Position, Timestamp};
use http::HeaderMap;
use storage::delivery::{Attempt, Delivery, DeliveryId, DeliveryState};
use storage::entities::{Desired, DesiredSubscription, Protocol, Subscription, SubscriptionState};
use storage::memory::{Memory, ReadFaults, SAMPLE_TIME, sample_event};
use storage::retention::Retention;
use storage::{Feed, Reader, Writer};
use tokio::sync::watch;

use crate::budget::Budget;
use crate::drain::DrainSignal;
use crate::events::Events;
use crate::signing::SnsKey;
use crate::sink::{AttemptReport, Content, Failure, Job, Sink, Sinks, Target, TargetError, To, Verdict};
use crate::wire::cache::Messages;
use crate::wire::{WireFormat, sns};
use crate::worker::{Config, Deps, Handle, Settings, Worker, WorkerState};
use crate::{Deliveries, Endpoint};

/// How long a test waits for anything, in real time.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the writer gets for a commit, in real time.
const MOMENT: Duration = Duration::from_micros(500);

/// Stands until it is moved; panics in a task if it was told to. Times are in microseconds.
#[derive(Default)]
pub(super) struct TestClock {
    passed: AtomicU64,
    /// How far the wall clock is set forward.
    ahead: AtomicU64,
    panics: AtomicU64,
}

impl TestClock {
    /// Makes the next calls panic, of those from tasks: workers and attempts.
    pub(super) fn panic_next(&self, times: u64) {
        self.panics.store(times, Ordering::SeqCst);
    }

    fn panic_if_told(&self) {
        let order = Ordering::SeqCst;
        let told_to = || self.panics.fetch_update(order, order, |left| left.checked_sub(1)).is_ok();
        assert!(tokio::task::try_id().is_none() || !told_to(), "the clock was told to");
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.panic_if_told();
        Timestamp::from_micros(self.passed.load(Ordering::SeqCst) + self.ahead.load(Ordering::SeqCst))
    }

    fn uptime(&self) -> Duration {
        self.panic_if_told();
        Duration::from_micros(self.passed.load(Ordering::SeqCst))
    }
}

/// A call of the sink.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) endpoint: String,
    pub(super) position: i64,
    pub(super) attempt: u32,
    pub(super) key: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What the sink is told to do.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Status(u16),
    /// Asks to be left alone for so many seconds.
    RetryAfter(u16, u64),
    After(Duration, u16),
    /// Until the deadline.
    Hang,
    Panic,
}

pub(super) const OK: Answer = Answer::Status(204);

/// How many attempts the sink says wait for a connection.
pub(super) const SINK_WAITING: usize = 7;

type Script = Box<dyn FnMut(&Call) -> Answer + Send>;

pub(super) struct ScriptedSink {
    script: Mutex<Script>,
    calls: Mutex<Vec<Call>>,
    /// Endings, in their order: position and whether it succeeded.
    ended: Mutex<Vec<(i64, String, bool)>>,
}

/// One subscription's.
struct ScriptedTarget {
    sink: Arc<ScriptedSink>,
    path: String,
    to: To,
}

/// The sink as workers have it.
struct Scripted(Arc<ScriptedSink>);

impl Sink for Scripted {
    fn protocols(&self) -> &'static [Protocol] {
        &[Protocol::Http, Protocol::Https]
    }

    fn open(&self, to: To) -> Result<Arc<dyn Target>, TargetError> {
        let endpoint: Endpoint = to.endpoint.parse().map_err(Box::from)?;
        Ok(Arc::new(ScriptedTarget { sink: self.0.clone(), path: endpoint.path.to_string(), to }))
    }

    fn waiting(&self) -> usize {
        SINK_WAITING
    }
}

impl Target for ScriptedTarget {
    fn attempt(&self, job: Job) -> Pin<Box<dyn Future<Output = AttemptReport> + Send + '_>> {
        Box::pin(self.sink.attempt(self, job))
    }
}

impl ScriptedSink {
    async fn attempt(&self, target: &ScriptedTarget, job: Job) -> AttemptReport {
        let (position, attempt, key) = match &job.content {
            Content::Event { message, number } => {
                let event = message.event();
                (event.position.0, *number, event.body.key.to_string())
            }
            Content::Confirmation(_) => (0, 0, String::new()),
        };
        let outgoing = match target.to.recipient.request(job).await {
            Ok(outgoing) => outgoing,
            Err(error) => {
                return AttemptReport::failed(Failure::Internal, error.to_string(), Duration::ZERO);
            }
        };
        let (headers, body) = (outgoing.headers, outgoing.body);
        let call = Call { endpoint: target.path.clone(), position, attempt, key, headers, body };
        self.calls.lock().unwrap().push(call.clone());
        let answer = self.script.lock().unwrap()(&call);
        let (status, wait) = match answer {
            Answer::Status(status) => (status, None),
            Answer::RetryAfter(status, seconds) => (status, Some(Duration::from_secs(seconds))),
            Answer::After(wait, status) => {
                tokio::time::sleep(wait).await;
                (status, None)
            }
            Answer::Hang => {
                tokio::time::sleep(target.to.timeout).await;
                return AttemptReport::failed(Failure::Timeout, "no answer", Duration::from_secs(15));
            }
            Answer::Panic => panic!("told to"),
        };
        let success = (200..300).contains(&status);
        self.ended.lock().unwrap().push((call.position, call.key, success));
        let verdict = match status {
            200..=299 => Verdict::Delivered,
            410 => Verdict::Refused { reason: "the endpoint answered 410: it is gone".into() },
            _ => Verdict::Failed { reason: format!("answered {status}"), wait },
        };
        AttemptReport {
            verdict,
            status: Some(status),
            took: Duration::from_millis(1),
            answer: Bytes::from_static(b"body"),
            failure: None,
        }
    }
}

pub(super) struct World {
    pub(super) memory: Memory,
    pub(super) clock: Arc<TestClock>,
    pub(super) sink: Arc<ScriptedSink>,
    pub(super) sns_key: watch::Sender<Option<Arc<SnsKey>>>,
    pub(super) reader: Arc<dyn Reader>,
    /// Of the workers' reads; those of tests do not fail.
    pub(super) faults: Arc<ReadFaults>,
    pub(super) budget: Budget,
    pub(super) writer: Writer,
    thread: Option<JoinHandle<()>>,
    pub(super) feed: Feed,
    pub(super) deliveries: Deliveries,
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) states: Vec<watch::Sender<SubscriptionState>>,
    published: u64,
    /// A blocking task for as long as this exists: it keeps the paused clock from moving by itself.
    _still: mpsc::Sender<()>,
}

impl World {
    /// With one confirmed subscription to `http://a.example/0`, and so on; none is started.
    pub(super) async fn new(subscriptions: usize) -> Self {
        Self::with_token(subscriptions, None).await
    }

    pub(super) async fn with_token(subscriptions: usize, confirm_with: Option<&str>) -> Self {
        let (still, moves) = mpsc::channel();
        tokio::task::spawn_blocking(move || moves.recv());
        let memory = Memory::default();
        let clock = Arc::new(TestClock { passed: SAMPLE_TIME.as_micros().into(), ..TestClock::default() });
        let sink = Arc::new(ScriptedSink {
            script: Mutex::new(Box::new(|_| OK)),
            calls: Mutex::default(),
            ended: Mutex::default(),
        });
        let sns_key = watch::channel(None).0;
        let (writer, thread, reader, feed) = open(&memory, &clock);
        let desired = desired(subscriptions, confirm_with);
        let now = clock.now();
        let entities = writer.transact(move |tx| tx.sync_entities(&desired, now)).await.unwrap();
        let subscriptions = entities.subscriptions;
        let states = subscriptions.iter().map(|known| watch::channel(known.state.clone()).0).collect();
        let (faults, budget) = (Arc::new(ReadFaults::default()), Budget::default());
        let failing = memory.reader_with(faults.clone());
        let deps = deps(&writer, failing, &feed, &clock, &sink, &sns_key, &budget);
        let deliveries = Deliveries::new(deps);
        Self {
            memory,
            clock,
            sink,
            sns_key,
            reader,
            faults,
            budget,
            writer,
            thread: Some(thread),
            feed,
            deliveries,
            subscriptions,
            states,
            published: 0,
            _still: still,
        }
    }

    /// With a budget of so many bytes, before anything is started.
    pub(super) fn set_budget(&mut self, bytes: usize) {
        self.budget = Budget::new(bytes);
        self.deliveries = Deliveries::new(self.deps());
    }

    /// Starts the worker of subscription `index`.
    pub(super) fn start(&self, index: usize, settings: Settings) -> Handle {
        self.deliveries.start(self.config(index, settings)).unwrap()
    }

    /// What the worker of subscription `index` is built from.
    pub(super) fn config(&self, index: usize, settings: Settings) -> Config {
        let id = self.subscriptions[index].id;
        let subscription =
            self.reader.subscriptions().unwrap().into_iter().find(|known| known.id == id).unwrap();
        Config {
            subscription,
            names: sns::Names {
                topic_arn: "arn:aws:sns:us-east-1:000000000000:t".into(),
                subscription_arn: "arn:aws:sns:us-east-1:000000000000:t:u".into(),
                hub_url: "http://hub".into(),
                signature_version: Default::default(),
            },
            settings,
            state: self.states[index].subscribe(),
        }
    }

    /// The process dies and comes back, its workers not yet started.
    pub(super) async fn crash(&mut self) {
        self.die().await;
        self.come_back().await;
    }

    /// The process dies.
    pub(super) async fn die(&mut self) {
        // What was queued before the crash may or may not have been committed; here it was.
        self.deliveries = Deliveries::new(self.deps());
        let writer = self.writer.clone();
        writer.stop();
        // Two writers must not commit to one store.
        let thread = self.thread.take().unwrap();
        tokio::task::spawn_blocking(move || thread.join()).await.unwrap().unwrap();
    }

    /// It comes back, its workers not yet started.
    pub(super) async fn come_back(&mut self) {
        let (writer, thread, reader, feed) = open(&self.memory, &self.clock);
        (self.writer, self.thread, self.reader, self.feed) = (writer, Some(thread), reader, feed);
        self.deliveries = Deliveries::new(self.deps());
        self.barrier().await;
    }

    /// The worker of the first subscription, which does nothing by itself; and what would drain it.
    pub(super) fn worker(&self, settings: Settings) -> (Worker, DrainSignal) {
        let (signal, drain) = crate::drain::drain();
        let (_handle, shared, commands) = Handle::new(self.subscriptions[0].id);
        let (config, commands) = (self.config(0, settings), commands.try_lock_owned().unwrap());
        let deps = self.deps();
        let target = config.open(&deps.sinks).unwrap();
        (Worker::new(config, target, deps, drain, shared, commands), signal)
    }

    pub(super) fn deps(&self) -> Deps {
        let reader = self.memory.reader_with(self.faults.clone());
        deps(&self.writer, reader, &self.feed, &self.clock, &self.sink, &self.sns_key, &self.budget)
    }

    pub(super) fn script(&self, script: impl FnMut(&Call) -> Answer + Send + 'static) {
        *self.sink.script.lock().unwrap() = Box::new(script);
    }

    /// Publishes an event of a key.
    pub(super) async fn publish(&mut self, key: &str) -> i64 {
        self.publish_with(key, |_| ()).await
    }

    pub(super) async fn publish_with(&mut self, key: &str, change: impl FnOnce(&mut NewEvent)) -> i64 {
        self.published += 1;
        let mut random = [0; 10];
        random[2..].copy_from_slice(&self.published.to_be_bytes());
        let mut event = sample_event(1);
        event.id = EventId::v7(self.clock.now(), random);
        event.topic = self.subscriptions[0].topic;
        event.key = key.into();
        event.recorded_at = self.clock.now();
        change(&mut event);
        self.writer.publish(event).await.unwrap().unwrap().0
    }

    /// As if a run had dispatched all of this and left rows of key `a`: position, state and attempts.
    pub(super) async fn leave_rows(&self, rows: Vec<(i64, DeliveryState, u32)>) {
        let (id, now) = (self.subscriptions[0].id, self.writer.clock().now());
        let leave = move |tx: &mut dyn storage::Tx| {
            for (position, state, attempts) in &rows {
                tx.put_delivery(&Delivery {
                    id: DeliveryId { subscription: id, position: Position(*position) },
                    key: "a".into(),
                    state: state.clone(),
                    attempts: *attempts,
                    since: now,
                    anew_after: 0,
                })?;
            }
            let last = Position(rows.last().map_or(0, |(position, ..)| *position));
            tx.advance_cursor(id, storage::entities::Cursor { dispatched_to: last, done_to: last })
        };
        self.writer.transact(leave).await.unwrap();
    }

    /// Sets the wall clock so far forward of the right time.
    pub(super) fn set_wall_ahead(&self, by: Duration) {
        self.clock.ahead.store(u64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }

    pub(super) async fn advance(&self, by: Duration) {
        self.clock.passed.fetch_add(u64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
        tokio::time::advance(by).await;
    }

    /// Moves the clock alone: no timer hears of it.
    pub(super) fn clock_forward(&self, by: Duration) {
        self.clock.passed.fetch_add(u64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }

    /// Waits for a condition, in real time.
    pub(super) async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = std::time::Instant::now() + PATIENCE;
        while !condition(self) {
            assert!(std::time::Instant::now() < deadline, "in vain for {what}; calls: {:?}", self.attempts());
            self.barrier().await;
        }
    }

    /// Lets everything run that can, without moving the clock. Moves it by what completions gather for.
    pub(super) async fn barrier(&self) {
        for _ in 0..4 {
            // The writer and the blocking threads get real time. A commit of our own could take a fault that is meant for another.
            let (_never, nothing) = mpsc::channel::<()>();
            let _ = tokio::task::spawn_blocking(move || nothing.recv_timeout(MOMENT)).await;
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            self.advance(Duration::from_millis(2)).await;
        }
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.sink.calls.lock().unwrap().clone()
    }

    /// Positions and numbers of all calls.
    pub(super) fn attempts(&self) -> Vec<(i64, u32)> {
        self.calls().iter().map(|call| (call.position, call.attempt)).collect()
    }

    /// Positions that were delivered, in that order.
    pub(super) fn delivered(&self) -> Vec<i64> {
        let ended = self.sink.ended.lock().unwrap();
        ended.iter().filter(|(_, _, success)| *success).map(|(position, ..)| *position).collect()
    }

    pub(super) fn subscription(&self, index: usize) -> Subscription {
        let id = self.subscriptions[index].id;
        self.reader.subscriptions().unwrap().into_iter().find(|known| known.id == id).unwrap()
    }

    /// As the hub does it: in the store, and then the worker is told.
    pub(super) async fn disable(&self, index: usize) {
        let id = self.subscriptions[index].id;
        self.writer.transact(move |tx| tx.disable_subscription(id, None)).await.unwrap();
        self.states[index].send_replace(SubscriptionState::Disabled { token: None });
    }

    pub(super) async fn enable(&self, index: usize) {
        let id = self.subscriptions[index].id;
        self.writer.transact(move |tx| tx.enable_subscription(id)).await.unwrap();
        self.states[index].send_replace(SubscriptionState::Confirmed);
    }

    pub(super) fn done_to(&self) -> i64 {
        self.subscription(0).cursor.done_to.0
    }

    pub(super) fn row(&self, position: i64) -> Option<Delivery> {
        let id = DeliveryId { subscription: self.subscriptions[0].id, position: Position(position) };
        self.reader.delivery(id).unwrap()
    }

    pub(super) fn is_dead(&self, position: i64) -> bool {
        self.row(position).is_some_and(|row| matches!(row.state, DeliveryState::Dead { .. }))
    }

    pub(super) fn dead_reason(&self, position: i64) -> String {
        match self.row(position).map(|row| row.state) {
            Some(DeliveryState::Dead { reason, .. }) => reason,
            other => format!("not dead: {other:?}"),
        }
    }

    pub(super) fn recorded(&self, position: i64) -> Vec<Attempt> {
        self.reader.attempts_at(Position(position)).unwrap()
    }

    pub(super) async fn until_state(&self, handle: &Handle, state: WorkerState) {
        self.until(&format!("{state:?}"), |_| handle.state() == state).await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.writer.stop();
    }
}

/// Raw, so that no key is needed.
pub(super) fn raw() -> Settings {
    Settings { format: WireFormat::SnsRaw, ..Settings::default() }
}

pub(super) fn fifo() -> Settings {
    Settings { order: super::Order::Fifo, ..raw() }
}

fn open(memory: &Memory, clock: &Arc<TestClock>) -> (Writer, JoinHandle<()>, Arc<dyn Reader>, Feed) {
    let opened = memory.open();
    let feed = Feed::default();
    feed.start_after(opened.reader.head().unwrap());
    let (writer, thread) = Writer::spawn(storage::writer::Config {
        backend: opened.backend,
        feed: feed.clone(),
        clock: clock.clone(),
        retention: Retention::default(),
        vitals: storage::vital::vitals().0,
    })
    .unwrap();
    (writer, thread, opened.reader, feed)
}

fn deps(
    writer: &Writer,
    reader: Arc<dyn Reader>,
    feed: &Feed,
    clock: &Arc<TestClock>,
    sink: &Arc<ScriptedSink>,
    sns_key: &watch::Sender<Option<Arc<SnsKey>>>,
    budget: &Budget,
) -> Deps {
    Deps {
        writer: writer.clone(),
        reader,
        feed: feed.clone(),
        clock: clock.clone(),
        sinks: Sinks::new([Arc::new(Scripted(sink.clone())) as Arc<dyn Sink>]),
        sns_key: sns_key.subscribe(),
        messages: Messages::default(),
        events: Events::default(),
        budget: budget.clone(),
        max_age: Retention::default().max_age,
    }
}

fn desired(subscriptions: usize, confirm_with: Option<&str>) -> Desired {
    let subscription = |index: usize| DesiredSubscription {
        topic: "t".into(),
        name: None,
        protocol: Protocol::Http,
        endpoint: format!("http://a.example/{index}"),
        confirm_with: confirm_with.map(str::to_owned),
        uuid: uuid::Uuid::from_u128(index as u128 + 1),
    };
    Desired {
        topics: vec!["t".into()],
        queues: Vec::new(),
        subscriptions: (0..subscriptions).map(subscription).collect(),
        ..Desired::default()
    }
}
