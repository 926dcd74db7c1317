//! Topics that plug-ins made by APIs name. Only its kind knows which topics a plug-in names. So the kind checks the plug-in twice: with a topic,
//! and without it.

use std::sync::Arc;

use control::{Dangling, Edit, Reference, Whole};
use entities::{Entity, Item, Kind, Origin, Plugin, Set, Topic};

use super::compiler::Compiler;

/// A topic that existed, and the plug-in made by an API that names it.
pub struct Named {
    topic: Arc<Topic>,
    by: Arc<Plugin>,
}

impl Named {
    /// Whether any plug-in made by an API lacks something.
    pub fn may_be_gone(compiler: &Compiler, now: &Whole) -> bool {
        now.api().plugins.iter().any(|plugin| !compiler.problems_of(plugin, now.all()).is_empty())
    }

    /// The topics that `before` has and `now` lacks, and that plug-ins made by APIs name; each once.
    pub fn find(compiler: &Compiler, now: &Whole, before: &Set) -> Vec<Self> {
        let gone: Vec<_> = before.topics.iter().filter(|topic| !now.all().has_topic(&topic.name)).collect();
        if gone.is_empty() {
            return Vec::new();
        }
        let all = with(now, gone.iter().copied());
        let fits = |plugin: &Plugin, set: &Set| compiler.problems_of(plugin, set).is_empty();
        // A plug-in whose settings are wrong even with all topics there is not helped by any of them.
        let lacking = now.api().plugins.iter().filter(|one| !fits(one, now.all()) && fits(one, &all));
        let lacking: Vec<_> = lacking.collect();
        let named = gone.iter().filter_map(|topic| {
            let others = with(now, gone.iter().copied().filter(|other| other.name != topic.name));
            let by = lacking.iter().find(|plugin| !fits(plugin, &others))?;
            Some(Self { topic: (*topic).clone(), by: (*by).clone() })
        });
        named.collect()
    }

    /// The same as a reference of an API's entity that leads nowhere.
    pub fn dangling(&self) -> Dangling {
        Dangling {
            kind: Kind::Plugin,
            label: Item::label(&*self.by),
            missing: Kind::Topic,
            reference: Reference::Name(self.topic.name.clone()),
        }
    }

    /// Keeps these topics as if an API had made them; returns the kept ones. If one cannot be kept, the others still are.
    pub fn keep(named: &[Self], whole: Whole) -> (Whole, Vec<Entity>) {
        let mut kept = Vec::new();
        let whole = named.iter().fold(whole, |whole, one| {
            let topic = Entity::Topic((*one.topic).clone().owned(one.topic.id, Origin::Api).into());
            match whole.edited(&Edit { put: vec![topic.clone()], ..Edit::default() }) {
                Ok(edited) => {
                    kept.push(topic);
                    edited
                }
                Err(refusals) => {
                    let reasons: Vec<String> = refusals.iter().map(ToString::to_string).collect();
                    tracing::warn!(
                        topic = one.topic.name,
                        reasons = reasons.join("; "),
                        "a topic that a rule of an API names cannot be kept"
                    );
                    whole
                }
            }
        });
        (whole, kept)
    }
}

/// The set with some more topics.
fn with<'s>(now: &'s Whole, more: impl Iterator<Item = &'s Arc<Topic>>) -> Set {
    Set { topics: now.all().topics.iter().chain(more).cloned().collect(), ..Set::default() }
}

#[cfg(test)]
mod tests {
    use control::Merged;
    use event::Timestamp;
    use serde_json::Value;
    use uuid::Uuid;

    use super::*;

    fn named(name: &str) -> Named {
        let at = Timestamp::from_millis(1);
        let (origin, id) = (Origin::File, entities::ids::of_name("topics", name));
        let topic = Topic {
            id,
            origin,
            name: name.to_owned(),
            attributes: Default::default(),
            tags: Default::default(),
            created_at: at,
            updated_at: at,
        };
        let by = Plugin {
            id: Uuid::nil(),
            origin: Origin::Api,
            name: "publish-sns".into(),
            instance_name: None,
            service: None,
            route: None,
            consumer: None,
            config: Value::Null,
            enabled: true,
            tags: Vec::new(),
            created_at: at,
            updated_at: at,
        };
        Named { topic: topic.into(), by: by.into() }
    }

    #[test]
    fn a_topic_that_cannot_be_kept_ends_no_other() {
        let Merged { whole, .. } = Whole::merge(Set::default(), Set::default());
        let named = [named("orders"), named("not a name"), named("profiles")];
        let (whole, kept) = Named::keep(&named, whole);
        let names: Vec<_> = whole.api().topics.iter().map(|topic| topic.name.as_str()).collect();
        assert_eq!(names, ["orders", "profiles"]);
        assert_eq!(kept.len(), 2);
        assert!(whole.api().topics.iter().all(|topic| topic.origin == Origin::Api));
    }
}
