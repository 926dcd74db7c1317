//! Changes by APIs. They are made one after the other and never during a reload, with the same steps as a reload: validate, store, serve.
//!
//! Everything that can be refused is refused before the commit. After it only the process can fail: then the next change first makes the node
//! serve what the store has ([`Reloader::recover`]).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use admin::reload::NotAsked;
use control::{Applied, Changes, Edit, Job, NotApplied, Plan, Refusal, Stored, Whole};
use entities::field::Path;
use entities::{Entity, Flaw, Kind, Plugin, Route, Served, Set, SignatureVersion, Subscription, Topic};
use event::timestamp::Clock;
use gateway::Snapshot;
use gateway::compile::CompileError;
use storage::dropped::Dropped;
use storage::entities::SubscriptionState;
use storage::failpoint;
use tokio::runtime::Runtime;

use super::delivering::{DeclareError, Delivered, declared};
use super::laps::Laps;
use super::ledger;
use super::reload::{BROKE_OFF, Refused, Reloader};
use super::{changes, reach, remote};
use crate::clock::WallClock;
use crate::{check, report};

impl Reloader {
    /// Makes the change that an API asked for.
    pub(super) fn change(&mut self, job: Job, runtime: &Runtime) {
        let mut editing = Editing { node: self, runtime, api: "an API" };
        // A bug in one API must not stop the changes of all others; the caller gets an error.
        editing.node.laps = Laps::begin();
        let _ = catch_unwind(AssertUnwindSafe(|| job(&mut editing)));
        self.say_whether_sure();
        self.laps.say();
    }
}

/// The error for a job that could not be handed over.
pub fn not_handed(error: NotAsked) -> NotApplied {
    NotApplied::Unavailable(error.to_string())
}

struct Editing<'a> {
    node: &'a mut Reloader,
    runtime: &'a Runtime,
    /// Through which one the changes come.
    api: &'static str,
}

/// A subscription that exists and is asked for again, and the stored one.
type Asked = (Arc<Subscription>, storage::entities::Subscription);

impl Changes for Editing<'_> {
    fn asked_by(&mut self, api: &'static str) {
        self.api = api;
    }

    fn whole(&self) -> &Whole {
        &self.node.whole
    }

    fn apply(&mut self, edit: Edit) -> Result<Applied, NotApplied> {
        self.become_sure()?;
        let edit = self.node.whole.with_dependents(edit);
        let (edit, asked) = self.asked_again(edit)?;
        let subscriptions = match edit == Edit::default() {
            true => Vec::new(),
            false => self.make(&edit)?,
        };
        let (pending, confirmed): (Vec<_>, Vec<_>) = asked
            .into_iter()
            .partition(|(_, known)| matches!(known.state, SubscriptionState::Pending { .. }));
        let all = self.node.whole.all();
        let wanted = |(one, known): &Asked| Delivered::of(known, one, signed_as(all, &one.topic));
        let wanted = pending.iter().filter_map(wanted).collect();
        self.node.declare.ask_again(wanted).map_err(|error| broken_off(self.node, &error))?;
        let asked = confirmed.into_iter().chain(pending).map(|(_, known)| known);
        Ok(Applied { subscriptions: subscriptions.into_iter().chain(asked).collect() })
    }

    fn purge(&mut self, queue: &str) -> Result<Option<Dropped>, NotApplied> {
        self.become_sure()?;
        let node = &*self.node;
        if !node.whole.all().has_queue(queue) {
            return Ok(None);
        }
        let known = node.entities.queues.iter().find(|one| one.name == queue);
        let known =
            known.ok_or_else(|| NotApplied::Broken(format!("the store does not have the queue {queue}")))?;
        let dropped = node.declare.purge(known.id).map_err(|error| unavailable(&error))?;
        Ok(Some(dropped))
    }
}

