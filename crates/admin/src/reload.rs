//! `POST /retrohook/reload`: the files are read anew, as at SIGHUP, and whoever asks hears what came of it.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::{Error, Node};

/// What came of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The files are served from now on.
    Taken,
    /// The files say what was served before.
    Unchanged,
    /// Nothing changed.
    Refused,
}

/// A reload, for whoever asked for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What came of it.
    pub result: Outcome,
    /// The generation that is served now.
    pub generation: u64,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// In one line: what is served, or why nothing changed.
    pub message: String,
    /// What became of topics, queues and subscriptions, a line each.
    pub changes: Vec<String>,
    /// What is served and probably not meant, a text each.
    pub warnings: Vec<String>,
    /// What is wrong with the files.
    pub problems: Vec<Problem>,
}

/// Something that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// Asks for reloads; clones ask the same one who reloads.
#[derive(Clone, Debug)]
pub struct Reloads {
    asked: SyncSender<()>,
    waiting: Waiting,
}

/// Who reloads, hears of it here.
#[derive(Debug)]
pub struct Asks {
    asks: Receiver<()>,
    waiting: Waiting,
}

type Waiting = Arc<Mutex<Vec<oneshot::Sender<Report>>>>;

/// Who reloads has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the thread that reloads has ended; restart this process to have the files read")]
pub struct NobodyReloads;

/// The two ends.
pub fn reloads() -> (Reloads, Asks) {
    // One more may wait: what it was asked for may have come after the one under way had read the files.
    let (asked, asks) = sync_channel(1);
    let waiting = Waiting::default();
    (Reloads { asked, waiting: waiting.clone() }, Asks { asks, waiting })
}

impl Reloads {
    /// Has the files read anew, soon. Asked while one is under way, there is one more after it, however often it was asked.
    ///
    /// # Errors
    /// If nobody reloads any more.
    pub fn ask(&self) -> Result<(), NobodyReloads> {
        match self.asked.try_send(()) {
            Ok(()) | Err(TrySendError::Full(())) => Ok(()),
            Err(TrySendError::Disconnected(())) => Err(NobodyReloads),
        }
    }

    /// As [`Reloads::ask`]; what came of the first one that begins from now on.
    ///
    /// # Errors
    /// If nobody reloads any more.
    pub async fn reload(&self) -> Result<Report, NobodyReloads> {
        let (told, report) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(told);
        self.ask()?;
        report.await.map_err(|_| NobodyReloads)
    }
}

impl Asks {
    /// Waits until somebody asks; whom the report is for. `None` when nobody can ask any more.
    pub fn next(&self) -> Option<Vec<oneshot::Sender<Report>>> {
        self.asks.recv().ok().map(|()| self.waiting())
    }

    /// As [`Asks::next`], for so long.
    ///
    /// # Errors
    /// [`RecvTimeoutError::Timeout`] if nobody asks meanwhile, [`RecvTimeoutError::Disconnected`] when nobody can ask any more.
    pub fn next_within(&self, limit: Duration) -> Result<Vec<oneshot::Sender<Report>>, RecvTimeoutError> {
        self.asks.recv_timeout(limit).map(|()| self.waiting())
    }

    fn waiting(&self) -> Vec<oneshot::Sender<Report>> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// `POST /retrohook/reload`: 200 if the files are served now, else 400 with all that is wrong with them.
pub(crate) async fn reload(State(node): State<Node>) -> Result<Response, Error> {
    let draining = || Error {
        status: StatusCode::SERVICE_UNAVAILABLE,
        message: "the files are not read anew: this node stops".into(),
        hint: "the next start reads them".into(),
    };
    if node.is_draining() {
        return Err(draining());
    }
    let report = node.reloads.reload().await.map_err(|_| draining())?;
    let status = if report.result == Outcome::Refused { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    Ok((status, Json(report)).into_response())
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
            changes: Vec::new(),
            warnings: Vec::new(),
            problems: Vec::new(),
        }
    }

    #[tokio::test]
    async fn whoever_asks_hears_of_a_reload_that_began_later() {
        let (reloads, asks) = reloads();
        reloads.ask().unwrap();
        let first = asks.next().unwrap();
        assert_eq!(first.len(), 0, "a signal waits for nothing");
        // Two ask while it is under way.
        let asking = reloads.clone();
        let answers = tokio::spawn(async move { tokio::join!(asking.reload(), asking.reload()) });
        tokio::task::yield_now().await;
        let second = tokio::task::spawn_blocking(move || {
            let waiting = asks.next().unwrap();
            let count = waiting.len();
            waiting.into_iter().for_each(|told| drop(told.send(report(3))));
            count
        });
        assert_eq!(second.await.unwrap(), 2);
        assert_eq!(answers.await.unwrap(), (Ok(report(3)), Ok(report(3))));
        assert_eq!((reloads.ask(), reloads.reload().await), (Err(NobodyReloads), Err(NobodyReloads)));
    }
}
