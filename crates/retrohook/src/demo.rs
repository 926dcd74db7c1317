//! `retrohook demo`: the whole story with real parts, in one command.
//!
//! A forum caches user profiles that live in a service without events. The gateway in front of that service is the real binary in a
//! process of its own (so that it can be killed), its store is a real database on disk, the webhook and the queue worker are real HTTP
//! clients and servers on loopback, the worker on the official AWS SDK in a build with the feature `aws`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tempfile::TempDir;

use crate::cli::DemoArgs;
use crate::stop::Stop;

mod forum;
mod gateway;
mod http;
mod profiles;
mod story;
mod timeline;
mod worker;

use story::Story;

/// How often a directory is tried in which a process that is being killed still writes, and how long it is left alone in between.
const CLEANING: (u32, Duration) = (100, Duration::from_millis(10));

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
    #[error("the gateway ended, while waited for: {0}")]
    Gone(String),
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
///
/// Whoever stops it with a signal while it stays up gets status 0, because that is how it is meant to end; in the middle of its rounds
/// 128 and the signal's number, because steps are missing.
pub fn run(args: &DemoArgs) -> ExitCode {
    let done = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(DemoError::io("make a runtime"))
        .and_then(|runtime| runtime.block_on(tell(args)));
    match done {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            timeline::failure(&error);
            ExitCode::FAILURE
        }
    }
}

/// The whole demo, and nothing of it left behind; its exit status.
async fn tell(args: &DemoArgs) -> Result<u8, DemoError> {
    let mut stop = Stop::listen().map_err(DemoError::io("listen for signals"))?;
    let place =
        TempDir::with_prefix("retrohook-demo-").map_err(DemoError::io("make a temporary directory"))?;
    // With the story ends its gateway.
    let told = until_stopped(args, place.path(), &mut stop).await;
    clean(place.path()).await;
    told
}

async fn until_stopped(args: &DemoArgs, place: &Path, stop: &mut Stop) -> Result<u8, DemoError> {
    let mut story = tokio::select! {
        biased;
        signal = stop.asked() => return Ok(128 + signal),
        told = rounds(args, place) => told?,
    };
    if args.once {
        return Ok(0);
    }
    tokio::select! {
        biased;
        _ = stop.asked() => Ok(0),
        kept = story.stay_up() => kept.map(|()| 0),
    }
}

async fn rounds(args: &DemoArgs, place: &Path) -> Result<Story, DemoError> {
    let mut story = Story::begin(place).await?;
    story.tell().await?;
    if args.once {
        story.end().await?;
    }
    Ok(story)
}

/// Removes a directory in which a killed process may be making its last file.
async fn clean(place: &Path) {
    let (tries, pause) = CLEANING;
    for _ in 0..tries {
        match std::fs::remove_dir_all(place) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => tokio::time::sleep(pause).await,
            _ => return,
        }
    }
}
