//! Routes: which requests go to a service. The rules are Kong's.

use event::Timestamp;
use regex::Regex;
use serde::{Deserialize, Serialize};
use url::Host;
use uuid::Uuid;

use crate::field::{self, Code, FieldError, Flaw, Path};
use crate::method::{self, MethodProblem};
use crate::service::foreign_character;
use crate::{Origin, name, normalise};

/// Which requests go to a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Its id.
    pub id: Uuid,
    /// Who owns it.
    pub origin: Origin,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The id of the service that it leads to. With `None`, its plug-ins run, and if none of them answers, the answer is 503.
    pub service: Option<Uuid>,
    /// Lower case, as Kong writes them: `api.example.com`, `*.example.com`, `example.*`, each with or without `:port`.
    pub hosts: Vec<String>,
    /// As Kong writes them: a normalised prefix, or `~` and a regular expression that compiles.
    pub paths: Vec<String>,
    /// Upper case.
    pub methods: Vec<String>,
    /// Whether the matched part of the path is removed before the request is forwarded.
    pub strip_path: bool,
    /// Whether the service gets the client's `Host` header.
    pub preserve_host: bool,
    /// Whether `Location`, `Content-Location`, `Link` and `Refresh` of answers are said in the client's terms.
    #[serde(default)]
    pub rewrite_location: bool,
    /// Whether path and domain of cookies are.
    #[serde(default)]
    pub rewrite_cookies: bool,
    /// How the upstream's path is put together.
    #[serde(default)]
    pub path_handling: PathHandling,
    /// Which spelling of the path the service gets.
    #[serde(default)]
    pub path_forwarding: PathForwarding,
    /// Among routes with a regular expression, the one with the higher number is tried first.
    pub regex_priority: i64,
    /// Whether the body, or the first part of a long one, is read before anything is sent to the service.
    pub request_buffering: bool,
    /// Kong's; it has no effect.
    pub response_buffering: bool,
    /// The protocols over which requests are accepted; others get `https_redirect_status_code`. Either `https`, or `http` with or without it.
    #[serde(default = "both_protocols")]
    pub protocols: Vec<RouteProtocol>,
    /// The status for a request over plain http if only https is accepted: 426, or one of 301, 302, 307 and 308 with the same URL over https.
    #[serde(default = "upgrade_required")]
    pub https_redirect_status_code: u16,
    /// Whether `X-Forwarded-Proto: https` from a trusted peer counts as https.
    #[serde(default = "yes")]
    pub heeds_forwarded_proto: bool,
    /// Words by which it can be found.
    pub tags: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// How a request comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteProtocol {
    /// Without TLS.
    Http,
    /// Over TLS.
    Https,
}

/// The default protocols of a route.
pub fn both_protocols() -> Vec<RouteProtocol> {
    vec![RouteProtocol::Http, RouteProtocol::Https]
}

/// The default status of a route.
pub fn upgrade_required() -> u16 {
    UPGRADE_REQUIRED
}

fn yes() -> bool {
    true
}

/// Asks a client for https without saying where.
pub const UPGRADE_REQUIRED: u16 = 426;
/// The answers to a request over plain http for a route that takes only https.
pub const HTTPS_REDIRECTS: [u16; 5] = [UPGRADE_REQUIRED, 301, 302, 307, 308];

/// How the upstream's path is put together of the service's path and the request's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PathHandling {
    /// As paths: a slash between the two.
    #[default]
    V0,
    /// As texts, the way that Kong 1 did it and Kong 3 deprecates: `/v` and `/x` are `/vx` if nothing is stripped.
    V1,
}

/// Which spelling of the path the service gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PathForwarding {
    /// The client's own bytes, where no reading of them leads to another route.
    #[default]
    Raw,
    /// The normal form, as Kong does it.
    Normalised,
}

impl PathForwarding {
    /// As it is written in a configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Normalised => "normalised",
        }
    }
}

