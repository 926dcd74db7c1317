//! Configuration files: parse, check, compile.
//!
//! Read as: files behind one another, with a line `=== FILE` between them. What must hold: there is a configuration or a report of
//! problems; each problem and warning names one of the files, a place in it and a remedy, and shows no secret of them; and what the check
//! lets through can be compiled and built.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use config::{Config, Options, Place, Problem, Tolerance};
use entities::Owned;
use event::timestamp::Clock;
use event::{Timestamp, TopicId};
use gateway::compile::CompileError;
use gateway::destination::Destinations;
use pipeline::{BuildContext, ConfigProblem, Instance, Scope, Services};
use storage::retention::Retention;
use storage::{Feed, Writer, writer};

const BETWEEN: &str = "\n=== FILE\n";
const NAMES: [&str; 3] = ["one.yaml", "two.yaml", "three.yaml"];
const REGION: &str = "us-east-1";
const ACCOUNT: &str = "000000000000";
const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// What plug-ins are built with; nothing is ever written.
static WRITER: LazyLock<Writer> = LazyLock::new(|| {
    let clock: Arc<dyn Clock> = Arc::new(Stopped);
    let backend = storage::memory::open().backend;
    let vitals = storage::vital::vitals().0;
    let config =
        writer::Config { backend, feed: Feed::default(), clock, retention: Retention::default(), vitals };
    Writer::spawn(config).expect("a thread can be started").0
});

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        NOW
    }

    fn uptime(&self) -> Duration {
        Duration::ZERO
    }
}

/// Panics when a promise is broken.
pub fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let files: Vec<(&str, &str)> = NAMES.into_iter().zip(text.split(BETWEEN)).collect();
    let kinds = plugins::all();
    let env = |name: &str| (name == "SECRET").then(|| "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
    let options = Options {
        kinds: &kinds,
        region: REGION,
        account: ACCOUNT,
        hubs: &[],
        env: &env,
        now: NOW,
        tolerance: Tolerance::default(),
    };
    match config::check(&files, &options) {
        Ok(config) => {
            config.warnings.iter().for_each(|warning| is_well_told(warning, &files));
            shows_no_secret(&config.warnings, text);
            compiles(&config);
        }
        Err(report) => {
            assert!(!report.problems.is_empty());
            report.problems.iter().for_each(|problem| is_well_told(problem, &files));
            shows_no_secret(&report.problems, text);
        }
    }
}

fn is_well_told(problem: &Problem, files: &[(&str, &str)]) {
    assert!(!problem.message.is_empty() && !problem.hint.is_empty(), "{problem}");
    let (_, text) = files.iter().find(|(name, _)| *name == problem.file).expect("one of the files");
    let Place { line, column } = problem.place.expect("a place");
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
    // Behind the last character of a line is a place, too.
    let lines: Vec<usize> = text.split(['\n', '\r']).map(|line| line.chars().count()).collect();
    let length = line.checked_sub(1).and_then(|line| lines.get(line));
    let length = length.unwrap_or_else(|| panic!("line {line} of {}: {problem}", lines.len()));
    assert!((1..=length + 1).contains(&column), "column {column} of {length}: {problem}");
}

/// No problem has a text of the files in it that begins as a webhook's secret does, nor the plain value of a key that names a secret.
fn shows_no_secret(problems: &[Problem], text: &str) {
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
    let keys = text.match_indices("whsec_").map(|(at, begin)| {
        let rest = &text[at + begin.len()..];
        &rest[..rest.find(|c| !is_base64(c)).unwrap_or(rest.len())]
    });
    let values = text.lines().filter_map(|line| {
        let (key, value) = line.split_once(": ")?;
        let key = key.trim_start_matches([' ', '-']);
        ["secret", "password", "token", "api_key"].contains(&key).then_some(value.trim())
    });
    // A shorter one, or one of letters alone, may stand in a message by chance.
    let tells = |secret: &&str| {
        secret.len() >= 8 && secret.chars().all(is_base64) && secret.chars().any(|c| c.is_ascii_digit())
    };
    for secret in keys.chain(values).filter(tells) {
        let shown = problems.iter().find(|Problem { path, message, hint, .. }| {
            [path, message, hint].into_iter().any(|text| text.contains(secret))
        });
        assert!(shown.is_none(), "{secret} is in {shown:?}");
    }
}

fn compiles(config: &Config) {
    let kinds = plugins::all();
    let topics: HashMap<_, _> = config
        .set
        .topics
        .iter()
        .enumerate()
        .map(|(id, topic)| (topic.name.clone(), TopicId(id as i64)))
        .collect();
    let topics = Arc::new(topics);
    let build = |Owned { plugin, owner }: &Owned| -> Result<_, ConfigProblem> {
        let kind = kinds.iter().find(|kind| kind.name() == plugin.name).expect("a kind that there is");
        let context = BuildContext {
            instance: plugin.id,
            owner: owner.clone(),
            services: Services::default()
                .with(WRITER.clone())
                .with(plugins::Consumers::of(&config.served.known))
                .with(plugins::Counters::default()),
            clock: Arc::new(Stopped),
            topics: topics.clone(),
            region: REGION.to_owned(),
            account: ACCOUNT.to_owned(),
            hubs: Vec::new(),
        };
        let plugin = kind.build(&plugin.config, &context)?;
        let id = uuid::Uuid::nil();
        Ok((Scope::default(), Instance { id, kind: kind.name(), priority: kind.priority(), plugin }))
    };
    match gateway::compile::compile(&config.served, &Destinations::default(), build) {
        // Only together are they too large.
        Ok(_) | Err(CompileError::Regexes(_)) => {}
        Err(error) => panic!("the check let through what cannot be compiled: {error:?}"),
    }
    for subscription in config.set.subscriptions.iter().filter(|one| one.protocol.is_push()) {
        let endpoint = subscription.endpoint.parse::<delivery::Endpoint>();
        assert!(endpoint.is_ok(), "{}: {endpoint:?}", subscription.endpoint);
    }
}
