//! The closed loop: for CPU time, because it keeps the measured program busy.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::{Client, PATIENCE, Template, connect_all, failed, join};
use crate::stub::Receiver;

/// When it ends.
#[derive(Clone, Copy)]
pub enum Until {
    /// After a time.
    Time(Duration),
    /// After so many requests; of these at most so many may have deliveries that are not all received, so many each.
    Count {
        /// Requests.
        requests: u64,
        /// Requests that may be ahead of their deliveries.
        ahead: u64,
        /// Deliveries of each.
        deliveries: u64,
    },
}

/// What was done.
#[derive(Clone, Copy)]
pub struct Closed {
    /// Requests answered with 200.
    pub done: u64,
    /// How long it took.
    pub took: Duration,
}

impl Closed {
    /// Requests per second.
    pub fn rate(&self) -> f64 {
        self.done as f64 / self.took.as_secs_f64()
    }
}

/// Runs so many connections. Any answer but 200 ends it with an error.
pub async fn closed(
    address: SocketAddr,
    template: &Template,
    connections: usize,
    until: Until,
    receiver: &Rc<Receiver>,
) -> Result<Closed, String> {
    let clients = connect_all(address, template, connections).await?;
    let next = Rc::new(Cell::new(0));
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for client in clients {
        tasks.spawn_local(run(client, until, began, next.clone(), receiver.clone()));
    }
    let patience = match until {
        Until::Time(time) => time + PATIENCE,
        Until::Count { .. } => 30 * PATIENCE,
    };
    let done = join(tasks, patience).await?.into_iter().sum();
    Ok(Closed { done, took: began.elapsed() })
}

async fn run(
    mut client: Client,
    until: Until,
    began: Instant,
    next: Rc<Cell<u64>>,
    receiver: Rc<Receiver>,
) -> Result<u64, String> {
    let mut done = 0;
    loop {
        let number = next.get();
        match until {
            Until::Time(time) if began.elapsed() >= time => return Ok(done),
            Until::Count { requests, .. } if number >= requests => return Ok(done),
            _ => next.set(number + 1),
        }
        if let Until::Count { ahead, deliveries, .. } = until {
            let owed = (number + 1).saturating_sub(ahead) * deliveries;
            if !receiver.wait_for(owed, PATIENCE).await {
                return Err(format!("{} deliveries came, {owed} are due", receiver.received()));
            }
        }
        client.exchange(number).await.map_err(failed(number))?;
        done += 1;
    }
}
