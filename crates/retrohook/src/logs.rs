//! Log lines, to standard error. Writing one can neither fail nor block the thread that writes it: see [`output`](crate::output).

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::SubscriberBuilder;

use crate::cli::LogFormat;
use crate::output::LogLines;

/// The variable that chooses what is logged, in `tracing`'s form: `info`, `gateway=debug,info`.
const VARIABLE: &str = "RETROHOOK_LOG";

/// Starts logging. A second call in one process has no effect.
pub fn init(format: LogFormat) {
    let wanted = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty());
    let (filter, refused) = match wanted.as_deref().map(EnvFilter::try_new) {
        None => (EnvFilter::new("info"), None),
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (EnvFilter::new("info"), Some(error)),
    };
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let builder = subscriber().with_env_filter(filter).with_ansi(colours).with_writer(|| LogLines);
    // An error means that logging was set up already.
    let _ = match format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    if let Some(error) = refused {
        tracing::warn!(
            %error,
            "{VARIABLE} is not understood, and `info` is taken: write a level, or parts with levels, like `delivery=debug,info`"
        );
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that builds a subscriber, and takes its panics away"
)]
fn subscriber() -> SubscriberBuilder {
    tracing_subscriber::fmt().log_internal_errors(false)
}

/// Makes a panic write a log line in the chosen format. The default hook prints to standard error, which waits for its reader: a thread that
/// panics would hang instead of ending.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = thread.name().unwrap_or("unnamed");
        // Empty unless RUST_BACKTRACE asks for it.
        let trace = Backtrace::capture();
        let trace = (trace.status() == BacktraceStatus::Captured).then(|| trace.to_string());
        tracing::error!(
            thread,
            place,
            cause = message(panic),
            trace,
            "a thread panicked: this is a bug in Retrohook"
        );
    }));
}

fn message<'p>(panic: &'p PanicHookInfo<'_>) -> &'p str {
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
