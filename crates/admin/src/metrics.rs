//! `GET /metrics`: counts of the data path, the store and the deliveries, in Prometheus's text format or as OpenMetrics.
//!
//! There are no counters here: a scrape reads those that the parts keep themselves.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::response::{IntoResponse, Response};
use delivery::endpoint::shown;
use delivery::worker::AttemptResult;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use storage::entities::{Protocol, SubscriptionId, SubscriptionState};
use storage::ports::{Lag, StoreStats};
use storage::queue::QueueDepth;
use storage::redrive::Way;
use storage::writer::{DropReason, Histogram};

use crate::{Error, MAX_COUNTED, Node, degraded, read};

mod format;
mod routes;

use format::Form;

pub(crate) async fn metrics(State(node): State<Node>, headers: HeaderMap) -> Result<Response, Error> {
    let form = Form::of(headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()));
    // What needs no read of the store is reported even while the store cannot be read.
    let snapshot = Snapshot::take(&node).await.ok();
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape { node, snapshot }));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).map_err(|_| Error {
        status: axum::http::StatusCode::INTERNAL_SERVER_ERROR,
        message: "the metrics could not be written".into(),
        hint: "this is a bug in Retrohook".into(),
    })?;
    Ok(([(CONTENT_TYPE, form.media_type()), (VARY, "accept")], form.render(text)).into_response())
}

/// What is read from the store for a scrape.
#[derive(Debug)]
struct Snapshot {
    store: StoreStats,
    subscriptions: Vec<Subscriber>,
    queues: Vec<(String, QueueDepth)>,
}

/// A subscription that the configuration declares.
#[derive(Debug)]
struct Subscriber {
    id: SubscriptionId,
    /// `id` as the text of a label.
    number: String,
    name: Option<String>,
    topic: String,
    protocol: Protocol,
    endpoint: String,
    state: SubscriptionState,
    /// Only of a push subscription.
    lag: Option<Lag>,
}

impl Snapshot {
    async fn take(node: &Node) -> Result<Self, Error> {
        let (declared, now) = (node.declared(), node.writer.clock().now());
        read(node, move |reader| {
            let mut subscriptions = Vec::new();
            for known in reader.subscriptions()? {
                if declared.subscription(known.id).is_none() {
                    continue;
                }
                let push = known.protocol.is_push();
                subscriptions.push(Subscriber {
                    id: known.id,
                    number: known.id.0.to_string(),
                    name: known.name,
                    topic: declared.topic_name(known.topic),
                    protocol: known.protocol,
                    endpoint: shown(&known.endpoint),
                    lag: push.then(|| reader.lag(known.id, MAX_COUNTED)).transpose()?,
                    state: known.state,
                });
            }
            let depth = |queue: &storage::entities::Queue| {
                Ok((queue.name.clone(), reader.queue_depth(queue.id, now)?))
            };
            let queues = declared.queues.iter().map(depth).collect::<storage::Result<_>>()?;
            Ok(Self { store: reader.stats()?, subscriptions, queues })
        })
        .await
    }
}

impl Subscriber {
    fn labels(&self) -> [(&str, &str); 2] {
        [("topic", &self.topic), ("subscription", &self.number)]
    }
}

struct Scrape {
    node: Node,
    /// `None` while the store cannot be read.
    snapshot: Option<Snapshot>,
}

impl std::fmt::Debug for Scrape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scrape").field("snapshot", &self.snapshot).finish_non_exhaustive()
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        self.requests(&mut encoder)?;
        self.routes(&mut encoder)?;
        self.configuration(&mut encoder)?;
        self.store(&mut encoder)?;
        self.deliveries(&mut encoder)?;
        gauge(
            &mut encoder,
            "retrohook_reads_failing",
            "1 while the store cannot be read: the series of subscriptions and queues are missing",
            u64::from(self.snapshot.is_none()),
        )?;
        let Some(snapshot) = &self.snapshot else { return Ok(()) };
        self.subscriptions(snapshot, &mut encoder)?;
        self.queues(snapshot, &mut encoder)
    }
}

