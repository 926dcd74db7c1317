//! Which connections to an upstream are used again, and what an upstream may answer.

use std::collections::HashMap;

use super::*;

#[test]
fn an_answer_that_came_unasked_reaches_nobody() {
    // Behind every answer another one, in the same piece or a moment later.
    let upstream = Server::start(ANY, |request, stream| {
        let honest =
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}", request.target.len(), request.target);
        let smuggled = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nsmuggled";
        if request.target.ends_with("together") {
            stream.write_all(format!("{honest}{smuggled}").as_bytes())?;
        } else {
            stream.write_all(honest.as_bytes())?;
            stream.write_all(smuggled.as_bytes())?;
        }
        Ok(Then::KeepOpen)
    });
    let upstream = upstream.unwrap();
    let running = gateway_to(upstream.address());
    let mut client = Client::connect(proxy(&running)).unwrap();
    for count in 0..100 {
        for method in METHODS {
            for how in ["together", "apart"] {
                let target = format!("/{count}/{how}");
                let answer = client.send(method, &target, &[], b"").unwrap();
                assert_eq!((answer.status, answer.text()), (200, target), "{method}");
            }
        }
    }
}

#[test]
fn a_connection_that_ends_instead_of_answering_costs_a_repeatable_request_nothing() {
    let executed = Arc::new(Mutex::new(Vec::new()));
    let record = executed.clone();
    let served = Mutex::new(HashMap::new());
    // The second request of every connection is read, and the connection closed.
    let upstream = Server::start(ANY, move |request, stream| {
        record.lock().unwrap().push((request.method.clone(), request.target.clone()));
        let mut served = served.lock().unwrap();
        let count = served.entry(stream.peer_addr()?).or_insert(0);
        *count += 1;
        if *count == 2 {
            return Ok(Then::Reset);
        }
        answer(stream, 200, &[], b"ok").map(|()| Then::KeepOpen)
    });
    let upstream = upstream.unwrap();
    let running = gateway_to(upstream.address());
    let mut client = Client::connect(proxy(&running)).unwrap();
    for count in 0..20 {
        let answer = client.send("GET", &format!("/{count}"), &[], b"").unwrap();
        assert_eq!(answer.status, 200, "{count}");
    }
    // What must not be done twice is not: a POST, what has a body, what is watched.
    for (method, body) in [("POST", "{}"), ("POST", ""), ("DELETE", "{}"), ("PUT", "")] {
        let mut statuses = Vec::new();
        for count in 0..6 {
            let target = format!("/{method}/{}/{count}", body.len());
            statuses.push(client.send(method, &target, &[], body.as_bytes()).unwrap().status);
            let times = executed.lock().unwrap().iter().filter(|(_, known)| *known == target).count();
            assert_eq!(times, 1, "{target}");
        }
        assert!(statuses.iter().all(|status| [200, 502].contains(status)), "{method}: {statuses:?}");
    }
}

#[test]
fn an_answer_may_have_many_header_lines() {
    let upstream = Server::start(ANY, |request, stream| {
        let count: usize = request.target[1..].parse().unwrap();
        let cookies: String = (0..count).map(|number| format!("set-cookie: c{number}=1\r\n")).collect();
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{cookies}\r\nok")?;
        Ok(Then::KeepOpen)
    });
    let upstream = upstream.unwrap();
    let running = gateway_to(upstream.address());
    for method in METHODS {
        for count in [1, 99, 100, 150, 999] {
            let answer = client::send(proxy(&running), method, &format!("/{count}"), &[], b"").unwrap();
            let cookies = answer.headers.iter().filter(|(name, _)| name == "set-cookie").count();
            assert_eq!((answer.status, cookies), (200, count), "{method}");
        }
        for count in [1_000, 5_000] {
            let answer = client::send(proxy(&running), method, &format!("/{count}"), &[], b"").unwrap();
            assert_eq!(answer.status, 502, "{method} {count}");
        }
    }
}
