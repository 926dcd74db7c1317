//! Endpoints that hang hold no more memory than the budget of all workers, and keep no other waiting.

use testkit::receiver::{Mood, Receiver};

use super::*;

const EVENTS: usize = 60;
const HUNG: usize = 5;
/// Of every event: a body of a mebibyte, captured.
const BODY: usize = 1 << 20;
/// What the budget allows, with one event more for each worker.
const MAX_HELD: f64 = (64 << 20) as f64 + (6 * 3 * (2 << 20)) as f64;
/// What the process may ever have had in memory, in KiB: the budget, the caches of a fixed size and the binary itself. Without a budget
/// it was a gibibyte and more.
const MAX_RESIDENT: u64 = 400 << 10;

/// The most memory that a process has ever had, in KiB.
fn most_resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
    line.trim().trim_end_matches(" kB").trim().parse().expect("a number")
}

#[test]
fn endpoints_that_hang_hold_a_bounded_number_of_bytes() {
    let healthy = Receiver::start();
    let rule = "capture: { request_body: true, max_bytes: 1048576 }";
    let subscription = "raw_message_delivery: true, confirm: skip";
    let mut config = Profiles { rule, subscription, ..Profiles::default() }.yaml();
    for number in 1..HUNG {
        config.push_str(&format!(
            "  - {{ protocol: http, endpoint: \"{{receiver}}/{number}\", {subscription} }}\n"
        ));
    }
    config.push_str(&format!(
        "  - {{ protocol: http, endpoint: \"{}\", {subscription} }}\n",
        healthy.url("/well")
    ));
    let mut scene = Scene::prepare(PROGRAM, &config);
    scene.receiver.set(Mood::Slow(60_000));
    // The events are in the log before anybody is delivered to.
    scene.setup.flags.push("--drain-timeout=0".into());
    scene.start_gateway();
    let body = vec![b'x'; BODY];
    let mut client = scene.client();
    for _ in 0..EVENTS {
        let answer = client.send("PUT", "/mockbin/profile", &[], &body).expect("an answer");
        assert_eq!(answer.status, 200);
    }
    scene.take_gateway().kill();
    scene.start_gateway();

    let held = || scene.admin().metric("retrohook_delivery_bytes").expect("a metric");
    let mut most = 0.0_f64;
    wait::until("the hung endpoints to have what they may", || {
        most = most.max(held());
        (most > (32 << 20) as f64).then_some(())
    });
    // Whoever is well gets everything meanwhile.
    let ids = |healthy: &Receiver| {
        let all = healthy.messages();
        let ids = all.iter().filter_map(|message| message.header("x-retrohook-event-id").map(str::to_owned));
        ids.collect::<std::collections::BTreeSet<_>>().len()
    };
    wait::within(4 * wait::SOON, "all events at the healthy endpoint", || {
        most = most.max(held());
        (ids(&healthy) == EVENTS).then_some(())
    });
    assert!(most <= MAX_HELD, "{most} bytes");
    let resident = most_resident(scene.gateway().pid());
    assert!(resident < MAX_RESIDENT, "{resident} KiB");
}