impl Scrape {
    fn requests(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let cores = &self.node.cores;
        let sum = |count: fn(&gateway::stats::CoreStats) -> &AtomicU64| -> u64 {
            cores.iter().map(|core| count(core).load(Ordering::Relaxed)).sum()
        };
        let mut classes = [0; 6];
        for (class, count) in cores.iter().flat_map(|core| core.answers()) {
            classes[class] += count;
        }
        let mut family =
            Family::counters(encoder, "retrohook_requests", "Requests answered, by the class of the status")?;
        for (class, count) in classes.iter().enumerate().skip(2) {
            family.counter(&[("status", &format!("{class}xx"))], *count)?;
        }
        let latencies = cores.iter().map(|core| &core.micros);
        histogram(
            encoder,
            "retrohook_request_duration",
            "From the request's head to the answer's",
            Values::Micros,
            latencies,
        )?;
        counter(encoder, "retrohook_connections", "Connections accepted", sum(|core| &core.connections))?;
        counter(
            encoder,
            "retrohook_upstream_connections",
            "Connections to upstreams opened",
            sum(|core| &core.upstream_connections),
        )?;
        counter(
            encoder,
            "retrohook_matched_requests",
            "Requests that a rule matched",
            sum(|core| &core.matched),
        )?;
        counter(
            encoder,
            "retrohook_refused_requests",
            "Requests that a rule matched and whose intent could not be kept",
            sum(|core| &core.refused),
        )
    }

    fn configuration(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let configuration = &self.node.configuration;
        gauge(
            encoder,
            "retrohook_config_generation",
            "Which generation of the configuration is served: 1 from the start, one more with each reload that changes something",
            configuration.generation(),
        )?;
        gauge(
            encoder,
            "retrohook_config_last_reload_success",
            "0 if the last reload could not take the files: what was served before is served on",
            u64::from(configuration.trouble().is_none()),
        )
    }

    fn space(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let writer = &self.node.writer;
        let space = writer.space();
        let full = "1 if the store takes no changes for want of space: matching requests are refused";
        gauge(encoder, "retrohook_full", full, u64::from(space.full.is_some()))?;
        for (name, help, bytes) in [
            ("retrohook_store_used_bytes", "What the store holds", space.room.used),
            ("retrohook_store_limit_bytes", "What it may hold (--max-store)", space.max_bytes),
            ("retrohook_store_unused_bytes", "What its file has to spare", space.room.unused),
            ("retrohook_disk_free_bytes", "What its disk has left", space.room.disk_free),
            ("retrohook_disk_kept_free_bytes", "What is kept free there (--min-free)", space.min_free_bytes),
        ] {
            gauge(encoder, name, help, bytes)?;
        }
        counter(
            encoder,
            "retrohook_cleared_rows",
            "Events and attempts that nobody was owed and that went before their time to make room",
            writer.cleared(),
        )
    }

    fn store(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let writer = &self.node.writer;
        let stats = writer.stats();
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let mut family = Family::counters(
            encoder,
            "retrohook_events",
            "Events recorded, by outcome; recovered ones excluded. published: messages to topics, sent: messages to queues",
        )?;
        family.counter(&[("outcome", "succeeded")], load(&stats.succeeded))?;
        family.counter(&[("outcome", "unknown")], load(&stats.unknown))?;
        family.counter(&[("outcome", "published")], load(&stats.published))?;
        family.counter(&[("outcome", "sent")], load(&stats.sent))?;
        let name = "retrohook_dropped_events";
        let help = "Events that were never in the log: of durability memory, and of durability outcome where a commit failed for good";
        let mut family = Family::counters(encoder, name, help)?;
        for reason in DropReason::ALL {
            family.counter(&[("reason", reason.as_str())], stats.dropped.of(reason))?;
        }
        gauge(
            encoder,
            "retrohook_open_intents",
            "Intents whose outcome is not decided",
            writer.open_intents(),
        )?;
        counter(encoder, "retrohook_commits", "Commits of the store", load(&stats.commits))?;
        counter(encoder, "retrohook_failed_commits", "Commits that failed", load(&stats.failures))?;
        histogram(
            encoder,
            "retrohook_commit_duration",
            "From begin to durable",
            Values::Micros,
            [&stats.micros],
        )?;
        histogram(encoder, "retrohook_commit_changes", "Changes in a commit", Values::Plain, [&stats.batch])?;
        self.space(encoder)?;
        if let Some(Snapshot { store, .. }) = &self.snapshot {
            gauge(encoder, "retrohook_store_bytes", "The database", store.bytes)?;
            gauge(encoder, "retrohook_wal_bytes", "The write-ahead log", store.wal_bytes)?;
        }
        gauge(
            encoder,
            "retrohook_stalled_seconds",
            "How long the store has been waiting for its disk; 0 for a moment or not at all",
            writer.stalled_for().map_or(0, |taken| taken.as_secs()),
        )?;
        gauge(
            encoder,
            "retrohook_latched",
            "1 after a commit failed for good",
            u64::from(writer.is_latched()),
        )?;
        self.clock(encoder)
    }

