//! Services that are reached over https: whose certificate is taken, what is sent to whom, and that nothing of what holds over http is lost.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};
use testkit::client;
use testkit::process::Setup;
use testkit::python;
use testkit::scene::{Profiles, Scene};
use testkit::server::{Server, Then, answer};
use testkit::tls::{Authority, Front, Handshake, Manners, TLS_1_2_ALONE};
use testkit::wait;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");
const ID: &str = "6a7c4d38-7d0e-4f4f-9b58-0f0f2a7a0001";
/// Makes the service trust the authority of this id.
const TRUSTS: &str = "ca_certificates: [6a7c4d38-7d0e-4f4f-9b58-0f0f2a7a0001]";

/// The usual arrangement, whose service has these settings.
fn prepare(service: &str) -> Scene {
    Scene::prepare(RETROHOOK, &Profiles { service, ..Profiles::default() }.yaml())
}

/// The configuration, whose service is over https now, at this port of localhost.
fn over_https(scene: &Scene, port: u16) -> String {
    let plain = format!("http://{}", scene.upstream.address());
    assert!(scene.setup.config.contains(&plain), "{}", scene.setup.config);
    scene.setup.config.replace(&plain, &format!("https://localhost:{port}"))
}

/// An entry of the file that makes an authority known under [`ID`].
fn entry(authority: &Authority) -> String {
    let pem = authority.pem().replace('\n', "\n    ");
    format!("ca_certificates:\n- id: {ID}\n  cert: |\n    {}\n", pem.trim_end())
}

/// A gateway whose service is at a front with these manners, and trusted by `ca_certificates`.
fn start(manners: Manners) -> (Scene, Front) {
    let authority = Authority::new();
    let mut scene = prepare(TRUSTS);
    let front = Front::start_with(authority.vouch(&["localhost"]), scene.upstream.address(), manners);
    scene.setup.config = over_https(&scene, front.port()) + &entry(&authority);
    scene.start_gateway();
    (scene, front)
}

/// The request was refused as one whose service cannot be reached, and nothing came of it.
#[track_caller]
fn is_refused(scene: &Scene) {
    for method in ["PUT", "GET"] {
        let answer = scene.send(method, "/mockbin/profile").expect("an answer");
        assert_eq!(answer.status, 502, "{answer:?}");
        assert_eq!(answer.json()["message"], "An invalid response was received from the upstream server");
    }
    assert_eq!(scene.upstream.executed().len(), 0);
    nothing_came_of_it(scene);
}

/// No intent stays open, and no event was made.
#[track_caller]
fn nothing_came_of_it(scene: &Scene) {
    wait::until("all intents to be settled", || (scene.admin().open_intents() == 0).then_some(()));
    assert_eq!(scene.admin().events().len(), 0);
}

/// Waits until the log says why, and what to do; a line may have been left out because of another a moment before.
#[track_caller]
fn log_says(scene: &Scene, words: &[&str]) {
    wait::until(&format!("a line with {words:?}"), || {
        scene.send("GET", "/mockbin/profile").expect("an answer");
        let output = scene.gateway().output();
        output.lines().any(|line| words.iter().all(|word| line.contains(word))).then_some(())
    });
}

#[test]
fn an_authority_that_ssl_cert_file_tells_of_is_trusted_and_events_come_as_over_http() {
    let authority = Authority::new();
    let mut scene = prepare("");
    let front = Front::start(authority.vouch(&["localhost"]), scene.upstream.address());
    scene.setup.env.push(("SSL_CERT_FILE".into(), file_of(&scene, &authority, "authorities.pem")));
    scene.setup.config = over_https(&scene, front.port());
    scene.start_gateway();
    assert_eq!(scene.send("GET", "/mockbin/profile").expect("an answer").status, 200);
    assert_eq!(scene.put("").expect("an answer").status, 200);
    let told = scene.told(1);
    assert_eq!(told[0].outcome(), "succeeded");
    let host = format!("localhost:{}", front.port());
    assert_eq!(told[0].message.json()["api"]["upstream_url"], format!("https://{host}"));
    let executed = scene.upstream.executed();
    assert_eq!(executed.len(), 2);
    assert!(executed.iter().all(|request| request.header("host") == Some(&host)), "{executed:?}");
    let expected = Handshake {
        name: Some("localhost".into()),
        resumed: false,
        is_1_3: true,
        alpn: Some("http/1.1".into()),
    };
    assert_eq!(front.handshakes()[0], expected);
}

