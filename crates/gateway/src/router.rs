//! Finds the route of a request, in the order of Kong 3's traditional router, at a cost that does not grow with the number of routes.
//!
//! A route has one entry for each of its paths. All entries are ranked once by Kong's order; a lookup collects the few entries that a host and a
//! path can reach (hash maps by host and by path prefix, one `RegexSet` a host) and takes the best rank whose method fits. Only wildcard hosts
//! are looked at one by one.

use std::cmp::Reverse;
use std::sync::Arc;

use foldhash::HashMap;
use http::Method;
use pipeline::Chains;
use regex::RegexSet;
use smallvec::SmallVec;

use crate::table::{HostPattern, PathPattern, Route};

/// Routes, compiled.
pub struct Router {
    routes: Vec<Arc<Route>>,
    /// By rank: the route's index, its path's kind, and what else must match.
    entries: Vec<Entry>,
    exact_hosts: HashMap<String, HostTable>,
    wildcard_hosts: Vec<(HostPattern, HostTable)>,
    any_host: HostTable,
    unrouted: Chains,
}

struct Entry {
    route: usize,
    path: EntryPath,
}

enum EntryPath {
    Any,
    Prefix(usize),
    Regex(regex::Regex),
}

/// The entries that a host can reach, by path. Ranks are ascending: the first that fits is the best of its list.
#[derive(Default)]
struct HostTable {
    without_path: Vec<usize>,
    prefixes: HashMap<String, SmallVec<[usize; 1]>>,
    /// The lengths of all prefixes, without repeats.
    lengths: Vec<usize>,
    regexes: RegexSet,
    regex_ranks: Vec<usize>,
}

/// A route, and how much of the path it matched.
#[derive(Clone, Copy)]
pub struct Match<'r> {
    /// The route.
    pub route: &'r Route,
    /// Its index among the routes that the router was made from.
    pub index: usize,
    /// Bytes of the request path that the route's path matched; 0 without a path.
    pub matched: usize,
}

/// The regexes of all routes together are too large.
#[derive(Debug, thiserror::Error)]
#[error("the regex paths of all routes together are too large to compile")]
pub struct TooManyRegexes(#[source] regex::Error);

impl Router {
    /// Compiles routes; their order is the order in which they were created. Generations may share them.
    ///
    /// # Errors
    /// If the regexes of one host's routes are together larger than the regex engine takes.
    pub fn new<R: Into<Arc<Route>>>(routes: Vec<R>) -> Result<Self, TooManyRegexes> {
        let routes: Vec<Arc<Route>> = routes.into_iter().map(Into::into).collect();
        let mut split: Vec<(usize, Option<&PathPattern>)> = Vec::with_capacity(routes.len());
        for (index, route) in routes.iter().enumerate() {
            if route.paths.is_empty() {
                split.push((index, None));
            }
            split.extend(route.paths.iter().map(|path| (index, Some(path))));
        }
        split.sort_by_cached_key(|(index, path)| rank(&routes[*index], *index, *path));

        let mut router = Self {
            entries: split.iter().map(|(route, path)| Entry::new(*route, *path)).collect(),
            exact_hosts: HashMap::default(),
            wildcard_hosts: Vec::new(),
            any_host: HostTable::default(),
            unrouted: Chains::default(),
            routes: Vec::new(),
        };
        for (rank, (index, path)) in split.iter().enumerate() {
            router.index(rank, &routes[*index].hosts, *path);
        }
        router.compile()?;
        Ok(Self { routes, ..router })
    }

    /// With the plug-ins of requests that find no route.
    #[must_use]
    pub fn with_unrouted(self, unrouted: Chains) -> Self {
        Self { unrouted, ..self }
    }

    /// The plug-ins of requests that find no route.
    pub fn unrouted(&self) -> &Chains {
        &self.unrouted
    }

    fn index(&mut self, rank: usize, hosts: &[HostPattern], path: Option<&PathPattern>) {
        if hosts.is_empty() {
            self.any_host.add(rank, path);
        }
        for host in hosts {
            match host {
                HostPattern::Exact(name) => match self.exact_hosts.get_mut(name) {
                    Some(table) => table.add(rank, path),
                    None => self.exact_hosts.entry(name.clone()).or_default().add(rank, path),
                },
                wildcard => match self.wildcard_hosts.iter_mut().find(|(known, _)| known == wildcard) {
                    Some((_, table)) => table.add(rank, path),
                    None => {
                        let mut table = HostTable::default();
                        table.add(rank, path);
                        self.wildcard_hosts.push((wildcard.clone(), table));
                    }
                },
            }
        }
    }

    fn compile(&mut self) -> Result<(), TooManyRegexes> {
        let entries = &self.entries;
        let wildcards = self.wildcard_hosts.iter_mut().map(|(_, table)| table);
        for table in self.exact_hosts.values_mut().chain(wildcards).chain([&mut self.any_host]) {
            let patterns = table.regex_ranks.iter().filter_map(|&rank| match &entries[rank].path {
                EntryPath::Regex(regex) => Some(regex.as_str()),
                EntryPath::Any | EntryPath::Prefix(_) => None,
            });
            table.regexes = RegexSet::new(patterns).map_err(TooManyRegexes)?;
        }
        Ok(())
    }

    /// The route that a request takes. `host` is the Host header in lower case (`None` if there is none), with its port if it has
    /// one; `port` is the listener's; `path` is normalised.
    pub fn find(&self, method: &Method, host: Option<&str>, port: u16, path: &str) -> Option<Match<'_>> {
        let mut best = usize::MAX;
        if let Some(host) = host.filter(|_| !self.exact_hosts.is_empty() || !self.wildcard_hosts.is_empty()) {
            self.find_by_host(host, port, method, path, &mut best);
        }
        self.any_host.find(self, method, path, &mut best);
        let entry = self.entries.get(best)?;
        let matched = match &entry.path {
            EntryPath::Any => 0,
            EntryPath::Prefix(length) => *length,
            EntryPath::Regex(regex) => regex.find(path).map_or(0, |found| found.end()),
        };
        Some(Match { route: &self.routes[entry.route], index: entry.route, matched })
    }

    /// All routes.
    pub(crate) fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter().map(|route| &**route)
    }

    /// The route with this index.
    pub fn route(&self, index: usize) -> &Route {
        &self.routes[index]
    }

    fn find_by_host(&self, host: &str, port: u16, method: &Method, path: &str, best: &mut usize) {
        let bare = without_port(host);
        let with_port = if bare.len() < host.len() { host.to_owned() } else { format!("{host}:{port}") };
        for name in [bare, &with_port] {
            if let Some(table) = self.exact_hosts.get(name) {
                table.find(self, method, path, best);
            }
        }
        for (pattern, table) in &self.wildcard_hosts {
            let host = if pattern.is_wildcard_with_port() { &with_port } else { bare };
            if pattern.wildcard_matches(host) {
                table.find(self, method, path, best);
            }
        }
    }

    fn takes_method(&self, rank: usize, method: &Method) -> bool {
        let methods = &self.routes[self.entries[rank].route].methods;
        methods.is_empty() || methods.contains(method)
    }
}

