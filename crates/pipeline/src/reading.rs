//! What services read in one path, so that no spelling of it dodges a rule.
//!
//! A path comes in normal form: unreserved characters decoded, escapes in upper case, slashes merged, dot segments removed. Most services
//! decode it once more than that before they route: `%2F` becomes a slash, and the dots after it become a way up. [`others`] lists the
//! paths that they may come to. All of them are routed, because a service behind another route may be meant. [`as_spelt`] lists those that they
//! may come to if they get the path as the client spelt it.
//!
//! [`loosened`] goes further, for a rule whose route is known: what services are seen to do is done in every combination, the mildest first. A
//! match more is harmless (the service's answer decides whether there is an event), a match less is a lost event.

use std::borrow::Cow;
use std::fmt::Write;

use percent_encoding::percent_decode_str;

/// What a service does on its way from the path as it stands to the path that it routes by.
#[derive(Clone, Copy)]
struct Habits {
    /// A segment that is empty or of dots may have parameters: `..;a=b`.
    parameters: bool,
    /// What becomes of empty segments.
    empty: Empty,
}

/// What becomes of the empty segments of a path, `//`, when its dot segments are removed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Empty {
    /// They are removed first: nginx.
    MergedFirst,
    /// They are removed at last, so that `..` may take one away.
    MergedLast,
    /// They stay: RFC 3986, the URLs of browsers.
    Kept,
}

impl Empty {
    const ALL: [Self; 3] = [Self::MergedFirst, Self::MergedLast, Self::Kept];
}

/// The paths that services come to that decode what separates segments, each but once and without the path as it stands. The first is that
/// of `%2F`, `%5C` and `\` read as slashes. Empty, and not even allocated, for a path without any of these.
pub fn others(normal: &str) -> Vec<String> {
    if !is_ambiguous(normal) {
        return Vec::new();
    }
    let mut readings = Readings::besides(normal);
    readings.add_decoded(normal);
    if normal.contains('\\') {
        readings.add_urls(normal);
    }
    readings.texts
}

/// The paths that services come to that get a path as the client spelt it, each but once and without its normal form.
///
/// `escaped` is the path with each escape in normal form, `normal` all of it. Beside what [`others`] does, slashes are merged or not, before dot
/// segments are removed and after; a service may take the path as it stands, or for a URL.
pub fn as_spelt(path: &str, escaped: &str, normal: &str) -> Vec<String> {
    let mut readings = Readings::besides(normal);
    readings.add(path.to_owned());
    readings.add(escaped.to_owned());
    readings.add_decoded(escaped);
    readings.add_urls(escaped);
    readings.texts
}

/// The paths that a service comes to that reads a target of two slashes (or backslashes) at the beginning as a URL without a scheme: what
/// follows the host. Empty for other paths.
pub fn without_authority(path: &str) -> Vec<String> {
    let mut readings = Readings::besides(path);
    readings.add_without_authority(path);
    readings.texts
}

struct Readings<'p> {
    known: &'p str,
    texts: Vec<String>,
}

impl<'p> Readings<'p> {
    fn besides(known: &'p str) -> Self {
        Self { known, texts: Vec::new() }
    }

    fn add(&mut self, reading: String) {
        if reading != self.known && !self.texts.contains(&reading) {
            self.texts.push(reading);
        }
    }

    /// Of services that decode before they remove dot segments.
    fn add_decoded(&mut self, path: &str) {
        let spelt = spelt(path);
        // A servlet cuts parameters first, with all that is escaped in them.
        let bare = without_parameters(&spelt);
        for spelling in [&*spelt, &*bare, path] {
            let decoded = spelling.replace("%2F", "/");
            for path in [&with_slashes(&decoded), &decoded] {
                for parameters in [false, true] {
                    for empty in Empty::ALL {
                        let resolved = remove_dots(path, Habits { parameters, empty });
                        let cut = resolved.trim_end_matches('/').to_owned();
                        self.add(resolved);
                        // To many a slash at the end means nothing.
                        if !cut.is_empty() {
                            self.add(cut);
                        }
                    }
                }
            }
            // And to many the dots.
            let cut = decoded.trim_end_matches('/');
            if !cut.is_empty() {
                self.add(cut.to_owned());
            }
            self.add(decoded);
        }
    }

