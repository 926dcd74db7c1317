//! The command lines of what operates a running node, and the request that each of them is.

use clap::{Args, Subcommand, ValueEnum};
use event::Timestamp;

use super::call::Call;
use super::listings::{BLOCKED_KEYS, DEAD_LETTERS, DELIVERIES, EVENTS, Listing, OPEN, SUBSCRIPTIONS};
use crate::cli::Listen;
use crate::cli::value::moment;

/// What is asked of the node.
pub enum Job {
    /// A page of a list.
    Page(&'static Listing, Call),
    /// A list, and what comes to it.
    Follow(&'static Listing, Call),
    /// One thing, or what was done.
    Object(Call),
}

/// Where the node is, and how its answers are printed.
#[derive(Debug, Args)]
pub struct Shared {
    /// The node's admin port, written as in its --admin-listen: an address with port, or `unix:/path/of/a.sock`.
    #[arg(
        long,
        global = true,
        value_name = "ADDR",
        env = "RETROHOOK_ADMIN_LISTEN",
        default_value = "127.0.0.1:8001"
    )]
    pub admin: Listen,
    /// Print what the API answers, as JSON: one object, and one object a line with --follow.
    #[arg(long, global = true)]
    pub json: bool,
    /// Print whole lines, however long; without it they are cut to 80 columns.
    #[arg(long, global = true)]
    pub wide: bool,
}

/// How much of a list.
#[derive(Debug, Args)]
pub struct Part {
    /// The most rows, 1 to 500.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
    limit: u16,
}

/// A subscription's number.
#[derive(Debug, Args)]
pub struct Number {
    /// The subscription's number.
    #[arg(value_name = "SUBSCRIPTION", value_parser = clap::value_parser!(i64).range(0..))]
    id: i64,
}

/// A delivery: an event for a subscription.
#[derive(Debug, Args)]
pub struct Delivery {
    /// The subscription's number.
    #[arg(value_name = "SUBSCRIPTION", value_parser = clap::value_parser!(i64).range(0..))]
    subscription: i64,
    /// The event's sequence.
    #[arg(value_name = "SEQUENCE", value_parser = clap::value_parser!(i64).range(0..))]
    sequence: i64,
}

pub const EVENTS_EXAMPLES: &str = "\
Examples:
  retrohook events                                 the newest 50
  retrohook events --topic profile-changes --delivery behind
  retrohook events --outcome unknown --since 1h
  retrohook events --follow --json                 each new one as a line of JSON
  retrohook events show 01a2173b-c83c-7922-b550-cdaf527f42ac
  retrohook events open                            requests of which nobody knows yet what became of them";

/// Settings of `events`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct EventsArgs {
    #[command(subcommand)]
    verb: Option<EventsVerb>,
    #[command(flatten)]
    list: EventsList,
    #[command(flatten)]
    shared: Shared,
}

#[derive(Debug, Subcommand)]
enum EventsVerb {
    /// List events, the newest first; also without this word.
    List(EventsList),
    /// Show an event with its deliveries, what they wait for, and their attempts.
    Show {
        /// The event's id.
        #[arg(value_name = "EVENT")]
        id: String,
    },
    /// List open intents: matching requests of which nobody knows yet what became of them, the oldest first.
    Open {
        #[command(flatten)]
        part: Part,
        /// Those after this one: `next_after` of the page before.
        #[arg(long, value_name = "PLACE")]
        after: Option<i64>,
    },
    /// Send an event to a subscription again, whatever became of that delivery.
    Redeliver {
        /// The event's id.
        #[arg(value_name = "EVENT")]
        id: String,
        /// The subscription's number.
        #[arg(value_name = "SUBSCRIPTION", value_parser = clap::value_parser!(i64).range(0..))]
        subscription: i64,
    },
}

