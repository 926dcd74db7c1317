//! Topics that plug-ins of APIs name. What a plug-in names is its kind's to know, so that it is asked: with a topic, and without it.

use std::sync::Arc;

use control::{Dangling, Edit, Reference, Whole};
use entities::{Entity, Item, Kind, Origin, Plugin, Set, Topic};

use super::compiler::Compiler;

/// A topic that was there, and the plug-in of an API that names it.
pub struct Named {
    topic: Arc<Topic>,
    by: Arc<Plugin>,
}

impl Named {
    /// Whether there is a plug-in of an API for which something is not there.
    pub fn may_be_gone(compiler: &Compiler, now: &Whole) -> bool {
        now.api().plugins.iter().any(|plugin| !compiler.problems_of(plugin, now.all()).is_empty())
    }

    /// The topics that `before` had and `now` has not, and that plug-ins of APIs name; each once.
    pub fn find(compiler: &Compiler, now: &Whole, before: &Set) -> Vec<Self> {
        let gone: Vec<_> = before.topics.iter().filter(|topic| !now.all().has_topic(&topic.name)).collect();
        if gone.is_empty() {
            return Vec::new();
        }
        let all = with(now, gone.iter().copied());
        let fits = |plugin: &Plugin, set: &Set| compiler.problems_of(plugin, set).is_empty();
        // Whoever has something against its settings with all of them there names none that helps.
        let lacking = now.api().plugins.iter().filter(|one| !fits(one, now.all()) && fits(one, &all));
        let lacking: Vec<_> = lacking.collect();
        let named = gone.iter().filter_map(|topic| {
            let others = with(now, gone.iter().copied().filter(|other| other.name != topic.name));
            let by = lacking.iter().find(|plugin| !fits(plugin, &others))?;
            Some(Self { topic: (*topic).clone(), by: (*by).clone() })
        });
        named.collect()
    }

    /// As what APIs made and that lacks what it refers to.
    pub fn dangling(&self) -> Dangling {
        Dangling {
            kind: Kind::Plugin,
            label: Item::label(&*self.by),
            missing: Kind::Topic,
            reference: Reference::Name(self.topic.name.clone()),
        }
    }

    /// Keeps these topics as if an API had made them; returns what was kept.
    pub fn keep(named: &[Self], whole: Whole) -> (Whole, Vec<Entity>) {
        let own = |one: &Self| Entity::Topic((*one.topic).clone().owned(one.topic.id, Origin::Api).into());
        let put: Vec<Entity> = named.iter().map(own).collect();
        match whole.edited(&Edit { put: put.clone(), ..Edit::default() }) {
            Ok(kept) => (kept, put),
            // They were there before, so that there is nothing against them.
            Err(_) => (whole, Vec::new()),
        }
    }
}

/// The topics that there are, and some more.
fn with<'s>(now: &'s Whole, more: impl Iterator<Item = &'s Arc<Topic>>) -> Set {
    Set { topics: now.all().topics.iter().chain(more).cloned().collect(), ..Set::default() }
}
