//! The entities of all files in their order, nested ones included.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::Broken;
use crate::problem::{Problems, Spot};
use crate::raw;
use crate::tree::{Node, Reading, Source, TreePath};

/// The lists that contain entities.
const LISTS: [&str; 12] = [
    "services",
    "routes",
    "consumers",
    "keyauth_credentials",
    "acls",
    "consumer_groups",
    "upstreams",
    "targets",
    "plugins",
    "topics",
    "subscriptions",
    "queues",
];

/// A list of entities at the top of a file. Under a service, a list of the same name has references to them.
const AUTHORITIES: &str = "ca_certificates";

/// The entity that contains this path; the document if none does.
pub(super) fn entity_of(path: &TreePath) -> TreePath {
    let authority = path.within(&[AUTHORITIES]);
    if authority == TreePath::default() { path.within(&LISTS) } else { authority }
}

/// Keys that decide what the rest of an entity means: an entity in which one of them does not fit is not read at all.
const DECISIVE: [&str; 5] = ["service", "route", "consumer", "consumer_group", "format"];

/// An entity as it is in the file.
pub(super) struct Declared<T> {
    pub(super) spot: Spot,
    /// The name, if it is a text; known even if the rest does not fit.
    pub(super) name: Option<String>,
    /// `None` if the structure fits so badly that the rest cannot be checked.
    pub(super) raw: Option<T>,
}

/// An entity and the index of the declared entity under which it is written.
pub(super) struct Nested<T> {
    pub(super) entity: Declared<T>,
    pub(super) parent: Option<usize>,
}

/// A plug-in and the entity under which it is written.
pub(super) struct DeclaredPlugin {
    pub(super) entity: Declared<raw::Plugin>,
    pub(super) under: Under,
}

/// The entity under which a plug-in is written.
#[derive(Clone, Copy)]
pub(super) enum Under {
    /// None: it is at the top of the file.
    Top,
    /// The service of this index.
    Service(usize),
    /// The route of this index.
    Route(usize),
    /// The consumer of this index.
    Consumer(usize),
}

/// All entities of all files.
#[derive(Default)]
pub(super) struct Declarations {
    pub(super) services: Vec<Declared<raw::Service>>,
    pub(super) routes: Vec<Nested<raw::Route>>,
    pub(super) consumers: Vec<Declared<raw::Consumer>>,
    pub(super) keys: Vec<Nested<raw::KeyAuthCredential>>,
    pub(super) acls: Vec<Nested<raw::Acl>>,
    pub(super) consumer_groups: Vec<Declared<raw::ConsumerGroup>>,
    pub(super) upstreams: Vec<Declared<raw::Upstream>>,
    pub(super) targets: Vec<Nested<raw::Target>>,
    pub(super) plugins: Vec<DeclaredPlugin>,
    pub(super) ca_certificates: Vec<Declared<raw::CaCertificate>>,
    pub(super) topics: Vec<Declared<raw::Topic>>,
    pub(super) subscriptions: Vec<Nested<raw::Subscription>>,
    pub(super) queues: Vec<Declared<raw::Queue>>,
}

impl Declarations {
    pub(super) fn read(sources: &[Source], broken: &Broken, problems: &mut Problems<'_>) -> Self {
        let mut all = Self::default();
        let mut reader = Reader { broken, problems };
        for (file, source) in sources.iter().enumerate() {
            let top = Spot { file, path: TreePath::default() };
            let root = &source.root;
            for (spot, node) in each(root, &top, "services") {
                all.service(&mut reader, spot, node);
            }
            all.routes(&mut reader, root, &top, None);
            for (spot, node) in each(root, &top, "consumers") {
                all.consumer(&mut reader, spot, node);
            }
            all.credentials(&mut reader, root, &top, None);
            for (spot, node) in each(root, &top, "consumer_groups") {
                all.consumer_groups.push(reader.entity(spot, node, &[]));
            }
            for (spot, node) in each(root, &top, "upstreams") {
                all.targets(&mut reader, node, &spot, Some(all.upstreams.len()));
                all.upstreams.push(reader.entity(spot, node, &["targets"]));
            }
            all.targets(&mut reader, root, &top, None);
            all.plugins(&mut reader, root, &top, Under::Top);
            for (spot, node) in each(root, &top, AUTHORITIES) {
                all.ca_certificates.push(reader.entity(spot, node, &[]));
            }
            for (spot, node) in each(root, &top, "topics") {
                all.subscriptions(&mut reader, node, &spot, Some(all.topics.len()));
                all.topics.push(reader.entity(spot, node, &["subscriptions"]));
            }
            all.subscriptions(&mut reader, root, &top, None);
            for (spot, node) in each(root, &top, "queues") {
                all.queues.push(reader.entity(spot, node, &[]));
            }
        }
        all
    }

