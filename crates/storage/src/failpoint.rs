//! Named points at which a test can stop the process and kill it.
//!
//! Without the feature `failpoints` a point is nothing. With it, the environment says what happens there, as the crate `fail` reads it:
//! `FAILPOINTS=before-commit=100*off->pause`. The action `return` logs [`REACHED`] with the point's name and then asks for the next
//! action: `100*off->1*return->pause` tells a test when it may kill.

/// The points, in the order in which an event passes them.
pub const ALL: [&str; 8] = [
    BEFORE_COMMIT,
    AFTER_COMMIT,
    INTENT_DURABLE,
    REQUEST_SENT,
    HEAD_RECEIVED,
    OUTCOME_QUEUED,
    CURSOR_DURABLE,
    ATTEMPT_DONE,
];

/// The points in the loops of parts that must live, where a test can make one panic: `FAILPOINTS=core-turn=3*off->panic`.
pub const PARTS: [&str; 15] = [
    CORE_TURN,
    WRITER_TURN,
    CHECKPOINT_TURN,
    CONTROL_TURN,
    DELIVERIES,
    SIGNING_KEY,
    HANDSHAKE,
    WAKE_UPS,
    RELOAD,
    STAGED,
    CHANGING,
    DECLARING,
    DECLARED,
    GIVING_UP,
    GIVEN_UP,
];

/// A core has accepted a connection.
pub const CORE_TURN: &str = "core-turn";
/// The writer has taken changes off its queue and applied none.
pub const WRITER_TURN: &str = "writer-turn";
/// The thread that checkpoints was woken.
pub const CHECKPOINT_TURN: &str = "checkpoint-turn";
/// A listener of admin or hub has accepted a connection.
pub const CONTROL_TURN: &str = "control-turn";
/// The thread of the deliveries begins.
pub const DELIVERIES: &str = "deliveries";
/// The signing key is about to be read or made.
pub const SIGNING_KEY: &str = "signing-key";
/// A request to confirm is about to be signed and sent.
pub const HANDSHAKE: &str = "handshake";
/// A thread is about to share the wake-ups of its tasks.
pub const WAKE_UPS: &str = "wake-ups";
/// A reload has read the files and done nothing else.
pub const RELOAD: &str = "reload";
/// A slice of a large configuration is durable, and more of it is to come.
pub const STAGED: &str = "staged";
/// A change of the configuration, by files or an API, is in the writer's batch and not committed.
pub const CHANGING: &str = "changing";
/// Some of what a reload changes of topics, queues and subscriptions is durable, and more of it is to come.
pub const DECLARING: &str = "declaring";
/// A change of the configuration is in the store, topics, queues, subscriptions and their workers are those of it, and routes are not.
pub const DECLARED: &str = "declared";
/// An operator gives a delivery up, and nothing of that is stored.
pub const GIVING_UP: &str = "giving-up";
/// A delivery that an operator gave up is a dead letter in the store, the next one of its key has not begun, and the operator has no answer.
pub const GIVEN_UP: &str = "given-up";

/// The writer has applied a batch and not committed it.
pub const BEFORE_COMMIT: &str = "before-commit";
/// The writer has committed a batch and told nobody.
pub const AFTER_COMMIT: &str = "after-commit";
/// An intent is durable, nothing is sent.
pub const INTENT_DURABLE: &str = "intent-durable";
/// The request has been handed to the connection.
pub const REQUEST_SENT: &str = "request-sent";
/// The upstream's head is here, the client has nothing.
pub const HEAD_RECEIVED: &str = "head-received";
/// The outcome of one recorder is in the store's queue, that of the next one of the same request is not. Only requests that
/// several recorders follow pass it, so it is not one of [`ALL`].
pub const BETWEEN_OUTCOMES: &str = "between-outcomes";
/// The outcome is in the store's queue, the answer's last byte is not released.
pub const OUTCOME_QUEUED: &str = "outcome-queued";
/// A cursor's `dispatched_to` is durable, no call has been made.
pub const CURSOR_DURABLE: &str = "cursor-durable";
/// An attempt is over, its result is not recorded.
pub const ATTEMPT_DONE: &str = "attempt-done";

/// What the log says when a point is about to do what the environment asked for.
pub const REACHED: &str = "failpoint reached";

/// Passes a point.
#[inline]
pub fn hit(name: &'static str) {
    #[cfg(feature = "failpoints")]
    if fail::eval(name, |_| tracing::warn!(point = name, "{REACHED}")).is_some() {
        fail::fail_point!(name);
    }
    #[cfg(not(feature = "failpoints"))]
    let _ = name;
}

/// Reads the environment; keep the guard for as long as points are to work.
#[cfg(feature = "failpoints")]
#[must_use = "points stop working when the guard is dropped"]
pub fn setup() -> fail::FailScenario<'static> {
    fail::FailScenario::setup()
}
