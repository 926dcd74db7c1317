//! The open loop: for latency. Requests are due at fixed times, and a latency begins when the request was due, not when a connection was
//! free for it: a stall of the measured program is paid by all requests that were due in it (no coordinated omission).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::{Client, PATIENCE, Template, connect_all, failed, join};

/// A request that was answered.
#[derive(Clone, Copy)]
pub struct Sample {
    /// Its number.
    pub number: u64,
    /// When it was due.
    pub due: Instant,
    /// When the whole answer was there.
    pub answered: Instant,
}

impl Sample {
    /// From when it was due.
    pub fn latency(&self) -> Duration {
        self.answered.saturating_duration_since(self.due)
    }
}

/// Requests that are due and not taken by a connection.
#[derive(Default)]
struct Due {
    queue: RefCell<VecDeque<(u64, Instant)>>,
    wake: Notify,
    over: Cell<bool>,
}

/// Makes so many requests a second for a time, on so many connections.
pub async fn open(
    address: SocketAddr,
    template: &Template,
    connections: usize,
    rate: f64,
    time: Duration,
) -> Result<Vec<Sample>, String> {
    let clients = connect_all(address, template, connections).await?;
    let due = Rc::new(Due::default());
    let mut tasks = JoinSet::new();
    for client in clients {
        tasks.spawn_local(run(client, due.clone()));
    }
    let period = Duration::from_secs_f64(1.0 / rate.max(1.0));
    let requests = (time.as_secs_f64() / period.as_secs_f64()).max(1.0) as u64;
    let ticked = tick(&due, period, requests).await;
    due.over.set(true);
    due.wake.notify_waiters();
    ticked.map_err(|error| format!("the clock of the load failed: {error}"))?;
    let mut samples: Vec<Sample> = join(tasks, PATIENCE).await?.into_iter().flatten().collect();
    samples.sort_by_key(|sample| sample.number);
    Ok(samples)
}

/// Puts requests into the queue when they are due. A timer of the kernel, because tokio's ticks are a millisecond.
#[expect(deprecated, reason = "unsound for types that lie about their descriptor; an OwnedFd does not")]
async fn tick(due: &Due, period: Duration, requests: u64) -> std::io::Result<()> {
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
    let timer = AsyncFd::with_interest(timer, Interest::READABLE)?;
    let every =
        Timespec { tv_sec: period.as_secs().try_into().unwrap_or(1), tv_nsec: period.subsec_nanos().into() };
    let start = Instant::now();
    timerfd_settime(
        timer.get_ref(),
        TimerfdTimerFlags::empty(),
        &Itimerspec { it_interval: every, it_value: every },
    )?;
    let mut number = 0;
    while number < requests {
        let passed = expired(&timer).await?;
        for _ in 0..passed.min(requests - number) {
            // Rounded down to whole nanoseconds, as the timer was set.
            let at = start + Duration::from_nanos(period.as_nanos() as u64 * (number + 1));
            due.queue.borrow_mut().push_back((number, at));
            due.wake.notify_one();
            number += 1;
        }
    }
    Ok(())
}

/// How often the timer went off since the last look.
async fn expired(timer: &AsyncFd<OwnedFd>) -> std::io::Result<u64> {
    loop {
        let mut ready = timer.readable().await?;
        let mut count = [0; 8];
        let read = ready.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut count)?));
        if let Ok(result) = read {
            result?;
            return Ok(u64::from_ne_bytes(count));
        }
    }
}

async fn run(mut client: Client, due: Rc<Due>) -> Result<Vec<Sample>, String> {
    let mut samples = Vec::new();
    loop {
        let next = due.queue.borrow_mut().pop_front();
        match next {
            Some((number, at)) => {
                client.exchange(number).await.map_err(failed(number))?;
                samples.push(Sample { number, due: at, answered: Instant::now() });
            }
            None if due.over.get() => return Ok(samples),
            None => due.wake.notified().await,
        }
    }
}