/// A file with an authority's certificate.
fn file_of(scene: &Scene, authority: &Authority, name: &str) -> String {
    let file = scene.setup.data.path().join(name);
    std::fs::write(&file, authority.pem()).expect("a file");
    file.to_str().expect("UTF-8").to_owned()
}

#[test]
fn an_authority_in_the_folder_of_ssl_cert_dir_is_trusted() {
    let authority = Authority::new();
    let mut scene = prepare("");
    let front = Front::start(authority.vouch(&["localhost"]), scene.upstream.address());
    // Named as `openssl rehash` does.
    let file = PathBuf::from(file_of(&scene, &authority, "0badcafe.0"));
    let folder = file.parent().and_then(Path::to_str).expect("UTF-8").to_owned();
    scene.setup.env.push(("SSL_CERT_DIR".into(), folder));
    scene.setup.config = over_https(&scene, front.port());
    scene.start_gateway();
    assert_eq!(scene.put("").expect("an answer").status, 200);
}

#[test]
fn whoever_cannot_be_verified_is_not_asked_and_the_log_says_why() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let cases = [
        (theirs.vouch(&["localhost"]), "an authority that is not trusted", "ca_certificates"),
        (ours.vouch(&["other.test"]), "not for `localhost`, but for", "preserve_host"),
        (ours.vouched(&["localhost"]), "has expired", "renew"),
    ];
    for (identity, cause, remedy) in cases {
        let mut scene = prepare(TRUSTS);
        let front = Front::start(identity, scene.upstream.address());
        scene.setup.config = over_https(&scene, front.port()) + &entry(&ours);
        scene.start_gateway();
        is_refused(&scene);
        let port = format!(":{} ", front.port());
        log_says(&scene, &["WARN", "mockbin", "localhost", &port, cause, remedy, "nothing was sent"]);
        assert_eq!(front.handshakes().len(), 0);
    }
}

#[test]
fn the_systems_authorities_are_trusted_and_nobody_else() {
    let authority = Authority::new();
    let mut scene = prepare("");
    let front = Front::start(authority.vouch(&["localhost"]), scene.upstream.address());
    scene.setup.config = over_https(&scene, front.port()) + &entry(&authority);
    scene.start_gateway();
    is_refused(&scene);
    log_says(&scene, &["an authority that is not trusted"]);

    // A file that is not there must not make anybody else be trusted.
    scene.take_gateway().terminate();
    scene.setup.env.push(("SSL_CERT_FILE".into(), "/no/such/file.pem".into()));
    scene.setup.env.push(("SSL_CERT_DIR".into(), String::new()));
    scene.start_gateway();
    is_refused(&scene);
    scene.gateway().wait_until_it_says("no authority is trusted");
}

#[test]
fn a_service_that_is_not_to_be_verified_is_believed_and_every_start_says_so() {
    let mut scene = prepare("tls_verify: false");
    let front = Front::start(Authority::new().vouched(&["other.test"]), scene.upstream.address());
    scene.setup.config = over_https(&scene, front.port());
    for starts in 1..=2 {
        scene.start_gateway();
        assert_eq!(scene.put("").expect("an answer").status, 200);
        assert_eq!(scene.told(starts)[starts - 1].outcome(), "succeeded");
        let output = scene.gateway().output();
        assert!(
            output.contains("services[0].tls_verify: the service's certificate is not verified"),
            "{output}"
        );
        scene.take_gateway().terminate();
    }
}

#[test]
fn a_service_at_an_address_is_asked_for_no_name_and_verified_by_its_address() {
    let authority = Authority::new();
    for (names, status) in [(["127.0.0.1"], 200), (["localhost"], 502)] {
        let mut scene = prepare(TRUSTS);
        let front = Front::start(authority.vouch(&names), scene.upstream.address());
        let config = over_https(&scene, front.port()).replace("localhost", "127.0.0.1");
        scene.setup.config = config + &entry(&authority);
        scene.start_gateway();
        assert_eq!(scene.put("").expect("an answer").status, status, "{names:?}");
        if status == 200 {
            assert_eq!(front.handshakes()[0].name, None);
        }
    }
}