impl Editing<'_> {
    /// If a change broke off after its commit, serve that first.
    fn become_sure(&mut self) -> Result<(), NotApplied> {
        if self.node.unsure.is_none() {
            return Ok(());
        }
        self.node.recover(self.runtime).map_err(NotApplied::Unavailable)
    }

    /// Keeps in the change only the subscriptions that must be declared again; returns the others, which stay as they are in the store.
    fn asked_again(&self, mut edit: Edit) -> Result<(Edit, Vec<Asked>), NotApplied> {
        let node = &*self.node;
        let mut asked = Vec::new();
        for id in std::mem::take(&mut edit.again) {
            let one = node.whole.all().subscriptions.iter().find(|one| one.id == id);
            let known = one.and_then(|one| Some((one, node.stored(one)?)));
            let (one, known) =
                known.ok_or_else(|| NotApplied::Broken(format!("the store does not have {id}")))?;
            let known = node.declare.as_it_is(known);
            match known.state.is_disabled() {
                true => edit.again.push(id),
                false => asked.push((one.clone(), known)),
            }
        }
        Ok((edit, asked))
    }

    /// Makes a change. Returns the subscriptions that it put, as they are in the store.
    fn make(&mut self, edit: &Edit) -> Result<Vec<storage::entities::Subscription>, NotApplied> {
        self.node.laps.end("asked");
        let newer = self.node.whole.edited(edit).map_err(NotApplied::Refused)?;
        let implied = remote::implied_by(edit, &self.node.compiler, &newer, WallClock.now());
        let newer = newer.with_implied(&implied);
        let edit = &Edit { put: [&implied[..], &edit.put].concat(), ..edit.clone() };
        self.refuse_named_topics(edit, &newer)?;
        self.node.laps.end("validated");
        let node = &mut *self.node;
        let generation = node.known.generation() + 1;
        let routes_change = routes_change(edit) && node.whole.served() != newer.served();
        let snapshot = if routes_change { compile(node, edit, generation, &newer)? } else { None };
        self.node.laps.end("compiled");
        let plan = Arc::new(self.plan(edit)?);

        let node = &mut *self.node;
        node.unsure = Some(BROKE_OFF.into());
        let stored = node.declare.edit(plan.clone()).map_err(|error| {
            if error.left_all() {
                node.unsure = None;
            }
            unavailable(&error)
        })?;
        node.laps.end("stored");
        failpoint::hit(failpoint::DECLARED);
        let newer = newer.with_ids(&stored.ids());
        self.deliver(edit, &plan, &stored, &newer)?;
        let node = &mut *self.node;
        node.known.declare(declared(newer.all(), &node.entities));
        node.laps.end("delivered");
        if routes_change {
            let snapshot = match snapshot {
                Some(snapshot) => Some(snapshot),
                None => compile(node, edit, generation, &newer)?,
            };
            self.publish(snapshot)?;
        }
        let node = &mut *self.node;
        node.known.edited(WallClock.now(), generation);
        changes::say_edit(self.api, edit, &node.whole);
        for one in edit.put.iter().filter_map(<Subscription as entities::Item>::of) {
            if let Some(why) = reach::why_closed(one, &node.reach.allow) {
                report::problem(&format!("warning: {why}"));
            }
        }
        node.serve_whole(newer);
        node.laps.end("published");
        node.unsure = None;
        Ok(stored.subscriptions.into_iter().map(|(_, known)| known).collect())
    }

    /// What the change does in the store.
    fn plan(&self, edit: &Edit) -> Result<Plan, NotApplied> {
        let node = &*self.node;
        let puts: Vec<_> = edit.put.iter().filter_map(<Subscription as entities::Item>::of).collect();
        for one in &puts {
            node.declare.check(one).map_err(|error| unavailable(&error))?;
        }
        let mut fresh = ledger::fresh(puts.len() + edit.again.len()).map_err(|error| unavailable(&error))?;
        let mut draw = || fresh.pop().expect("there is one for each subscription");
        Plan::of(edit, &node.whole, &node.entities, &mut draw)
            .map_err(|error| NotApplied::Broken(error.to_string()))
    }

    /// Starts workers for the subscriptions that were put and for those whose topic is signed in another way now, and stops those of the ended ones.
    fn deliver(
        &mut self,
        edit: &Edit,
        plan: &Plan,
        stored: &Stored,
        newer: &Whole,
    ) -> Result<(), NotApplied> {
        let node = &mut *self.node;
        let ended: Vec<_> = plan.ended(&node.entities).collect();
        stored.note(plan, &mut node.entities);
        let before = |id| node.whole.all().subscriptions.iter().find(|one| one.id == id);
        let now = stored.subscriptions.iter().filter_map(|(asked, known)| {
            let wanted =
                newer.all().subscriptions.iter().find(|one| one.id == known.uuid || one.id == *asked)?;
            let is_same =
                before(wanted.id).is_some_and(|before| before.is_as(wanted)) && *asked == known.uuid;
            let signed_as = || signed_as(newer.all(), &wanted.topic);
            (!is_same).then(|| Delivered::of(known, wanted, signed_as())).flatten()
        });
        let now = now.chain(signed_anew(edit, node, newer.all())).collect();
        node.declare.deliver(&ended, now).map_err(|error| broken_off(node, &error))
    }

    /// A topic that a rule of a file or an API names cannot be deleted.
    fn refuse_named_topics(&self, edit: &Edit, newer: &Whole) -> Result<(), NotApplied> {
        let before = self.node.whole.all();
        let ended = before.topics.iter().filter(|topic| edit.end.contains(&(Kind::Topic, topic.id)));
        for topic in ended {
            // The kind of plug-in decides: if it accepts the topics before the change and not those after it, the plug-in names the topic.
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

    /// The service or route of a plug-in, for messages.
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

    fn publish(&mut self, snapshot: Option<Snapshot>) -> Result<(), NotApplied> {
        let broken = |cause: &str| NotApplied::Broken(cause.to_owned());
        let snapshot = snapshot.ok_or_else(|| broken("the store lacks a topic of the configuration"))?;
        match self.node.publish(snapshot, self.runtime) {
            Ok(warning) => {
                warning.iter().for_each(|warning| report::problem(&format!("warning: {warning}")));
                Ok(())
            }
            Err(_) => Err(broken("the routes cannot be published")),
        }
    }
}

/// How a topic says that its subscriptions are signed.
fn signed_as(set: &Set, topic: &str) -> Option<SignatureVersion> {
    set.topics.iter().find(|one| one.name == topic)?.signature_version()
}

/// The subscriptions that follow their topic in how they are signed, of topics of which the change alters that. None of them is put by the change
/// itself: an API's call changes one entity.
fn signed_anew(edit: &Edit, node: &Reloader, newer: &Set) -> Vec<Delivered> {
    let before = node.whole.all();
    let is_altered = |topic: &&Arc<Topic>| signed_as(before, &topic.name) != topic.signature_version();
    let topics = edit.put.iter().filter_map(<Topic as entities::Item>::of).filter(is_altered);
    let mut anew = Vec::new();
    for topic in topics {
        let of_topic = newer.subscriptions.iter().filter(|one| one.topic == topic.name);
        let follow = of_topic.filter(|one| one.signature_version.is_none());
        let delivered =
            |one: &Arc<Subscription>| Delivered::of(node.stored(one)?, one, topic.signature_version());
        anew.extend(follow.filter_map(delivered));
    }
    anew
}

/// Whether a change can affect routing.
fn routes_change(edit: &Edit) -> bool {
    let mut kinds = edit.put.iter().map(Entity::kind).chain(edit.end.iter().map(|one| one.0));
    kinds.any(|kind| Served::HAS.contains(&kind))
}

/// As [`Reloader::compile`]. A problem that shows only when all routes are compiled together is reported for the routes that the change puts.
fn compile(
    node: &Reloader,
    edit: &Edit,
    generation: u64,
    newer: &Whole,
) -> Result<Option<Snapshot>, NotApplied> {
    node.compile(generation, newer).map_err(|refused| {
        let cause = refused.cause();
        let refusals = match refused {
            Refused::Compile(CompileError::Regexes(error)) => {
                regexes_of(edit).map(|(route, index)| too_large(route, index, &error.to_string())).collect()
            }
            Refused::Compile(CompileError::Path { route, path, .. }) => {
                let is_it =
                    |(one, index): &(&Route, usize)| one.label() == route && one.paths[*index] == path;
                let message = "the regular expression is too large to compile";
                regexes_of(edit)
                    .filter(is_it)
                    .map(|(route, index)| too_large(route, index, message))
                    .collect()
            }
            _ => Vec::new(),
        };
        if refusals.is_empty() { NotApplied::Broken(cause) } else { NotApplied::Refused(refusals) }
    })
}

/// The regular expressions of the routes that a change puts, each by its index among the route's paths.
fn regexes_of(edit: &Edit) -> impl Iterator<Item = (&Route, usize)> {
    let routes = edit.put.iter().filter_map(<Route as entities::Item>::of);
    routes.flat_map(|route| {
        let regexes = route.paths.iter().enumerate().filter(|(_, path)| path.starts_with('~'));
        regexes.map(|(index, _)| (&**route, index))
    })
}

fn too_large(route: &Route, index: usize, message: &str) -> Refusal {
    let error = Flaw::invalid(message, check::TOO_LARGE).at(Path::key("paths").index(index));
    Refusal::Field { kind: Kind::Route, label: route.label(), error }
}

/// The error of a change that broke off after its commit. The next change makes the node serve what the store has.
fn broken_off(node: &mut Reloader, error: &DeclareError) -> NotApplied {
    node.unsure = Some(report::with_causes(error));
    unavailable(error)
}

fn unavailable(error: &(dyn std::error::Error + 'static)) -> NotApplied {
    NotApplied::Unavailable(report::with_causes(error))
}
