//! A new generation takes the place of the one that is served, while it is.

use std::sync::atomic::{AtomicBool, AtomicU64};

use super::*;

/// How long the cores may take to follow.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(20);

/// Publishes, and waits until every core serves it.
fn publish(running: &Running, snapshot: Arc<Snapshot>) {
    let mut receipt = running.publisher().publish(snapshot).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(receipt.held_by_all(FOLLOWED_WITHIN)).unwrap();
}

fn upstream_connections(running: &Running) -> u64 {
    running.stats().iter().map(|core| core.upstream_connections.load(Ordering::Relaxed)).sum()
}

/// An upstream whose answers are its name.
fn named(name: &'static str) -> Server {
    Server::start(ANY, move |_, stream| answer(stream, 200, &[], name.as_bytes()).map(|()| Then::KeepOpen))
        .unwrap()
}

const CLIENTS: usize = 6;
const SWAPS: u64 = 40;
/// Requests between two swaps, of all clients together.
const BETWEEN: u64 = 60;

/// What the clients of a load know of the generations, and have done.
#[derive(Default)]
struct Load {
    /// The last one of which all cores said that they hold it.
    held: AtomicU64,
    /// The last one that a core may hold.
    published: AtomicU64,
    answered: AtomicU64,
    over: AtomicBool,
}

impl Load {
    /// Sends requests on one connection until it is over; how many of them could have been answered by one generation alone.
    fn run(&self, proxy: SocketAddr, names: [&str; 2]) -> u64 {
        let mut client = Client::connect(proxy).unwrap();
        let mut sure = 0;
        for method in METHODS.iter().cycle() {
            if self.over.load(Ordering::SeqCst) {
                break;
            }
            let at_least = self.held.load(Ordering::SeqCst);
            // A connection that was dropped fails here.
            let answer = client.send(method, "/", &[], b"").unwrap();
            let at_most = self.published.load(Ordering::SeqCst);
            let allowed: Vec<_> =
                (at_least..=at_most).map(|generation| names[generation as usize % 2]).collect();
            assert_eq!(answer.status, 200);
            assert!(allowed.contains(&answer.text().as_str()), "{} and not {allowed:?}", answer.text());
            sure += u64::from(at_least == at_most);
            self.answered.fetch_add(1, Ordering::SeqCst);
        }
        sure
    }
}

#[test]
fn under_load_no_request_goes_to_the_old_upstream_once_all_cores_have_swapped() {
    let names = ["even", "odd"];
    let upstreams = names.map(named);
    let destinations = Destinations::default();
    let of = |generation: u64| {
        let port = upstreams[generation as usize % 2].address().port();
        snapshot(generation, service_among(&destinations, LOCALHOST, port), true)
    };
    let running = Gateway::bind(Config { workers: 2, ..config() }).unwrap();
    let running = running.start(of(1), Arc::new(WallClock), &vital::vitals().0).unwrap();
    let load = Load { held: AtomicU64::new(1), published: AtomicU64::new(1), ..Load::default() };
    let proxy = proxy(&running);
    let sure: u64 = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| load.run(proxy, names))).collect();
        for generation in 2..2 + SWAPS {
            let before = load.answered.load(Ordering::SeqCst);
            wait::until("requests", || {
                let ended = clients.iter().any(std::thread::ScopedJoinHandle::is_finished);
                (ended || load.answered.load(Ordering::SeqCst) >= before + BETWEEN).then_some(())
            });
            load.published.store(generation, Ordering::SeqCst);
            publish(&running, of(generation));
            load.held.store(generation, Ordering::SeqCst);
        }
        load.over.store(true, Ordering::SeqCst);
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert!(sure >= SWAPS * BETWEEN / 2, "{sure} requests say anything");
    let accepted: u64 = running.stats().iter().map(|core| core.connections.load(Ordering::Relaxed)).sum();
    assert_eq!(accepted, CLIENTS as u64, "no connection of a client was dropped");
}

#[test]
fn requests_under_way_at_a_swap_end_with_the_old_upstream() {
    for method in METHODS {
        let (old, new) = (Upstream::start(), Upstream::start());
        let running = gateway_to(old.address());
        let mut under_way = Client::connect(proxy(&running)).unwrap();
        under_way.write(&client::request(method, "/?script=wait", &[], b"")).unwrap();
        wait::until("the upstream to be asked", || (!old.executed().is_empty()).then_some(()));
        let mut half = Client::connect(proxy(&running)).unwrap();
        let before = upstream_connections(&running);
        half.write(
            format!("{method} /half HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n").as_bytes(),
        )
        .unwrap();
        half.write(&[b'x'; 999_999]).unwrap();
        wait::until("the body to flow", || (upstream_connections(&running) > before).then_some(()));

        publish(&running, snapshot(2, service(LOCALHOST, new.address().port()), true));
        let answer = client::send(proxy(&running), method, "/next", &[], b"").unwrap();
        assert_eq!((answer.status, old.executed().len(), new.executed().len()), (200, 1, 1), "{method}");
        half.write(b"x").unwrap();
        assert_eq!(half.answer().unwrap().status, 200, "{method}");
        old.release();
        assert_eq!(under_way.answer().unwrap().status, 200, "{method}");
        assert_eq!((old.executed().len(), new.executed().len()), (2, 1), "{method}");
        assert_eq!(under_way.send(method, "/after", &[], b"").unwrap().status, 200, "its connection goes on");
        assert_eq!(new.executed().len(), 2, "{method}");
    }
}

#[test]
fn connections_to_an_address_that_stays_are_used_again() {
    let upstreams = [Upstream::start(), Upstream::start()];
    let destinations = Destinations::default();
    let to = |upstream: usize| service_among(&destinations, LOCALHOST, upstreams[upstream].address().port());
    let running = gateway(config(), to(0));
    let mut client = Client::connect(proxy(&running)).unwrap();
    let mut send = || assert_eq!(client.send("GET", "/", &[], b"").unwrap().status, 200);
    send();
    let renamed = Service { name: "another".into(), read_timeout: Duration::from_secs(7), ..to(0) };
    publish(&running, snapshot(2, renamed, true));
    send();
    assert_eq!(upstream_connections(&running), 1, "nothing about the connection has changed");
    publish(&running, snapshot(3, to(1), true));
    send();
    assert_eq!(upstream_connections(&running), 2, "it leads elsewhere");
    let asked = upstreams.each_ref().map(|upstream| upstream.executed().len());
    assert_eq!(asked, [2, 1]);
}
