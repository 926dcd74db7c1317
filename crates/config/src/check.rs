//! From the texts of files to a [`Config`], or to a report of everything that is wrong.

use std::collections::{HashMap, HashSet};

use entities::{Route, Served, Service};
use event::Timestamp;
use pipeline::{CheckContext, PluginKind};
use serde_json::Value;

use crate::dialect;
use crate::foreign;
use crate::loaded::Config;
use crate::problem::{Doubt, Problems, Report, Spot};
use crate::raw;
use crate::schema;
use crate::tree::{self, Fault, Kind, Node, Place, Source, TreePath};
use crate::variables::{self, Unset, Variables};

mod assemble;
mod certificate;
mod consumer;
mod declared;
mod doubts;
mod hub;
mod ids;
mod kong;
mod names;
mod plugin;
mod remote;
mod route;
mod service;
mod skip;
mod upstream;

use declared::Declarations;
pub use remote::stand_in;
pub use skip::Tolerance;

/// What a check needs besides the files.
pub struct Options<'a> {
    /// All kinds of plug-in.
    pub kinds: &'a [&'a dyn PluginKind],
    /// `--region`.
    pub region: &'a str,
    /// `--account-id`.
    pub account: &'a str,
    /// The addresses of the gateway's own SNS API, `host:port`.
    pub hubs: &'a [String],
    /// Looks up an environment variable.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The time of the check: the `created_at` of entities without one.
    pub now: Timestamp,
    /// What is a warning instead of a problem.
    pub tolerance: Tolerance<'a>,
}

/// Checks the files, each a name and a text, as one configuration.
///
/// # Errors
/// Everything that is wrong with them.
pub fn check(files: &[(&str, &str)], options: &Options<'_>) -> Result<Config, Report> {
    let (mut sources, faults) = parse(files, |_, text| tree::parse(text));
    check_trees(&mut sources, &faults, options)
}

/// Checks files of which the trees are known; each of `faults` has the index of its file, whose tree does not count.
pub(crate) fn check_trees(
    sources: &mut [Source],
    faults: &[(usize, Fault)],
    options: &Options<'_>,
) -> Result<Config, Report> {
    let schema = raw::schema();
    let variables = fill(sources, &schema, options);
    let mut doubted = dialect::translate(sources);
    let sources = &*sources;
    let mut problems = Problems::new(sources).with(&variables);
    unset(&variables, options, &mut problems, &mut doubted);
    for (file, Fault { place, message, hint }) in faults {
        let spot = Spot { file: *file, path: TreePath::default() };
        problems.add_at(&spot, *place, message, hint);
    }
    let unread: HashSet<usize> = faults.iter().map(|(file, _)| *file).collect();
    let broken = check_structure(&schema, sources, &unread, &mut problems);
    let declared = Declarations::read(sources, &broken, &mut problems);
    // A file that could not be read may have the entities that others refer to, so references are then not checked.
    let complete = unread.is_empty();
    let checked = Checked::new(&declared, sources, options, complete, &mut problems);
    if let Some(report) = problems.into_report() {
        let doubts = Problems::new(sources).with(&variables);
        let warnings = doubts::of_files(doubted, &declared, sources, options, doubts);
        return Err(report.beside(warnings));
    }
    let ids = ids::of(&checked, &declared);
    let (set, places, plugins) = assemble::assemble(checked);
    let mut problems = Problems::new(sources).with(&variables);
    ids::claim(ids, &plugins, &declared, &mut problems);
    let served = Served::of(&set);
    let seen = doubts::Seen { served: &served, set: &set, plugins: &plugins, declared: &declared };
    let doubts = Problems::new(sources).with(&variables);
    let warnings = doubts::find(doubted, &seen, sources, options, doubts);
    if let Some(report) = problems.into_report() {
        return Err(report.beside(warnings));
    }
    Ok(Config { set, served, places, warnings })
}

