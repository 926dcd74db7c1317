//! All entities of a node: those of its files, those of its APIs, and both together.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use entities::{Entity, Item, Kind, Origin, Plugin, Protocol, Route, Served, Service, Set};
use uuid::Uuid;

/// All entities of a node.
#[derive(Clone, Debug, Default)]
pub struct Whole {
    /// What files declare.
    file: Set,
    /// What APIs made.
    api: Set,
    /// Both; the files' first.
    all: Arc<Set>,
    /// What requests find of it.
    served: Arc<Served>,
}

/// An entity that an API made and a file declares now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// Of what kind it is.
    pub kind: Kind,
    /// What messages call it.
    pub label: String,
    /// The id that it keeps.
    pub id: Uuid,
}

/// An entity that an API made, and that refers to one which no file declares any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dangling {
    /// Of what kind it is.
    pub kind: Kind,
    /// What messages call it.
    pub label: String,
    /// Of what kind the missing one is.
    pub missing: Kind,
    /// The missing one's id, or its name where names are referred to.
    pub reference: Reference,
}

/// How an entity refers to another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// By its id.
    Id(Uuid),
    /// By its bare name.
    Name(String),
}

impl Whole {
    /// Puts both together. What an API made and a file declares now, by id or by what makes it the same one, is the file's from now on: it keeps
    /// its id, and whatever refers to it still does.
    pub fn merge(mut file: Set, mut api: Set) -> (Self, Vec<Adopted>) {
        let mut adopted = Vec::new();
        let mut ids = HashMap::new();
        adopt(&mut file.ca_certificates, &mut api.ca_certificates, &mut adopted, &mut ids);
        refer(&mut file, &ids);
        adopt(&mut file.services, &mut api.services, &mut adopted, &mut ids);
        refer(&mut file, &ids);
        adopt(&mut file.routes, &mut api.routes, &mut adopted, &mut ids);
        refer(&mut file, &ids);
        adopt(&mut file.plugins, &mut api.plugins, &mut adopted, &mut ids);
        adopt(&mut file.topics, &mut api.topics, &mut adopted, &mut ids);
        adopt(&mut file.queues, &mut api.queues, &mut adopted, &mut ids);
        adopt(&mut file.subscriptions, &mut api.subscriptions, &mut adopted, &mut ids);
        (Self::of(file, api), adopted)
    }

    /// Puts both together as they are.
    pub(crate) fn of(file: Set, api: Set) -> Self {
        let all = Set {
            ca_certificates: joined(&file.ca_certificates, &api.ca_certificates),
            services: joined(&file.services, &api.services),
            routes: joined(&file.routes, &api.routes),
            plugins: joined(&file.plugins, &api.plugins),
            topics: joined(&file.topics, &api.topics),
            queues: joined(&file.queues, &api.queues),
            subscriptions: joined(&file.subscriptions, &api.subscriptions),
        };
        let served = Arc::new(Served::of(&all));
        Self { file, api, all: Arc::new(all), served }
    }

    /// What files declare.
    pub fn file(&self) -> &Set {
        &self.file
    }

    /// What APIs made.
    pub fn api(&self) -> &Set {
        &self.api
    }

    /// All of it.
    pub fn all(&self) -> &Arc<Set> {
        &self.all
    }

    /// What requests find of it.
    pub fn served(&self) -> &Arc<Served> {
        &self.served
    }

