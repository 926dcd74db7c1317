//! Ids that are used twice: the id that a file gives to one entity may be the id that is derived from the name of another.

use std::collections::hash_map::Entry;

use foldhash::HashMap;
use uuid::Uuid;

use super::Checked;
use super::declared::Declarations;
use crate::problem::{Problems, Spot};

/// An entity: its list, its id and its place.
type Claim<'d> = (&'static str, Uuid, &'d Spot);

/// The ids that entities have for good, wherever these came from. Those of plug-ins are known when they are put together.
pub(super) fn of<'d>(checked: &Checked, declared: &'d Declarations) -> Vec<Claim<'d>> {
    let consumers = &checked.consumers;
    let services = declared.services.iter().map(|one| &one.spot).zip(&checked.services);
    let services = services.filter_map(|(spot, one)| Some(("services", one.as_ref()?.id, spot)));
    let routes = declared.routes.iter().map(|one| &one.entity.spot).zip(&checked.routes);
    let routes = routes.filter_map(|(spot, one)| Some(("routes", one.as_ref()?.id, spot)));
    let people = declared.consumers.iter().map(|one| &one.spot).zip(&consumers.consumers);
    let people = people.filter_map(|(spot, one)| Some(("consumers", one.as_ref()?.id, spot)));
    let keys = declared.keys.iter().map(|one| &one.entity.spot).zip(&consumers.keys);
    let keys = keys.filter_map(|(spot, one)| Some(("keyauth_credentials", one.as_ref()?.id, spot)));
    let acls = declared.acls.iter().map(|one| &one.entity.spot).zip(&consumers.acls);
    let acls = acls.filter_map(|(spot, one)| Some(("acls", one.as_ref()?.id, spot)));
    let upstreams = declared.upstreams.iter().map(|one| &one.spot).zip(&checked.upstreams.upstreams);
    let upstreams = upstreams.filter_map(|(spot, one)| Some(("upstreams", one.as_ref()?.id, spot)));
    let targets = declared.targets.iter().map(|one| &one.entity.spot).zip(&checked.upstreams.targets);
    let targets = targets.filter_map(|(spot, one)| Some(("targets", one.as_ref()?.id, spot)));
    let groups = declared.consumer_groups.iter().map(|one| &one.spot).zip(&checked.upstreams.consumer_groups);
    let groups = groups.filter_map(|(spot, one)| Some(("consumer_groups", one.as_ref()?.id, spot)));
    let people = people.chain(keys).chain(acls).chain(groups);
    services.chain(routes).chain(upstreams).chain(targets).chain(people).collect()
}

/// Refuses two of one list with the same id. Asked when nothing else is wrong, so that nobody hears twice of two with one name.
pub(super) fn claim<'d>(
    mut ids: Vec<Claim<'d>>,
    plugins: &[Option<Uuid>],
    declared: &'d Declarations,
    problems: &mut Problems<'_>,
) {
    let of_plugins = declared.plugins.iter().zip(plugins);
    ids.extend(of_plugins.filter_map(|(plugin, id)| Some(("plugins", (*id)?, &plugin.entity.spot))));
    let mut taken = HashMap::default();
    for (list, id, spot) in ids {
        match taken.entry((list, id)) {
            Entry::Vacant(free) => drop(free.insert(spot)),
            Entry::Occupied(first) => {
                let message = format!(
                    "uniqueness violation: '{list}' entity with primary key set to '{id}' already declared"
                );
                let first = problems.whereabouts(first.get());
                let hint = format!(
                    "the first one is at {first}: one of the two ids is derived from a name; give that one an `id`"
                );
                problems.add(spot, message, hint);
            }
        }
    }
}
