//! What a service executes as a match of a rule makes an event, however the request spells its path: a table of dodges through the gateway to
//! real services, and to small ones that route as others do.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use testkit::process::Setup;
use testkit::{client, python, tools, wait};

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

/// A service of its own process; ended with the test.
struct Service {
    child: Child,
    address: SocketAddr,
    _folder: Option<TempDir>,
}

impl Service {
    fn python(name: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/services.py");
        let mut child = python::command(&script).arg(name).stdout(Stdio::piped()).spawn().expect("python");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let port = line.trim().parse().expect("a port");
        Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)), _folder: None }
    }

    fn nginx() -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.expect("a free port");
        let config = folder.path().join("nginx.conf");
        std::fs::write(&config, nginx_config(address)).expect("it can be written");
        let mut command = Command::new(tools::find("NGINX", "nginx"));
        command.arg("-p").arg(folder.path()).arg("-c").arg(&config).args(["-e", "stderr"]);
        let child = command.spawn().expect("nginx starts");
        wait::until("nginx to listen", || TcpStream::connect(address).ok().map(drop));
        Self { child, address, _folder: Some(folder) }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It serves until it is ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn nginx_config(address: SocketAddr) -> String {
    format!(
        "daemon off; master_process off; worker_processes 1; pid nginx.pid;\n\
         events {{ }}\n\
         http {{\n\
           access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n\
           uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
           server {{\n\
             listen {address};\n\
             location ~ ^/settings$ {{ add_header X-Executed settings; return 200; }}\n\
             location ~ ^/profiles/[^/]+$ {{ add_header X-Executed profile; return 200; }}\n\
             location / {{ return 404; }}\n\
           }}\n\
         }}\n"
    )
}

/// Where the rule is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// On the routes that lead to the resources, and not on `/public`.
    OnRoutes,
    /// The same, with matchers that say that the service ignores case.
    IgnoringCase,
    OnService,
}

fn config(service: SocketAddr, rule: Rule, match_on: &str) -> String {
    let flag = if rule == Rule::IgnoringCase { "(?i)" } else { "" };
    let matcher = |path: &str| match match_on {
        "service_path" => format!("{flag}^{path}$"),
        _ => format!("{flag}{path}($|\\\\?)"),
    };
    let (settings, profiles) = (matcher("/settings"), matcher("/profiles/[^/?]+"));
    let plugins = format!(
        r#"plugins: [{{ name: publish-sns, config: {{ topic_arn: changes, match_on: {match_on}, routes: [
        {{ method: PUT, matcher: "{settings}" }}, {{ method: PUT, matcher: "{profiles}" }}] }} }}]"#
    );
    let (on_routes, on_service) = match rule {
        Rule::OnRoutes | Rule::IgnoringCase => (plugins.as_str(), ""),
        Rule::OnService => ("", plugins.as_str()),
    };
    format!(
        r#"_format_version: "3.0"
services:
- name: service
  url: http://{service}
  routes:
  - name: all
    paths: [/]
    strip_path: false
    {on_routes}
  - name: api
    paths: [/api]
    strip_path: true
    {on_routes}
  - name: public
    paths: [/public]
    strip_path: false
  {on_service}
topics:
- name: changes
"#
    )
}

