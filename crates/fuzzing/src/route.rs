//! Routes as targets need them: a name, paths, and nothing else.

use entities::{PathForwarding, PathHandling};
use gateway::table::{PathPattern, Route};
use pipeline::{Chains, RouteFacts};
use serde_json::value::RawValue;

/// A route of all hosts and methods, without a service.
pub fn route(name: String, paths: Vec<PathPattern>, strip_path: bool) -> Route {
    let facts = RouteFacts { service: "service".into(), route: name.clone(), api: RawValue::NULL.to_owned() };
    Route {
        name,
        hosts: Vec::new(),
        paths,
        methods: Vec::new(),
        regex_priority: 0,
        strip_path,
        path_handling: PathHandling::V0,
        path_forwarding: PathForwarding::Raw,
        preserve_host: false,
        rewrites: Default::default(),
        request_buffering: true,
        https_only: None,
        service: None,
        chains: Chains::default(),
        facts,
        number: Default::default(),
    }
}
