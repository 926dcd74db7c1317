//! Real services with their own clients, each of them direct and through the gateway: the client gets the same, and the events are what the service's own
//! record says that it executed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use testkit::scene::Scene;
use testkit::{tools, wait};

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

/// A service, and which of its requests matter.
struct Case {
    /// Of the functions in `real_services.py` and `real_clients.py`.
    name: &'static str,
    /// The methods of the rule.
    methods: &'static [&'static str],
    /// How the rule's paths begin, and how they end.
    path: (&'static str, &'static str),
    /// What the service answers when it has done what was asked.
    statuses: &'static [&'static str],
    /// The variable that names the interpreter with service and client.
    python: &'static str,
    /// At least so many events, so that a client that does nothing is not a success.
    at_least: usize,
}

impl Case {
    /// A command that runs one of the scripts.
    fn python(&self, script: &str) -> Command {
        let mut command = Command::new(tools::find(self.python, "python3"));
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(script));
        command
    }
}

/// A service of its own process, with an empty folder; ended with the test.
struct Service {
    child: Child,
    address: String,
    folder: TempDir,
}

impl Service {
    fn start(case: &Case) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let mut command = case.python("real_services.py");
        let command = command.arg(case.name).arg(folder.path()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let port: u16 = line.trim().parse().expect("a port");
        Self { child, address: format!("127.0.0.1:{port}"), folder }
    }

    /// What its client gets at this address.
    fn client(&self, case: &Case, address: &str) -> String {
        let (name, mut command) = (case.name, case.python("real_clients.py"));
        let output = command.arg(name).arg(self.folder.path()).arg(address).output().expect("python starts");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{name}: {said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    /// What it has executed of what the rule names, and how often.
    fn record(&self, case: &Case) -> BTreeMap<String, usize> {
        let record = std::fs::read_to_string(self.folder.path().join("record")).expect("a record");
        let mut executed = BTreeMap::new();
        for line in record.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [method, target, status] = words[..] else { panic!("{line}") };
            let path = target.split('?').next().unwrap_or_default();
            let matches = path.starts_with(case.path.0) && path.ends_with(case.path.1);
            if case.methods.contains(&method) && matches && case.statuses.contains(&status) {
                *executed.entry(format!("{method} {target}")).or_insert(0) += 1;
            }
        }
        executed
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It serves until it is ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn config(service: &Service, case: &Case) -> String {
    let entry = |method| format!("{{ method: {method}, matcher: '^{}[^?]*{}$' }}", case.path.0, case.path.1);
    let entries: Vec<String> = case.methods.iter().map(entry).collect();
    format!(
        r#"_format_version: "3.0"
services:
- name: service
  url: http://{}
  routes: [{{ name: all, paths: [/], strip_path: false, preserve_host: true }}]
  plugins: [{{ name: publish-sns, config: {{
    topic_arn: changes, match_on: request_path, statuses: [{}], routes: [{}] }} }}]
topics:
- name: changes
  subscriptions: [{{ protocol: http, endpoint: "{{receiver}}", raw_message_delivery: true, confirm: skip }}]
"#,
        service.address,
        case.statuses.join(", "),
        entries.join(", ")
    )
}

fn is_as_direct(case: &Case) {
    let service = Service::start(case);
    let direct = service.client(case, &service.address);

    let service = Service::start(case);
    let scene = Scene::start(RETROHOOK, &config(&service, case));
    let through = service.client(case, &scene.gateway().proxy().to_string());
    for (direct, through) in direct.lines().zip(through.lines()) {
        assert_eq!(through, direct, "the client's outcome:\n{through}");
    }
    assert_eq!(through, direct);

    let admin = scene.admin();
    wait::until("all intents to be settled", || (admin.open_intents() == 0).then_some(()));
    let mut told = BTreeMap::new();
    for event in admin.events() {
        assert_eq!(event["outcome"], "succeeded", "{event:#}");
        let text = |name: &str| event["request"][name].as_str().expect("a text").to_owned();
        *told.entry(format!("{} {}", text("method"), text("uri"))).or_insert(0) += 1;
    }
    let record = service.record(case);
    assert_eq!(told, record, "{}: events, and what the service executed", case.name);
    let count = record.values().sum();
    assert!(count >= case.at_least, "{}: {record:#?}", case.name);
    // Each of them was delivered, too.
    scene.told(count);
}

#[test]
fn git() {
    is_as_direct(&Case {
        name: "git",
        methods: &["POST"],
        path: ("/", "/git-receive-pack"),
        statuses: &["200"],
        python: "PYTHON",
        at_least: 7,
    });
}

#[test]
fn s3_with_signatures() {
    is_as_direct(&Case {
        name: "s3",
        methods: &["PUT", "POST", "DELETE"],
        path: ("/", ""),
        statuses: &["200", "204"],
        python: "PYTHON",
        at_least: 17,
    });
}

#[test]
fn django_admin() {
    is_as_direct(&Case {
        name: "django_admin",
        methods: &["POST"],
        path: ("/admin/auth/", "/"),
        statuses: &["302"],
        python: "PYTHON",
        at_least: 4,
    });
}

#[cfg(feature = "services")]
#[test]
fn pypiserver_with_twine_and_pip() {
    is_as_direct(&Case {
        name: "pypiserver",
        methods: &["POST"],
        path: ("/", ""),
        statuses: &["200"],
        python: "SERVICES_PYTHON",
        at_least: 2,
    });
}

#[cfg(feature = "services")]
#[test]
fn radicale_with_caldav() {
    is_as_direct(&Case {
        name: "radicale",
        methods: &["MKCALENDAR", "PUT", "DELETE", "PROPPATCH"],
        path: ("/ada/", ""),
        statuses: &["200", "201", "204", "207"],
        python: "SERVICES_PYTHON",
        at_least: 8,
    });
}
