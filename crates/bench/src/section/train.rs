//! The work that an instrumented build is trained with: every row once, each process ended by SIGTERM, because it writes what it has counted
//! when it ends by itself.

use std::time::Duration;

use crate::load::Until;
use crate::peer::{Kind, Rule};
use crate::section::rows::rows;
use crate::world::{Candidate, World};

/// How long a drain may take, and the writing of the counts.
const STOP: Duration = Duration::from_secs(60);

/// Asks for every row; what it costs is not of interest.
pub async fn run(world: &World) -> Result<(), String> {
    for row in rows().into_iter().filter(|row| world.options.wants(row.section)) {
        let receiver = world.receiver(row.subscribers.max(1)).await?;
        let subscribers = receiver.addresses[..row.subscribers].to_vec();
        let candidate = Candidate {
            name: row.name.to_owned(),
            kind: Kind::Retrohook(Rule { subscribers, ..row.rule }),
            template: row.template,
            deliveries: row.subscribers as u64,
        };
        let running = world.start(&candidate.kind, &receiver).await?;
        let until = Until::Time(world.options.time);
        let cost = world.cost(&running.peer, &candidate, until, &receiver).await;
        cost.map_err(|problem| format!("{}: {problem}", row.name))?;
        running.terminate(STOP).await.map_err(|problem| format!("{}: {problem}", row.name))?;
        crate::progress(&format!("trained: {}", row.name));
    }
    Ok(())
}
