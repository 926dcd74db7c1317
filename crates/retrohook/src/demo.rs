//! `retrohook demo`: the whole story with real parts, in one command.
//!
//! A forum caches user profiles that live in a service without events. The gateway in front of that service is the real binary in a
//! process of its own (so that it can be killed), its store is a real database on disk, the webhook and the queue worker are real HTTP
//! clients and servers on loopback, the worker on the official AWS SDK.

use std::process::ExitCode;

use tempfile::TempDir;

use crate::cli::DemoArgs;

mod forum;
mod gateway;
mod http;
mod profiles;
mod story;
mod timeline;
mod worker;

use story::Story;

/// Why the demo could not go on.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error("cannot {what}")]
    Io {
        what: &'static str,
        #[source]
        source: std::io::Error,
    },
    #[error("the gateway did not start:\n{0}")]
    Gateway(String),
    #[error("a request to {url} failed")]
    Request {
        url: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the step did not happen: {0}")]
    Missed(String),
}

impl DemoError {
    fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}

/// Runs the demo; `--once` ends after its rounds.
pub fn run(args: &DemoArgs) -> ExitCode {
    let done = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(DemoError::io("make a runtime"))
        .and_then(|runtime| runtime.block_on(tell(args)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            timeline::failure(&error);
            ExitCode::FAILURE
        }
    }
}

async fn tell(args: &DemoArgs) -> Result<(), DemoError> {
    let place =
        TempDir::with_prefix("retrohook-demo-").map_err(DemoError::io("make a temporary directory"))?;
    let mut story = Story::begin(place.path()).await?;
    story.tell().await?;
    if args.once { story.end().await } else { story.stay_up().await }
}