/// Spellings of a resource's path: `{name}` is the path without its first slash, `{a}` its first letter escaped and `{rest}` what follows that, `{2f}` and
/// so on the name with that in the place of its slashes.
const DODGES: &[&str] = &[
    // As it is, and what the gateway itself normalises.
    "/{name}",
    "/%{a}{rest}",
    "//{name}",
    "/{//}",
    "/./{name}",
    "/x/../{name}",
    "/x/%2e%2E/{name}",
    // Slashes in disguise.
    "/%2f{name}",
    "/{%2f}",
    "/{%2F}",
    "/x/..%2f{name}",
    "/x%2f..%2F{%2f}",
    "/x%2f%2f..%2f{name}",
    "/x/y%2f..%2f..%2f{name}",
    "/%2e%2e%2f{name}",
    "/..%2f{name}",
    "/{name}%2f",
    "/{name}%2f.",
    "/{name}/x%2f..",
    // Backslashes.
    "/{\\}",
    "/{%5c}",
    "/x\\..\\{name}",
    "/x%5c..%5C{name}",
    "/x%5cy%2f..%2f{name}",
    "/x%2fy%5c..%5c..%5c{name}",
    "/..\\{name}",
    // Parameters.
    "/{name};a=b",
    "/{name};",
    "/;a/{name}",
    "/{;a=b/}",
    "/x/..;/{name}",
    "/x/..;a=b/{name}",
    "/x/.;/..;/{name}",
    "/x/%2e%2e;/{name}",
    "/x;y/..;/{name}",
    "/..;/{name}",
    "/{name}%3ba=b",
    "/a/b/..;/c%2f..%2f..%2f{name}",
    "/;%2fx/..;/{name}",
    // What ends it.
    "/{name}/",
    "/{name}//",
    "/{name}/.",
    "/{name}.",
    "/{name}...",
    "/{.%20/}",
    "/{name}%20",
    "/{name}%20.",
    "/{name}%0a",
    "/{name}%0d%0a",
    "/{name}%09",
    "/{name}%00",
    "/{name}%00.html",
    "/{name}?a=b",
    "/{name}?",
    "/{name}#a",
    "/{name}%3fa=b",
    "/{name}%23a",
    // Case.
    "/{NAME}",
    "/{NAME}/",
    // Twice.
    "/%25{a}{rest}",
    "/{%252f}",
    "/x/%252e%252e/{name}",
    "/x/..%252f{name}",
    "/x/..%255c{name}",
    "/x%252f..%252f..%252f{name}",
    // What is no UTF-8 and no escape.
    "/{%c0%af}",
    "/{%u002f}",
    "/{name}%",
    "/{name}%ff",
];

/// All spellings of a resource's path that are tried, below `at`.
fn dodges(at: &str, path: &str) -> Vec<String> {
    let name = path.strip_prefix('/').expect("a slash");
    let (first, rest) = name.split_at(1);
    let spell = |template: &str| {
        let Some((before, behind)) = template.split_once('{') else { return template.to_owned() };
        let (what, after) = behind.split_once('}').expect("its end");
        let text = match what {
            "name" => name.to_owned(),
            "NAME" => name.to_ascii_uppercase(),
            "a" => format!("{:02x}", first.as_bytes()[0]),
            separator => name.replace('/', separator),
        };
        format!("{before}{text}{}", after.replace("{rest}", rest))
    };
    DODGES.iter().map(|template| format!("{at}{}", spell(template))).collect()
}

/// Sends every dodge. Panics if one was executed without an event, or if one of `known` was not executed at all: then the table shows
/// nothing.
#[track_caller]
fn no_dodge(service: &Service, rule: Rule, match_on: &str, known: &[&str]) {
    let setup = Setup::new(RETROHOOK, config(service.address, rule, match_on));
    let gateway = setup.start();
    let mut targets = Vec::new();
    for path in ["/settings", "/profiles/42"] {
        for at in
            ["", "/api", "/public", "/public/..%2f", "/api/..%2f", "/public/..;", "http://other.example"]
        {
            targets.extend(dodges(at, path));
        }
    }
    let mut executed = BTreeSet::new();
    for target in &targets {
        let headers = [("x-dodge", target.as_str())];
        let answer = client::send(gateway.proxy(), "PUT", target, &headers, b"{}");
        let answer = answer.unwrap_or_else(|error| panic!("{target}: {error}"));
        if answer.header("x-executed").is_some() {
            executed.insert(target.clone());
        }
    }
    let silent: Vec<_> = known.iter().filter(|known| !executed.contains(**known)).collect();
    assert!(silent.is_empty(), "not executed: {silent:?} of {executed:#?}");
    let told = wait::until("all intents to be settled", || {
        (gateway.admin().open_intents() == 0).then(|| gateway.admin().events())
    });
    let told: BTreeSet<String> = told
        .iter()
        .filter_map(|event| {
            let headers = event["request"]["headers"].as_array()?;
            headers
                .iter()
                .find(|pair| pair[0] == "x-dodge")
                .and_then(|pair| Some(pair[1].as_str()?.to_owned()))
        })
        .collect();
    let missed: Vec<_> = executed.difference(&told).collect();
    assert!(missed.is_empty(), "executed without an event: {missed:#?}");
}

