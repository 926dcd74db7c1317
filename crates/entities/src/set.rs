//! All entities that a node serves.

use std::sync::Arc;

use foldhash::HashMap;
use uuid::Uuid;

use crate::{
    Acl, CaCertificate, Consumer, ConsumerGroup, KeyAuthCredential, Plugin, Queue, Route, Service,
    Subscription, Target, Topic, Upstream,
};

/// Entities of one origin, or of all. Lists keep their order: of two routes that could serve a request and are equally old, the first one does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Set {
    /// Services.
    pub services: Vec<Arc<Service>>,
    /// Routes of all services.
    pub routes: Vec<Arc<Route>>,
    /// Names that services have as their host.
    pub upstreams: Vec<Arc<Upstream>>,
    /// Where the requests for all upstreams go.
    pub targets: Vec<Arc<Target>>,
    /// Consumers.
    pub consumers: Vec<Arc<Consumer>>,
    /// Keys of all consumers.
    pub keyauth_credentials: Vec<Arc<KeyAuthCredential>>,
    /// Which consumers are in which groups.
    pub acls: Vec<Arc<Acl>>,
    /// Groups of consumers.
    pub consumer_groups: Vec<Arc<ConsumerGroup>>,
    /// Plug-ins, also those that are not enabled.
    pub plugins: Vec<Arc<Plugin>>,
    /// Authorities that services may name.
    pub ca_certificates: Vec<Arc<CaCertificate>>,
    /// Topics.
    pub topics: Vec<Arc<Topic>>,
    /// Queues of ours.
    pub queues: Vec<Arc<Queue>>,
    /// Subscriptions of all topics.
    pub subscriptions: Vec<Arc<Subscription>>,
}

impl Set {
    /// The services by their ids.
    pub(crate) fn services_by_id(&self) -> HashMap<Uuid, &Arc<Service>> {
        self.services.iter().map(|service| (service.id, service)).collect()
    }

    /// Whether there is a topic of this bare name.
    pub fn has_topic(&self, name: &str) -> bool {
        self.topics.iter().any(|topic| topic.name == name)
    }

    /// Whether there is a queue of this bare name.
    pub fn has_queue(&self, name: &str) -> bool {
        self.queues.iter().any(|queue| queue.name == name)
    }
}