#[test]
fn with_preserve_host_the_clients_host_is_asked_for_and_shares_no_connection() {
    let authority = Authority::new();
    let mut scene = prepare(TRUSTS);
    let front = Front::start(authority.vouch(&["a.test", "b.test"]), scene.upstream.address());
    let config =
        over_https(&scene, front.port()).replace("strip_path: true", "strip_path: true, preserve_host: true");
    scene.setup.config = config + &entry(&authority);
    scene.start_gateway();
    let mut client = scene.client();
    let mut send =
        |host: &str| client.send("GET", "/mockbin/x", &[("host", host)], b"").expect("an answer").status;
    for (host, status) in
        [("a.test", 200), ("b.test:8443", 200), ("c.test", 502), ("a.test", 200), ("b.test:8443", 200)]
    {
        assert_eq!(send(host), status, "{host}");
    }
    let names: Vec<_> = front.handshakes().into_iter().map(|handshake| handshake.name).collect();
    assert_eq!(
        names,
        [Some("a.test".into()), Some("b.test".into())],
        "a connection for each name, used again"
    );
    let hosts: Vec<_> =
        scene.upstream.executed().iter().map(|request| request.header("host").map(str::to_owned)).collect();
    assert_eq!(
        hosts.iter().flatten().collect::<Vec<_>>(),
        ["a.test", "b.test:8443", "a.test", "b.test:8443"]
    );
}

#[test]
fn kept_connections_are_used_again_over_either_version() {
    for manners in [Manners::default(), Manners { versions: TLS_1_2_ALONE, ..Manners::default() }] {
        let (scene, front) = start(manners);
        // A client's connection stays on one core.
        let mut client = scene.client();
        for count in 0..20 {
            let method = if count % 2 == 0 { "GET" } else { "PUT" };
            let answer = client.send(method, "/mockbin/profile", &[], b"").expect("an answer");
            assert_eq!(answer.status, 200);
        }
        let handshakes = front.handshakes();
        assert_eq!(handshakes.len(), 1, "{handshakes:?}");
        assert_eq!(handshakes[0].is_1_3, manners.versions.len() > 1);
        // The upstream says that it closes: the next connection resumes the session.
        client.send("GET", "/mockbin/x?script=close", &[], b"").expect("an answer");
        assert_eq!(client.send("GET", "/mockbin/x", &[], b"").expect("an answer").status, 200);
        let last = front.handshakes().pop().expect("a handshake");
        assert!(last.resumed, "{last:?}");
        assert_eq!(scene.told(10).len(), 10);
    }
}

/// A service on Python's ssl, which is OpenSSL.
struct Service {
    child: Child,
    lines: BufReader<ChildStdout>,
    port: u16,
}

