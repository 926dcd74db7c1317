//! Structured logs, to standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;

/// The variable that chooses what is logged, in `tracing`'s form: `info`, `gateway=debug,info`.
const VARIABLE: &str = "RETROHOOK_LOG";

/// Begins to log. Once a process; a second call is without effect.
pub fn init(format: LogFormat) {
    let wanted = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty());
    let (filter, refused) = match wanted.as_deref().map(EnvFilter::try_new) {
        None => (EnvFilter::new("info"), None),
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (EnvFilter::new("info"), Some(error)),
    };
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    // An error says that somebody logs already.
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