impl Route {
    /// Its name, or its id.
    pub fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.id.to_string())
    }

    /// Whether it accepts only https.
    pub fn is_https_only(&self) -> bool {
        !self.protocols.contains(&RouteProtocol::Http)
    }

    /// Everything that is wrong with its fields.
    pub fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        name::check(self.name.as_deref(), &self.tags, &mut errors);
        if self.protocols.is_empty() {
            let hint = "name `http`, `https` or both, or remove the key";
            field::note(
                &mut errors,
                Path::key("protocols"),
                Err(Flaw::invalid("length must be at least 1", hint)),
            );
        }
        if !HTTPS_REDIRECTS.contains(&self.https_redirect_status_code) {
            let hint = "426 asks for https, the others send the client there";
            let flaw = Flaw::invalid("expected one of: 426, 301, 302, 307, 308", hint);
            field::note(&mut errors, Path::key("https_redirect_status_code"), Err(flaw));
        }
        if self.hosts.is_empty() && self.paths.is_empty() && self.methods.is_empty() {
            errors.push(FieldError {
                path: Path::default(),
                code: Code::Required,
                message: "must set one of 'methods', 'hosts', 'paths'".into(),
                hint: "`paths: [/]` matches every request".into(),
            });
        }
        let mut each = |key, texts: &[String], check: fn(&str) -> Result<(), Flaw>| {
            for (index, text) in texts.iter().enumerate() {
                field::note(&mut errors, Path::key(key).index(index), check(text));
            }
        };
        each("paths", &self.paths, path);
        each("methods", &self.methods, check_method);
        each("hosts", &self.hosts, host);
        errors
    }
}

fn path(path: &str) -> Result<(), Flaw> {
    const START: &str = "should start with: / (fixed path) or ~/ (regex path)";
    if let Some(regex) = path.strip_prefix('~') {
        if !regex.starts_with('/') {
            let hint = "a regex path is matched from the begin of the request's path, which is a slash";
            return Err(Flaw::invalid(START, hint));
        }
        return check_regex(regex);
    }
    if !path.starts_with('/') {
        return Err(Flaw::invalid(START, "put a slash in front"));
    }
    if path.contains("//") {
        let hint = "requests have their double slashes merged: write one";
        return Err(Flaw::invalid("must not have empty segments", hint));
    }
    if let Some(bad) = foreign_character(path) {
        let hint = match bad {
            '?' | '#' => "a path ends before the query",
            _ if bad.is_ascii() && !bad.is_ascii_control() && bad != ' ' => {
                "if it is a regular expression, put a ~ in front"
            }
            _ => "write it percent-encoded, as %xx",
        };
        return Err(Flaw::invalid(format!("{bad:?} is not allowed in a fixed path"), hint));
    }
    let normal = normalise(path);
    if normal != path {
        let message = format!("non-normalized path, consider use '{normal}' instead");
        let hint = "requests are normalised before they are matched: this path never would be";
        return Err(Flaw::invalid(message, hint));
    }
    Ok(())
}

fn check_regex(regex: &str) -> Result<(), Flaw> {
    let Err(error) = Regex::new(regex) else { return Ok(()) };
    let text = error.to_string();
    let reason = text.lines().rev().find_map(|line| line.strip_prefix("error: ")).unwrap_or(text.as_str());
    let message = format!("invalid regex: '{regex}' ({})", reason.replace('\n', " "));
    let hint =
        "the engine is Rust's `regex` crate, not PCRE: linear time, no look-around, no back-references";
    Err(Flaw::invalid(message, hint))
}

fn check_method(method: &str) -> Result<(), Flaw> {
    if let Some(problem @ MethodProblem::NotForwarded) = method::problem(method) {
        let message = format!("`{method}` never matches: {problem}");
        return Err(Flaw::invalid(message, "remove it from `methods`"));
    }
    if !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Ok(());
    }
    let hint = match method.bytes().all(|byte| byte.is_ascii_alphabetic()) && !method.is_empty() {
        true => "methods are upper case",
        false => "a method is made of the letters A to Z",
    };
    Err(Flaw::invalid("invalid method", hint))
}

fn host(host: &str) -> Result<(), Flaw> {
    let stars = host.matches('*').count();
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let wildcard = name.strip_prefix("*.").or_else(|| name.strip_suffix(".*"));
    let hint = if stars > 1 || (stars == 1 && wildcard.is_none()) {
        "one wildcard, as the first or last label: *.example.com or example.*"
    } else if !host.contains('/')
        && port.is_some_and(|port| port.parse::<u16>().map_or(true, |port| port == 0))
    {
        "the port is a number from 1 to 65535"
    } else if Host::parse(wildcard.unwrap_or(name)).is_err() {
        "a host is a name or an IP address, with or without :port, without http:// and path"
    } else {
        return Ok(());
    };
    Err(Flaw::invalid("invalid hostname", hint))
}
