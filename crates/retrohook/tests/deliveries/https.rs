//! Endpoints over TLS: the receiver is Python's, on OpenSSL, with a certificate of a CA that only `SSL_CERT_FILE` tells of.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Stdio};

use tempfile::TempDir;
use testkit::python;

use super::*;

struct Receiver {
    child: Child,
    lines: BufReader<ChildStdout>,
    port: u16,
    folder: TempDir,
}

impl Receiver {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let mut command = python::command(&script("https_receiver.py"));
        let mut child =
            command.arg(folder.path().join("ca.pem")).stdout(Stdio::piped()).spawn().expect("python");
        let mut receiver =
            Self { lines: BufReader::new(child.stdout.take().expect("piped")), child, port: 0, folder };
        receiver.port = receiver.line().trim().parse().expect("a port");
        receiver
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The next line; the gateway's own patience ends the wait for one.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        line
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // It serves until it is ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn scene_with(receiver: &Receiver) -> Scene {
    let yaml = Profiles::default().yaml().replace("protocol: http", "protocol: https");
    Scene::prepare(PROGRAM, &yaml.replace("{receiver}", &format!("https://localhost:{}/hook", receiver.port)))
}

#[test]
fn delivers_to_a_certificate_of_a_ca_that_ssl_cert_file_tells_of() {
    let mut receiver = Receiver::start();
    let mut scene = scene_with(&receiver);
    scene.setup.env.push(("SSL_CERT_FILE".into(), receiver.ca().to_str().expect("UTF-8").into()));
    scene.start_gateway();
    put(&scene);
    let delivered = delivery(&scene, "the end of the attempt", |delivery| attempts(delivery) > 0);
    assert_eq!(
        (&delivered["state"], &delivered["attempts"][0]["status"]),
        (&json!("delivered"), &json!(204)),
        "{delivered}"
    );
    let received: Value = serde_json::from_str(&receiver.line()).expect("a line of JSON");
    let event = scene.admin().events().remove(0);
    assert_eq!(received["headers"]["x-retrohook-event-id"], event["id"]);
    assert_eq!(received["headers"]["host"], format!("localhost:{}", receiver.port));
    assert_eq!(received["tls"], "TLSv1.3");
}

#[test]
fn a_certificate_of_a_stranger_is_refused_and_the_attempt_says_so() {
    let receiver = Receiver::start();
    let mut scene = scene_with(&receiver);
    scene.start_gateway();
    put(&scene);
    let failed = delivery(&scene, "the end of the attempt", |delivery| attempts(delivery) > 0);
    let error = failed["attempts"][0]["error"].as_str().expect("an error");
    assert!(error.contains("TLS"), "{error}");
    assert_eq!(failed["state"], "waiting", "{failed}");
}
