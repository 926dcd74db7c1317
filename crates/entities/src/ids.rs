//! Kong's ids of entities that have none in their file: the same file gives the same ids, here and in Kong.

use uuid::{Uuid, uuid};

use crate::subscription::Identity;

/// The root of Kong's name space for entities of declarative files.
const ROOT: Uuid = uuid!("fd02801f-0957-4a15-a55a-c8d9606f30b5");

/// The id of an entity of `list` (`services`, `routes`) with this name.
pub fn of_name(list: &str, name: &str) -> Uuid {
    Uuid::new_v5(&namespace(list), name.as_bytes())
}

/// The id of the `index`th entity under `parent` where it has no name either. Kong draws a random one; ours stays as long as the order does.
pub fn of_position(list: &str, parent: &str, index: usize) -> Uuid {
    Uuid::new_v5(&namespace(list), format!("{parent}[{index}]").as_bytes())
}

/// The id of a plug-in: its kind, and what it is for. Kong draws a random one.
pub fn of_plugin(kind: &str, service: Option<Uuid>, route: Option<Uuid>, consumer: Option<Uuid>) -> Uuid {
    let text = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    let consumer = consumer.map(|id| format!(":{id}")).unwrap_or_default();
    of_name("plugins", &format!("{kind}:{}:{}{consumer}", text(service), text(route)))
}

/// The id of the `index`th credential of a consumer. Kong derives it from the key, which then can be guessed from the id by whoever sees it: a
/// service, a subscriber of events. Ours stays as long as the order does.
pub fn of_credential(list: &str, consumer: Uuid, index: usize) -> Uuid {
    of_position(list, &consumer.to_string(), index)
}

/// The id of a consumer's membership in a group.
pub fn of_membership(consumer: Uuid, group: &str) -> Uuid {
    of_name("acls", &format!("{consumer}:{group}"))
}

/// The id of the route of an api of Kong 0.x, whose own id is that of its service.
pub fn of_api_route(api: Uuid) -> Uuid {
    Uuid::new_v5(&api, b"route")
}

/// The id of a subscription of a file.
pub fn of_subscription(identity: &Identity) -> Uuid {
    let text = match identity {
        Identity::Name { topic, name } => format!("{topic}:{name}"),
        Identity::Endpoint { topic, protocol, endpoint } => format!("{topic}:{protocol}:{endpoint}"),
    };
    of_name("subscriptions", &text)
}

fn namespace(list: &str) -> Uuid {
    Uuid::new_v5(&ROOT, list.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_5_of_list_and_name() {
        // Computed apart from this code, with Python's uuid5.
        assert_eq!(of_name("services", "profiles").to_string(), "ac6337b5-a72a-5c03-bcf7-97719f943af8");
        assert_eq!(of_name("routes", "profiles").to_string(), "731efa0b-d28e-5d6c-b831-e9570735de50");
        assert_ne!(of_position("routes", "x", 0), of_position("routes", "x", 1));
    }
}