    fn service(&mut self, reader: &mut Reader<'_, '_>, spot: Spot, node: &Node) {
        let index = self.services.len();
        self.routes(reader, node, &spot, Some(index));
        self.plugins(reader, node, &spot, Under::Service(index));
        self.services.push(reader.entity(spot, node, &["routes", "plugins"]));
    }

    fn routes(&mut self, reader: &mut Reader<'_, '_>, parent: &Node, spot: &Spot, service: Option<usize>) {
        for (spot, node) in each(parent, spot, "routes") {
            self.plugins(reader, node, &spot, Under::Route(self.routes.len()));
            self.routes.push(Nested { entity: reader.entity(spot, node, &["plugins"]), parent: service });
        }
    }

    fn consumer(&mut self, reader: &mut Reader<'_, '_>, spot: Spot, node: &Node) {
        let index = self.consumers.len();
        self.credentials(reader, node, &spot, Some(index));
        self.plugins(reader, node, &spot, Under::Consumer(index));
        let without = ["keyauth_credentials", "acls", "plugins"];
        let name = node.get("username").and_then(Node::text).map(str::to_owned);
        self.consumers.push(Declared { name, ..reader.entity(spot, node, &without) });
    }

    fn credentials(&mut self, reader: &mut Reader<'_, '_>, parent: &Node, spot: &Spot, of: Option<usize>) {
        for (spot, node) in each(parent, spot, "keyauth_credentials") {
            self.keys.push(Nested { entity: reader.entity(spot, node, &[]), parent: of });
        }
        for (spot, node) in each(parent, spot, "acls") {
            self.acls.push(Nested { entity: reader.entity(spot, node, &[]), parent: of });
        }
    }

    fn targets(&mut self, reader: &mut Reader<'_, '_>, parent: &Node, spot: &Spot, upstream: Option<usize>) {
        for (spot, node) in each(parent, spot, "targets") {
            self.targets.push(Nested { entity: reader.entity(spot, node, &[]), parent: upstream });
        }
    }

    fn plugins(&mut self, reader: &mut Reader<'_, '_>, parent: &Node, spot: &Spot, under: Under) {
        for (spot, node) in each(parent, spot, "plugins") {
            self.plugins.push(DeclaredPlugin { entity: reader.entity(spot, node, &["config"]), under });
        }
    }

    fn subscriptions(
        &mut self,
        reader: &mut Reader<'_, '_>,
        parent: &Node,
        spot: &Spot,
        topic: Option<usize>,
    ) {
        for (spot, node) in each(parent, spot, "subscriptions") {
            self.subscriptions.push(Nested { entity: reader.entity(spot, node, &[]), parent: topic });
        }
    }
}

/// The elements of one list of a mapping.
fn each<'n>(parent: &'n Node, spot: &Spot, list: &str) -> impl Iterator<Item = (Spot, &'n Node)> {
    let spot = spot.key(list);
    let items = parent.get(list).map_or(&[][..], Node::items);
    items.iter().enumerate().map(move |(index, node)| (spot.index(index), node))
}

struct Reader<'r, 'p> {
    broken: &'r Broken,
    problems: &'r mut Problems<'p>,
}

impl Reader<'_, '_> {
    /// Reads an entity without some of its keys and without those whose structure does not fit.
    fn entity<T>(&mut self, spot: Spot, node: &Node, without: &[&str]) -> Declared<T>
    where
        T: DeserializeOwned + JsonSchema,
    {
        let name = node.get("name").and_then(Node::text).map(str::to_owned);
        // These keys were checked against the schema and ask for nothing.
        let without: Vec<_> =
            without.iter().copied().chain(raw::not_yet::keys_of(&T::schema_name())).collect();
        let without = &without[..];
        let raw = match self.broken.get(&(spot.file, spot.path.clone())) {
            None => self.fill(&spot, node, without),
            Some(keys) if DECISIVE.iter().any(|key| keys.contains(*key)) => None,
            Some(keys) => {
                let without: Vec<_> =
                    without.iter().copied().chain(keys.iter().map(String::as_str)).collect();
                // Keys that are missing were reported with the structure.
                T::deserialize(Reading::new(node, &without)).ok()
            }
        };
        Declared { spot, name, raw }
    }

    fn fill<T: DeserializeOwned>(&mut self, spot: &Spot, node: &Node, without: &[&str]) -> Option<T> {
        if let Ok(filled) = T::deserialize(Reading::new(node, without)) {
            return Some(filled);
        }
        // Once more, to find out where it fails: that takes longer than to read it.
        let filled = serde_path_to_error::deserialize(Reading::new(node, without));
        // The schema is made from the same struct. If the schema fits and the struct cannot be filled, that is a bug in Retrohook.
        filled
            .map_err(|error: serde_path_to_error::Error<serde_json::Error>| {
                let hint = "this is a bug in Retrohook: please report it";
                // The error's own text is left out because it quotes values.
                self.problems.add(spot, format!("cannot be read at `{}`", error.path()), hint);
            })
            .ok()
    }
}