    /// Of services that take the path for a URL: a backslash is a slash to some, and what is escaped is decoded at last.
    fn add_urls(&mut self, path: &str) {
        self.add_resolved(path);
        self.add_without_authority(path);
    }

    fn add_without_authority(&mut self, path: &str) {
        for rest in beyond_authority(path).into_iter().flatten() {
            self.add(rest.to_owned());
            self.add_decoded(rest);
            self.add_resolved(rest);
        }
    }

    fn add_resolved(&mut self, path: &str) {
        for path in [path, &path.replace('\\', "/")] {
            for empty in Empty::ALL {
                let resolved = remove_dots(path, Habits { parameters: false, empty });
                let decoded = resolved.replace("%2F", "/");
                self.add(with_slashes(&decoded));
                self.add(decoded);
                self.add(resolved);
            }
        }
    }
}

/// What follows the host in a path that begins with two slashes: of those who take exactly two for its beginning, and of those who take all.
fn beyond_authority(path: &str) -> Option<[&str; 2]> {
    const SLASHES: [char; 2] = ['/', '\\'];
    let two = path.strip_prefix('/')?.strip_prefix(SLASHES)?;
    let beyond = |text: &'_ str| text.find(SLASHES).unwrap_or(text.len());
    let rests = [two, two.trim_start_matches(SLASHES)].map(|rest| &rest[beyond(rest)..]);
    Some(rests.map(|rest| if rest.is_empty() { "/" } else { rest }))
}

/// Whether a path in normal form has anything that services read differently before they route. One look at each byte.
fn is_ambiguous(path: &str) -> bool {
    if path.bytes().all(|byte| is_plain(byte) && !matches!(byte, b'%' | b';')) {
        return false;
    }
    let separators = ["%2F", "%5C", "/.;", "/..;"];
    !path.bytes().all(is_plain) || separators.iter().any(|part| path.contains(part))
}

/// The characters that RFC 3986 allows in a path.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~%:@!$&'()*+,;=".contains(&byte)
}

/// The path as RFC 3986 wants it written, except for backslashes: clients that send a letter as it is and those that escape it mean the
/// same.
fn spelt(path: &str) -> Cow<'_, str> {
    let stays = |byte: u8| is_plain(byte) || byte == b'\\';
    if path.bytes().all(stays) {
        return Cow::Borrowed(path);
    }
    let mut spelt = String::with_capacity(path.len() + 16);
    for byte in path.bytes() {
        if stays(byte) {
            spelt.push(char::from(byte));
        } else {
            // Writing into a string never fails.
            let _ = write!(spelt, "%{byte:02X}");
        }
    }
    Cow::Owned(spelt)
}

fn with_slashes(path: &str) -> String {
    path.replace("%5C", "/").replace('\\', "/")
}

/// Removes dot segments.
fn remove_dots(path: &str, habits: Habits) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_open = false;
    for segment in path.strip_prefix('/').unwrap_or(path).split('/') {
        let bare = match segment.split_once(';') {
            Some((bare @ ("" | "." | ".."), _)) if habits.parameters => bare,
            _ => segment,
        };
        ends_open = matches!(bare, "" | "." | "..");
        match bare {
            "." => {}
            ".." => drop(kept.pop()),
            "" if habits.empty == Empty::MergedFirst => {}
            _ => kept.push(segment),
        }
    }
    if habits.empty != Empty::Kept {
        kept.retain(|segment| !segment.is_empty());
    }
    join(kept.into_iter(), ends_open)
}

/// `ends_open` if the path ends with a slash.
fn join<'s>(segments: impl Iterator<Item = &'s str>, ends_open: bool) -> String {
    let mut path = String::new();
    for segment in segments {
        path.push('/');
        path.push_str(segment);
    }
    if path.is_empty() || ends_open && !path.ends_with('/') {
        path.push('/');
    }
    path
}

/// What is done to a path to loosen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loosening {
    /// Every escape is decoded: Flask, Django, Go, nginx.
    decoded: bool,
    /// What is often ignored is cut: slashes at the end (Express), dots and spaces at the end of segments (file systems of Windows).
    trimmed: bool,
    /// Parameters of segments are cut: `/a;b=c` is `/a` (servlets, Python's `urlparse`).
    bare: bool,
    /// Escapes within escapes are decoded, and backslashes in them are slashes: two decoders in a row.
    twice: bool,
}

