//! npm's `sns-validator` on what a receiver gets: it takes both versions of the signature once it is told which host has the certificate, over
//! https; without that it refuses the host and nothing else.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};
use testkit::receiver::Receiver;
use testkit::server::{Server, Then, answer};
use testkit::tls::{Authority, Front};
use testkit::{client, tools};

use super::*;

/// What is in front of the hub, with TLS: its address has to be known before the hub has one.
struct Public {
    hub: Arc<OnceLock<SocketAddr>>,
    front: Front,
    authority: Authority,
    _passes: Server,
}

impl Public {
    fn start() -> Self {
        let (hub, authority) = (Arc::new(OnceLock::new()), Authority::new());
        let behind: Arc<OnceLock<SocketAddr>> = hub.clone();
        let passes = Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), move |request, stream| {
            let headers = [("host", "localhost")];
            let passed =
                client::send(*behind.wait(), &request.method, &request.target, &headers, &request.body)?;
            answer(stream, passed.status, &[], &passed.body)?;
            Ok(Then::KeepOpen)
        });
        let passes = passes.expect("a port");
        let front = Front::start(authority.vouch(&["localhost"]), passes.address());
        Self { hub, front, authority, _passes: passes }
    }

    fn host(&self) -> String {
        format!("localhost:{}", self.front.port())
    }
}

/// What the validator says of each message, with its own pattern of hosts and with one for ours.
fn validate(public: &Public, messages: &[String]) -> Vec<Value> {
    let modules = std::env::var_os("RETROHOOK_TEST_NODE_TEST_MODULES").unwrap_or_else(|| {
        panic!("RETROHOOK_TEST_NODE_TEST_MODULES is not set: run `cargo xtask test`, or eval \"$(cargo xtask tools)\" first")
    });
    let folder = tempfile::tempdir().expect("a folder");
    let (trusted, input) = (folder.path().join("authorities.pem"), folder.path().join("input"));
    std::fs::write(&trusted, public.authority.pem()).expect("a file");
    std::fs::write(&input, json!({ "host": public.host(), "messages": messages }).to_string())
        .expect("a file");
    let done = Command::new(tools::find("NODE", "node"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node/verify_sns.cjs"))
        .env("NODE_PATH", modules)
        .env("NODE_EXTRA_CA_CERTS", &trusted)
        .stdin(Stdio::from(std::fs::File::open(&input).expect("the file")))
        .output()
        .expect("Node starts");
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{text}{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn it_takes_both_versions_once_it_knows_the_host() {
    const HOST: &str = "The certificate is located on an invalid domain.";
    const SIGNATURE: &str = "The message signature is invalid.";
    let (public, other) = (Public::start(), Receiver::start());
    let yaml = Profiles { subscription: "signature_version: 1", ..Profiles::default() }.yaml();
    let another = format!("  - {{ protocol: http, endpoint: \"{}\" }}\n", other.url("/other"));
    let mut scene = Scene::prepare(PROGRAM, &format!("{yaml}{another}"));
    scene.setup.flags.push(format!("--hub-url=https://{}", public.host()));
    // Nobody visits the link of a request to confirm: the receivers of this test have no TLS.
    scene.receiver.set_confirms(false);
    other.set_confirms(false);
    scene.start_gateway();
    public.hub.set(scene.gateway().address("hub")).expect("once");
    for id in 1..=2 {
        let confirmed = scene.admin().post(&format!("/retrohook/subscriptions/{id}/confirm"));
        assert_eq!(confirmed.status, 200, "{}", confirmed.text());
    }
    put(&scene);
    scene.receiver.wait_for(1);
    other.wait_for(1);

    for (receiver, version) in [(&scene.receiver, "1"), (&other, "2")] {
        let mut messages: Vec<Value> = receiver.received().iter().map(|request| request.json()).collect();
        let notification = messages.iter().find(|message| message["Type"] == "Notification").expect("one");
        let forged = |member: &str, value: &str| {
            let mut forged = notification.clone();
            forged[member] = value.into();
            forged
        };
        let other_version = if version == "1" { "2" } else { "1" };
        let forged = [forged("Message", "forged"), forged("SignatureVersion", other_version)];
        assert!(messages.iter().all(|message| message["SignatureVersion"] == version), "{messages:#?}");
        let ours = messages.len();
        messages.extend(forged);
        let said = validate(&public, &messages.iter().map(Value::to_string).collect::<Vec<_>>());
        for (number, (said, message)) in said.iter().zip(&messages).enumerate() {
            let wanted = if number < ours { Value::Null } else { SIGNATURE.into() };
            assert_eq!(*said, json!({ "as_it_is": HOST, "told": wanted }), "version {version}: {message}");
        }
        assert_eq!(said.len(), messages.len());
    }
}
