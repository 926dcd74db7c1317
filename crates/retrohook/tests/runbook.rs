//! The runbook: a page for each alert, and lines that work as they are printed.

use std::collections::BTreeSet;
use std::process::Command;

use testkit::receiver::Mood;
use testkit::scene::{Profiles, Scene};
use testkit::{tools, wait};

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");
const RUNBOOK: &str = include_str!("../../../docs/runbook.md");
const OPERATIONS: &str = include_str!("../../../docs/operations.md");
const RULES: &str = include_str!("../../../docs/alerts/retrohook.rules.yml");

/// A node with a queue and a dead letter.
fn scene() -> Scene {
    let subscription = "raw_message_delivery: true, confirm: skip";
    let config = Profiles { subscription, ..Profiles::default() }.yaml();
    let scene = Scene::start(RETROHOOK, &format!("{config}\nqueues:\n- name: worker\n"));
    scene.receiver.set(Mood::Answers(410));
    assert_eq!(scene.put("").expect("an answer").status, 200);
    wait::until("the dead letter", || {
        let letters = scene.admin().get("/retrohook/dead-letters").json();
        letters["dead_letters"][0]["event"].is_string().then_some(())
    });
    scene
}

/// The names in the first column of the table under "Worth an alert".
fn alerts() -> BTreeSet<&'static str> {
    let (_, table) = OPERATIONS.split_once("Worth an alert").expect("the table");
    let rows =
        table.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let first = rows.filter_map(|row| row.split('|').nth(1));
    let names = first.flat_map(|cell| cell.split('`').filter(|part| part.starts_with("retrohook_")));
    names.map(|name| name.split('{').next().unwrap_or(name)).collect()
}

/// The names of all metrics of a node.
fn metrics() -> BTreeSet<String> {
    let metrics = scene().admin().get("/metrics").text();
    let helps = metrics.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next());
    helps.map(str::to_owned).collect()
}

#[test]
fn each_alert_has_a_page_and_each_page_an_alert_of_a_metric_that_there_is() {
    let pages: BTreeSet<&str> = RUNBOOK.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert!(pages.len() > 20, "{pages:?}");
    assert_eq!(pages, alerts());
    let metrics = metrics();
    assert!(pages.iter().all(|page| metrics.contains(*page)), "{pages:?} of {metrics:?}");
}

#[test]
fn each_page_has_a_rule_for_prometheus_and_each_rule_its_page() {
    let (mut told, mut asked) = (BTreeSet::new(), BTreeSet::new());
    for rule in RULES.split("  - alert: ").skip(1) {
        let after =
            |key: &str| rule.split_once(key).map_or("", |(_, rest)| rest.lines().next().unwrap_or(""));
        let page = after("runbook: docs/runbook.md#");
        assert!(after("expr: ").contains(page) && !after("summary: ").is_empty(), "{rule}");
        told.insert(page);
        let words = after("expr: ").split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
        asked.extend(words.filter(|word| word.starts_with("retrohook_")));
    }
    assert_eq!(told, alerts());
    let metrics = metrics();
    assert!(asked.iter().all(|name| metrics.contains(*name)), "{asked:?} of {metrics:?}");

    let place = tempfile::tempdir().expect("a temporary directory");
    let file = place.path().join("retrohook.rules.yml");
    std::fs::write(&file, RULES).expect("a file");
    let promtool = tools::find("PROMTOOL", "promtool");
    let done = Command::new(promtool).args(["check", "rules"]).arg(&file).output().expect("promtool starts");
    assert!(done.status.success(), "{done:?}");
}

#[test]
fn the_lines_of_the_runbook_work() {
    let scene = scene();
    let letters = scene.admin().get("/retrohook/dead-letters").json();
    let event = letters["dead_letters"][0]["event"].as_str().expect("its event").to_owned();
    let curl = tools::find("CURL", "curl");
    let curl = format!("'{}' -S --fail-with-body", curl.display());
    let blocks = RUNBOOK.split("```sh\n").skip(2).filter_map(|rest| rest.split("```").next());
    let lines: Vec<&str> = blocks.flat_map(str::lines).collect();
    assert!(lines.len() > 25, "{lines:#?}");
    for line in lines {
        let done = Command::new("sh")
            .args(["-c", &line.replacen("curl", &curl, 1)])
            .env("ADMIN", format!("http://{}", scene.gateway().address("admin")))
            .env("SUBSCRIPTION", "1")
            .env("EVENT", &event)
            .output()
            .expect("a shell");
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && !said.trim().is_empty(), "{line}: {done:?}");
    }
}
