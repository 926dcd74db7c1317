//! The ids of entities without one in their file, derived as Kong does it: the same file gives the same ids here and in Kong.

use std::sync::LazyLock;

use aws_lc_rs::hmac;
use uuid::{Uuid, uuid};

use crate::Secret;
use crate::subscription::Identity;
use crate::target::address;

/// The root of Kong's name space for entities of declarative files.
const ROOT: Uuid = uuid!("fd02801f-0957-4a15-a55a-c8d9606f30b5");

/// The id of an entity of `list` (`services`, `routes`) with this name.
pub fn of_name(list: &str, name: &str) -> Uuid {
    Uuid::new_v5(&namespace(list), name.as_bytes())
}

/// The id of the `index`th entity under `parent` if it has no name either. Kong makes a random one; this one stays the same as long as the order
/// does.
pub fn of_position(list: &str, parent: &str, index: usize) -> Uuid {
    Uuid::new_v5(&namespace(list), format!("{parent}[{index}]").as_bytes())
}

/// The id of a plug-in: its kind, and what it is for. Kong makes a random one.
pub fn of_plugin(kind: &str, service: Option<Uuid>, route: Option<Uuid>, consumer: Option<Uuid>) -> Uuid {
    let text = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    let consumer = consumer.map(|id| format!(":{id}")).unwrap_or_default();
    of_name("plugins", &format!("{kind}:{}:{}{consumer}", text(service), text(route)))
}

/// The shortest key, in bytes, from which an id is derived: services and subscribers see the id and could guess a shorter key from it.
const MIN_KEY: usize = 24;

/// The id of a consumer's key; `None` if the key is so short that it could be guessed from its id. Kong derives it from every key.
pub fn of_key(consumer: Uuid, key: &Secret) -> Option<Uuid> {
    let key = key.expose().as_bytes();
    if key.len() < MIN_KEY {
        return None;
    }
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), consumer.as_bytes());
    let tag: [u8; 16] = tag.as_ref()[..16].try_into().unwrap_or_default();
    Some(uuid::Builder::from_custom_bytes(tag).into_uuid())
}

/// The id of the `index`th key of a consumer among those that are too short for [`of_key`]: it stays the same as long as their order does.
pub fn of_short_key(consumer: Uuid, index: usize) -> Uuid {
    of_position("keyauth_credentials", &consumer.to_string(), index)
}

/// The id of a consumer's membership in a group.
pub fn of_membership(consumer: Uuid, group: &str) -> Uuid {
    of_name("acls", &format!("{consumer}:{group}"))
}

/// The id of Kong's only workspace.
const WORKSPACE: Uuid = uuid!("0dc6f45b-8f8d-40d2-a504-473544ee190b");

/// The id of a target, `host:port`, of an upstream.
pub fn of_target(upstream: Uuid, host: &str, port: u16) -> Uuid {
    of_name("targets", &format!("{}:{upstream}:{WORKSPACE}", address(host, port)))
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

/// The lists of which a configuration may have thousands, with their name spaces.
static LARGE: LazyLock<[(&str, Uuid); 4]> =
    LazyLock::new(|| ["routes", "plugins", "subscriptions", "targets"].map(|list| (list, made(list))));

fn namespace(list: &str) -> Uuid {
    LARGE.iter().find(|(large, _)| *large == list).map_or_else(|| made(list), |(_, made)| *made)
}

fn made(list: &str) -> Uuid {
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

    #[test]
    fn the_id_of_a_key_comes_of_it_if_nobody_can_guess_it() {
        let key = |text: &str| Secret::new(text.to_owned());
        let [ann, bob] = [1, 2].map(Uuid::from_u128);
        let long = key(&"k".repeat(MIN_KEY));
        assert!(of_key(ann, &long).is_some());
        assert_eq!(of_key(ann, &long), of_key(ann, &long));
        assert_ne!(of_key(ann, &long), of_key(bob, &long));
        assert_ne!(of_key(ann, &long), of_key(ann, &key(&"k".repeat(MIN_KEY + 1))));
        assert_eq!(of_key(ann, &key(&"k".repeat(MIN_KEY - 1))), None);
    }
}
