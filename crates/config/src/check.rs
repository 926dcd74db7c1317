//! From texts to a [`Config`], or to all that is wrong.

use std::collections::{HashMap, HashSet};

use entities::{Route, Served, Service};
use event::Timestamp;
use pipeline::{CheckContext, PluginKind};

use crate::loaded::Config;
use crate::problem::{Problems, Report, Spot};
use crate::raw;
use crate::schema;
use crate::tree::{self, Fault, Kind, Node, Place, Source, TreePath};

mod assemble;
mod certificate;
mod consumer;
mod declared;
mod doubts;
mod hub;
mod kong;
mod names;
mod plugin;
mod route;
mod service;

use declared::Declarations;

/// What a configuration is checked with.
pub struct Options<'a> {
    /// The kinds of plug-in that there are.
    pub kinds: &'a [&'a dyn PluginKind],
    /// `--region`.
    pub region: &'a str,
    /// `--account-id`.
    pub account: &'a str,
    /// An environment variable's value, for `{vault://env/NAME}`.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The time of the load: the `created_at` of entities that have none.
    pub now: Timestamp,
}

/// Checks the files, each a name and a text, as one configuration.
///
/// # Errors
/// All that is wrong with them.
pub fn check(files: &[(&str, &str)], options: &Options<'_>) -> Result<Config, Report> {
    let (sources, faults) = parse(files);
    let mut problems = Problems::new(&sources);
    for (file, Fault { place, message, hint }) in &faults {
        let spot = Spot { file: *file, path: TreePath::default() };
        problems.add_at(&spot, *place, message, hint);
    }
    let unread: HashSet<usize> = faults.iter().map(|(file, _)| *file).collect();
    let broken = check_structure(&sources, &unread, &mut problems);
    let declared = Declarations::read(&sources, &broken, &mut problems);
    // A file that could not be read may hold what others refer to: references are then not judged.
    let complete = unread.is_empty();
    let checked = Checked::new(&declared, &sources, options, complete, &mut problems);
    if let Some(report) = problems.into_report() {
        return Err(report);
    }
    let (set, places) = assemble::assemble(checked);
    let served = Served::of(&set);
    let warnings = doubts::find(&served, &set, &declared, &sources, options.kinds);
    Ok(Config { set, served, places, warnings })
}

/// All entities, each with what its check made of it; `None` where it has a problem.
struct Checked {
    services: Vec<Option<Service>>,
    routes: Vec<Option<Route>>,
    consumers: consumer::Checked,
    plugins: Vec<Option<plugin::Checked>>,
    ca_certificates: certificate::Authorities,
    hub: hub::Checked,
}

impl Checked {
    fn new(
        declared: &Declarations,
        sources: &[Source],
        options: &Options<'_>,
        complete: bool,
        problems: &mut Problems<'_>,
    ) -> Self {
        let names = names::Names::new(declared, complete, problems);
        let ca_certificates = certificate::check_all(declared, complete, options.now, problems);
        let services = service::check_all(declared, &ca_certificates, options.now, problems);
        let routes = route::check_all(declared, &names, &services, options.now, problems);
        let consumers = consumer::check_all(declared, &names, options, problems);
        let hub = hub::check_all(declared, &names, options, problems);
        let context =
            CheckContext { topics: names.topic_names(), region: options.region, account: options.account };
        let plugins = plugin::Checker::new(options.kinds, context, sources, &names, complete, options.now)
            .check_all(declared, problems);
        Self { services, routes, consumers, plugins, ca_certificates, hub }
    }
}

/// Reads all texts; a text that is no YAML stands as an empty mapping.
fn parse(files: &[(&str, &str)]) -> (Vec<Source>, Vec<(usize, Fault)>) {
    let mut sources = Vec::with_capacity(files.len());
    let mut faults = Vec::new();
    for (file, (name, text)) in files.iter().enumerate() {
        let root = tree::parse(text).unwrap_or_else(|found| {
            faults.extend(found.into_iter().map(|fault| (file, fault)));
            Node { place: Place::START, kind: Kind::Map(Vec::new()) }
        });
        sources.push(Source { name: (*name).to_owned(), root });
    }
    (sources, faults)
}

/// The entities (or documents, an empty path) that do not fit the schema, each with its keys that do not.
type Broken = HashMap<(usize, TreePath), HashSet<String>>;

/// Holds every file against the schema.
fn check_structure(sources: &[Source], unread: &HashSet<usize>, problems: &mut Problems<'_>) -> Broken {
    let schema = schemars::schema_for!(raw::File).to_value();
    let mut broken = Broken::new();
    for (file, source) in sources.iter().enumerate().filter(|(file, _)| !unread.contains(file)) {
        let top = Spot { file, path: TreePath::default() };
        if matches!(source.root.kind, Kind::Null) {
            problems.add(&top, "the file is empty", "begin it with `_format_version: \"3.0\"`");
            continue;
        }
        for Spot { file, path } in schema::validate(&schema, &source.root, &top, problems) {
            let entity = declared::entity_of(&path);
            let key = path.key_behind(&entity).map(str::to_owned);
            broken.entry((file, entity)).or_default().extend(key);
        }
    }
    problems.set_partial(broken.keys().cloned());
    broken
}

#[cfg(test)]
mod tests;
