//! `retrohook reload`: a running node reads its files anew, and what came of it is printed.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use admin::reload::{Outcome, Problem, Report};

use crate::cli::{Listen, ReloadArgs};
use crate::{client, report};

/// A reload of the largest configurations takes a second; the workers that it stops have five.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks the node; status 0 if it serves the files.
pub fn run(args: &ReloadArgs) -> ExitCode {
    match ask(&args.admin) {
        Ok(answer) => {
            show(&answer);
            if answer.result == Outcome::Refused { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(problem) => {
            report::problem(&format!("retrohook: {problem}"));
            ExitCode::FAILURE
        }
    }
}

fn ask(admin: &Listen) -> Result<Report, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot make a runtime: {error}"))?;
    let place = client::place(admin)?;
    let answer = runtime.block_on(client::ask(admin, "POST", "/retrohook/reload", PATIENCE)).map_err(|error| {
        format!(
            "no answer from {place}: {error}\n  hint: --admin is the node's --admin-listen; `kill -HUP PID` reloads without it"
        )
    })?;
    serde_json::from_str(&answer.body).map_err(|_| {
        let told: Option<serde_json::Value> = serde_json::from_str(&answer.body).ok();
        let told = told.as_ref().and_then(|told| told["message"].as_str());
        let told = told.unwrap_or("what listens there is not an admin port of Retrohook");
        format!("{place} answered {}: {told}", answer.status)
    })
}

fn show(answer: &Report) {
    let Report { result, message, changes, warnings, problems, .. } = answer;
    warnings.iter().for_each(|warning| report::problem(&format!("warning: {warning}")));
    changes.iter().for_each(|change| report::line(change));
    problems.iter().for_each(|problem| report::problem(&described(problem)));
    match result {
        Outcome::Taken | Outcome::Unchanged => report::line(&format!("reloaded: {message}")),
        Outcome::Refused => report::problem(&format!("retrohook: not reloaded: {message}")),
    }
}

/// As `check` writes it.
fn described(problem: &Problem) -> String {
    let Problem { file, line, column, path, message, hint } = problem;
    let mut text = file.clone();
    for part in [line, column].into_iter().flatten() {
        // To a string nothing can fail.
        let _ = write!(text, ":{part}");
    }
    for part in [path, message].into_iter().filter(|part| !part.is_empty()) {
        text.push_str(if text.is_empty() { "" } else { ": " });
        text.push_str(part);
    }
    format!("{text}\n  hint: {hint}")
}