/// A host without its port; an IPv6 literal keeps its brackets.
pub fn without_port(host: &str) -> &str {
    match host.rfind(':') {
        Some(colon) if !host[colon..].contains(']') => &host[..colon],
        _ => host,
    }
}

impl Entry {
    fn new(route: usize, path: Option<&PathPattern>) -> Self {
        let path = match path {
            None => EntryPath::Any,
            Some(PathPattern::Prefix(prefix)) => EntryPath::Prefix(prefix.len()),
            Some(PathPattern::Regex(regex)) => EntryPath::Regex(regex.clone()),
        };
        Self { route, path }
    }
}

impl HostTable {
    fn add(&mut self, rank: usize, path: Option<&PathPattern>) {
        match path {
            None => self.without_path.push(rank),
            Some(PathPattern::Regex(_)) => self.regex_ranks.push(rank),
            Some(PathPattern::Prefix(prefix)) => {
                if !self.lengths.contains(&prefix.len()) {
                    self.lengths.push(prefix.len());
                }
                self.prefixes.entry(prefix.clone()).or_default().push(rank);
            }
        }
    }

    fn find(&self, router: &Router, method: &Method, path: &str, best: &mut usize) {
        let mut consider = |ranks: &[usize]| {
            let fits = ranks.iter().take_while(|rank| **rank < *best).copied();
            if let Some(rank) = fits.into_iter().find(|rank| router.takes_method(*rank, method)) {
                *best = rank;
            }
        };
        consider(&self.without_path);
        for &length in &self.lengths {
            if let Some(ranks) = path.get(..length).and_then(|prefix| self.prefixes.get(prefix)) {
                consider(ranks);
            }
        }
        if !self.regex_ranks.is_empty() {
            for index in &self.regexes.matches(path) {
                consider(&self.regex_ranks[index..=index]);
            }
        }
    }
}

/// Kong's order as a sort key, the best first: attributes, their kinds, submatches, regex priority, length, age.
type Rank = (Reverse<usize>, Reverse<u32>, Reverse<u32>, Reverse<i64>, Reverse<usize>, usize);

fn rank(route: &Route, index: usize, path: Option<&PathPattern>) -> Rank {
    let (has_hosts, has_path, has_methods) =
        (!route.hosts.is_empty(), path.is_some(), !route.methods.is_empty());
    let attributes = usize::from(has_hosts) + usize::from(has_path) + usize::from(has_methods);
    let kinds = u32::from(has_hosts) * 0x40 + u32::from(has_path) * 0x10 + u32::from(has_methods) * 0x08;

    let is_regex = matches!(path, Some(PathPattern::Regex(_)));
    let wildcard_with_port = route.hosts.iter().any(HostPattern::is_wildcard_with_port);
    let only_plain_hosts = has_hosts && route.hosts.iter().all(|host| matches!(host, HostPattern::Exact(_)));
    let submatch = u32::from(wildcard_with_port) * 4 + u32::from(only_plain_hosts) * 2 + u32::from(is_regex);

    let regex_priority = if is_regex { route.regex_priority } else { 0 };
    let length = match path {
        None => 0,
        Some(PathPattern::Prefix(prefix)) => prefix.len(),
        Some(PathPattern::Regex(regex)) => regex.as_str().len(),
    };
    (Reverse(attributes), Reverse(kinds), Reverse(submatch), Reverse(regex_priority), Reverse(length), index)
}

#[cfg(test)]
pub(crate) mod tests;