    /// What APIs made that refers to something which is not there.
    pub fn dangling(&self) -> Vec<Dangling> {
        let authorities: HashSet<Uuid> = self.all.ca_certificates.iter().map(|one| one.id).collect();
        let services: HashSet<Uuid> = self.all.services.iter().map(|one| one.id).collect();
        let routes: HashSet<Uuid> = self.all.routes.iter().map(|one| one.id).collect();
        let topics: HashSet<&str> = self.all.topics.iter().map(|one| one.name.as_str()).collect();
        let mut found = Vec::new();
        let mut miss = |kind, label: String, missing, reference| {
            found.push(Dangling { kind, label, missing, reference });
        };
        for service in &self.api.services {
            for id in service.ca_certificates.iter().filter(|id| !authorities.contains(id)) {
                miss(Kind::Service, service.label(), Kind::CaCertificate, Reference::Id(*id));
            }
        }
        for route in self.api.routes.iter().filter(|route| !services.contains(&route.service)) {
            miss(Kind::Route, route.label(), Kind::Service, Reference::Id(route.service));
        }
        for plugin in &self.api.plugins {
            if let Some(id) = plugin.service.filter(|id| !services.contains(id)) {
                miss(Kind::Plugin, plugin.label(), Kind::Service, Reference::Id(id));
            }
            if let Some(id) = plugin.route.filter(|id| !routes.contains(id)) {
                miss(Kind::Plugin, plugin.label(), Kind::Route, Reference::Id(id));
            }
        }
        for one in self.api.subscriptions.iter().filter(|one| !topics.contains(one.topic.as_str())) {
            miss(Kind::Subscription, one.label(), Kind::Topic, Reference::Name(one.topic.clone()));
        }
        let queues: HashSet<&str> = self.all.queues.iter().map(|one| one.name.as_str()).collect();
        let to_queues = self.api.subscriptions.iter().filter(|one| one.protocol == Protocol::Sqs);
        for one in to_queues.filter(|one| !queues.contains(one.endpoint.as_str())) {
            miss(Kind::Subscription, one.label(), Kind::Queue, Reference::Name(one.endpoint.clone()));
        }
        found
    }

    /// Keeps, as made by an API, what `before` had of files and what is referred to. Returns what was kept. What is missing even there stays
    /// missing.
    pub fn keep_referred(self, before: &Set) -> (Self, Vec<Entity>) {
        let Self { file, mut api, .. } = self;
        let mut kept = Vec::new();
        loop {
            let whole = Self::of(file.clone(), api.clone());
            let count = kept.len();
            for Dangling { missing, reference, .. } in whole.dangling() {
                keep(&mut api, before, missing, &reference, &mut kept);
            }
            if kept.len() == count {
                return (whole, kept);
            }
        }
    }

    /// Who of all refers to the entity: kind and label of each.
    pub fn users(&self, kind: Kind, id: Uuid) -> Vec<(Kind, String)> {
        let all = &self.all;
        let mut users = Vec::new();
        match kind {
            Kind::CaCertificate => {
                let services = all.services.iter().filter(|one| one.ca_certificates.contains(&id));
                users.extend(services.map(|one| (Kind::Service, one.label())));
            }
            Kind::Service => {
                let routes = all.routes.iter().filter(|one| one.service == id);
                users.extend(routes.map(|one| (Kind::Route, one.label())));
                let plugins = all.plugins.iter().filter(|one| one.service == Some(id));
                users.extend(plugins.map(|one| (Kind::Plugin, one.label())));
            }
            Kind::Route => {
                let plugins = all.plugins.iter().filter(|one| one.route == Some(id));
                users.extend(plugins.map(|one| (Kind::Plugin, one.label())));
            }
            Kind::Topic => {
                let name = all.topics.iter().find(|one| one.id == id).map(|one| one.name.as_str());
                let subscriptions = all.subscriptions.iter().filter(|one| Some(one.topic.as_str()) == name);
                users.extend(subscriptions.map(|one| (Kind::Subscription, one.label())));
            }
            Kind::Queue => {
                let name = all.queues.iter().find(|one| one.id == id).map(|one| one.name.as_str());
                let to_queues = all.subscriptions.iter().filter(|one| one.protocol == Protocol::Sqs);
                let to_it = to_queues.filter(|one| Some(one.endpoint.as_str()) == name);
                users.extend(to_it.map(|one| (Kind::Subscription, one.label())));
            }
            Kind::Plugin | Kind::Subscription => {}
        }
        users
    }
}

fn joined<T>(file: &[Arc<T>], api: &[Arc<T>]) -> Vec<Arc<T>> {
    file.iter().chain(api).cloned().collect()
}