    fn clock(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let jumps = self.node.writer.clock().jumps();
        counter(
            encoder,
            "retrohook_clock_jumps",
            "Times that the wall clock was seen to be set",
            jumps.count,
        )?;
        let name = "retrohook_clock_moved_seconds";
        let help =
            "How far the wall clock was set since this process began, all jumps together; negative for back";
        encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&jumps.moved)
    }

    fn deliveries(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let counts: Vec<_> = self
            .node
            .deliveries
            .handles()
            .iter()
            .map(|worker| (worker.subscription(), worker.counts()))
            .collect();
        let mut family =
            Family::counters(encoder, "retrohook_attempts", "Attempts, by subscription and result")?;
        for (subscription, counts) in &counts {
            let id = subscription.0.to_string();
            for result in AttemptResult::ALL {
                family.counter(&[("subscription", &id), ("result", result.as_str())], counts.of(result))?;
            }
        }
        let mut family = Family::counters(
            encoder,
            "retrohook_deliveries",
            "Deliveries that ended, by subscription and end",
        )?;
        for (subscription, counts) in &counts {
            let id = subscription.0.to_string();
            family.counter(&[("subscription", &id), ("end", "delivered")], counts.delivered)?;
            family.counter(&[("subscription", &id), ("end", "dead")], counts.dead)?;
        }
        let name = "retrohook_set_aside_events";
        let help = "Events and rows that the store cannot read and whose delivery became a dead letter";
        let mut family = Family::counters(encoder, name, help)?;
        for (subscription, counts) in &counts {
            family.counter(&[("subscription", &subscription.0.to_string())], counts.set_aside)?;
        }
        let held = self.node.deliveries.bytes_held();
        gauge(
            encoder,
            "retrohook_delivery_bytes",
            "What attempts under way hold, as their budget counts",
            held,
        )?;
        gauge(
            encoder,
            "retrohook_attempts_waiting",
            "Attempts that wait for a free connection",
            self.node.deliveries.attempts_waiting() as u64,
        )?;
        gauge(
            encoder,
            "retrohook_workers_waiting",
            "Subscriptions whose part of the delivery bytes is spent: they read nothing more until attempts have ended",
            self.node.deliveries.workers_waiting(),
        )?;
        self.set_aside_messages(encoder)?;
        self.workers(encoder)?;
        self.listeners(encoder)
    }

    fn listeners(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let name = "retrohook_listener_restarts";
        let help = "How often a listener of admin or hub panicked and was served again";
        let mut family = Family::counters(encoder, name, help)?;
        for listener in self.node.listeners.iter() {
            family.counter(&[("listener", listener.name())], listener.restarts())?;
        }
        let name = "retrohook_listener_served";
        let help = "0 while a listener of admin or hub is not served; /status says why";
        let mut family = Family::gauges(encoder, name, help)?;
        for listener in self.node.listeners.iter() {
            family.gauge(&[("listener", listener.name())], f64::from(u8::from(!listener.is_down())))?;
        }
        Ok(())
    }

    fn set_aside_messages(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let name = "retrohook_set_aside_messages";
        let help = "Messages that the store cannot read and that a receive set aside for 12 hours";
        let set_aside = self.node.writer.stats().set_aside_messages();
        let mut family = Family::counters(encoder, name, help)?;
        for queue in &self.node.declared().queues {
            let count = set_aside.get(&queue.id).copied().unwrap_or_default();
            family.counter(&[("queue", &queue.name)], count)?;
        }
        Ok(())
    }

    fn workers(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let workers = self.node.deliveries.handles();
        let name = "retrohook_worker_restarts";
        let help = "How often the worker of a subscription ended unexpectedly and was started again";
        let mut family = Family::counters(encoder, name, help)?;
        for worker in &workers {
            let id = worker.subscription().0.to_string();
            family.counter(&[("subscription", &id)], worker.counts().restarts)?;
        }
        let name = "retrohook_worker_degraded";
        let help = "1 while the worker of a subscription does not do what it should; /status says why";
        let mut family = Family::gauges(encoder, name, help)?;
        for worker in &workers {
            let id = worker.subscription().0.to_string();
            family.gauge(&[("subscription", &id)], f64::from(u8::from(worker.trouble().is_some())))?;
        }
        let degraded = degraded::of(&self.node).len() as u64;
        gauge(
            encoder,
            "retrohook_degraded",
            "Parts that do not work as they should; /status names them",
            degraded,
        )
    }

    fn subscriptions(&self, snapshot: &Snapshot, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let all = &snapshot.subscriptions;
        let name = "retrohook_subscription";
        let help = "Who a subscription is: join with the other series by its number";
        let mut family = Family::infos(encoder, name, help)?;
        for known in all {
            let protocol = known.protocol.as_str();
            let who = [("protocol", protocol), ("endpoint", known.endpoint.as_str())];
            let name = known.name.as_deref().map(|name| ("name", name));
            let labels: Vec<_> = known.labels().into_iter().chain(who).chain(name).collect();
            family.info(&labels)?;
        }
        let name = "retrohook_subscription_state";
        let mut family = Family::gauges(encoder, name, "1 for the state that a subscription is in")?;
        for known in all {
            for state in STATES {
                let labels = [&known.labels()[..], &[("state", state)]].concat();
                family.gauge(&labels, f64::from(u8::from(known.state.as_str() == state)))?;
            }
        }
        self.dropped_deliveries(encoder)?;
        let lapsed = self.node.writer.stats().lapsed_deliveries();
        let mut family = Family::counters(
            encoder,
            "retrohook_lapsed_deliveries",
            "Deliveries that pending and disabled subscriptions were owed and are owed no more",
        )?;
        for known in all.iter().filter(|known| known.lag.is_some()) {
            family.counter(&known.labels(), lapsed.get(&known.id).copied().unwrap_or_default())?;
        }
        self.lags(snapshot, encoder)
    }

    fn dropped_deliveries(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let name = "retrohook_dropped_deliveries";
        let help = "Deliveries and messages that were owed and were dropped: of subscriptions a day after they left the configuration, and by commands of owners";
        let stats = self.node.writer.stats();
        let mut family = Family::counters(encoder, name, help)?;
        family.counter(
            &[("reason", "left_configuration")],
            stats.dropped_after_grace.load(Ordering::Relaxed),
        )?;
        family.counter(&[("reason", "owner")], stats.dropped_by_owners.load(Ordering::Relaxed))
    }

    fn lags(&self, snapshot: &Snapshot, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let now = self.node.writer.clock().now();
        let lags = || {
            let all = snapshot.subscriptions.iter();
            all.filter_map(|known| Some((known.labels(), known.lag?)))
        };
        let columns: [(&str, &str, LagColumn); 3] = [
            ("retrohook_subscription_unread", "Events after the subscription's cursor", |lag| lag.unread),
            ("retrohook_subscription_waiting", "Deliveries that wait for an attempt", |lag| lag.waiting),
            ("retrohook_subscription_dead", "Dead letters", |lag| lag.dead),
        ];
        for (name, help, column) in columns {
            let help = format!("{help}, counted up to {MAX_COUNTED}");
            let mut family = Family::gauges(encoder, name, &help)?;
            for (labels, lag) in lags() {
                family.gauge(&labels, column(&lag) as f64)?;
            }
        }
        let name = "retrohook_subscription_oldest_pending_seconds";
        let mut family =
            Family::gauges(encoder, name, "Age of the oldest event that is still owed; 0 if none is")?;
        for (labels, lag) in lags() {
            let age = lag.oldest.map_or(0.0, |oldest| now.since(oldest).as_secs_f64());
            family.gauge(&labels, age)?;
        }
        Ok(())
    }

    fn queues(&self, snapshot: &Snapshot, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let mut family =
            Family::gauges(encoder, "retrohook_queue_messages", "Messages in queues, by visibility")?;
        for (queue, depth) in &snapshot.queues {
            family.gauge(&[("queue", queue), ("state", "visible")], depth.visible as f64)?;
            family.gauge(&[("queue", queue), ("state", "in_flight")], depth.in_flight as f64)?;
            family.gauge(&[("queue", queue), ("state", "delayed")], depth.delayed as f64)?;
        }
        let expired = self.node.writer.stats().expired_messages();
        let mut family = Family::counters(
            encoder,
            "retrohook_queue_expired_messages",
            "Messages that nobody received and deleted within their queue's message_retention_period",
        )?;
        for (queue, _) in &snapshot.queues {
            family.counter(&[("queue", queue)], expired.get(queue).copied().unwrap_or_default())?;
        }
        let dead_lettered = self.node.writer.stats().dead_lettered_messages();
        let mut family = Family::counters(
            encoder,
            "retrohook_queue_dead_lettered_messages",
            "Messages that a queue gave to its dead-letter queue, by the limit that they had reached",
        )?;
        for (Way { from, to, why }, count) in &dead_lettered {
            let labels = [("queue", from.as_str()), ("dead_letter_queue", to), ("reason", why.as_str())];
            family.counter(&labels, *count)?;
        }
        let now = self.node.writer.clock().now();
        let name = "retrohook_queue_oldest_message_seconds";
        let mut family =
            Family::gauges(encoder, name, "Age of the oldest message of a queue; 0 if there is none")?;
        for (queue, depth) in &snapshot.queues {
            let age = depth.oldest.map_or(0.0, |oldest| now.since(oldest).as_secs_f64());
            family.gauge(&[("queue", queue)], age)?;
        }
        Ok(())
    }
}

