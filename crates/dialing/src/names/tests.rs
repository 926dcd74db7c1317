//! Against sources that count, wait and fail.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::*;

const HOME: [u8; 4] = [127, 0, 0, 1];

/// Counts its lookups; each ends as the script says, and never without leave if there is a gate.
struct Scripted<F> {
    lookups: Arc<AtomicUsize>,
    script: F,
}

impl<F> Source for Scripted<F>
where
    F: Fn(&str, usize) -> Result<Vec<IpAddr>, Unresolved> + Send + Sync + 'static,
{
    fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Unresolved> {
        let before = self.lookups.fetch_add(1, Ordering::SeqCst);
        (self.script)(name, before)
    }
}

fn names<F>(times: Times, script: F) -> (Names, Arc<AtomicUsize>)
where
    F: Fn(&str, usize) -> Result<Vec<IpAddr>, Unresolved> + Send + Sync + 'static,
{
    let lookups = Arc::new(AtomicUsize::new(0));
    (Names::new(Scripted { lookups: lookups.clone(), script }, times), lookups)
}

fn home() -> Vec<IpAddr> {
    vec![HOME.into()]
}

fn hang() -> ! {
    loop {
        std::thread::park();
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn one_lookup_serves_all_who_wait() {
    let (open, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let (names, lookups) = names(Times::DEFAULT, move |_, _| {
        let _ = gate.lock().unwrap().recv();
        Ok(home())
    });
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let names = names.clone();
        waiting.spawn(async move { names.lookup("svc.test").await });
    }
    until("the lookup", || lookups.load(Ordering::SeqCst) == 1).await;
    assert!(names.known("svc.test").is_none());
    drop(open);
    assert!(waiting.join_all().await.into_iter().all(|found| found == Ok(home())));
    assert_eq!(names.lookup("svc.test").await, Ok(home()), "and who asks later");
    assert_eq!(names.known("svc.test"), Some(Ok(home())));
    assert_eq!(lookups.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_name_whose_lookup_hangs_keeps_no_other_waiting() {
    let times = Times { wait: Duration::from_millis(50), ..Times::DEFAULT };
    let (names, _) = names(times, |name, _| if name.starts_with("hangs") { hang() } else { Ok(home()) });
    for index in 0..MAX_LOOKUPS - 1 {
        assert!(names.known(&format!("hangs-{index}.test")).is_none());
    }
    assert_eq!(names.lookup("good.test").await, Ok(home()));
    let silent = names.lookup("hangs-0.test").await;
    assert!(matches!(silent, Err(Unresolved::Silent(_))), "{silent:?}");
    assert!(names.known("hangs-last.test").is_none());
    assert_eq!(names.lookup("one-more.test").await, Err(Unresolved::TooMany), "at the limit it says why");
    assert_eq!(names.lookup("good.test").await, Ok(home()), "what is known stays known");
}

#[tokio::test]
async fn an_answer_is_refreshed_behind_those_who_use_it() {
    let times = Times { fresh: Duration::ZERO, ..Times::DEFAULT };
    let (names, lookups) =
        names(times, |_, before| if before == 0 { Ok(home()) } else { Ok(vec![[127, 0, 0, 2].into()]) });
    assert_eq!(names.lookup("svc.test").await, Ok(home()));
    assert_eq!(names.lookup("svc.test").await, Ok(home()), "nobody waits for the second lookup");
    until("the new address", || names.known("svc.test") == Some(Ok(vec![[127, 0, 0, 2].into()]))).await;
    assert!(lookups.load(Ordering::SeqCst) >= 2);
}

#[tokio::test]
async fn the_last_answer_is_used_while_lookups_fail_or_hang() {
    let times = Times {
        fresh: Duration::ZERO,
        stale: Duration::ZERO,
        failed: Duration::ZERO,
        patience: Duration::from_millis(50),
        ..Times::DEFAULT
    };
    let (names, _) = names(times, |_, before| match before {
        0 => Ok(home()),
        1 => Err(Unresolved::Failed("server failure".into())),
        _ => hang(),
    });
    for _ in 0..5 {
        assert_eq!(names.lookup("svc.test").await, Ok(home()));
    }
}

#[tokio::test]
async fn a_name_that_is_gone_is_gone_at_once_and_one_without_addresses_too() {
    let times = Times { fresh: Duration::ZERO, stale: Duration::ZERO, ..Times::DEFAULT };
    let (names, _) = names(times, |name, before| match (name, before) {
        ("empty.test", _) => Ok(Vec::new()),
        (_, 0) => Ok(home()),
        _ => Err(Unresolved::NoSuchName),
    });
    assert_eq!(names.lookup("svc.test").await, Ok(home()));
    assert_eq!(names.lookup("svc.test").await, Err(Unresolved::NoSuchName));
    assert_eq!(names.lookup("empty.test").await, Err(Unresolved::NoSuchName));
}

#[tokio::test]
async fn a_resolver_that_panics_is_a_failure_to_try_again() {
    let times = Times { failed: Duration::ZERO, ..Times::DEFAULT };
    let (names, _) = names(times, |_, before| if before == 0 { panic!("told to") } else { Ok(home()) });
    assert!(matches!(names.lookup("svc.test").await, Err(Unresolved::Failed(_))));
    assert_eq!(names.lookup("svc.test").await, Ok(home()));
}

#[tokio::test]
async fn the_systems_resolver_knows_this_host() {
    let found = Names::system().lookup("localhost").await.unwrap();
    assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback), "{found:?}");
}
