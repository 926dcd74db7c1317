//! An upstream that fails is said in one line, with its service, address, reason and count, and in another one when it is well again.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use testkit::scene::{Profiles, Scene};
use testkit::server::{Server, Then};
use testkit::upstream::Upstream;
use testkit::wait;

use super::RETROHOOK;

/// The arrangement, with a log of JSON.
fn scene(config: &str) -> Scene {
    let mut scene = Scene::prepare(RETROHOOK, config);
    scene.setup.flags.push("--log-format=json".into());
    scene.start_gateway();
    scene
}

/// The log's lines with this message.
fn lines(scene: &Scene, message: &str) -> Vec<Value> {
    let output = scene.gateway().output();
    let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.map(|line| line["fields"].clone()).filter(|fields| fields["message"] == message).collect()
}

/// The first line with this message, once there is one.
#[track_caller]
fn line(scene: &Scene, message: &str) -> Value {
    wait::until(message, || lines(scene, message).into_iter().next())
}

/// What the service does to a request, chosen by its query.
#[test]
fn each_way_to_fail_has_a_line_with_its_reason() {
    for (query, status, message, reason, cause) in [
        ("script=reset", 502, "a service gave no valid answer", "reset", "the connection ended"),
        ("script=close", 502, "a service gave no valid answer", "reset", "the connection ended"),
        ("script=garbage", 502, "a service gave no valid answer", "invalid_answer", "not valid HTTP/1.1"),
        ("script=wait", 504, "a service did not answer in time", "timeout", "the head of its answer"),
    ] {
        let config = Profiles { service: "read_timeout: 200", ..Profiles::default() }.yaml();
        // One that nobody records, and one that a rule records.
        for method in ["GET", "PUT"] {
            let scene = scene(&config);
            let target = format!("/mockbin/profile?{query}");
            assert_eq!(scene.send(method, &target).expect("an answer").status, status, "{method} {query}");
            let line = line(&scene, message);
            assert_eq!((&line["service"], &line["reason"]), (&"mockbin".into(), &reason.into()), "{line}");
            assert_eq!(line["address"], scene.upstream.address().to_string());
            assert_eq!(line["times"], 1);
            assert_eq!(failures(&scene, "mockbin"), [(reason.to_owned(), 1.0)]);
            assert!(line["cause"].as_str().is_some_and(|text| text.contains(cause)), "{line}");
            scene.upstream.release();
        }
    }
}

#[test]
fn an_answer_that_breaks_off_or_stands_still_has_a_line() {
    let config = Profiles { service: "read_timeout: 200", ..Profiles::default() }.yaml();
    let still = Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), |_, stream| {
        std::io::Write::write_all(stream, b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nhalf")?;
        Ok(Then::KeepOpen)
    })
    .expect("a free port");
    let on_still = config.replace("{upstream}", &still.address().to_string());
    for (config, query, reason) in
        [(&config, "?script=half", "answer_reset"), (&on_still, "", "answer_timeout")]
    {
        let scene = scene(config);
        scene.send("GET", &format!("/mockbin/x{query}")).expect_err("half an answer");
        assert_eq!(line(&scene, "an answer of a service broke off")["reason"], reason);
    }
}

#[test]
fn an_outage_is_one_line_at_most_a_second_and_its_end_another() {
    let gone = Upstream::start().address();
    let config = Profiles::default().yaml().replace("{upstream}", &gone.to_string());
    let scene = scene(&config);
    for _ in 0..20 {
        assert_eq!(scene.send("GET", "/mockbin/x").expect("an answer").status, 502);
    }
    let first = line(&scene, "a service accepts no connection");
    assert_eq!((&first["reason"], &first["times"]), (&"connect".into(), &1.into()), "{first}");
    assert!(first["cause"].as_str().is_some_and(|cause| cause.contains("refused")), "{first}");
    // The rest is in the next line.
    let counted = wait::until("a line that counts", || {
        scene.send("GET", "/mockbin/x").expect("an answer");
        lines(&scene, "a service accepts no connection").into_iter().find(|line| line["times"] != 1)
    });
    assert!(counted["times"].as_u64() >= Some(20), "{counted}");
    assert_eq!(lines(&scene, "a service answers again").len(), 0);

    let _back = Upstream::start_on(gone);
    let again = wait::within(Duration::from_secs(20), "the end to be said", || {
        assert_eq!(scene.send("GET", "/mockbin/x").expect("an answer").status, 200);
        lines(&scene, "a service answers again").into_iter().next()
    });
    assert_eq!((&again["service"], &again["address"]), (&"mockbin".into(), &gone.to_string().into()));
    assert!(again["failures"].as_u64() >= Some(21), "{again}");
    for _ in 0..10 {
        assert_eq!(scene.send("GET", "/mockbin/x").expect("an answer").status, 200);
    }
    assert_eq!(lines(&scene, "a service answers again").len(), 1, "it is said once");
}