/// Replaces the variables in the files by their values.
fn fill(sources: &mut [Source], schema: &Value, options: &Options<'_>) -> Variables {
    let kind = |name: &str| options.kinds.iter().find(|kind| kind.name() == name);
    let templates = |name: &str| kind(name).map(|kind| kind.templates());
    let found = variables::fill(sources, options.env, options.tolerance.unset_variables, &templates);
    if found.are_some() {
        let of_plugins = options.kinds.iter().map(|kind| (kind.name(), kind.schema().to_value()));
        variables::give_types(sources, &found, schema, &of_plugins.collect());
    }
    found
}

/// Reports the variables that are not set, and values that cannot be replaced.
fn unset(
    variables: &Variables,
    options: &Options<'_>,
    problems: &mut Problems<'_>,
    doubted: &mut Vec<Doubt>,
) {
    for (spot, message, hint) in &variables.faults {
        problems.say(spot, *message, *hint);
    }
    for Unset { name, first, places } in &variables.unset {
        let message = format!("the environment variable {name} is not set");
        let more = if *places > 1 { format!("; it is used in {places} places") } else { String::new() };
        if options.tolerance.unset_variables {
            let hint = format!("`run` refuses that: start it with {name}=… in the environment{more}");
            doubted.push(Doubt { spot: first.clone(), message, hint });
        } else {
            problems.say(first, message, format!("start with {name}=… in the environment{more}"));
        }
    }
}

/// All entities after their checks; `None` for one with a problem.
struct Checked {
    services: Vec<Option<Service>>,
    routes: Vec<Option<Route>>,
    consumers: consumer::Checked,
    upstreams: upstream::Checked,
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
        let upstreams = upstream::check_all(declared, &names, options.now, problems);
        let mut hub = hub::check_all(declared, &names, options, problems);
        let Options { region, account, hubs, .. } = *options;
        let context = CheckContext { topics: names.topic_names(), region, account, hubs };
        let plugins =
            plugin::Checker::new(options, context, sources, &names, complete).check_all(declared, problems);
        remote::add(&plugins, declared, (options, &context), &mut hub, problems);
        Self { services, routes, consumers, upstreams, plugins, ca_certificates, hub }
    }
}

/// Reads all texts with `read`, which gets the index of each; a text that is not YAML counts as an empty mapping.
pub(crate) fn parse(
    files: &[(&str, &str)],
    mut read: impl FnMut(usize, &str) -> Result<Node, Vec<Fault>>,
) -> (Vec<Source>, Vec<(usize, Fault)>) {
    let mut sources = Vec::with_capacity(files.len());
    let mut faults = Vec::new();
    for (file, (name, text)) in files.iter().enumerate() {
        let root = read(file, text).and_then(|root| match foreign::recognise(&root) {
            Some(fault) => Err(vec![fault]),
            None => Ok(root),
        });
        let root = root.unwrap_or_else(|found| {
            faults.extend(found.into_iter().map(|fault| (file, fault)));
            Node { place: Place::START, kind: Kind::Map(Vec::new()) }
        });
        sources.push(Source::new(name, root));
    }
    (sources, faults)
}

/// The entities that do not fit the schema (or a document, with an empty path), each with the keys that do not fit.
type Broken = HashMap<(usize, TreePath), HashSet<String>>;

/// Checks every file against the schema.
fn check_structure(
    schema: &Value,
    sources: &[Source],
    unread: &HashSet<usize>,
    problems: &mut Problems<'_>,
) -> Broken {
    let mut broken = Broken::new();
    for (file, source) in sources.iter().enumerate().filter(|(file, _)| !unread.contains(file)) {
        let top = Spot { file, path: TreePath::default() };
        if matches!(source.root.kind, Kind::Null) {
            problems.add(&top, "the file is empty", "begin it with `_format_version: \"3.0\"`");
            continue;
        }
        for Spot { file, path } in schema::validate(schema, &source.root, &top, problems) {
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
