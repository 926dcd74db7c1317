//! What every kind of plug-in must keep, whatever it does.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use event::timestamp::Clock;
use event::{EventId, Timestamp, TopicId};
use http::Version;
use pipeline::context::{Carried, Inbound, PluginData, RouteFacts, RouteRef, Routes, Scheme};
use pipeline::{BuildContext, CheckContext, Context, PluginKind, Services, conformance};
use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use storage::memory::Memory;
use storage::retention::Retention;
use storage::{Feed, Writer};

fn folder(kind: &dyn PluginKind) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(kind.name().replace('-', "_"))
}

fn json(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(flag)) => Value::from(*flag),
        Yaml::Value(Scalar::Integer(number)) => Value::from(*number),
        Yaml::Value(Scalar::String(text)) => Value::from(text.as_ref()),
        Yaml::Sequence(elements) => elements.iter().map(json).collect(),
        Yaml::Mapping(members) => {
            let member = |(name, value): (&Yaml<'_>, &Yaml<'_>)| {
                (name.as_str().expect("a name").to_owned(), json(value))
            };
            Value::Object(members.iter().map(member).collect::<Map<_, _>>())
        }
        other => panic!("no example needs {other:?}"),
    }
}

fn example(kind: &dyn PluginKind) -> Value {
    let documents = Yaml::load_from_str(kind.example()).expect("the example is YAML");
    assert_eq!(documents.len(), 1, "{}", kind.name());
    json(&documents[0])
}

/// The `config` of every plug-in of this kind, wherever in the file it stands.
fn configs<'a>(kind: &dyn PluginKind, value: &'a Value) -> Vec<&'a Value> {
    let mut found = Vec::new();
    if value["name"] == kind.name() {
        found.extend(value.get("config"));
    }
    let children: Vec<&Value> = match value {
        Value::Object(members) => members.values().collect(),
        Value::Array(elements) => elements.iter().collect(),
        _ => Vec::new(),
    };
    found.extend(children.into_iter().flat_map(|child| configs(kind, child)));
    found
}

fn names(list: &Value) -> Vec<String> {
    let entries = list.as_array().into_iter().flatten();
    entries.filter_map(|entry| entry["name"].as_str()).map(str::to_owned).collect()
}

#[test]
fn every_kind_has_its_folder_and_every_folder_its_kind() {
    let listed: HashSet<PathBuf> = super::all().into_iter().map(folder).collect();
    assert_eq!(listed.len(), super::all().len(), "two kinds have one name");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let entries = std::fs::read_dir(source).unwrap().map(|entry| entry.unwrap().path());
    let present: HashSet<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    assert_eq!(listed, present);
}

#[test]
fn every_example_passes_its_own_check() {
    for kind in super::all() {
        let example = example(kind);
        let topics = names(&example["topics"]);
        let context =
            CheckContext { topics: &topics, region: "us-east-1", account: "000000000000", hubs: &[] };
        let configs = configs(kind, &example);
        assert!(!configs.is_empty(), "the example of {} configures none", kind.name());
        for config in configs {
            assert_eq!(kind.check(config, &context), [], "{}", kind.name());
        }
    }
}

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000)
    }

    fn uptime(&self) -> Duration {
        Duration::ZERO
    }
}

/// For kinds that need no store.
pub(crate) fn stopped() -> BuildContext {
    BuildContext {
        instance: uuid::Uuid::from_u128(1),
        owner: "service".into(),
        services: Services::default().with(super::Consumers::default()).with(super::Counters::default()),
        clock: Arc::new(Stopped),
        topics: Arc::default(),
        region: "us-east-1".into(),
        account: "000000000000".into(),
        hubs: Vec::new(),
    }
}

/// An exchange on a route of the service `service`.
pub(crate) fn context() -> Context {
    let route =
        RouteFacts { service: "service".into(), route: "route".into(), api: RawValue::NULL.to_owned() };
    let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let (scheme, version) = (Scheme::Http, Version::HTTP_11);
    Context {
        id: EventId::from_bytes([7; 16]),
        started_at: Stopped.now(),
        started: Instant::now(),
        inbound: Inbound { scheme, version, peer: at(40_000), local: at(8_000) },
        client: at(0).ip(),
        accept: None,
        route: Some(RouteRef::new(Rc::new(TheRoute(route)), 0)),
        consumer: None,
        credential: None,
        carried: Carried::default(),
        data: PluginData::default(),
    }
}

struct TheRoute(RouteFacts);

impl Routes for TheRoute {
    fn facts(&self, _: usize) -> &RouteFacts {
        &self.0
    }
}

/// Over a store that keeps everything.
fn build_context(topics: &[String]) -> BuildContext {
    let config = storage::writer::Config {
        backend: Memory::default().open().backend,
        feed: Feed::default(),
        clock: Arc::new(Stopped),
        retention: Retention::default(),
        vitals: storage::vital::vitals().0,
    };
    let (writer, _) = Writer::spawn(config).unwrap();
    let stopped = stopped();
    BuildContext {
        services: stopped.services.with(writer),
        topics: Arc::new(topics.iter().cloned().zip((1..).map(TopicId)).collect()),
        ..stopped
    }
}

