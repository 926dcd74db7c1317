//! Changing the configuration while the node runs: `POST /retrohook/reload` has the files read again, as SIGHUP does, and answers with the result.
//! Also the queue of everything that is asked of the thread that changes the configuration.

use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use control::Job;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::{Error, Node};

/// What came of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ReloadOutcome")]
pub enum Outcome {
    /// The files are served from now on.
    Taken,
    /// The files say what was served before.
    Unchanged,
    /// Nothing changed.
    Refused,
}

/// Whose fault it is that a configuration was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ReloadFault")]
pub enum Fault {
    /// The configuration's: it has to be another one.
    Configuration,
    /// The store's, or that of a node that stops: the same may be taken later.
    Node,
    /// Retrohook's.
    Bug,
}

impl Fault {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Configuration => StatusCode::BAD_REQUEST,
            Self::Node => StatusCode::SERVICE_UNAVAILABLE,
            Self::Bug => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Self::Configuration => "mend what `problems` names, and send it again",
            Self::Node => "send it again when the node is well: see /status",
            Self::Bug => "please report it with the log lines",
        }
    }
}

/// The report of a refused reload, with the hint that every error of the API has.
#[derive(Serialize)]
struct RefusedReport {
    #[serde(flatten)]
    report: Report,
    hint: &'static str,
}

/// The answer with the report of a reload. `taken` is its status if the reload was not refused.
pub(crate) fn answer(report: Report, taken: StatusCode) -> Response {
    match report.fault {
        None => (taken, Json(report)).into_response(),
        Some(fault) => (fault.status(), Json(RefusedReport { report, hint: fault.hint() })).into_response(),
    }
}

/// A reload, for whoever asked for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ReloadReport")]
pub struct Report {
    /// What came of it.
    pub result: Outcome,
    /// The generation that is served now.
    pub generation: u64,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// In one line: what is served, or why nothing changed.
    pub message: String,
    /// Of one that was refused.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fault: Option<Fault>,
    /// What became of topics, queues and subscriptions, a line each.
    pub changes: Vec<String>,
    /// What is served and probably not meant, a text each.
    pub warnings: Vec<String>,
    /// What is wrong with the files.
    pub problems: Vec<Problem>,
}

/// Something that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ConfigProblem")]
pub struct Problem {
    /// The file's name; empty where no file is to blame.
    pub file: String,
    /// From 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub line: Option<usize>,
    /// From 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub column: Option<usize>,
    /// Where in the file, `services[0].routes[1]`; empty for the file itself.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// Asks the thread that changes the configuration for reloads and changes. All clones ask the same thread.
#[derive(Clone, Debug)]
pub struct Reloads {
    asked: SyncSender<()>,
    waiting: Waiting,
}

/// The other end of [`Reloads`], for the thread that changes the configuration.
#[derive(Debug)]
pub struct Asks {
    asks: Receiver<()>,
    waiting: Waiting,
}

/// What was asked for.
pub enum Asked {
    /// A reload.
    Configuration {
        /// The text to serve instead of the files; `None` to read the files again.
        text: Option<String>,
        /// Gets the report. `None` for SIGHUP, which nobody waits for.
        told: Option<oneshot::Sender<Report>>,
    },
    /// A change by an API, as a job to run.
    Change(Job),
}

impl Asked {
    fn is_text(&self) -> bool {
        matches!(self, Self::Configuration { text: Some(_), .. })
    }

    fn is_signal(&self) -> bool {
        matches!(self, Self::Configuration { text: None, told: None })
    }

    fn is_reading(&self) -> bool {
        matches!(self, Self::Configuration { text: None, .. })
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configuration { text: Some(_), .. } => "Asked(a text)",
            Self::Configuration { text: None, .. } => "Asked(the files)",
            Self::Change(_) => "Asked(a change)",
        })
    }
}

type Waiting = Arc<Mutex<Vec<Asked>>>;

/// How long a request waits for the report of a reload.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many texts may wait. A further one is refused.
const MAX_TEXTS: usize = 4;
/// How many changes by APIs may wait. A further one is refused.
const MAX_CHANGES: usize = 1_024;