/// Gives the file's entities the ids of those that an API made and that are the same, and takes these out.
fn adopt<T: Item>(
    file: &mut [Arc<T>],
    api: &mut Vec<Arc<T>>,
    adopted: &mut Vec<Adopted>,
    ids: &mut HashMap<Uuid, Uuid>,
) {
    if api.is_empty() {
        return;
    }
    let by_id: HashMap<Uuid, usize> = api.iter().enumerate().map(|(index, one)| (one.id(), index)).collect();
    let by_key: HashMap<T::Key, usize> =
        api.iter().enumerate().filter_map(|(index, one)| Some((one.key()?, index))).collect();
    let mut gone = HashSet::new();
    for one in file {
        let same = by_id.get(&one.id()).or_else(|| by_key.get(&one.key()?)).copied();
        let Some(index) = same.filter(|index| gone.insert(*index)) else { continue };
        let id = api[index].id();
        adopted.push(Adopted { kind: T::KIND, label: one.label(), id });
        if one.id() != id {
            ids.insert(one.id(), id);
            *one = Arc::new((**one).clone().owned(id, Origin::File));
        }
    }
    let mut index = 0..;
    api.retain(|_| !index.next().is_some_and(|index| gone.contains(&index)));
}

/// Has services, routes and plug-ins refer to what has another id now.
fn refer(set: &mut Set, ids: &HashMap<Uuid, Uuid>) {
    if ids.is_empty() {
        return;
    }
    for service in &mut set.services {
        if service.ca_certificates.iter().any(|id| ids.contains_key(id)) {
            let now = service.ca_certificates.iter().map(|id| ids.get(id).copied().unwrap_or(*id)).collect();
            *service = Arc::new(Service { ca_certificates: now, ..(**service).clone() });
        }
    }
    for route in &mut set.routes {
        if let Some(service) = ids.get(&route.service) {
            *route = Arc::new(Route { service: *service, ..(**route).clone() });
        }
    }
    let now = |id: Option<Uuid>| id.map(|id| ids.get(&id).copied().unwrap_or(id));
    for plugin in &mut set.plugins {
        let (service, route) = (now(plugin.service), now(plugin.route));
        if (service, route) != (plugin.service, plugin.route) {
            *plugin = Arc::new(Plugin { service, route, ..(**plugin).clone() });
        }
    }
}

/// Takes what is referred to over from what files declared before.
fn keep(api: &mut Set, before: &Set, missing: Kind, reference: &Reference, kept: &mut Vec<Entity>) {
    match (missing, reference) {
        (Kind::CaCertificate, Reference::Id(id)) => {
            let (before, api) = (&before.ca_certificates, &mut api.ca_certificates);
            take(before, api, Entity::CaCertificate, |one| one.id == *id, kept)
        }
        (Kind::Service, Reference::Id(id)) => {
            take(&before.services, &mut api.services, Entity::Service, |one| one.id == *id, kept)
        }
        (Kind::Route, Reference::Id(id)) => {
            take(&before.routes, &mut api.routes, Entity::Route, |one| one.id == *id, kept)
        }
        (Kind::Topic, Reference::Name(name)) => {
            take(&before.topics, &mut api.topics, Entity::Topic, |one| one.name == *name, kept);
        }
        (Kind::Queue, Reference::Name(name)) => {
            take(&before.queues, &mut api.queues, Entity::Queue, |one| one.name == *name, kept);
        }
        _ => {}
    }
}

fn take<T: Item>(
    before: &[Arc<T>],
    api: &mut Vec<Arc<T>>,
    into: fn(Arc<T>) -> Entity,
    is_meant: impl Fn(&T) -> bool,
    kept: &mut Vec<Entity>,
) {
    if api.iter().any(|one| is_meant(one)) {
        return;
    }
    if let Some(one) = before.iter().find(|one| is_meant(one)) {
        let one = Arc::new((**one).clone().owned(one.id(), Origin::Api));
        kept.push(into(one.clone()));
        api.push(one);
    }
}

#[cfg(test)]
mod tests;