#[test]
fn every_kind_passes_the_conformance_suite() {
    for kind in super::all() {
        let example = example(kind);
        let topics = names(&example["topics"]);
        let check = CheckContext { topics: &topics, region: "us-east-1", account: "000000000000", hubs: &[] };
        let build = build_context(&topics);
        for config in configs(kind, &example) {
            conformance::check(kind, config, &check, &build, Instant::now());
        }
    }
}

/// What a kind asks of the node is there, or the configuration is refused: no plug-in runs without it.
#[test]
fn no_kind_is_built_without_what_its_roles_need() {
    for kind in super::all().into_iter().filter(|kind| kind.roles().record) {
        let example = example(kind);
        let topics = names(&example["topics"]);
        let build = BuildContext { services: Services::default(), ..build_context(&topics) };
        let problem = kind.build(configs(kind, &example)[0], &build).unwrap_err();
        assert!(problem.message.contains("Writer"), "{}: {problem}", kind.name());
    }
}

#[test]
fn every_kind_refuses_unknown_keys() {
    for kind in super::all() {
        let schema = kind.schema().to_value();
        assert_eq!(schema["additionalProperties"], false, "{}", kind.name());
        let example = example(kind);
        let topics = names(&example["topics"]);
        let context =
            CheckContext { topics: &topics, region: "us-east-1", account: "000000000000", hubs: &[] };
        let mut config = configs(kind, &example)[0].clone();
        config["no_such_option"] = Value::from(1);
        let problems = kind.check(&config, &context);
        assert_eq!(problems.len(), 1, "{}", kind.name());
        assert!(problems[0].message.contains("no_such_option"), "{}", problems[0].message);
    }
}

#[test]
fn every_schema_is_the_one_that_is_checked_in() {
    for kind in super::all() {
        let path = folder(kind).join("schema.json");
        let mut current = serde_json::to_string_pretty(&kind.schema()).unwrap();
        current.push('\n');
        if std::env::var_os("UPDATE_GENERATED").is_some_and(|value| value == "1") {
            std::fs::write(&path, &current).unwrap();
        }
        let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            checked_in == current,
            "{} is not what the code makes; run UPDATE_GENERATED=1 cargo test -p plugins",
            path.display()
        );
    }
}

/// Every option of a schema, nested ones too, that has no description.
fn undocumented(schema: &Value, at: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let at = format!("{at}/{name}");
        if property["description"].as_str().is_none_or(str::is_empty) {
            found.push(at.clone());
        }
        found.extend(undocumented(property, &at));
    }
    if let Some(items) = schema.get("items") {
        found.extend(undocumented(items, &format!("{at}/*")));
    }
    found
}

#[test]
fn every_kind_is_documented() {
    for kind in super::all() {
        let manual = std::fs::read_to_string(folder(kind).join("mod.rs")).unwrap();
        let pages = manual.lines().take_while(|line| line.starts_with("//!")).count();
        assert!(manual.starts_with(&format!("//! # {}\n", kind.name())), "{}: no title", kind.name());
        assert!(pages >= 10, "{}: the manual page is too short to help", kind.name());
        let schema = kind.schema().to_value();
        assert!(schema["description"].as_str().is_some_and(|text| !text.is_empty()));
        assert_eq!(undocumented(&schema, ""), Vec::<String>::new(), "{}", kind.name());
    }
}

/// The keywords that the reader of files holds a configuration against, and those that only tell.
const UNDERSTOOD: [&str; 28] = [
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "enum",
    "const",
    "oneOf",
    "anyOf",
    "$ref",
    "$defs",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "pattern",
    "writeOnly",
    "x-not-yet",
    "x-not-yet-values",
    "x-not-yet-hint",
    "title",
    "description",
    "default",
    "format",
    "$schema",
    "deprecated",
];

fn keywords(schema: &Value, found: &mut HashSet<String>) {
    for (keyword, value) in schema.as_object().into_iter().flatten() {
        found.insert(keyword.clone());
        match keyword.as_str() {
            "properties" | "$defs" => {
                value.as_object().into_iter().flatten().for_each(|(_, schema)| keywords(schema, found));
            }
            "oneOf" | "anyOf" => {
                value.as_array().into_iter().flatten().for_each(|schema| keywords(schema, found))
            }
            "items" | "additionalProperties" => keywords(value, found),
            _ => {}
        }
    }
}

#[test]
fn every_keyword_of_a_schema_is_understood_where_files_are_read() {
    for kind in super::all() {
        let mut found = HashSet::new();
        keywords(&kind.schema().to_value(), &mut found);
        let unknown: Vec<_> =
            found.iter().filter(|keyword| !UNDERSTOOD.contains(&keyword.as_str())).collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", kind.name());
    }
}