#[derive(Debug, Args)]
struct EventsList {
    /// Of this topic.
    #[arg(long, value_name = "NAME")]
    topic: Option<String>,
    /// Of this key.
    #[arg(long)]
    key: Option<String>,
    /// With this outcome.
    #[arg(long, value_enum)]
    outcome: Option<Outcome>,
    /// From this time on: 2026-11-26T09:42:02Z, or so long ago: 30s, 10m, 2h, 1d.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// Before this time, written alike.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,
    /// Of which some delivery is in this state.
    #[arg(long, value_enum, value_name = "STATE")]
    delivery: Option<DeliveryState>,
    #[command(flatten)]
    part: Part,
    /// Those before this sequence: `next_before` of the page before.
    #[arg(long, value_name = "SEQUENCE", conflicts_with = "follow")]
    before: Option<i64>,
    /// Go on with each event that comes, until interrupted. The last are printed first, the oldest of them at the top.
    #[arg(long, short)]
    follow: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Outcome {
    Succeeded,
    Unknown,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DeliveryState {
    Waiting,
    Behind,
    Dead,
    Pending,
}

impl EventsArgs {
    pub fn job(self) -> (Job, Shared) {
        let job = match self.verb.unwrap_or(EventsVerb::List(self.list)) {
            EventsVerb::List(list) => list.job(),
            EventsVerb::Show { id } => Job::Object(Call::get("events").then(&id)),
            EventsVerb::Open { part, after } => {
                Job::Page(&OPEN, Call::get("intents").with("limit", Some(part.limit)).with("after", after))
            }
            EventsVerb::Redeliver { id, subscription } => {
                let call = Call::post("events").then(&id).then("deliveries").then(&subscription.to_string());
                Job::Object(call.then("redeliver"))
            }
        };
        (job, self.shared)
    }
}

impl EventsList {
    fn job(self) -> Job {
        let call = Call::get("events")
            .with("topic", self.topic)
            .with("key", self.key)
            .with("outcome", self.outcome.map(word))
            .with("since", self.since)
            .with("until", self.until)
            .with("delivery", self.delivery.map(word))
            .with("limit", Some(self.part.limit))
            .with("before", self.before);
        if self.follow { Job::Follow(&EVENTS, call) } else { Job::Page(&EVENTS, call) }
    }
}

pub const DELIVERIES_EXAMPLES: &str = "\
Examples:
  retrohook deliveries                             those that wait or are dead
  retrohook deliveries --subscription 3 --state waiting
  retrohook deliveries retry 3 1207                try one now: subscription 3, sequence 1207
  retrohook deliveries give-up 3 1207 --reason 'the receiver cannot read it'";

/// Settings of `deliveries`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct DeliveriesArgs {
    #[command(subcommand)]
    verb: Option<DeliveriesVerb>,
    #[command(flatten)]
    list: DeliveriesList,
    #[command(flatten)]
    shared: Shared,
}

#[derive(Debug, Subcommand)]
enum DeliveriesVerb {
    /// List deliveries that wait or are dead, by subscription and sequence; also without this word.
    List(DeliveriesList),
    /// Try one that waits now; its waits begin anew.
    Retry(Delivery),
    /// Make one a dead letter, so that the next of its key goes on.
    GiveUp {
        #[command(flatten)]
        delivery: Delivery,
        /// Why; it is kept with the dead letter.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Debug, Args)]
struct DeliveriesList {
    /// Of this subscription.
    #[arg(long, value_name = "NUMBER")]
    subscription: Option<i64>,
    /// In this state.
    #[arg(long, value_enum, value_name = "STATE")]
    state: Option<RowState>,
    #[command(flatten)]
    part: Part,
    /// Those after this one: `next_after` of the page before.
    #[arg(long, value_name = "PLACE")]
    after: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RowState {
    Waiting,
    Behind,
    Dead,
}

impl DeliveriesArgs {
    pub fn job(self) -> (Job, Shared) {
        let one = |delivery: Delivery, what: &str| {
            let Delivery { subscription, sequence } = delivery;
            Call::post("deliveries").then(&subscription.to_string()).then(&sequence.to_string()).then(what)
        };
        let job = match self.verb.unwrap_or(DeliveriesVerb::List(self.list)) {
            DeliveriesVerb::List(list) => Job::Page(
                &DELIVERIES,
                Call::get("deliveries")
                    .with("subscription", list.subscription)
                    .with("state", list.state.map(word))
                    .with("limit", Some(list.part.limit))
                    .with("after", list.after),
            ),
            DeliveriesVerb::Retry(delivery) => Job::Object(one(delivery, "retry")),
            DeliveriesVerb::GiveUp { delivery, reason } => {
                Job::Object(one(delivery, "give-up").with("reason", Some(reason)))
            }
        };
        (job, self.shared)
    }
}

pub const SUBSCRIPTIONS_EXAMPLES: &str = "\
Examples:
  retrohook subscriptions                          all of them, with what they are owed
  retrohook subscriptions --state pending
  retrohook subscriptions show 3
  retrohook subscriptions blocked-keys 3           keys that wait, each with the delivery at its head
  retrohook subscriptions confirm 3                in the place of its endpoint
  retrohook subscriptions retry 3 --dry-run        how many deliveries would be tried now
  retrohook subscriptions disable 3 --reason 'until the receiver is repaired'";

/// Settings of `subscriptions`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct SubscriptionsArgs {
    #[command(subcommand)]
    verb: Option<SubscriptionsVerb>,
    #[command(flatten)]
    list: SubscriptionsList,
    #[command(flatten)]
    shared: Shared,
}

#[derive(Debug, Subcommand)]
enum SubscriptionsVerb {
    /// List subscriptions by number; also without this word.
    List(SubscriptionsList),
    /// Show a subscription: its state and what it is owed.
    Show(Number),
    /// List the keys of a FIFO subscription whose deliveries wait, each with the delivery at its head.
    BlockedKeys {
        #[command(flatten)]
        number: Number,
        #[command(flatten)]
        part: Part,
        /// Those after this key: `next_after` of the page before.
        #[arg(long, value_name = "KEY")]
        after: Option<String>,
    },
    /// Confirm a pending subscription in the place of its endpoint.
    Confirm(Number),
    /// Ask the endpoint of a pending subscription once more to confirm.
    ResendConfirmation(Number),
    /// Deliver to a subscription that is disabled, or that nobody confirmed.
    Enable(Number),
    /// Deliver nothing to a subscription until somebody enables it.
    Disable {
        #[command(flatten)]
        number: Number,
        /// Why; a log line of the node keeps it.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Try all its deliveries that wait now; their waits begin anew.
    Retry {
        #[command(flatten)]
        number: Number,
        /// Only those of events from this time on: 2026-11-26T09:42:02Z, or so long ago: 30s, 10m, 2h, 1d.
        #[arg(long, value_name = "TIME", value_parser = moment)]
        since: Option<Timestamp>,
        /// Only say how many.
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Args)]
struct SubscriptionsList {
    /// In this state.
    #[arg(long, value_enum, value_name = "STATE")]
    state: Option<SubscriptionState>,
    /// Of this topic.
    #[arg(long, value_name = "NAME")]
    topic: Option<String>,
    #[command(flatten)]
    part: Part,
    /// Those after this number: `next_after` of the page before.
    #[arg(long, value_name = "NUMBER")]
    after: Option<i64>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SubscriptionState {
    Pending,
    Confirmed,
    Disabled,
    Removed,
}

impl SubscriptionsArgs {
    pub fn job(self) -> (Job, Shared) {
        let post =
            |number: Number, what: &str| Call::post("subscriptions").then(&number.id.to_string()).then(what);
        let job = match self.verb.unwrap_or(SubscriptionsVerb::List(self.list)) {
            SubscriptionsVerb::List(list) => Job::Page(
                &SUBSCRIPTIONS,
                Call::get("subscriptions")
                    .with("state", list.state.map(word))
                    .with("topic", list.topic)
                    .with("limit", Some(list.part.limit))
                    .with("after", list.after),
            ),
            SubscriptionsVerb::Show(number) => {
                Job::Object(Call::get("subscriptions").then(&number.id.to_string()))
            }
            SubscriptionsVerb::BlockedKeys { number, part, after } => Job::Page(
                &BLOCKED_KEYS,
                Call::get("subscriptions")
                    .then(&number.id.to_string())
                    .then("blocked-keys")
                    .with("limit", Some(part.limit))
                    .with("after", after),
            ),
            SubscriptionsVerb::Confirm(number) => Job::Object(post(number, "confirm")),
            SubscriptionsVerb::ResendConfirmation(number) => Job::Object(post(number, "resend-confirmation")),
            SubscriptionsVerb::Enable(number) => Job::Object(post(number, "enable")),
            SubscriptionsVerb::Disable { number, reason } => {
                Job::Object(post(number, "disable").with("reason", Some(reason)))
            }
            SubscriptionsVerb::Retry { number, since, dry_run } => Job::Object(
                post(number, "retry").with("since", since).with("dry_run", dry_run.then_some(true)),
            ),
        };
        (job, self.shared)
    }
}

pub const DEAD_LETTERS_EXAMPLES: &str = "\
Examples:
  retrohook dead-letters                           the last that died first
  retrohook dead-letters --subscription 3 --reason 410
  retrohook dead-letters --follow                  each one that dies from now on, too
  retrohook dead-letters redrive 3 --dry-run       how many of subscription 3 would be sent again
  retrohook dead-letters redrive 3 1207            one of them";

/// Settings of `dead-letters`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct DeadLettersArgs {
    #[command(subcommand)]
    verb: Option<DeadLettersVerb>,
    #[command(flatten)]
    list: DeadLettersList,
    #[command(flatten)]
    shared: Shared,
}

#[derive(Debug, Subcommand)]
enum DeadLettersVerb {
    /// List deliveries that were given up, the last first; also without this word.
    List(DeadLettersList),
    /// Send dead letters of a subscription again: all, or one.
    Redrive {
        #[command(flatten)]
        number: Number,
        /// The sequence of the one.
        #[arg(value_name = "SEQUENCE", conflicts_with_all = ["reason", "dry_run"])]
        sequence: Option<i64>,
        /// Only those whose reason contains this.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Only say how many.
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Args)]
struct DeadLettersList {
    /// Of this subscription.
    #[arg(long, value_name = "NUMBER")]
    subscription: Option<i64>,
    /// Whose reason contains this.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    part: Part,
    /// Those before this one: `next_before` of the page before.
    #[arg(long, value_name = "PLACE", conflicts_with = "follow")]
    before: Option<String>,
    /// Go on with each one that comes, until interrupted. The last are printed first, the oldest of them at the top.
    #[arg(long, short)]
    follow: bool,
}

impl DeadLettersArgs {
    pub fn job(self) -> (Job, Shared) {
        let job = match self.verb.unwrap_or(DeadLettersVerb::List(self.list)) {
            DeadLettersVerb::List(list) => {
                let call = Call::get("dead-letters")
                    .with("subscription", list.subscription)
                    .with("reason", list.reason)
                    .with("limit", Some(list.part.limit))
                    .with("before", list.before);
                if list.follow { Job::Follow(&DEAD_LETTERS, call) } else { Job::Page(&DEAD_LETTERS, call) }
            }
            DeadLettersVerb::Redrive { number, sequence, reason, dry_run } => {
                let of = Call::post("dead-letters").then(&number.id.to_string());
                let of = match sequence {
                    Some(sequence) => of.then(&sequence.to_string()),
                    None => of,
                };
                let call = of.then("redrive").with("reason", reason);
                Job::Object(call.with("dry_run", dry_run.then_some(true)))
            }
        };
        (job, self.shared)
    }
}

/// A choice, as it is written.
fn word(of: impl ValueEnum) -> String {
    of.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
