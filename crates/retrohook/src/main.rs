//! The binary: subcommands, wiring, signals.

use std::process::ExitCode;

use clap::Parser;

mod check;
mod cli;
mod client;
mod clock;
mod demo;
mod logs;
mod node;
mod operate;
mod output;
mod receive;
mod reload;
mod report;
mod stop;

use cli::{Cli, Command};

/// The data path makes some dozens of small allocations for each request: with this allocator a request costs about a tenth less than with the C
/// library's. It does not use transparent huge pages: with them an idle process needs 35 MB, without them 20 MB.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    #[cfg(feature = "failpoints")]
    let _failpoints = storage::failpoint::setup();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            if asks_for_json() {
                output::write_as(cli::LogFormat::Json);
            }
            return refuse(&error);
        }
    };
    match cli.command {
        Command::Run(args) => node::run(*args),
        Command::Demo(args) => demo::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Reload(args) => reload::run(&args),
        Command::Receive(args) => receive::run(args),
        Command::Events(args) => operate::events(*args),
        Command::Deliveries(args) => operate::deliveries(*args),
        Command::Subscriptions(args) => operate::subscriptions(*args),
        Command::DeadLetters(args) => operate::dead_letters(*args),
        Command::Version => {
            report::line(gateway::NAME);
            ExitCode::SUCCESS
        }
    }
}

/// Whether a command line that is not understood asks for JSON, as far as can be seen.
fn asks_for_json() -> bool {
    let mut words = std::env::args().skip_while(|word| word != "run");
    let by_flag = words.any(|word| word == "--log-format=json")
        || std::env::args().collect::<Vec<_>>().windows(2).any(|pair| pair == ["--log-format", "json"]);
    by_flag || std::env::var("RETROHOOK_LOG_FORMAT").is_ok_and(|format| format == "json")
}

/// Prints what is wrong with the command line, or the help. clap quotes values, and one of them may be a secret in the wrong place.
fn refuse(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        report::problem(event::redaction::shown(&error.render().to_string()).trim_end());
    } else {
        // If nobody reads the output, that is not a failure.
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}
