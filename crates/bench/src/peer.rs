//! The programs that are measured, each configured for the same work.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::thread::CpuSet;
use tokio::net::{TcpSocket, TcpStream};

use crate::process::{Cores, Process};

/// The core of what is measured; everything else is on [`LOAD_CORE`].
pub const PEER_CORE: usize = 0;
/// The core of the load generator and the stubs.
pub const LOAD_CORE: usize = 1;
/// How long a start may take.
pub const START: Duration = Duration::from_secs(120);

/// The secret of signed deliveries: "a secret of the benchmark, 32 by".
const SECRET: &str = "whsec_YSBzZWNyZXQgb2YgdGhlIGJlbmNobWFyaywgMzIgYnk=";

/// Where the programs are.
pub struct Programs {
    /// What packages have, the profile `dist`.
    pub retrohook: PathBuf,
    /// Another build of Retrohook to compare with.
    pub other: Option<PathBuf>,
    /// Unpacked Debian packages: nginx, its Lua module, HAProxy.
    pub peers: PathBuf,
}

impl Programs {
    /// A file of the unpacked packages.
    pub fn file(&self, inside: &str) -> String {
        self.peers.join(inside).display().to_string()
    }

    /// A program of the unpacked packages with the libraries beside it.
    pub fn wrapped(&self, program: &str) -> String {
        self.file(&format!("bin/{program}"))
    }
}

/// Which program, and what it does.
#[derive(Clone, Debug)]
pub enum Kind {
    /// nginx; with a function of `publish.lua` as its log phase.
    Nginx(Option<&'static str>),
    /// HAProxy.
    Haproxy,
    /// Ours.
    Retrohook(Rule),
}

/// What Retrohook is configured for.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    /// The rule's durability; no rule if there is none.
    pub durability: Option<&'static str>,
    /// Who hears of its events.
    pub subscribers: Vec<SocketAddr>,
    /// The form of deliveries.
    pub form: Form,
    /// As many workers as cores, on all of them, instead of one on one.
    pub unbound: bool,
    /// Routes beside the two that are used, each with a path of its own.
    pub more_routes: usize,
    /// Subscriptions with names, of a topic to which nothing is published.
    pub idle_subscriptions: usize,
    /// Whether Kong's Admin API of 0.x is served.
    pub legacy_admin: bool,
    /// Whether each request is written into the access log, as text, into a file.
    pub access_log: bool,
    /// The other build instead of this one.
    pub other: bool,
}

/// The form of deliveries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// The message alone.
    #[default]
    Raw,
    /// Standard Webhooks, signed with HMAC-SHA256.
    Hmac,
    /// SNS's envelope, signed with RSA.
    Sns,
}

impl Form {
    /// For the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Hmac => "HMAC",
            Self::Sns => "SNS",
        }
    }
}

/// What a peer is started with.
pub struct Ground<'a> {
    /// The programs.
    pub programs: &'a Programs,
    /// An empty folder for its files.
    pub folder: &'a Path,
    /// The cores of this process at its start.
    pub everywhere: &'a CpuSet,
    /// The upstream stub.
    pub upstream: SocketAddr,
    /// The receiver stub.
    pub receiver: SocketAddr,
}

/// A running program.
pub struct Peer {
    /// The process.
    pub process: Process,
    /// Where it proxies.
    pub address: SocketAddr,
    /// Where else it listens, by the names that it prints.
    pub listeners: Vec<(String, SocketAddr)>,
    /// From its start until it was ready.
    pub started_in: Duration,
}

