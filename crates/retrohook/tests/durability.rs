//! Durability is real: seen from the kernel, the log that has an intent was synced before the first byte of its request was sent.
//!
//! The checker reads what strace wrote. A checker that finds fault with nothing proves nothing, so it must refuse two traces besides: a
//! recorded one from which the syncs were taken out, and one of the same binary under a library that only pretends to sync.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use testkit::client::Client;
use testkit::scene::{Profiles, Scene};
use testkit::{tools, wait};

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

/// What writes to files or sockets, and what syncs.
const CALLS: &str = "write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,sendmmsg,sendfile,splice,fsync,fdatasync,sync_file_range";

/// A system call as strace saw it; `began` and `ended` are numbers of lines: what ended on an earlier line than another began on was over
/// before the other could begin.
#[derive(Debug)]
struct Call {
    name: String,
    /// The first argument, with what strace knows of it: `6</data/retrohook.db-wal>`.
    descriptor: String,
    text: String,
    began: usize,
    ended: usize,
    succeeded: bool,
}

/// Reads a trace of several threads; calls that were interrupted by others stand on two lines.
fn parse(trace: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut unfinished: HashMap<&str, (usize, String)> = HashMap::new();
    for (number, line) in trace.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(begun) = rest.strip_suffix("<unfinished ...>") {
            unfinished.insert(thread, (number, begun.to_owned()));
        } else if rest.starts_with("<...") {
            let Some((began, mut text)) = unfinished.remove(thread) else { continue };
            text.push_str(rest.split_once("resumed>").map_or("", |(_, behind)| behind));
            calls.extend(call(&text, began, number));
        } else {
            calls.extend(call(rest, number, number));
        }
    }
    calls
}

fn call(text: &str, began: usize, ended: usize) -> Option<Call> {
    let (name, arguments) = text.split_once('(')?;
    let (_, result) = text.rsplit_once(") ")?;
    let result = result.trim_start().strip_prefix("= ")?;
    let descriptor = arguments.split([',', ')']).next()?.to_owned();
    let succeeded = !result.starts_with('-') && !result.starts_with('?');
    Some(Call { name: name.to_owned(), descriptor, text: text.to_owned(), began, ended, succeeded })
}

impl Call {
    fn is_of_log(&self) -> bool {
        self.descriptor.contains("retrohook.db-wal>")
    }

    fn is_sync(&self) -> bool {
        self.name == "fsync" || self.name == "fdatasync"
    }

    fn is_sent_to(&self, address: SocketAddr) -> bool {
        self.descriptor.contains(&format!("->{address}]"))
    }
}

/// Whether every marked request was sent behind a sync of the log that began when its intent was written to it.
fn check(trace: &str, upstream: SocketAddr, markers: &[String]) -> Result<(), String> {
    let calls = parse(trace);
    for marker in markers {
        let marked = |call: &&Call| call.text.contains(marker.as_str());
        let sent = calls.iter().filter(|call| call.is_sent_to(upstream)).find(marked);
        let sent = sent.ok_or_else(|| format!("{marker} was never sent to the upstream"))?;
        let noted =
            calls.iter().filter(|call| call.is_of_log() && !call.is_sync() && call.succeeded).find(marked);
        let noted = noted.ok_or_else(|| format!("no intent of {marker} was written to the log"))?;
        let between = |call: &&Call| call.began > noted.ended && call.ended < sent.began;
        let mut syncs = calls.iter().filter(|call| call.is_of_log() && call.is_sync() && call.succeeded);
        if !syncs.any(|call| between(&call)) {
            return Err(format!(
                "{marker}: no sync of the log between its intent (line {}) and its first byte to the upstream (line {})",
                noted.ended + 1,
                sent.began + 1
            ));
        }
    }
    Ok(())
}