/// All states of a subscription.
const STATES: [&str; 3] = ["pending", "confirmed", "disabled"];

type LagColumn = fn(&Lag) -> u64;

/// Several series of one name.
struct Family<'e> {
    series: MetricEncoder<'e>,
}

impl<'e> Family<'e> {
    fn counters(
        encoder: &'e mut DescriptorEncoder<'_>,
        name: &'e str,
        help: &str,
    ) -> Result<Self, std::fmt::Error> {
        Ok(Self { series: encoder.encode_descriptor(name, help, None, MetricType::Counter)? })
    }

    fn gauges(
        encoder: &'e mut DescriptorEncoder<'_>,
        name: &'e str,
        help: &str,
    ) -> Result<Self, std::fmt::Error> {
        Ok(Self { series: encoder.encode_descriptor(name, help, None, MetricType::Gauge)? })
    }

    /// `name` ends in `_info` on the wire.
    fn infos(
        encoder: &'e mut DescriptorEncoder<'_>,
        name: &'e str,
        help: &str,
    ) -> Result<Self, std::fmt::Error> {
        Ok(Self { series: encoder.encode_descriptor(name, help, None, MetricType::Info)? })
    }

    fn info(&mut self, labels: &[(&str, &str)]) -> std::fmt::Result {
        self.series.encode_info(&labels)
    }