impl Loosening {
    /// All that is ever done.
    pub const FULL: Self = Self { decoded: true, trimmed: true, bare: true, twice: true };
}

/// The one text of all paths in normal form that some service may take for the same: [`Loosening::FULL`]. For whoever counts requests, so
/// that no spelling begins a new count.
pub fn canonical(normal: &str) -> Cow<'_, str> {
    match normal.is_ascii() && !can_be_loosened(normal) {
        true => Cow::Borrowed(normal),
        false => Cow::Owned(loosened(normal, Loosening::FULL)),
    }
}

/// How a path can be loosened to any effect, the mildest first; none for most paths, which costs one look at each byte.
pub fn loosenings(path: &str) -> impl Iterator<Item = Loosening> + use<> {
    let is_odd = can_be_loosened(path);
    let useful = Loosening {
        decoded: path.contains('%'),
        trimmed: is_odd,
        bare: path.contains(';') || path.contains("%25"),
        twice: path.contains("%25") || path.contains('\\'),
    };
    let combinations = if is_odd { 1..16_u8 } else { 0..0 };
    combinations.filter_map(move |bits| {
        let has = |bit: u8| bits & bit != 0;
        let loosening = Loosening { decoded: has(1), trimmed: has(2), bare: has(4), twice: has(8) };
        let pairs = [
            (loosening.decoded, useful.decoded),
            (loosening.trimmed, useful.trimmed),
            (loosening.bare, useful.bare),
            (loosening.twice, useful.twice && loosening.decoded),
        ];
        pairs.iter().all(|(done, useful)| *useful || !done).then_some(loosening)
    })
}

fn can_be_loosened(path: &str) -> bool {
    let is_odd = |byte: u8| matches!(byte, b'%' | b';' | b'\\');
    path.bytes().any(is_odd) || (path.len() > 1 && path.ends_with(['/', '.'])) || path.contains("./")
}

/// How many times escapes within escapes are decoded at most. No service is known to route by what is then left.
const DECODES: usize = 4;

/// The path, loosened.
pub fn loosened(path: &str, how: Loosening) -> String {
    let mut text = if how.bare { without_parameters(path) } else { path.to_owned() };
    if how.decoded {
        text = decode(&text);
    }
    if how.twice {
        for _ in 1..DECODES {
            text = decode(&text);
        }
        text = with_slashes(&text);
        if how.bare {
            text = without_parameters(&text);
        }
    }
    text = remove_dots(&text, Habits { parameters: false, empty: Empty::MergedFirst });
    if how.trimmed {
        trim(&mut text);
    }
    text
}

/// Cuts slashes off the end, and dots and spaces (of all kinds: `$` of many regex engines also matches before a line feed) off the end of
/// each segment. A path of nothing else is `/`.
fn trim(path: &mut String) {
    let ignored = |c: char| c == '.' || c.is_whitespace() || c.is_control();
    if path.len() > 1 && path.ends_with('/') || path.contains(ignored) {
        let segments = path.split('/').map(|segment| segment.trim_end_matches(ignored));
        *path = join(segments.filter(|segment| !segment.is_empty()), false);
    }
}

fn without_parameters(path: &str) -> String {
    let bare = |segment: &str| segment.split(';').next().unwrap_or_default().len();
    let segments: Vec<&str> = path.split('/').map(|segment| &segment[..bare(segment)]).collect();
    segments.join("/")
}

/// Decodes every escape whose bytes are UTF-8 together; others stay as they are.
fn decode(path: &str) -> String {
    let bytes = percent_decode_str(path).collect();
    String::from_utf8(bytes).unwrap_or_else(|_| decode_ascii(path))
}

/// The same for a path that would not be UTF-8: only escapes of ASCII are decoded.
fn decode_ascii(path: &str) -> String {
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        decoded.push_str(&rest[..at]);
        let mut byte = [0];
        let escape = rest.as_bytes().get(at + 1..at + 3);
        if escape.is_some_and(|digits| hex::decode_to_slice(digits, &mut byte).is_ok()) && byte.is_ascii() {
            decoded.push(char::from(byte[0]));
            rest = &rest[at + 3..];
        } else {
            decoded.push('%');
            rest = &rest[at + 1..];
        }
    }
    decoded.push_str(rest);
    decoded
}

#[cfg(test)]
mod tests;
