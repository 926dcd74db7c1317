//! The rules as data: limits, bans and the exceptions from them. Limits only go down; every exception has a reason.

/// Which of our crates each crate may depend on. Whatever is not listed is forbidden.
pub const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    // What happened, as data.
    ("event", &[]),
    // What a node serves, as data.
    ("entities", &["event"]),
    // The ports.
    ("storage", &["event", "entities"]),
    ("pipeline", &["event"]),
    ("delivery", &["event", "entities", "storage"]),
    ("hub", &["event", "entities", "storage", "delivery"]),
    // The things that are added again and again, each behind its port.
    ("stores", &["event", "entities", "storage"]),
    ("plugins", &["event", "entities", "storage", "pipeline"]),
    // What the gateway's and the deliveries' clients have in common; knows nothing of either.
    ("dialing", &[]),
    ("sinks", &["event", "storage", "delivery", "dialing"]),
    ("protocols", &["event", "entities", "control", "storage", "delivery", "hub"]),
    // The surroundings.
    ("listener", &["storage"]),
    ("config", &["event", "entities", "pipeline", "delivery"]),
    // What becomes of a configuration.
    ("control", &["event", "entities", "storage", "hub"]),
    ("gateway", &["event", "entities", "storage", "pipeline", "dialing", "listener"]),
    // It tells what the cores count.
    (
        "admin",
        &["event", "entities", "control", "storage", "pipeline", "delivery", "hub", "config", "gateway"],
    ),
    ("dashboard", &["event", "storage", "delivery", "hub", "config"]),
    (
        "retrohook",
        &[
            "event",
            "entities",
            "storage",
            "pipeline",
            "delivery",
            "dialing",
            "hub",
            "stores",
            "plugins",
            "sinks",
            "protocols",
            "config",
            "control",
            "listener",
            "gateway",
            "admin",
            "dashboard",
        ],
    ),
    // The targets of the fuzzers; nothing depends on it.
    (
        "fuzzing",
        &[
            "event",
            "entities",
            "storage",
            "pipeline",
            "delivery",
            "hub",
            "plugins",
            "sinks",
            "protocols",
            "config",
            "control",
            "listener",
            "gateway",
            "admin",
        ],
    ),
    // It measures the binary from outside, beside others.
    ("bench", &[]),
    // For tests only: nothing but dev-dependencies may name it.
    (
        "testkit",
        &[
            "event",
            "entities",
            "storage",
            "pipeline",
            "delivery",
            "hub",
            "stores",
            "plugins",
            "sinks",
            "protocols",
            "config",
            "gateway",
            "admin",
            "dashboard",
        ],
    ),
];

/// The crates that run under a simulated world.
pub const CORE: &[&str] = &["event", "entities", "storage", "pipeline", "hub", "delivery"];

/// What core crates must not depend on; `*` stands for any ending.
pub const FORBIDDEN_IN_CORE: &[&str] = &[
    "hyper",
    "hyper-*",
    "axum",
    "socket2",
    "rusqlite",
    "rustix",
    "rustls",
    "tokio-rustls",
    "reqwest",
    "aws-sdk-*",
    "aws-smithy-*",
];

/// What core sources must not name outside their tests.
pub const PATHS_FORBIDDEN_IN_CORE: &[&str] = &[
    "std::fs",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::os::unix::net",
    "tokio::fs",
    "tokio::net",
    "SystemTime::now",
    "Instant::now",
    "OffsetDateTime::now_utc",
];

/// A core source that may name a forbidden path all the same.
pub struct Exception {
    /// The file.
    pub file: &'static str,
    /// One of [`PATHS_FORBIDDEN_IN_CORE`].
    pub path: &'static str,
    /// Why.
    pub reason: &'static str,
}

/// All exceptions.
pub const EXCEPTIONS: &[Exception] = &[
    Exception {
        file: "crates/storage/src/writer.rs",
        path: "Instant::now",
        reason: "how long a commit took and when housekeeping is due, on its own thread; never stored, decides no event",
    },
    Exception {
        file: "crates/storage/src/throttle.rs",
        path: "Instant::now",
        reason: "when a log line was last written; decides nothing else",
    },
    Exception {
        file: "crates/storage/src/writer/room.rs",
        path: "Instant::now",
        reason: "when a full store is looked at and said again, on the writer's thread; never stored, decides no event",
    },
    Exception {
        file: "crates/storage/src/writer/stall.rs",
        path: "Instant::now",
        reason: "how long the commit under way has taken, beside the writer's own measure; never stored, decides no event",
    },
    Exception {
        file: "crates/storage/src/memory.rs",
        path: "Instant::now",
        reason: "how long a test that holds commits back waits for one; the store's own time comes from its caller",
    },
];

/// Crates that nothing may bring in, and why. The same list as in deny.toml.
pub const BANNED_CRATES: &[(&str, &str)] = &[
    ("ring", "aws-lc-rs is the one provider for TLS, RSA and HMAC"),
    ("openssl", "rustls is the one TLS"),
    ("openssl-sys", "rustls is the one TLS, and nothing may need a system library"),
    ("native-tls", "rustls is the one TLS"),
    ("rsa", "RUSTSEC-2023-0071 has no fix; aws-lc-rs signs"),
    ("serde_yaml", "deprecated, and stops at the first error; saphyr keeps the places"),
];

/// Where packages may come from.
pub const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Lines of a file: no file has more.
pub const FILE_LINES: usize = 800;
/// Lines of a file: nine of ten have no more.
pub const FILE_LINES_P90: usize = 400;
/// Lines of a function: longer ones count against [`LONG_FUNCTIONS`].
pub const FUNCTION_LINES: usize = 70;
/// Lines of a function: nine of ten have no more.
pub const FUNCTION_LINES_P90: usize = 35;
/// How many functions are longer than [`FUNCTION_LINES`]. A ratchet: when there are fewer, lower it; never raise it.
pub const LONG_FUNCTIONS: usize = 0;

/// Files that may be longer than [`FILE_LINES`], with the reason.
pub const LONG_FILES: &[(&str, &str)] = &[];

/// The folders in which an extension is one folder with a `mod.rs`.
pub const EXTENSION_FOLDERS: &[&str] =
    &["crates/plugins/src/", "crates/sinks/src/", "crates/stores/src/", "crates/protocols/src/"];

/// Crates in which no files import each other in a circle.
pub const WITHOUT_CIRCLES: &[&str] = &["gateway"];

/// Names that say nothing about what is inside.
pub const DRAWERS: &[&str] =
    &["util", "utils", "common", "helper", "helpers", "type", "types", "misc", "shared"];

/// What code must not say, and what to do about it. Whole words, outside comments and strings.
pub const FORBIDDEN_CODE: &[(&str, &str)] = &[
    ("#[ignore", "a test that is not run is no test: mend it or remove it"),
    ("#[allow(", "use #[expect(lint, reason = \"…\")], which tells when it is no longer needed"),
    ("#![allow(", "use #![expect(lint, reason = \"…\")], which tells when it is no longer needed"),
    ("todo!", "do it, or leave it out"),
    ("unimplemented!", "do it, or leave it out"),
    ("dbg!", "use tracing"),
];

/// The one module that may have `unsafe`; its comment and ADR 0021 say why.
pub const MAY_BE_UNSAFE: &str = "crates/delivery/src/signing/sha1_rsa.rs";

/// Where a fixed pause is the subject.
pub const MAY_SLEEP: &str = "crates/testkit/";

/// Folders that are somebody's own machine: their names, so that this file does not name them itself.
pub const MACHINE_FOLDERS: &[&str] = &["home", "root", "work", "Users"];