impl Service {
    fn start(identity: &PathBuf) -> Self {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/python/https_service.py");
        let mut child =
            python::command(&script).arg(identity).stdout(Stdio::piped()).spawn().expect("python");
        let mut service = Self { lines: BufReader::new(child.stdout.take().expect("piped")), child, port: 0 };
        service.port = service.line().as_u64().and_then(|port| port.try_into().ok()).expect("a port");
        service
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        serde_json::from_str(&line).expect("JSON")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It serves until it is ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn connections_to_openssl_are_used_again_and_take_large_bodies() {
    let authority = Authority::new();
    let mut scene = prepare(TRUSTS);
    let identity = scene.setup.data.path().join("identity.pem");
    std::fs::write(&identity, authority.vouch(&["localhost"]).pem()).expect("a file");
    let mut service = Service::start(&identity);
    scene.setup.config = over_https(&scene, service.port) + &entry(&authority);
    scene.start_gateway();
    let mut client = scene.client();
    let mut connections = Vec::new();
    for length in [0, 2, 70_000, 3 << 20, 5] {
        let body = vec![b'x'; length];
        let answer = client.send("POST", "/mockbin/echo", &[], &body).expect("an answer");
        assert!(
            answer.status == 200 && answer.body == body,
            "{length}: {} {}",
            answer.status,
            answer.body.len()
        );
        let line = service.line();
        assert_eq!((&line["length"], &line["tls"]), (&json!(length), &json!("TLSv1.3")), "{line}");
        connections.push(line["connection"].clone());
    }
    connections.dedup();
    assert_eq!(connections.len(), 1, "its tickets make no connection unusable: {connections:?}");
}

#[test]
fn large_bodies_pass_both_ways_with_their_event() {
    let authority = Authority::new();
    let echo = Server::start(any_port(), |request, stream| {
        answer(stream, 200, &[], &request.body).map(|()| Then::KeepOpen)
    })
    .expect("a free port");
    let mut scene = prepare(TRUSTS);
    let front = Front::start(authority.vouch(&["localhost"]), echo.address());
    scene.setup.config = over_https(&scene, front.port()) + &entry(&authority);
    scene.start_gateway();
    let body: Vec<u8> = (0..8 << 20).map(|at: u32| (at % 251) as u8).collect();
    for count in 1..=2 {
        let answer = scene.client().send("PUT", "/mockbin/profile", &[], &body).expect("an answer");
        assert!(answer.status == 200 && answer.body == body, "{} {}", answer.status, answer.body.len());
        assert_eq!(scene.told(count)[count - 1].outcome(), "succeeded");
    }
}

fn any_port() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

#[test]
fn an_answer_that_ends_without_saying_so_within_tls_is_cut() {
    let authority = Authority::new();
    // Only the end of the connection ends the answer: without TLS's word for it, somebody may have cut it.
    let server = Server::start(any_port(), |_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nperhaps all").map(|()| Then::Close)
    })
    .expect("a free port");
    for says_its_end in [true, false] {
        let mut scene = prepare(TRUSTS);
        let manners = Manners { says_its_end, ..Manners::default() };
        let front = Front::start_with(authority.vouch(&["localhost"]), server.address(), manners);
        scene.setup.config = over_https(&scene, front.port()) + &entry(&authority);
        scene.start_gateway();
        let answer = scene.put("");
        assert_eq!(
            answer.as_ref().map(client::Answer::text).ok().as_deref(),
            says_its_end.then_some("perhaps all")
        );
        // Its head said that the request succeeded.
        assert_eq!(scene.told(1)[0].outcome(), "succeeded");
    }
}

#[test]
fn a_request_without_an_answer_is_unknown() {
    for says_its_end in [true, false] {
        let (scene, _front) = start(Manners { says_its_end, ..Manners::default() });
        for (count, script) in (1..).zip(["close", "reset"]) {
            assert_eq!(scene.put(&format!("?script={script}")).expect("an answer").status, 502);
            let told = scene.told(count).pop().expect("an event");
            assert_eq!((told.outcome(), told.reason()), ("unknown", Some("upstream_reset")), "{script}");
        }
    }
}

#[test]
fn a_kill_before_the_outcome_leaves_an_unknown_event() {
    let (mut scene, _front) = start(Manners::default());
    let waiting = scene.put_and_wait_for_upstream("?script=wait");
    scene.kill_and_restart();
    let told = scene.told(1).pop().expect("an event");
    assert_eq!((told.outcome(), told.reason()), ("unknown", Some("gateway_restarted")));
    drop(waiting);
    scene.upstream.release();
    assert_eq!(scene.put("").expect("an answer").status, 200);
    assert_eq!(scene.told(2)[1].outcome(), "succeeded");
}

#[test]
fn the_handshake_counts_as_connecting() {
    // It takes connections, and says nothing.
    let silent = TcpListener::bind(any_port()).expect("a free port");
    let mut scene = prepare("connect_timeout: 300");
    scene.setup.config = over_https(&scene, silent.local_addr().expect("an address").port());
    scene.start_gateway();
    let answer = scene.put("").expect("an answer");
    assert_eq!(
        (answer.status, &answer.json()["message"]),
        (504, &json!("The upstream server is timing out"))
    );
    nothing_came_of_it(&scene);
    log_says(&scene, &["did not end the handshake", "connect_timeout"]);
}

#[test]
fn a_service_without_tls_is_not_asked() {
    let mut scene = prepare("");
    scene.setup.config = over_https(&scene, scene.upstream.address().port());
    scene.start_gateway();
    let answer = scene.put("").expect("an answer");
    assert_eq!(answer.status, 502);
    assert_eq!(scene.upstream.executed().len(), 0);
    nothing_came_of_it(&scene);
    log_says(&scene, &["mockbin", "perhaps it speaks http there"]);
}

/// Requests one after the other until they are to end; all of them are answered.
fn load(scene: &Scene, over: &AtomicBool, answered: &AtomicU64) -> u64 {
    let mut client = scene.client();
    let mut matched = 0;
    while !over.load(Ordering::SeqCst) {
        for (method, target) in [("GET", "/mockbin/x"), ("PUT", "/mockbin/profile")] {
            let answer = client.send(method, target, &[], b"").expect("its connection stays");
            assert_eq!(answer.status, 200);
            answered.fetch_add(1, Ordering::SeqCst);
        }
        matched += 1;
    }
    matched
}

#[test]
fn a_reload_from_http_to_https_and_back_fails_no_request() {
    let authority = Authority::new();
    let mut scene = prepare("");
    let front = Front::start(authority.vouch(&["localhost"]), scene.upstream.address());
    let plain = scene.setup.config.clone();
    let secure =
        over_https(&scene, front.port()).replace("    plugins:", &format!("    {TRUSTS},\n    plugins:"));
    let secure = secure + &entry(&authority);
    scene.start_gateway();
    let (over, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let matched: u64 = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(|| load(&scene, &over, &answered))).collect();
        for config in [&secure, &plain, &secure, &plain] {
            let before = answered.load(Ordering::SeqCst);
            wait::until("requests", || {
                let ended = clients.iter().any(std::thread::ScopedJoinHandle::is_finished);
                (ended || answered.load(Ordering::SeqCst) >= before + 40).then_some(())
            });
            let printed = scene.reload(config);
            assert!(printed.contains("reloaded: "), "{printed}");
        }
        over.store(true, Ordering::SeqCst);
        clients.into_iter().map(|client| client.join().expect("all its requests are answered")).sum()
    });
    assert!(!front.handshakes().is_empty());
    let events = scene.admin().wait_for_events(matched as usize);
    assert_eq!(events.len() as u64, matched);
    assert!(events.iter().all(|event| event["outcome"] == "succeeded"));
}