impl Peer {
    /// Starts a program and waits until it serves.
    pub async fn start(kind: &Kind, ground: &Ground<'_>) -> Result<Self, String> {
        let what = match kind {
            Kind::Nginx(None) => "nginx",
            Kind::Nginx(Some(_)) => "nginx with Lua",
            Kind::Haproxy => "HAProxy",
            Kind::Retrohook(_) => "retrohook",
        };
        let started = match kind {
            Kind::Nginx(publish) => start_nginx(*publish, ground).await,
            Kind::Haproxy => start_haproxy(ground).await,
            Kind::Retrohook(rule) => start_retrohook(rule, ground, &ground.folder.join("data")).await,
        };
        started.map_err(|problem| format!("{what}: {problem}"))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Where a listener of this name is.
    pub fn listener(&self, name: &str) -> Result<SocketAddr, String> {
        address_of(&self.listeners, name)
    }
}

async fn start_nginx(publish: Option<&str>, ground: &Ground<'_>) -> Result<Peer, String> {
    let listen = free_port()?;
    let dir = ground.folder.display().to_string();
    let programs = ground.programs;
    let mut modules = String::new();
    let mut http = String::new();
    let mut location = String::new();
    if let Some(function) = publish {
        for module in ["ndk_http_module", "ngx_http_lua_module"] {
            let file = programs.file(&format!("usr/lib/nginx/modules/{module}.so"));
            let _ = writeln!(modules, "load_module {file};");
        }
        let script = include_str!("../peers/publish.lua")
            .replace("{{upstream}}", &ground.upstream.to_string())
            .replace("{{receiver_host}}", &ground.receiver.ip().to_string())
            .replace("{{receiver_port}}", &ground.receiver.port().to_string());
        write(&ground.folder.join("publish.lua"), &script)?;
        let lua = programs.file("usr/share/lua/5.1/?.lua");
        let libraries = programs.file("lua/?.so");
        let _ = write!(
            http,
            "lua_package_path \"{dir}/?.lua;{lua};;\";\n  lua_package_cpath \"{libraries};;\";\n  \
             lua_max_running_timers 8192;\n  lua_max_pending_timers 65536;\n  \
             init_by_lua_block {{ publish = require \"publish\" }}"
        );
        let _ = write!(location, "log_by_lua_block {{ publish.{function}() }}");
    }
    let text = include_str!("../peers/nginx.conf")
        .replace("{{dir}}", &dir)
        .replace("{{modules}}", &modules)
        .replace("{{http}}", &http)
        .replace("{{location}}", &location)
        .replace("{{upstream}}", &ground.upstream.to_string())
        .replace("{{listen}}", &listen.to_string());
    let file = ground.folder.join("nginx.conf");
    write(&file, &text)?;
    let words = [programs.wrapped("nginx"), "-p".into(), dir, "-c".into(), file.display().to_string()];
    serving(&words, listen, ground).await
}

async fn start_haproxy(ground: &Ground<'_>) -> Result<Peer, String> {
    let listen = free_port()?;
    let text = include_str!("../peers/haproxy.cfg")
        .replace("{{upstream}}", &ground.upstream.to_string())
        .replace("{{listen}}", &listen.to_string());
    let file = ground.folder.join("haproxy.cfg");
    write(&file, &text)?;
    let words = [ground.programs.wrapped("haproxy"), "-db".into(), "-f".into(), file.display().to_string()];
    serving(&words, listen, ground).await
}

/// Starts a program that does not say when it is ready.
async fn serving(words: &[String], address: SocketAddr, ground: &Ground<'_>) -> Result<Peer, String> {
    let log = ground.folder.join("errors.log");
    let mut process = Process::start(words, ground.everywhere, Cores::One(PEER_CORE), &log)?;
    let began = Instant::now();
    while began.elapsed() < START {
        process.still_runs()?;
        if TcpStream::connect(address).await.is_ok() {
            return Ok(Peer { process, address, listeners: Vec::new(), started_in: began.elapsed() });
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Err(format!("does not serve after {} s: {}", START.as_secs(), process.last_words()))
}

/// Starts Retrohook over a data directory.
pub async fn start_retrohook(rule: &Rule, ground: &Ground<'_>, data: &Path) -> Result<Peer, String> {
    let file = configuration_file(ground.folder);
    write(&file, &configuration(rule, ground.upstream))?;
    let program = match &ground.programs.other {
        Some(other) if rule.other => other,
        _ => &ground.programs.retrohook,
    };
    let mut words = vec![program.display().to_string(), "run".into()];
    words.extend(["-c".to_owned(), file.display().to_string()]);
    words.extend(["--data-dir".to_owned(), data.display().to_string()]);
    words.extend(["proxy", "admin", "hub"].map(|listener| format!("--{listener}-listen=127.0.0.1:0")));
    let legacy = if rule.legacy_admin { "127.0.0.1:0" } else { "off" };
    words.push(format!("--legacy-admin-listen={legacy}"));
    if rule.access_log {
        let file = ground.folder.join("access.log");
        words.extend(["--access-log=text".to_owned(), format!("--access-log-file={}", file.display())]);
    }
    words.extend(["--allow-private-endpoints", "--min-free=0"].map(str::to_owned));
    let cores = match rule.unbound {
        true => Cores::All,
        false => Cores::One(PEER_CORE),
    };
    if !rule.unbound {
        words.push("--workers=1".into());
    }
    let log = ground.folder.join("errors.log");
    let mut process = Process::start(&words, ground.everywhere, cores, &log)?;
    let (lines, started_in) = process.lines_until("ready", START).await?;
    let listeners: Vec<_> = lines.iter().filter_map(|line| listener(line)).collect();
    let address = address_of(&listeners, "proxy")?;
    Ok(Peer { process, address, listeners, started_in })
}

/// Its name and address, if the line is one of a listener: `  proxy      http://127.0.0.1:8000`.
fn listener(line: &str) -> Option<(String, SocketAddr)> {
    let (name, rest) = line.split_once("http://")?;
    let address = rest.split(|char: char| char.is_whitespace() || char == '/').next()?;
    Some((name.trim().to_owned(), address.parse().ok()?))
}

fn address_of(listeners: &[(String, SocketAddr)], name: &str) -> Result<SocketAddr, String> {
    let found = listeners.iter().find(|(known, _)| known == name);
    found.map(|(_, address)| *address).ok_or_else(|| format!("it names no address of `{name}`"))
}

/// Retrohook's configuration in a folder.
pub fn configuration_file(folder: &Path) -> std::path::PathBuf {
    folder.join("retrohook.yaml")
}

/// Two routes to the same service: `/profiles` with the rule, `/other` that no rule matches.
pub fn configuration(rule: &Rule, upstream: SocketAddr) -> String {
    let mut text = format!(
        "_format_version: \"3.0\"\nservices:\n- name: profiles\n  url: http://{upstream}\n  routes:\n  \
         - {{ name: profiles, paths: [/profiles], strip_path: false }}\n  \
         - {{ name: other, paths: [/other], strip_path: false }}\n"
    );
    for number in 0..rule.more_routes {
        let _ =
            writeln!(text, "  - {{ name: more-{number}, paths: [/more/{number:05}], strip_path: false }}");
    }
    let Some(durability) = rule.durability else { return text };
    let _ = write!(
        text,
        "  plugins:\n  - name: publish-sns\n    config:\n      topic_arn: profile-changes\n      \
         durability: {durability}\n      routes:\n      - {{ method: PUT, matcher: \"^/profiles/[^/]+$\" }}\n\
         topics:\n- name: profile-changes\n"
    );
    if !rule.subscribers.is_empty() {
        text.push_str("  subscriptions:\n");
    }
    for subscriber in &rule.subscribers {
        let form = match rule.form {
            Form::Raw => "raw_message_delivery: true, confirm: skip".to_owned(),
            Form::Hmac => format!("format: standard-webhooks, secret: \"{SECRET}\""),
            Form::Sns => "confirm: skip".to_owned(),
        };
        let _ = writeln!(text, "  - {{ protocol: http, endpoint: \"http://{subscriber}/hook\", {form} }}");
    }
    if rule.idle_subscriptions > 0 {
        text.push_str("- name: idle\n  subscriptions:\n");
    }
    for number in 0..rule.idle_subscriptions {
        let _ = writeln!(
            text,
            "  - {{ name: idle-{number:05}, protocol: http, endpoint: \"http://127.0.0.1:9/idle/{number:05}\", confirm: skip }}"
        );
    }
    text
}

/// A port that is free now, and soon after.
fn free_port() -> Result<SocketAddr, String> {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = std::net::TcpListener::bind(any).map_err(|error| error.to_string())?;
    listener.local_addr().map_err(|error| error.to_string())
}

/// An address where nobody listens, for as long as this lives.
pub struct Away {
    _socket: TcpSocket,
    /// Connections to it are refused.
    pub address: SocketAddr,
}

impl Away {
    /// Takes a free port without listening on it.
    pub fn new() -> std::io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = socket.local_addr()?;
        Ok(Self { _socket: socket, address })
    }
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    std::fs::write(file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))
}
