//! Against sockets on loopback: some listen, some refuse, some swallow every SYN.

use std::net::TcpListener;

use socket2::{Domain, Socket, Type};

use super::*;

const PATIENT: Duration = Duration::from_secs(30);

/// The port of a listener on 127.0.0.1.
fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A listener whose backlog is full: whoever connects gets no answer.
struct Hole {
    _listener: Socket,
    _queued: Vec<Socket>,
}

impl Hole {
    fn dig(address: [u8; 4], port: u16) -> Self {
        let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let to = SocketAddr::from((address, port)).into();
        let listener = socket();
        listener.bind(&to).unwrap();
        listener.listen(0).unwrap();
        let mut queued = Vec::new();
        // Until one finds no place any more.
        loop {
            let filling = socket();
            let is_full = filling.connect_timeout(&to, Duration::from_millis(200)).is_err();
            queued.push(filling);
            if is_full {
                return Self { _listener: listener, _queued: queued };
            }
            assert!(queued.len() < 50, "the backlog has no end");
        }
    }
}

fn addresses(last: &[u8]) -> Vec<IpAddr> {
    last.iter().map(|last| IpAddr::from([127, 0, 0, *last])).collect()
}

async fn check(last: &[u8], port: u16, expected: u8) {
    let connected = connect(&addresses(last), port, PATIENT, || Some(())).await;
    assert_eq!(connected.unwrap().1, IpAddr::from([127, 0, 0, expected]), "{last:?}");
}

#[tokio::test]
async fn an_address_that_refuses_is_followed_by_the_next() {
    let (_listener, port) = listener();
    check(&[1], port, 1).await;
    check(&[2, 3, 1], port, 1).await;
    let refused = connect(&addresses(&[2, 3]), port, PATIENT, || Some(())).await;
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    let none = connect(&[], port, PATIENT, || Some(())).await;
    assert_eq!(none.unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
}

#[tokio::test]
async fn an_address_that_gives_no_answer_holds_nobody_up() {
    let (_listener, port) = listener();
    let _holes = [Hole::dig([127, 0, 0, 2], port), Hole::dig([127, 0, 0, 3], port)];
    let began = Instant::now();
    check(&[2, 1], port, 1).await;
    check(&[2, 4, 3, 1], port, 1).await;
    assert!(began.elapsed() < PATIENT / 2, "{:?}", began.elapsed());
}

#[tokio::test]
async fn without_a_place_of_its_own_the_next_waits_for_its_share_of_the_time() {
    let (_listener, port) = listener();
    let _hole = Hole::dig([127, 0, 0, 2], port);
    let mut asked = 0;
    let none = || {
        asked += 1;
        None::<()>
    };
    let within = Duration::from_secs(3);
    let began = Instant::now();
    let connected = connect(&addresses(&[2, 1]), port, within, none).await;
    assert_eq!(connected.unwrap().1, IpAddr::from([127, 0, 0, 1]));
    assert!(began.elapsed() >= within / 2 && asked > 1, "{:?}, asked {asked} times", began.elapsed());
}

#[tokio::test]
async fn more_addresses_than_may_be_tried_at_once_get_their_turn() {
    let (_listener, port) = listener();
    let holes: Vec<u8> = (2..8).collect();
    let _dug: Vec<Hole> = holes.iter().map(|last| Hole::dig([127, 0, 0, *last], port)).collect();
    let all = [&holes[..], &[1]].concat();
    let places = std::rc::Rc::new(());
    let most = std::cell::Cell::new(0);
    let place = || {
        most.set(most.get().max(std::rc::Rc::strong_count(&places)));
        Some(places.clone())
    };
    let connected = connect(&addresses(&all), port, Duration::from_secs(14), place).await;
    assert_eq!(connected.unwrap().1, IpAddr::from([127, 0, 0, 1]));
    assert!(most.get() < MAX_RACERS, "each beside the first takes a place: {}", most.get());
}

#[tokio::test]
async fn the_end_of_the_time_is_an_error_of_its_own() {
    let (_listener, port) = listener();
    let _hole = Hole::dig([127, 0, 0, 2], port);
    for all in [&[2][..], &[2, 3]] {
        let ended = connect(&addresses(all), port, Duration::from_millis(400), || Some(())).await;
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
