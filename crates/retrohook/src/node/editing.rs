//! Changes by APIs: made one after the other, between reloads, in the same order as those of a file: validated, stored, served.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use admin::reload::NotAsked;
use control::{Applied, Changes, Edit, Job, NotApplied, Whole};
use entities::{Entity, Kind, Plugin, Subscription};
use event::timestamp::Clock;
use storage::dropped::Dropped;
use storage::failpoint;
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::compiler;
use super::delivering::{DeclareError, declared};
use super::reload::Reloader;
use crate::clock::WallClock;
use crate::report;

impl Reloader {
    /// Does what somebody asked for.
    pub(super) fn change(&mut self, job: Job, runtime: &Runtime) {
        let mut editing = Editing { node: self, runtime };
        // A bug in one API must not end the changes of all; who asked hears that nobody answers.
        let _ = catch_unwind(AssertUnwindSafe(|| job(&mut editing)));
    }
}

/// Why a job was not handed over.
pub fn not_handed(error: NotAsked) -> NotApplied {
    NotApplied::Unavailable(error.to_string())
}

struct Editing<'a> {
    node: &'a mut Reloader,
    runtime: &'a Runtime,
}

impl Changes for Editing<'_> {
    fn whole(&self) -> &Whole {
        &self.node.whole
    }

    fn apply(&mut self, edit: Edit) -> Result<Applied, NotApplied> {
        let edit = self.node.whole.with_dependents(edit);
        let newer = self.node.whole.edited(&edit).map_err(NotApplied::Refused)?;
        self.refuse_named_topics(&edit, &newer)?;
        let node = &mut *self.node;
        let routes_change = node.whole.served() != newer.served();
        if routes_change {
            let compiled = node.compiler.can_compile(&newer);
            compiled.map_err(|error| NotApplied::Broken(report::with_causes(&error)))?;
        }
        if node.unsure {
            let cause = "a reload of the configuration broke off: reload again, or restart";
            return Err(NotApplied::Unavailable(cause.into()));
        }
        node.unsure = true;
        let stored = node.declare.edit(&edit, (&node.whole, &node.entities), &newer).map_err(|error| {
            node.unsure = !matches!(error, DeclareError::Full(_));
            NotApplied::Unavailable(report::with_causes(&error))
        })?;
        failpoint::hit(failpoint::DECLARED);
        // A subscription that the store knew already keeps its id.
        let edit = with_ids(edit, &stored.ids);
        let newer = node.whole.edited(&edit).map_err(NotApplied::Refused)?;
        node.entities = stored.entities;
        node.known.declare(declared(newer.all(), &node.entities));
        let generation = node.known.generation() + 1;
        if routes_change {
            self.serve_routes(generation, &newer)?;
        }
        let node = &mut *self.node;
        node.known.edited(WallClock.now(), generation);
        node.serve_whole(newer);
        node.unsure = false;
        let put = edit.put.iter().filter(|one| one.kind() == Kind::Subscription).map(Entity::id);
        let stored_of = |id| node.entities.subscriptions.iter().find(|one| one.uuid == id).cloned();
        Ok(Applied { subscriptions: put.filter_map(stored_of).collect(), ended: stored.dropped })
    }

    fn purge(&mut self, queue: &str) -> Result<Option<Dropped>, NotApplied> {
        let Some(id) = self.node.entities.queues.iter().find(|one| one.name == queue).map(|one| one.id)
        else {
            return Ok(None);
        };
        let dropped = self
            .node
            .declare
            .purge(id)
            .map_err(|error| NotApplied::Unavailable(report::with_causes(&error)))?;
        Ok(Some(dropped))
    }
}

impl Editing<'_> {
    /// A topic that a rule names, of whatever origin, cannot be ended.
    fn refuse_named_topics(&self, edit: &Edit, newer: &Whole) -> Result<(), NotApplied> {
        let before = self.node.whole.all();
        let ended = before.topics.iter().filter(|topic| edit.end.contains(&(Kind::Topic, topic.id)));
        for topic in ended {
            // Judged by its kind: whoever had nothing against the topics before, and has something now, names it.
            let names = |plugin: &&Arc<Plugin>| {
                self.node.compiler.problems_of(plugin, before).is_empty()
                    && !self.node.compiler.problems_of(plugin, newer.all()).is_empty()
            };
            if let Some(plugin) = newer.all().plugins.iter().find(names) {
                let by = self.place_of(plugin);
                return Err(NotApplied::NamedByRule { topic: topic.name.clone(), by });
            }
        }
        Ok(())
    }

    /// Where a plug-in stands, for messages.
    fn place_of(&self, plugin: &Plugin) -> String {
        let all = self.node.whole.all();
        let route = plugin.route.and_then(|id| all.routes.iter().find(|one| one.id == id));
        let service = plugin.service.and_then(|id| all.services.iter().find(|one| one.id == id));
        let place = match (route, service) {
            (Some(route), _) => format!("route `{}`", route.label()),
            (None, Some(service)) => format!("service `{}`", service.label()),
            (None, None) => "all routes".to_owned(),
        };
        let consumer = plugin.consumer.and_then(|id| all.consumers.iter().find(|one| one.id == id));
        let consumer = consumer.map(|one| format!(" for consumer `{}`", one.label())).unwrap_or_default();
        format!("the plug-in `{}` on {place}{consumer}", plugin.name)
    }

    fn serve_routes(&mut self, generation: u64, newer: &Whole) -> Result<(), NotApplied> {
        let broken = |cause: String| NotApplied::Broken(cause);
        let topics = compiler::topics(&self.node.entities);
        let snapshot = self.node.compiler.compile(generation, newer.served(), &topics);
        let snapshot = snapshot.map_err(|error| broken(report::with_causes(&error)))?;
        match self.node.publish(snapshot, self.runtime) {
            Ok(warning) => {
                warning.iter().for_each(|warning| report::problem(&format!("warning: {warning}")));
                Ok(())
            }
            Err(_) => Err(broken("the routes cannot be published".into())),
        }
    }
}

/// The edit as the store has it: subscriptions have the ids that it gave them.
fn with_ids(edit: Edit, ids: &HashMap<Uuid, Uuid>) -> Edit {
    let with_id = |entity| match entity {
        Entity::Subscription(one) => match ids.get(&one.id) {
            Some(id) => Entity::Subscription(Subscription { id: *id, ..(*one).clone() }.into()),
            None => Entity::Subscription(one),
        },
        other => other,
    };
    Edit { put: edit.put.into_iter().map(with_id).collect(), ..edit }
}