#[test]
fn flask() {
    let known = ["/profiles%2f42", "/api/profiles%2F42", "/settings", "/api/settings"];
    no_dodge(&Service::python("flask"), Rule::OnRoutes, "service_path", &known);
}

#[test]
fn django() {
    let known = ["/profiles%2f42", "/api/profiles%2F42", "/settings", "/api/settings"];
    no_dodge(&Service::python("django"), Rule::OnRoutes, "service_path", &known);
}

#[test]
fn nginx() {
    let known = [
        "/profiles%2f42",
        "/x/..%2fsettings",
        "/api/x%2f..%2Fprofiles%2f42",
        "/x%2f%2f..%2fsettings",
        "/x%5cy%2f..%2fsettings",
        "/settings%0a",
    ];
    let service = Service::nginx();
    for match_on in ["service_path", "request_path", "request_uri"] {
        no_dodge(&service, Rule::OnRoutes, match_on, &known);
    }
}

#[test]
fn express() {
    let known = ["/SETTINGS", "/PROFILES/42/", "/api/SETTINGS/", "/settings/"];
    no_dodge(&Service::python("express"), Rule::IgnoringCase, "service_path", &known);
}

#[test]
fn go() {
    no_dodge(
        &Service::python("go"),
        Rule::OnRoutes,
        "request_uri",
        &["/profiles%2f42", "/api/profiles%2F42"],
    );
}

#[test]
fn php() {
    no_dodge(
        &Service::python("php"),
        Rule::OnRoutes,
        "request_path",
        &["/settings/", "/settings%2f", "/%2fsettings"],
    );
}

#[test]
fn a_service_that_reads_the_target_as_it_stands() {
    no_dodge(&Service::python("plainly"), Rule::OnRoutes, "service_path", &["/profiles/42%20", "/settings"]);
}

#[test]
fn files_of_posix() {
    let known = ["/x\\..\\settings", "/x%5c..%5Csettings", "/settings/x%2f..", "/x%2fy%5c..%5c..%5csettings"];
    no_dodge(&Service::python("files"), Rule::OnRoutes, "service_path", &known);
}

#[test]
fn files_of_windows() {
    let known = ["/settings...", "/settings%20.", "/SETTINGS", "/x\\..\\settings"];
    no_dodge(&Service::python("windows"), Rule::IgnoringCase, "service_path", &known);
}

#[test]
fn the_letter_of_rfc_3986() {
    let known = ["/x/..%2fsettings", "/api/x/y%2f..%2f..%2fprofiles/42"];
    no_dodge(&Service::python("rfc3986"), Rule::OnRoutes, "service_path", &known);
}

#[test]
fn servlets() {
    let known =
        ["/settings;a=b", "/;a/settings", "/x/..;/settings", "/api/x;y/..;/profiles/42", "/profiles;a=b/42"];
    no_dodge(&Service::python("servlet"), Rule::OnRoutes, "service_path", &known);
}

#[test]
fn two_decoders_in_a_row() {
    // Which route such a service means is not looked for: the rule is on all.
    let known = [
        "/%2573ettings",
        "/x/%252e%252e/settings",
        "/public/x%252f..%252f..%252fsettings",
        "/profiles%252f42",
    ];
    no_dodge(&Service::python("twice"), Rule::OnService, "service_path", &known);
}
