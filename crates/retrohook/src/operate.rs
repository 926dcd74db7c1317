//! `retrohook events`, `deliveries`, `subscriptions`, `dead-letters`: what an operator asks a running node, over its admin port.
//!
//! Each command line is one request of the API (`args`); what differs between lists is data (`listings`). People get tables of 80 columns,
//! programs the API's own JSON.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use serde_json::Value;

use crate::report;

mod args;
mod call;
mod follow;
mod listings;
mod table;

pub use args::{DEAD_LETTERS_EXAMPLES, DELIVERIES_EXAMPLES, EVENTS_EXAMPLES, SUBSCRIPTIONS_EXAMPLES};
pub use args::{DeadLettersArgs, DeliveriesArgs, EventsArgs, SubscriptionsArgs};
use args::{Job, Shared};
use call::{Call, Failed};
use listings::Listing;

/// `retrohook events`.
pub fn events(args: EventsArgs) -> ExitCode {
    let (job, shared) = args.job();
    run(job, &shared)
}

/// `retrohook deliveries`.
pub fn deliveries(args: DeliveriesArgs) -> ExitCode {
    let (job, shared) = args.job();
    run(job, &shared)
}

/// `retrohook subscriptions`.
pub fn subscriptions(args: SubscriptionsArgs) -> ExitCode {
    let (job, shared) = args.job();
    run(job, &shared)
}

/// `retrohook dead-letters`.
pub fn dead_letters(args: DeadLettersArgs) -> ExitCode {
    let (job, shared) = args.job();
    run(job, &shared)
}

/// Status 0 if the node did what was asked, and if nobody reads the output any more.
fn run(job: Job, shared: &Shared) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            report::failure("cannot make a runtime", &error);
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(async {
        match job {
            Job::Page(listing, call) => page(listing, &call, shared).await,
            Job::Follow(listing, call) => follow::run(listing, &call, shared).await,
            Job::Object(call) => object(&call, shared).await,
        }
    });
    match done {
        Ok(()) | Err(Failed::Closed) => ExitCode::SUCCESS,
        Err(Failed::NoAnswer(why) | Failed::Answered(why)) => {
            report::problem(&format!("retrohook: {why}"));
            ExitCode::FAILURE
        }
    }
}

async fn page(listing: &Listing, call: &Call, shared: &Shared) -> Result<(), Failed> {
    let answer = call.ask(&shared.admin).await?;
    if shared.json {
        return say([answer.to_string()]);
    }
    let rows = answer[listing.rows].as_array().map_or(&[][..], Vec::as_slice);
    if !rows.is_empty() {
        say(table::lines(listing.columns, rows, shared.width()))?;
    }
    // Beside the table, so that a pipe gets rows alone.
    let (next, flag) = listing.next;
    let next = match &answer[next] {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let hint = answer["hint"].as_str();
    match (rows.is_empty(), next) {
        (_, Some(next)) => {
            let why = hint.map(|hint| format!("{}; ", hint.split(": go on").next().unwrap_or(hint)));
            report::problem(&format!("{}there may be more: {flag} '{next}'", why.unwrap_or_default()));
        }
        (true, None) => {
            let why = hint.map(|hint| format!(": {hint}")).unwrap_or_default();
            report::problem(&format!("no {}{why}", listing.what));
        }
        (false, None) => {}
    }
    Ok(())
}

async fn object(call: &Call, shared: &Shared) -> Result<(), Failed> {
    let answer = call.ask(&shared.admin).await?;
    if shared.json { say([answer.to_string()]) } else { say(table::details(&answer, shared.width())) }
}

impl Shared {
    /// How wide lines may be.
    fn width(&self) -> Option<usize> {
        (!self.wide).then_some(table::WIDTH)
    }
}

/// Prints lines at once.
fn say(lines: impl IntoIterator<Item = String>) -> Result<(), Failed> {
    let mut out = std::io::stdout().lock();
    let mut written = lines.into_iter().try_for_each(|line| writeln!(out, "{line}"));
    written = written.and_then(|()| out.flush());
    written.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failed::Closed,
        _ => Failed::Answered(format!("cannot print: {error}")),
    })
}
