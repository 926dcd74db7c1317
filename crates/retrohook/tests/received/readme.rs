//! README's first configuration, as somebody copies and pastes it; only ports and the data directory are others.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use testkit::process::Setup;
use testkit::{client, tools};

use super::receive::Receive;
use super::*;

/// The blocks of code of a section, each with its language.
fn blocks(section: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let text = std::fs::read_to_string(path).expect("README.md");
    let (_, rest) = text.split_once(&format!("\n## {section}\n")).expect("the section");
    let section = rest.split("\n## ").next().expect("a text");
    let fenced = section.split("```").skip(1).step_by(2);
    fenced
        .map(|block| {
            let (language, code) = block.split_once('\n').expect("lines");
            (language.to_owned(), code.to_owned())
        })
        .collect()
}

/// The words after these in the line that begins with them.
#[track_caller]
fn arguments(blocks: &[(String, String)], begin: &str) -> Vec<String> {
    let lines = blocks.iter().flat_map(|(_, code)| code.lines());
    let line = lines.filter_map(|line| line.strip_prefix(begin)).next();
    line.unwrap_or_else(|| panic!("no line `{begin}`")).split_whitespace().map(str::to_owned).collect()
}

fn free_port() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).expect("a port").local_addr().expect("an address")
}

#[test]
fn the_first_configuration_runs_by_copy_and_paste() {
    let blocks = blocks("A first configuration");
    assert_eq!(arguments(&blocks, "retrohook receive "), ["9000", "9100"]);
    let receive = Receive::start(&["0", "0", "--json"], 2);
    let [service, endpoint] = receive.addresses[..] else { panic!("two places") };
    let hub = free_port();
    let elsewhere = |text: &str, proxy: Option<SocketAddr>| {
        let mut text = text
            .replace("localhost:9000", &format!("localhost:{}", service.port()))
            .replace("localhost:9100", &format!("localhost:{}", endpoint.port()))
            .replace("localhost:4566", &format!("localhost:{}", hub.port()));
        if let Some(proxy) = proxy {
            text = text.replace("localhost:8000", &format!("localhost:{}", proxy.port()));
        }
        text
    };
    let (_, yaml) = blocks.iter().find(|(language, _)| language == "yaml").expect("a configuration");
    let mut setup = Setup::new(PROGRAM, elsewhere(yaml, None));
    let run = arguments(&blocks, "retrohook run -c retrohook.yaml ");
    setup.flags = [run, vec![format!("--hub-listen={hub}"), "--min-free=0".to_owned()]].concat();
    let gateway = setup.start();
    let confirmed = receive.next("subscription-confirmation");
    assert_eq!(confirmed["confirmed"], true, "{confirmed}");

    let (_, commands) = blocks.iter().find(|(_, code)| code.starts_with("curl ")).expect("the commands");
    let curl = tools::find("CURL", "curl");
    let commands = elsewhere(commands, Some(gateway.proxy()));
    let commands = commands.replace("curl ", &format!("'{}' -sS -f ", curl.display()));
    let mut answers = commands.split("\n\n").map(|command| {
        let ran = Command::new("sh").args(["-c", command]).output().expect("a shell");
        assert!(ran.status.success(), "{command}: {}", String::from_utf8_lossy(&ran.stderr));
        serde_json::from_slice::<Value>(&ran.stdout).expect("JSON")
    });
    let echo = answers.next().expect("the change");
    assert_eq!((&echo["method"], &echo["path"]), (&"PUT".into(), &"/profiles/42".into()), "{echo}");
    let asked = receive.next("request");
    assert_eq!(asked["body"], "{\"name\": \"Ada\"}");
    let delivered = receive.next("notification");
    assert_eq!(delivered["signature"]["checked"], "good", "{delivered}");
    let received = answers.next().expect("the queue's message");
    let body = received["Messages"][0]["Body"].as_str().unwrap_or_else(|| panic!("a message: {received}"));
    let notification: Value = serde_json::from_str(body).expect("an envelope");
    assert_eq!(notification["MessageId"], delivered["event"], "both heard of the same event");
    assert_eq!(answers.next(), None);
    let status = client::get(&format!("http://{}/status", gateway.address("admin"))).expect("an answer");
    assert_eq!(status.status, 200);
}