/// The counts of failures that the metrics have, as `reason` and value.
fn failures(scene: &Scene, service: &str) -> Vec<(String, f64)> {
    let text = scene.admin().get("/metrics").text();
    let start = format!("retrohook_service_failures_total{{service=\"{service}\",reason=\"");
    let of_service = text.lines().filter_map(|line| line.strip_prefix(&start)?.split_once("\"} "));
    of_service.map(|(reason, value)| (reason.to_owned(), value.parse().expect("a number"))).collect()
}

/// Has the configuration served, as the log of JSON does not say it in words that [`Scene::reload`] knows.
#[track_caller]
fn reload(scene: &Scene, config: &str) {
    std::fs::write(scene.setup.config_file(), config).expect("the file can be written");
    let answer = scene.admin().post("/retrohook/reload");
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// A reload that leaves the service as it is, one that changes another service, and one that changes all that a service is compiled with.
#[test]
fn a_service_that_failed_before_a_reload_is_said_to_answer_again_after_it() {
    let gone = Upstream::start().address();
    let config = Profiles::default().yaml().replace("{upstream}", &gone.to_string());
    let scene = scene(&config);
    for _ in 0..3 {
        assert_eq!(scene.send("GET", "/mockbin/x").expect("an answer").status, 502);
    }
    line(&scene, "a service accepts no connection");
    assert_eq!(failures(&scene, "mockbin"), [("connect".to_owned(), 3.0)]);
    let mut config = scene.setup.config.clone();
    for (from, to) in [
        (
            "services:\n",
            "services:\n- { name: other, url: \"http://127.0.0.1:9\", routes: [{ paths: [/other] }] }\n",
        ),
        (
            "topics:\n",
            "upstreams:\n- { name: some.where, targets: [{ target: \"127.0.0.1:9\" }] }\ntopics:\n",
        ),
        ("name: mockbin,\n", "name: mockbin, read_timeout: 59000,\n"),
    ] {
        config = config.replacen(from, to, 1);
        reload(&scene, &config);
        assert_eq!(scene.send("GET", "/mockbin/x").expect("an answer").status, 502);
    }
    assert_eq!(failures(&scene, "mockbin"), [("connect".to_owned(), 6.0)]);
    assert!(failures(&scene, "other").is_empty(), "it was asked nothing");

    let _back = Upstream::start_on(gone);
    reload(&scene, &config.replacen("read_timeout: 59000", "read_timeout: 58000", 1));
    let again = wait::within(Duration::from_secs(20), "the end to be said", || {
        assert_eq!(scene.send("GET", "/mockbin/x").expect("an answer").status, 200);
        lines(&scene, "a service answers again").into_iter().next()
    });
    assert_eq!((&again["service"], &again["failures"]), (&"mockbin".into(), &6.into()), "{again}");
    assert_eq!(failures(&scene, "mockbin"), [("connect".to_owned(), 6.0)], "a count never falls");
}

#[test]
fn a_service_that_fails_hides_no_other_one() {
    let gone = [Upstream::start().address(), Upstream::start().address()];
    let service = |name: &str, at: SocketAddr| {
        format!("- {{ name: {name}, url: \"http://{at}\", routes: [{{ paths: [/{name}] }}] }}\n")
    };
    let services: String = [service("one", gone[0]), service("other", gone[1])].concat();
    let scene = scene(&format!("_format_version: \"3.0\"\nservices:\n{services}"));
    for name in ["one", "other"] {
        assert_eq!(scene.send("GET", &format!("/{name}/x")).expect("an answer").status, 502);
    }
    wait::until("a line of each", || {
        let lines = lines(&scene, "a service accepts no connection");
        let of = |name: &str| lines.iter().any(|line| line["service"] == name && line["times"] == 1);
        (of("one") && of("other")).then_some(())
    });
}