/// Whether a small body left in the same call as its head: where one is cut off, the other has not gone either.
fn check_one_write(trace: &str, upstream: SocketAddr, small: &[&String]) -> Result<(), String> {
    let calls = parse(trace);
    for marker in small {
        let of_head = |call: &&Call| call.is_sent_to(upstream) && call.text.contains(marker.as_str());
        let sent = calls.iter().find(of_head).ok_or_else(|| format!("{marker} was never sent"))?;
        if !sent.text.contains(r#"iov_base="{}""#) && !sent.text.contains(r#"\r\n\r\n{}""#) {
            return Err(format!("{marker}: its body is not in the call of its head: {}", sent.text));
        }
    }
    Ok(())
}

/// The binary under strace, and where the trace goes. Tracing from a grandchild: the traced process stays ours.
fn traced(durability: &str, more: &[String]) -> Scene {
    let rule = format!("durability: {durability}");
    let mut scene = Scene::prepare(RETROHOOK, &Profiles { rule: &rule, ..Profiles::default() }.yaml());
    let strace = tools::find("STRACE", "strace").to_string_lossy().into_owned();
    let trace = trace_of(&scene).to_string_lossy().into_owned();
    let words = ["-D", "-f", "-yy", "-s", "65536", "-e"].map(str::to_owned).into_iter();
    let calls = [format!("trace={CALLS}"), "-e".into(), "signal=none".into(), "-o".into(), trace];
    scene.setup.wrapper =
        std::iter::once(strace).chain(words).chain(calls).chain(more.iter().cloned()).collect();
    scene.start_gateway();
    scene
}

fn trace_of(scene: &Scene) -> std::path::PathBuf {
    scene.setup.data.path().join("trace")
}

/// Requests one after another, several at once, with small and with large bodies; each with a mark of its own.
fn traffic(scene: &Scene) -> Vec<String> {
    let proxy = scene.gateway().proxy();
    let marker = |thread: usize, number: usize| format!("marker-{thread}-{number}-");
    let put = |client: &mut Client, marker: &str, body: &[u8]| {
        let target = format!("/mockbin/profile?{marker}");
        assert_eq!(client.send("PUT", &target, &[], body).expect("an answer").status, 200, "{marker}");
    };
    std::thread::scope(|scope| {
        for thread in 0..6 {
            scope.spawn(move || {
                let mut client = Client::connect(proxy).expect("the proxy accepts");
                for number in 0..8 {
                    let body = if number == 4 { vec![b'x'; 100_000] } else { b"{}".to_vec() };
                    put(&mut client, &marker(thread, number), &body);
                }
            });
        }
    });
    (0..6).flat_map(|thread| (0..8).map(move |number| marker(thread, number))).collect()
}

/// Stops the gateway; the trace is whole when it tells of its end.
fn finish(scene: &mut Scene) -> String {
    let gateway = scene.take_gateway();
    let pid = gateway.pid();
    assert!(gateway.terminate().success());
    let file = trace_of(scene);
    wait::until("the end of the trace", || {
        let trace = String::from_utf8_lossy(&std::fs::read(&file).ok()?).into_owned();
        let ended = trace.lines().rev().take(3).any(|line| {
            line.split_whitespace().next() == Some(&pid.to_string()) && line.contains("+++ exited with")
        });
        ended.then_some(trace)
    })
}

