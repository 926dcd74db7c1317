//! A matching PUT: what the event costs, under every durability, without a subscriber and with one.

use std::net::SocketAddr;

use crate::load::Template;
use crate::peer::{Kind, Rule};
use crate::section::{Findings, middle, table, threads};
use crate::table::Part;
use crate::target::Target;
use crate::world::{Candidate, World};

/// The one that ratios are against.
const REFERENCE: usize = 1;
/// `intent` with one subscriber.
const INTENT: usize = 5;

/// Measures.
pub async fn measure(world: &World) -> Result<Findings, String> {
    let receiver = world.receiver(1).await?;
    let candidates = candidates(&receiver.addresses);
    let costs = world.compare(&candidates, &receiver).await?;
    let first = Part {
        title: "A PUT with an event".into(),
        table: table(&candidates, &costs, REFERENCE),
        remarks: vec![
            "Deliveries are waited for and counted in; so is what the program does until it is quiet again.".into(),
            "nginx with Lua publishes from memory and loses what it could not send; Retrohook's rows are durable but for \
             `memory`."
                .into(),
        ],
    };
    let [lua, intent] = [REFERENCE, INTENT].map(|at| middle(&costs[at], |cost| cost.process + cost.disk));
    let target = Target {
        what: "PUT under `intent`, one raw subscriber, disk included".into(),
        limit: 1.0,
        measured: intent / lua,
        unit: "× nginx + Lua",
    };
    let ours = candidates
        .into_iter()
        .zip(costs)
        .filter(|(candidate, _)| matches!(candidate.kind, Kind::Retrohook(_)));
    let ours: Vec<_> = ours.map(|(candidate, costs)| (candidate.name, costs)).collect();
    let second = threads("A PUT with an event, by thread", "deliveries included", &ours);
    Ok(Findings { parts: vec![first, second], targets: vec![target] })
}

fn candidates(subscriber: &[SocketAddr]) -> Vec<Candidate> {
    let put = |name: &str, kind, folder, deliveries| Candidate {
        name: name.to_owned(),
        kind,
        template: Template::put(folder),
        deliveries,
    };
    let rule = |durability, subscribers: &[SocketAddr]| {
        Kind::Retrohook(Rule {
            durability: Some(durability),
            subscribers: subscribers.to_vec(),
            ..Rule::default()
        })
    };
    let mut all = vec![
        put("nginx, no event", Kind::Nginx(None), "profiles", 0),
        put("nginx + Lua", Kind::Nginx(Some("raw")), "profiles", 1),
        put("nginx + Lua, SNS form", Kind::Nginx(Some("sns")), "profiles", 1),
        put("Retrohook, no match", rule("intent", &[]), "other", 0),
    ];
    for durability in ["intent", "strict", "outcome", "memory"] {
        all.push(put(&format!("Retrohook {durability}"), rule(durability, &[]), "profiles", 0));
        all.push(put(
            &format!("Retrohook {durability}, 1 subscriber"),
            rule(durability, subscriber),
            "profiles",
            1,
        ));
    }
    all
}
