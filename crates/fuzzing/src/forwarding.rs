//! Which spelling of a path is forwarded: none that a service may take for a path on another route.
//!
//! Read as: a request target. The gateway has the routes `/public`, `/api` and `/api/admin` (both stripped), `/items/<number>`, and in one of two
//! worlds `/` beside them. What must hold: if the service gets the client's own bytes, every model of a service finds the gateway's route in them.

use std::cell::OnceCell;

use entities::{PathHandling, normal_escapes};
use gateway::front::{self, AmbiguousPaths, Found};
use gateway::path::upstream_path;
use gateway::router::Router;
use gateway::table::PathPattern;
use http::Method;
use http::uri::PathAndQuery;
use regex::Regex;
use url::Url;

use crate::route::route;

const PORT: u16 = 8000;

/// Panics when a promise is broken.
pub fn target(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(target) = text.trim_end_matches('\n').parse::<PathAndQuery>() else { return };
    if target.as_str().starts_with('/') {
        WORLDS.with(|worlds| {
            worlds.get_or_init(worlds_of).iter().for_each(|router| forwards(router, target.path()))
        });
    }
}

thread_local! {
    static WORLDS: OnceCell<[Router; 2]> = const { OnceCell::new() };
}

fn worlds_of() -> [Router; 2] {
    [true, false].map(|has_root| {
        let regex = Regex::new("^(?:/items/[0-9]+)").expect("a regular expression");
        let mut routes = vec![
            route("public".into(), vec![PathPattern::Prefix("/public".into())], false),
            route("api".into(), vec![PathPattern::Prefix("/api".into())], true),
            route("admin".into(), vec![PathPattern::Prefix("/api/admin".into())], true),
            route("items".into(), vec![PathPattern::Regex(regex)], false),
        ];
        if has_root {
            routes.push(route("all".into(), vec![PathPattern::Prefix("/".into())], false));
        }
        Router::new(routes).expect("few routes")
    })
}

fn forwards(router: &Router, path: &str) {
    let find = |path: &str| router.find(&Method::GET, None, PORT, path);
    let policy = AmbiguousPaths::Match;
    let Ok(found) = front::find(router, policy, &Method::GET, None, PORT, path) else { return };
    let Found { route, plain, spelt, .. } = &found;
    let spelt = spelt.as_deref();
    if spelt.is_none() && plain.path != path {
        // The normal form is sent.
        return;
    }
    let matched = spelt.map_or(plain.matched, |spelt| spelt.cut);
    let sent = upstream_path(PathHandling::V0, "/", path, matched, route.strip_path);
    // Of a path in normal form the rest of a prefix may be sent, with a slash before it.
    let Some(prefix) = path.strip_suffix(&*sent) else {
        assert!(spelt.is_none(), "{sent} is sent for {path}");
        return;
    };
    for (service, model) in SERVICES {
        for reading in model(&sent) {
            let read = format!("{prefix}{reading}");
            let agrees = find(&read).is_some_and(|other| std::ptr::eq(other.route, *route));
            assert!(agrees, "{service} takes {path} for {read}, which is not on {}", route.name);
        }
    }
}

/// From a raw path to those that a service may route by: as it writes them, and with escapes in normal form.
type Model = fn(&str) -> Vec<String>;

const SERVICES: [(&str, Model); 6] = [
    ("a service that takes the path as it stands", |path| vec![path.to_owned()]),
    ("RFC 3986", rfc_3986),
    ("WHATWG URL", |path| url(Url::parse(&format!("http://origin{path}")).ok())),
    ("WHATWG URL, joined", |path| {
        url(Url::parse("http://origin").ok().and_then(|base| base.join(path).ok()))
    }),
    ("posixpath", posixpath),
    ("nginx", nginx),
];

/// Sections 6.2.2.2 and 5.2.4, to the letter.
fn rfc_3986(path: &str) -> Vec<String> {
    let mut input = normal_escapes(path).into_owned();
    let mut output = String::new();
    while !input.is_empty() {
        if let Some(rest) = input.strip_prefix("../").or_else(|| input.strip_prefix("./")) {
            input = rest.to_owned();
        } else if input.starts_with("/./") {
            input.replace_range(..2, "");
        } else if input == "/." {
            input = "/".to_owned();
        } else if input.starts_with("/../") || input == "/.." {
            input = format!("/{}", input.get(4..).unwrap_or_default());
            output.truncate(output.rfind('/').unwrap_or(0));
        } else if input == "." || input == ".." {
            input.clear();
        } else {
            let end = input[1..].find('/').map_or(input.len(), |at| at + 1);
            output.push_str(&input[..end]);
            input.replace_range(..end, "");
        }
    }
    vec![encode(&decode(&output)), output]
}

fn url(url: Option<Url>) -> Vec<String> {
    let Some(url) = url else { return Vec::new() };
    vec![url.path().to_owned(), normal_escapes(url.path()).into_owned(), encode(&decode(url.path()))]
}

/// `posixpath.normpath(unquote(path))`: two slashes at the beginning stay two.
fn posixpath(path: &str) -> Vec<String> {
    let path = decode(path);
    let slashes = path.iter().take_while(|byte| **byte == b'/').count();
    let begin: &[u8] = if slashes == 2 { b"//" } else { b"/" };
    let mut kept: Vec<&[u8]> = Vec::new();
    for segment in path.split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    vec![encode(&[begin, &kept.join(&b'/')].concat())]
}

/// `ngx_http_parse_complex_uri`: what is decoded counts as if it had been written. What it refuses has no reading.
fn nginx(path: &str) -> Vec<String> {
    let is_escape =
        |rest: &str| rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    if !path.split('%').skip(1).all(is_escape) {
        return Vec::new();
    }
    let path = decode(path);
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut ends_open = false;
    for segment in path.split(|byte| *byte == b'/') {
        ends_open = matches!(segment, b"" | b"." | b"..");
        match segment {
            b"" | b"." => {}
            b".." if kept.pop().is_none() => return Vec::new(),
            b".." => {}
            _ => kept.push(segment),
        }
    }
    let end: &[u8] = if ends_open && !kept.is_empty() { b"/" } else { b"" };
    vec![encode(&[b"/", &*kept.join(&b'/'), end].concat())]
}

fn decode(path: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let digits = behind.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.filter(|_| first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &behind[2..] } else { behind };
    }
    decoded
}

/// As routes write paths.
fn encode(path: &[u8]) -> String {
    let mut encoded = String::with_capacity(path.len());
    for &byte in path {
        if byte.is_ascii_alphanumeric() || b"/-._~:@!$&'()*+,;=".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