    fn counter(&mut self, labels: &[(&str, &str)], value: u64) -> std::fmt::Result {
        self.series.encode_family(&labels)?.encode_counter::<NoLabels, _, u64>(&value, None)
    }

    fn gauge(&mut self, labels: &[(&str, &str)], value: f64) -> std::fmt::Result {
        self.series.encode_family(&labels)?.encode_gauge(&value)
    }
}

type NoLabels = [(&'static str, &'static str); 0];

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> std::fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    metric.encode_counter::<NoLabels, _, u64>(&value, None)
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> std::fmt::Result {
    encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&(value as f64))
}

/// The unit of a histogram's values.
#[derive(Clone, Copy)]
enum Values {
    Micros,
    Plain,
}

fn histogram<'h>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: Values,
    parts: impl IntoIterator<Item = &'h Histogram>,
) -> std::fmt::Result {
    let scale = match values {
        Values::Micros => 1e-6,
        Values::Plain => 1.0,
    };
    let unit = matches!(values, Values::Micros).then_some(Unit::Seconds);
    let mut buckets: Vec<(f64, u64)> = Vec::new();
    let mut sum = 0.0;
    for part in parts {
        sum += part.sum() as f64 * scale;
        for (index, (bound, count)) in part.buckets().enumerate() {
            let bound = bound.map_or(f64::INFINITY, |bound| bound as f64 * scale);
            match buckets.get_mut(index) {
                Some(bucket) => bucket.1 += count,
                None => buckets.push((bound, count)),
            }
        }
    }
    let count = buckets.iter().map(|(_, count)| count).sum();
    let mut metric = encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Histogram)?;
    metric.encode_histogram::<NoLabels>(sum, count, &buckets, None)
}
