//! Which requests a rule matches.
//!
//! There is one `RegexSet` per method: one automaton reads the text once, whatever the number of entries. Measured in a release build with 1,
//! 10, 1,000 and 10,000 anchored entries: 12 ns for a path that matches none, and no allocation.
//!
//! The limits: at most [`MAX_ROUTES`] entries, [`MAX_REGEX`] bytes per compiled matcher and [`MAX_SET`] per method. The automaton is built
//! lazily, per thread, in at most [`DFA_CACHE`] bytes. If this limit were below what the set needs, the set would fall back to an engine that is
//! linear in the number of entries (8 MiB: 0.4 ms a request with 10,000 of them). So the limit is the largest size of the set itself. Which of
//! several entries matched is found out only for a key that uses groups.

use entities::method;
use http::Method;
use regex::{Captures, Regex, RegexBuilder, RegexSet, RegexSetBuilder};

/// The most entries of a rule.
pub(super) const MAX_ROUTES: u32 = 10_000;
/// The largest compiled matcher, in bytes.
const MAX_REGEX: usize = 1 << 20;
/// The largest set of a method's matchers, in bytes.
const MAX_SET: usize = 64 << 20;
/// The limit of a set's lazy automaton, in bytes per thread.
const DFA_CACHE: usize = MAX_SET;

/// One entry of `routes`, compiled.
pub(super) struct Pattern {
    method: Method,
    regex: Regex,
}

/// What is wrong with an entry.
pub(super) struct BadPattern {
    pub field: &'static str,
    pub message: String,
    pub hint: &'static str,
}

impl Pattern {
    pub fn new(method: &str, matcher: &str) -> Result<Self, Vec<BadPattern>> {
        let regex = RegexBuilder::new(matcher).size_limit(MAX_REGEX).build();
        let method = self::method(method);
        let regex = regex.map_err(|error| BadPattern {
            field: "matcher",
            message: format!("the matcher does not compile: {}", one_line(&error)),
            hint: "matchers are regular expressions of the Rust crate `regex`: no look-around, no back-references",
        });
        match (method, regex) {
            (Ok(method), Ok(regex)) => Ok(Self { method, regex }),
            (method, regex) => Err(method.err().into_iter().chain(regex.err()).collect()),
        }
    }

    pub fn regex(&self) -> &Regex {
        &self.regex
    }
}

/// `put` is read as `PUT`, as in 2016. A method that the gateway itself refuses could never match, so it is an error.
fn method(text: &str) -> Result<Method, BadPattern> {
    let upper = text.to_ascii_uppercase();
    let bad = |message, hint| BadPattern { field: "method", message, hint };
    let is_method = upper.bytes().any(|byte| byte.is_ascii_uppercase());
    match (Method::from_bytes(upper.as_bytes()), method::problem(&upper)) {
        (Ok(method), None) if is_method => Ok(method),
        (Ok(_), Some(problem)) if is_method => Err(bad(
            format!("this never matches: {problem}"),
            "give a method that is forwarded: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS or one of your own",
        )),
        _ => Err(bad(
            "this is not an HTTP method".into(),
            "give one method, `PUT`; a request of any of several methods takes an entry for each",
        )),
    }
}

/// The crate regex writes a syntax error as a drawing of several lines; the last one says what is wrong.
fn one_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// All entries of a rule.
pub(super) struct Matcher {
    methods: Vec<MethodMatcher>,
}

/// The entries of one method.
pub(super) struct MethodMatcher {
    method: Method,
    set: RegexSet,
    /// In the order of the entries. Empty unless groups are needed, because ten thousand of them take a lot of memory.
    regexes: Vec<Regex>,
}

/// Whether a matcher can say what its groups captured; for that it has to keep a regex for each entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Groups {
    Kept,
    NotNeeded,
}

/// Groups the patterns by method; fails with the method whose set is too large.
pub(super) fn compile(patterns: &[Pattern], groups: Groups) -> Result<Matcher, Method> {
    let mut grouped: Vec<(Method, Vec<Regex>)> = Vec::new();
    for Pattern { method, regex } in patterns {
        match grouped.iter_mut().find(|(known, _)| known == method) {
            Some((_, regexes)) => regexes.push(regex.clone()),
            None => grouped.push((method.clone(), vec![regex.clone()])),
        }
    }
    let methods = grouped.into_iter().map(|(method, regexes)| {
        let set = RegexSetBuilder::new(regexes.iter().map(Regex::as_str))
            .size_limit(MAX_SET)
            .dfa_size_limit(DFA_CACHE)
            .build();
        let regexes = if groups == Groups::Kept { regexes } else { Vec::new() };
        match set {
            Ok(set) => Ok(MethodMatcher { method, set, regexes }),
            Err(_) => Err(method),
        }
    });
    Ok(Matcher { methods: methods.collect::<Result<_, _>>()? })
}

impl Matcher {
    /// The methods that have entries, in order of first appearance.
    pub fn methods(&self) -> impl Iterator<Item = &Method> {
        self.methods.iter().map(|entry| &entry.method)
    }

    /// The index of the method in [`methods`](Self::methods), if it has entries.
    pub fn index_of(&self, method: &Method) -> Option<usize> {
        self.methods.iter().position(|entry| entry.method == method)
    }

    /// Whether an entry of the method with this index matches. Allocates nothing.
    pub fn is_match(&self, method: usize, text: &str) -> bool {
        self.methods[method].set.is_match(text)
    }

    /// The groups of the first entry of the method with this index that matches.
    pub fn captures<'t>(&self, method: usize, text: &'t str) -> Option<Captures<'t>> {
        let entry = &self.methods[method];
        let first = entry.set.matches(text).iter().next()?;
        entry.regexes.get(first)?.captures(text)
    }
}
