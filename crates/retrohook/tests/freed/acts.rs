//! Who did it: each act of an operator leaves one line in the log, which names the subscription and says that an operator did it.

use super::*;

/// Counts the lines that say that an operator did something.
struct Log<'s> {
    scene: &'s Scene,
    seen: usize,
    endpoint: String,
}

impl Log<'_> {
    fn lines(&self) -> Vec<String> {
        let output = self.scene.gateway().output();
        output.lines().filter(|line| line.contains("operator")).map(str::to_owned).collect()
    }

    /// Since the last look there is one line more, which has all of this.
    #[track_caller]
    fn says(&mut self, words: &[&str]) {
        let lines = wait::until("a line of what an operator did", || {
            let lines = self.lines();
            (lines.len() > self.seen).then_some(lines)
        });
        assert_eq!(lines.len(), self.seen + 1, "one line for one act: {lines:#?}");
        let line = &lines[self.seen];
        let endpoint = format!("endpoint=\"{}\"", self.endpoint);
        for word in [&["topic=\"profile-changes\"", endpoint.as_str()][..], words].concat() {
            assert!(line.contains(word), "`{word}` is not in: {line}");
        }
        self.seen = lines.len();
    }
}

#[test]
fn what_an_operator_does_with_deliveries_is_said_once_each() {
    let hook = Hook::refusing(&["down"]);
    let mut scene = hook.scene("raw_message_delivery: true, confirm: skip, name: expire");
    scene.start_gateway();
    put(&scene, &["down=1", "down=2", "down=3"]);
    let admin = scene.admin();
    let waiting = || {
        wait::until("all to wait", || {
            let all = ok(&admin.get("/retrohook/deliveries?state=waiting"))["deliveries"].clone();
            let all = all.as_array().expect("a list").clone();
            let is_over = |one: &Value| one["next_attempt_at"].is_string();
            (all.len() == 3 && all.iter().all(is_over)).then_some(all)
        })
    };
    let first = waiting()[0].clone();
    let sequence = format!("sequence={}", first["sequence"]);
    let mut log = Log { scene: &scene, seen: 0, endpoint: hook.url() };
    let name = "name=\"expire\"";

    ok(&admin.post(&link(&first, "retry")));
    log.says(&[name, "an operator had a waiting delivery tried again at once", &sequence]);
    waiting();
    ok(&admin.post("/retrohook/subscriptions/1/retry?dry_run=true"));
    ok(&admin.post("/retrohook/subscriptions/1/retry?since=2999-01-01T00:00:00Z"));
    let since = "2020-01-02T03:04:05Z";
    ok(&admin.post(&format!("/retrohook/subscriptions/1/retry?since={since}")));
    log.says(&[
        name,
        "an operator had waiting deliveries tried again at once",
        "count=3",
        "since=\"2020-01-02T03:04:05",
    ]);
    for one in &waiting()[..2] {
        ok(&admin.post(&format!("{}?reason=poison", link(one, "give_up"))));
        let position = format!("position={}", one["sequence"]);
        log.says(&[name, "because an operator asked for it", &position, "poison"]);
    }
    hook.is_well();
    ok(&admin.post("/retrohook/dead-letters/1/redrive?reason=elsewhere"));
    ok(&admin.post(&format!("/retrohook/dead-letters/1/{}/redrive", first["sequence"])));
    log.says(&[name, "an operator had a dead letter sent again", &sequence]);
    hook.wait_for(&["down=1"]);
    ok(&admin.post("/retrohook/dead-letters/1/redrive?dry_run=true"));
    ok(&admin.post("/retrohook/dead-letters/1/redrive?reason=poison"));
    log.says(&[name, "an operator had dead letters sent again", "count=1", "reason=\"poison\""]);
    hook.wait_for(&["down=1", "down=2"]);
    let event = first["event"].as_str().expect("an id").to_owned();
    wait::until("it to be delivered", || {
        (admin.event(&event)["deliveries"][0]["state"] == "delivered").then_some(())
    });
    ok(&admin.post(&format!("/retrohook/events/{event}/deliveries/1/redeliver")));
    log.says(&[name, "an operator had a delivery sent again", &sequence]);
}

#[test]
fn what_an_operator_does_with_a_subscription_is_said_once_each() {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles { subscription: "", ..Profiles::default() }.yaml());
    scene.receiver.set_confirms(false);
    scene.start_gateway();
    wait::until("its answer", || {
        (ok(&scene.admin().get("/retrohook/subscriptions/1"))["last_attempt"]["status"] == 200).then_some(())
    });
    let post = |what: &str| ok(&scene.admin().post(&format!("/retrohook/subscriptions/1/{what}")));
    let mut log = Log { scene: &scene, seen: 0, endpoint: scene.receiver.url("/hook") };
    post("resend-confirmation");
    log.says(&["an operator had the endpoint of a pending subscription asked once more to confirm"]);
    post("confirm");
    log.says(&["an operator confirmed a subscription"]);
    // What changes nothing is not said.
    post("confirm");
    post("enable");
    post("disable?reason=its%20owner%20is%20away");
    log.says(&["an operator disabled a subscription", "its owner is away"]);
    post("enable");
    log.says(&["an operator enabled a subscription"]);
}
