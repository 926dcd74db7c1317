//! A thousand subscriptions: their workers begin with a few threads, and each hears of what is owed to it.

use super::*;

const MANY: usize = 1_000;
/// Of the deliveries, for reads of the store and signatures.
const MOST_THREADS: usize = 8;

/// How many threads of a process have this name; the system keeps the first 15 bytes of it.
fn threads(pid: u32, name: &str) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("its threads");
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|known| known.trim() == &name[..name.len().min(15)]).count()
}

#[test]
fn a_thousand_workers_that_begin_at_once_do_so_with_a_few_threads() {
    let mut config = Profiles::default().yaml();
    config.push_str("- name: idle\n  subscriptions:\n");
    for number in 0..MANY {
        let endpoint = format!("{{receiver}}/idle/{number}");
        config.push_str(&format!("  - {{ protocol: http, endpoint: \"{endpoint}\", confirm: skip }}\n"));
    }
    let mut scene = Scene::prepare(PROGRAM, &config);
    scene.start_gateway();
    let mut starts = 0;
    loop {
        let pid = scene.gateway().pid();
        let mut most = 0;
        // They began in their order.
        let last = format!("/retrohook/subscriptions/{}", MANY + 1);
        wait::until("the last worker to run", || {
            most = most.max(threads(pid, "delivery-blocking"));
            (scene.admin().get(&last).json()["worker"]["state"] == "running").then_some(())
        });
        assert!((1..=MOST_THREADS).contains(&most), "{most}");
        assert_eq!(scene.put("").expect("an answer").status, 200);
        starts += 1;
        wait::until("what is owed", || (scene.receiver.messages().len() >= starts).then_some(()));
        if starts == 2 {
            break;
        }
        // A start with what the last one left.
        scene.take_gateway().kill();
        scene.start_gateway();
    }
}