#[test]
fn no_byte_is_sent_before_its_intent_is_synced() {
    for durability in ["intent", "strict"] {
        let mut scene = traced(durability, &[]);
        let markers = traffic(&scene);
        let upstream = scene.upstream.address();
        let trace = finish(&mut scene);
        check(&trace, upstream, &markers).unwrap_or_else(|fault| panic!("{durability}: {fault}"));
        let small: Vec<&String> = markers.iter().filter(|marker| !marker.ends_with("-4-")).collect();
        check_one_write(&trace, upstream, &small).unwrap_or_else(|fault| panic!("{durability}: {fault}"));
        let apart =
            trace.replace(r#"iov_base="{}""#, r#"iov_base="""#).replace(r#"\r\n\r\n{}""#, r#"\r\n\r\n""#);
        assert!(check_one_write(&apart, upstream, &small).is_err(), "a body that follows must be refused");

        let without = |unwanted: &dyn Fn(&str) -> bool| -> String {
            trace.lines().filter(|line| !unwanted(line)).map(|line| format!("{line}\n")).collect()
        };
        let syncs_log = |line: &str| line.contains("sync(") && line.contains("retrohook.db-wal>");
        for (what, fault) in [
            ("the log's syncs", without(&syncs_log)),
            (
                "that they succeeded",
                trace.replace(")  = 0", ")  = -1 EIO").replace(") = 0", ") = -1 EIO (I/O error)"),
            ),
            ("which file they were of", trace.replace("sync(", "sync(1</elsewhere>, ")),
        ] {
            let verdict = check(&fault, upstream, &markers);
            let fault = verdict.expect_err(&format!("a trace without {what} must be refused"));
            assert!(fault.contains("no sync of the log"), "{fault}");
        }
    }
}

#[test]
fn a_store_that_only_pretends_to_sync_is_found_out() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let library = pretend_to_sync(place.path());
    let mut scene = traced("intent", &["-E".into(), format!("LD_PRELOAD={}", library.display())]);
    let markers = traffic(&scene);
    let upstream = scene.upstream.address();
    let trace = finish(&mut scene);
    let fault = check(&trace, upstream, &markers).expect_err("nothing was synced");
    assert!(fault.contains("no sync of the log"), "{fault}");
}

/// A library whose `fsync` and `fdatasync` do nothing: to the binary it looks like `synchronous=OFF` with a good conscience.
fn pretend_to_sync(place: &Path) -> std::path::PathBuf {
    let (source, library) = (place.join("pretend.c"), place.join("pretend.so"));
    let text = "int fsync(int fd) { (void)fd; return 0; }\nint fdatasync(int fd) { (void)fd; return 0; }\n";
    std::fs::write(&source, text).expect("a temporary file");
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).output();
    let compiled = compiled.expect("a C compiler: the build needed one, too");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    library
}

#[test]
fn the_checker_reads_calls_that_others_interrupted() {
    let upstream = SocketAddr::from(([127, 0, 0, 1], 9_000));
    let check = |trace: &str| check(trace, upstream, &["m-1".to_owned()]);
    let good = r#"7 pwrite64(6</d/retrohook.db-wal>, "..m-1..", 7, 0 <unfinished ...>
8 writev(9<TCP:[127.0.0.1:1->127.0.0.1:8000]>, [{iov_base="m-1", iov_len=3}], 1) = 3
7 <... pwrite64 resumed>) = 7
7 fsync(6</d/retrohook.db-wal> <unfinished ...>
8 write(5<anon_inode:[eventfd]>, "\1", 8) = 8
7 <... fsync resumed>) = 0
8 writev(9<TCP:[127.0.0.1:2->127.0.0.1:9000]>, [{iov_base="PUT /m-1", iov_len=8}], 1) = 8
"#;
    assert_eq!(check(good), Ok(()));
    // Sent while the sync was still under way.
    let lines: Vec<_> = good.lines().collect();
    let early = [lines[0], lines[2], lines[3], lines[6], lines[5]].join("\n");
    assert!(check(&early).expect_err("too early").contains("no sync"));
    // The sync was under way before the intent was written.
    let stale =
        [lines[3], lines[0], lines[2], lines[5], lines[6]].join("\n").replace("7 <... fsync", "6 <... fsync");
    let stale = stale.replace("7 fsync", "6 fsync");
    assert!(check(&stale).expect_err("too old").contains("no sync"));
    assert!(check(&good.replace("resumed>) = 0", "resumed>) = -1 EIO")).is_err());
    assert!(check(&good.replace("retrohook.db-wal>", "retrohook.db>")).is_err(), "another file");
    assert!(check(lines[..6].join("\n").as_str()).is_err(), "never sent");
}