/// Why there is no report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAsked {
    /// The thread that changes the configuration has ended.
    #[error("the thread that reloads has ended; restart this process to have the files read")]
    NobodyReloads,
    /// The reload was asked for, and has not ended within [`PATIENCE`]: the store hangs.
    #[error("no configuration was taken within {} s, and it may still be", PATIENCE.as_secs())]
    NoEnd,
    /// Too many texts or changes are waiting already. The text of the error is Kong's.
    #[error("Currently loading previous configuration")]
    Busy,
}

/// Makes the two ends of the queue.
pub fn reloads() -> (Reloads, Asks) {
    // One more wake-up may wait, because something may be asked for after the reload under way has read the files.
    let (asked, asks) = sync_channel(1);
    let waiting = Waiting::default();
    (Reloads { asked, waiting: waiting.clone() }, Asks { asks, waiting })
}

impl Reloads {
    /// Has the files read again, soon. If this is called several times while a reload is under way, one more reload follows.
    ///
    /// # Errors
    /// [`NotAsked::NobodyReloads`].
    pub fn ask(&self) -> Result<(), NotAsked> {
        self.push(Asked::Configuration { text: None, told: None })
    }

    /// Has the files read again, and waits for the report of a reload that begins after this call.
    ///
    /// # Errors
    /// [`NotAsked::NobodyReloads`] or [`NotAsked::NoEnd`].
    pub async fn reload(&self) -> Result<Report, NotAsked> {
        self.report(None).await
    }

    /// Has a text served instead of the files, until somebody asks for a reload. Waits for the report.
    ///
    /// # Errors
    /// Every [`NotAsked`].
    pub async fn take(&self, text: String) -> Result<Report, NotAsked> {
        self.report(Some(text)).await
    }

    /// Has a change by an API made, soon.
    ///
    /// # Errors
    /// [`NotAsked::NobodyReloads`] or [`NotAsked::Busy`].
    pub fn hand(&self, job: Job) -> Result<(), NotAsked> {
        self.push(Asked::Change(job))
    }

    async fn report(&self, text: Option<String>) -> Result<Report, NotAsked> {
        let (told, report) = oneshot::channel();
        self.push(Asked::Configuration { text, told: Some(told) })?;
        match tokio::time::timeout(PATIENCE, report).await {
            Ok(report) => report.map_err(|_| NotAsked::NobodyReloads),
            Err(_) => Err(NotAsked::NoEnd),
        }
    }

    fn push(&self, asked: Asked) -> Result<(), NotAsked> {
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let texts = waiting.iter().filter(|asked| asked.is_text()).count();
            if asked.is_text() && texts >= MAX_TEXTS {
                return Err(NotAsked::Busy);
            }
            let changes = waiting.iter().filter(|asked| matches!(asked, Asked::Change(_))).count();
            if matches!(asked, Asked::Change(_)) && changes >= MAX_CHANGES {
                return Err(NotAsked::Busy);
            }
            // Several signals in a row need only one reload. But a signal before a text or a change does not stand for one after it.
            let mut behind_others = waiting.iter().rev().take_while(|other| other.is_reading());
            if !(asked.is_signal() && behind_others.any(Asked::is_signal)) {
                waiting.push(asked);
            }
        }
        match self.asked.try_send(()) {
            Ok(()) | Err(TrySendError::Full(())) => Ok(()),
            Err(TrySendError::Disconnected(())) => Err(NotAsked::NobodyReloads),
        }
    }
}

impl Asks {
    /// Waits until something is asked for. Returns everything that was asked for, in its order; `None` when all [`Reloads`] were dropped.
    pub fn next(&self) -> Option<Vec<Asked>> {
        self.asks.recv().ok().map(|()| self.waiting())
    }

    /// Like [`Asks::next`], but waits for `limit` at most.
    ///
    /// # Errors
    /// [`RecvTimeoutError::Timeout`] if nothing was asked for, [`RecvTimeoutError::Disconnected`] when all [`Reloads`] were dropped.
    pub fn next_within(&self, limit: Duration) -> Result<Vec<Asked>, RecvTimeoutError> {
        self.asks.recv_timeout(limit).map(|()| self.waiting())
    }