#[test]
fn a_reload_that_changes_whom_a_service_trusts_uses_no_connection_of_before() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let mut scene = prepare("tls_verify: false");
    let front = Front::start(authority.vouch(&["localhost"]), scene.upstream.address());
    let believing = over_https(&scene, front.port());
    let verifying =
        |authority: &Authority| believing.replace("tls_verify: false", TRUSTS) + &entry(authority);
    scene.setup.config = believing.clone();
    scene.start_gateway();
    let mut client = scene.client();
    let mut send = || client.send("GET", "/mockbin/x", &[], b"").expect("an answer").status;
    assert_eq!((send(), send(), front.handshakes().len()), (200, 200, 1));
    scene.reload(&verifying(&stranger));
    assert_eq!(send(), 502, "the kept connection was to somebody who is not trusted any more");
    scene.reload(&verifying(&authority));
    assert_eq!((send(), send()), (200, 200));
    let handshakes = front.handshakes();
    assert_eq!(handshakes.len(), 2, "{handshakes:?}");
    assert!(!handshakes[1].resumed, "a session that was not verified is not resumed either");
}

#[test]
fn an_authority_that_cannot_be_read_is_refused_with_its_place() {
    let setup = |cert: &str| {
        let entry = format!("ca_certificates:\n- id: {ID}\n  cert: {cert}\n");
        Setup::new(RETROHOOK, format!("_format_version: \"3.0\"\n{entry}"))
    };
    let check = |setup: &Setup| {
        std::fs::write(setup.config_file(), &setup.config).expect("a file");
        let output = std::process::Command::new(RETROHOOK).arg("check").arg(setup.config_file()).output();
        let output = output.expect("it runs");
        (
            output.status.success(),
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        )
    };
    let (fine, said) = check(&setup("no certificate"));
    assert!(!fine && said.contains("yaml:4:9: ca_certificates[0].cert: invalid certificate"), "{said}");
    let pem = format!("{:?}", Authority::new().pem());
    let (fine, said) = check(&setup(&pem));
    assert!(fine && said.contains("1 CA certificate"), "{said}");
}
