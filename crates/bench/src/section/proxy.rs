//! Plain proxying: a GET, and a POST of bodies of two sizes; the same headers set by everybody.

use std::rc::Rc;

use crate::load::{Template, once};
use crate::peer::{Kind, Rule};
use crate::section::{Findings, middle, table};
use crate::stub::Receiver;
use crate::table::Part;
use crate::target::Target;
use crate::world::{Candidate, World};

/// What the upstream must be told.
const FORWARDED: [&str; 8] = [
    "x-forwarded-for: 127.0.0.1",
    "x-real-ip: 127.0.0.1",
    "x-forwarded-proto: http",
    "x-forwarded-host: profiles.example.com",
    "x-forwarded-port: ",
    "x-forwarded-path: /profiles/",
    "via: 1.1 ",
    "x-kong-request-id: ",
];
/// What the client must be told.
const ANSWERED: [&str; 4] =
    ["via: 1.1 ", "x-kong-upstream-latency: ", "x-kong-proxy-latency: ", "x-kong-request-id: "];

/// Bodies that are posted, in bytes.
const BODIES: [(&str, usize); 2] = [("1 KiB", 1 << 10), ("32 KiB", 32 << 10)];

/// Measures.
pub async fn measure(world: &World) -> Result<Findings, String> {
    let receiver = world.receiver(1).await?;
    let candidate = |name: &str, kind| Candidate {
        name: name.to_owned(),
        kind,
        template: Template::get("profiles"),
        deliveries: 0,
    };
    let candidates = [
        candidate("nginx", Kind::Nginx(None)),
        candidate("HAProxy", Kind::Haproxy),
        candidate("Retrohook", Kind::Retrohook(Rule::default())),
        candidate(
            "Retrohook, 10,000 routes",
            Kind::Retrohook(Rule { more_routes: 10_000, ..Rule::default() }),
        ),
        candidate("Retrohook, access log", Kind::Retrohook(Rule { access_log: true, ..Rule::default() })),
    ];
    for candidate in &candidates {
        same_headers(world, candidate, &receiver).await?;
    }
    let costs = world.compare(&candidates, &receiver).await?;
    let [nginx, ours, routes, log] = [0, 2, 3, 4].map(|at: usize| middle(&costs[at], |cost| cost.process));
    let part = Part {
        title: "Plain proxying, GET".into(),
        table: table(&candidates, &costs, 0),
        remarks: vec!["The others have two routes.".into()],
    };
    let mut parts = vec![part];
    for (size, length) in BODIES {
        parts.push(bodies(world, size, length, &receiver).await?);
    }
    let proxy =
        Target { what: "proxy, no plug-in".into(), limit: 1.2, measured: ours / nginx, unit: "× nginx" };
    let routes = Target {
        what: "10,000 routes".into(),
        limit: 1.05,
        measured: routes / ours,
        unit: "× the same with two",
    };
    let log = Target { what: "access log".into(), limit: 1.5, measured: log - ours, unit: "µs a request" };
    Ok(Findings { parts, targets: vec![proxy, routes, log] })
}

/// A POST that no rule matches.
async fn bodies(world: &World, size: &str, length: usize, receiver: &Rc<Receiver>) -> Result<Part, String> {
    let candidates = [("nginx", Kind::Nginx(None)), ("Retrohook", Kind::Retrohook(Rule::default()))].map(
        |(name, kind)| Candidate {
            name: name.to_owned(),
            kind,
            template: Template::post("profiles", length),
            deliveries: 0,
        },
    );
    let costs = world.compare(&candidates, receiver).await?;
    Ok(Part {
        title: format!("Plain proxying, POST of {size}"),
        table: table(&candidates, &costs, 0),
        remarks: vec![
            "Everybody reads the body before the upstream is asked; nginx keeps it in memory.".into(),
        ],
    })
}

/// A peer that does less work would win.
async fn same_headers(world: &World, candidate: &Candidate, receiver: &Receiver) -> Result<(), String> {
    let running = world.start(&candidate.kind, receiver).await?;
    world.upstream.seen();
    let answer = once(running.peer.address, &candidate.template).await?;
    let asked = world.upstream.seen();
    let unsaid = |text: &str, wanted: &[&str]| {
        wanted
            .iter()
            .find(|header| !text.contains(&format!("\r\n{header}")))
            .map(|header| (*header).to_owned())
    };
    match unsaid(&asked, &FORWARDED).or_else(|| unsaid(&answer, &ANSWERED)) {
        Some(header) => Err(format!("{} does not set `{header}`:\n{asked}\n{answer}", candidate.name)),
        None => Ok(()),
    }
}