    fn waiting(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// `POST /retrohook/reload`: 200 if the files are served now, 400 with all problems of the files, or another error if the node is at fault.
pub(crate) async fn reload(State(node): State<Node>) -> Result<Response, Error> {
    refuse_while_draining(&node)?;
    let report = node.reloads.reload().await.map_err(not_asked)?;
    Ok(answer(report, StatusCode::OK))
}

pub(crate) fn refuse_while_draining(node: &Node) -> Result<(), Error> {
    if node.is_draining() { Err(not_asked(NotAsked::NobodyReloads)) } else { Ok(()) }
}

pub(crate) fn not_asked(error: NotAsked) -> Error {
    match error {
        NotAsked::NobodyReloads => Error {
            status: StatusCode::SERVICE_UNAVAILABLE,
            message: "the configuration does not change any more: this node stops".into(),
            hint: "the next start reads the files".into(),
        },
        NotAsked::NoEnd => Error {
            status: StatusCode::GATEWAY_TIMEOUT,
            message: error.to_string(),
            hint: "look at the disk of the data directory, and at `store` in /status".into(),
        },
        NotAsked::Busy => Error {
            status: StatusCode::TOO_MANY_REQUESTS,
            message: error.to_string(),
            hint: "wait for the answers of the requests before this one".into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(generation: u64) -> Report {
        Report {
            result: Outcome::Taken,
            generation,
            millis: 1,
            message: String::new(),
            fault: None,
            changes: Vec::new(),
            warnings: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn answer(asked: Vec<Asked>, generation: u64) -> Vec<Option<String>> {
        let answer = |asked: Asked| {
            let Asked::Configuration { text, told } = asked else { panic!("nobody asked for a change") };
            told.into_iter().for_each(|told| drop(told.send(report(generation))));
            text
        };
        asked.into_iter().map(answer).collect()
    }

    #[tokio::test]
    async fn whoever_asks_hears_of_a_reload_that_began_later() {
        let (reloads, asks) = reloads();
        reloads.ask().unwrap();
        reloads.ask().unwrap();
        assert_eq!(answer(asks.next().unwrap(), 2), [None], "two signals are one reload");
        reloads.ask().unwrap();
        let given = tokio::spawn({
            let asking = reloads.clone();
            async move { asking.take("B".into()).await }
        });
        tokio::task::yield_now().await;
        reloads.ask().unwrap();
        reloads.ask().unwrap();
        let asked = answer(asks.next().unwrap(), 2);
        assert_eq!(asked, [None, Some("B".to_owned()), None], "the last word is the files'");
        assert_eq!(given.await.unwrap(), Ok(report(2)));
        // Three ask while it is under way.
        let asking = reloads.clone();
        let answers = tokio::spawn(async move {
            tokio::join!(asking.reload(), asking.take("text".into()), asking.reload())
        });
        tokio::task::yield_now().await;
        assert_eq!(answer(asks.next().unwrap(), 3), [None, Some("text".to_owned()), None]);
        assert_eq!(answers.await.unwrap(), (Ok(report(3)), Ok(report(3)), Ok(report(3))));
        let nobody = asks.next_within(Duration::from_millis(1));
        assert!(matches!(nobody, Err(RecvTimeoutError::Timeout)), "{nobody:?}");
        drop(asks);
        assert_eq!(reloads.ask(), Err(NotAsked::NobodyReloads));
        assert_eq!(reloads.reload().await, Err(NotAsked::NobodyReloads));
    }

    #[tokio::test]
    async fn only_so_many_texts_wait() {
        let (reloads, asks) = reloads();
        let waiting: Vec<_> = (0..MAX_TEXTS)
            .map(|_| {
                let asking = reloads.clone();
                tokio::spawn(async move { asking.take("text".into()).await })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(reloads.take("one more".into()).await, Err(NotAsked::Busy));
        assert_eq!(answer(asks.next().unwrap(), 2).len(), MAX_TEXTS);
        for waiting in waiting {
            assert_eq!(waiting.await.unwrap(), Ok(report(2)));
        }
    }
}
