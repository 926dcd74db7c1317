//! Named points in the code at which a test can make the process pause, so that it can kill it there, or panic.
//!
//! Without the feature `failpoints` a point does nothing. With it, the environment variable `FAILPOINTS` says what happens there, in the syntax of
//! the crate `fail`: `FAILPOINTS=before-commit=100*off->pause`. The action `return` writes the log line [`REACHED`] with the point's name and goes
//! on to the next action: with `100*off->1*return->pause` a test sees when it may kill the process.

/// The points that an event passes on its way, in that order.
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

/// The other points: in the loops of threads and tasks that must go on after a panic or end the process (`FAILPOINTS=core-turn=3*off->panic`),
/// and between the steps of a change by the configuration, by an API or by an operator.
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
/// The writer has taken changes off its queue, and has applied none.
pub const WRITER_TURN: &str = "writer-turn";
/// The thread that checkpoints was woken, and has not begun.
pub const CHECKPOINT_TURN: &str = "checkpoint-turn";
/// A listener of admin or hub has accepted a connection.
pub const CONTROL_TURN: &str = "control-turn";
/// The thread of the deliveries begins.
pub const DELIVERIES: &str = "deliveries";
/// The signing key is about to be read or made.
pub const SIGNING_KEY: &str = "signing-key";
/// A request to confirm is about to be signed and sent.
pub const HANDSHAKE: &str = "handshake";
/// A thread is about to install its [`Bell`](crate::writer::Bell).
pub const WAKE_UPS: &str = "wake-ups";
/// A reload has read the files, and has done nothing else.
pub const RELOAD: &str = "reload";
/// A slice of a large configuration is durable, and more of it is to come.
pub const STAGED: &str = "staged";
/// A change of the configuration, by files or an API, is in the writer's batch and not committed.
pub const CHANGING: &str = "changing";
/// Some of what a reload changes of topics, queues and subscriptions is durable, and more of it is to come.
pub const DECLARING: &str = "declaring";
/// A change of the configuration is in the store, its topics, queues, subscriptions and workers are in use, and its routes are not.
pub const DECLARED: &str = "declared";
/// An operator has given a delivery up, and nothing of that is stored.
pub const GIVING_UP: &str = "giving-up";
/// A delivery that an operator gave up is a dead letter in the store, the next one of its key has not begun, and the operator has no answer.
pub const GIVEN_UP: &str = "given-up";

/// The writer has applied a batch, and has not committed it.
pub const BEFORE_COMMIT: &str = "before-commit";
/// The writer has committed a batch, and has resolved no receipt.
pub const AFTER_COMMIT: &str = "after-commit";
/// An intent is durable, and nothing was sent to the upstream.
pub const INTENT_DURABLE: &str = "intent-durable";
/// The request has been handed to the connection.
pub const REQUEST_SENT: &str = "request-sent";
/// The upstream's head has arrived, and nothing was sent to the client.
pub const HEAD_RECEIVED: &str = "head-received";
/// The outcome of one recorder is in the writer's queue, and that of the next recorder of the same request is not. Only requests with several
/// recorders pass it, so it is not in [`ALL`].
pub const BETWEEN_OUTCOMES: &str = "between-outcomes";
/// The outcome is in the writer's queue, and the answer's last byte is not released.
pub const OUTCOME_QUEUED: &str = "outcome-queued";
/// A cursor's `dispatched_to` is durable, and no call was made.
pub const CURSOR_DURABLE: &str = "cursor-durable";
/// An attempt has ended, and its result is not recorded.
pub const ATTEMPT_DONE: &str = "attempt-done";

/// The message of the log line that the action `return` writes.
pub const REACHED: &str = "failpoint reached";

/// Does what the environment asks for at this point. Does nothing without the feature `failpoints`.
#[inline]
pub fn hit(name: &'static str) {
    #[cfg(feature = "failpoints")]
    if fail::eval(name, |_| tracing::warn!(point = name, "{REACHED}")).is_some() {
        fail::fail_point!(name);
    }
    #[cfg(not(feature = "failpoints"))]
    let _ = name;
}

/// Reads `FAILPOINTS`. Points work until the guard is dropped.
#[cfg(feature = "failpoints")]
#[must_use = "points stop working when the guard is dropped"]
pub fn setup() -> fail::FailScenario<'static> {
    fail::FailScenario::setup()
}
