//! From the request's path to the upstream's: Kong's `path_handling`, `v0` and `v1`; and what may be done with a path that is not in normal form.

use std::borrow::Cow;

use entities::PathHandling;

/// The path that rules are compared with: the request path without what `strip_path` removes. Always begins with `/`.
///
/// `matched` is how many bytes of `request_path` the route's path matched.
pub fn service_path(request_path: &str, matched: usize, strip: bool) -> Cow<'_, str> {
    if !strip {
        return Cow::Borrowed(request_path);
    }
    let rest = postfix(request_path, matched);
    if rest.starts_with('/') { Cow::Borrowed(rest) } else { Cow::Owned(format!("/{rest}")) }
}

/// The path that the upstream is asked for, without the query. `base` is the service's own path.
pub fn upstream_path<'p>(
    handling: PathHandling,
    base: &str,
    request_path: &'p str,
    matched: usize,
    strip: bool,
) -> Cow<'p, str> {
    match handling {
        PathHandling::V0 => as_paths(base, request_path, matched, strip),
        PathHandling::V1 => as_texts(base, request_path, matched, strip),
    }
}

/// `v1`: one text after the other, without a second slash where both have one.
fn as_texts<'p>(base: &str, request_path: &'p str, matched: usize, strip: bool) -> Cow<'p, str> {
    let rest = if strip { postfix(request_path, matched) } else { &request_path[1..] };
    match rest.strip_prefix('/') {
        _ if base == "/" && !strip => Cow::Borrowed(request_path),
        Some(_) if base == "/" => Cow::Borrowed(rest),
        Some(behind) if base.ends_with('/') => Cow::Owned(format!("{base}{behind}")),
        _ => Cow::Owned(format!("{base}{rest}")),
    }
}

/// `v0`: one slash between the two.
fn as_paths<'p>(base: &str, request_path: &'p str, matched: usize, strip: bool) -> Cow<'p, str> {
    let base_slashed = base.ends_with('/');
    let trimmed = base.strip_suffix('/').unwrap_or(base);
    if !strip {
        return match (base_slashed, request_path) {
            (true, _) if base == "/" => Cow::Borrowed(request_path),
            (true, _) => Cow::Owned(format!("{trimmed}{request_path}")),
            (false, "/") => Cow::Owned(base.to_owned()),
            (false, _) => Cow::Owned(format!("{base}{request_path}")),
        };
    }
    let rest = postfix(request_path, matched);
    let ends_slashed = request_path.len() > 1 && request_path.ends_with('/');
    match (base_slashed, rest) {
        (true, "") if base == "/" => Cow::Borrowed("/"),
        (true, "") if ends_slashed => Cow::Owned(base.to_owned()),
        (true, "") => Cow::Owned(trimmed.to_owned()),
        (true, rest) if rest.starts_with('/') && base == "/" => Cow::Borrowed(rest),
        (true, rest) if rest.starts_with('/') => Cow::Owned(format!("{trimmed}{rest}")),
        (true, rest) => Cow::Owned(format!("{base}{rest}")),
        (false, "") if ends_slashed => Cow::Owned(format!("{base}/")),
        (false, "") => Cow::Owned(base.to_owned()),
        (false, rest) if rest.starts_with('/') => Cow::Owned(format!("{base}{rest}")),
        (false, rest) => Cow::Owned(format!("{base}/{rest}")),
    }
}

/// How many bytes `strip_path` cuts off a path that is not in normal form; `None` if nothing can be cut off it as it stands.
///
/// `matched` is how many bytes of `normal`, its normal form, the route's path matched. What is left begins with a slash: of a prefix that ends
/// with one, this slash is left, as [`PathHandling::V0`] puts one there.
pub fn cut_of_spelt(
    handling: PathHandling,
    path: &str,
    normal: &str,
    matched: usize,
    strip: bool,
) -> Option<usize> {
    if !strip || matched == 0 {
        return Some(0);
    }
    let slashed = normal[..matched].ends_with('/');
    let cut = match handling {
        PathHandling::V0 => matched - usize::from(slashed),
        PathHandling::V1 => matched,
    };
    let (prefix, rest) = path.split_at_checked(cut)?;
    (prefix == &normal[..cut] && rest.starts_with('/')).then_some(cut)
}

/// Whether a service may see a dot segment in a path that is not in normal form: dots between slashes of any spelling, escaped or not, with
/// parameters or without.
pub fn has_dot_segment(path: &str) -> bool {
    let path = path.to_ascii_lowercase().replace("%2f", "/").replace("%5c", "/").replace("%2e", ".");
    let bare = |segment: &str| segment.split_once(';').map_or(segment.len(), |(bare, _)| bare.len());
    path.split(['/', '\\']).any(|segment| matches!(&segment[..bare(segment)], "." | ".."))
}

/// Whether a path has `%u` and four digits, as JavaScript's `escape` writes a letter: some services decode it, to a slash or a dot too, and the
/// readings do not. In the normal form its `%` is `%25`.
pub fn has_wide_escape(path: &str) -> bool {
    let is_wide = |rest: &[u8]| rest.len() >= 4 && rest[..4].iter().all(u8::is_ascii_hexdigit);
    let mut at = path.as_bytes().windows(2).enumerate();
    at.any(|(at, two)| matches!(two, b"%u" | b"%U") && is_wide(&path.as_bytes()[at + 2..]))
}

/// What follows the matched part, with a leading `.` or `..` segment made harmless: removing a prefix must not make a dot segment.
fn postfix(request_path: &str, matched: usize) -> &str {
    let rest = &request_path[matched..];
    match rest {
        "." | ".." => "",
        _ => rest.strip_prefix("../").or_else(|| rest.strip_prefix("./")).unwrap_or(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (base, request path, matched, strip) → (upstream path, service path): the rows of Kong's table.
    const ROWS: &[(&str, &str, usize, bool, &str, &str)] = &[
        ("/", "/mockbin", 8, true, "/", "/"),
        ("/", "/mockbin/", 8, true, "/", "/"),
        ("/", "/mockbin/profile", 8, true, "/profile", "/profile"),
        ("/", "/mockbin/profile", 9, true, "/profile", "/profile"),
        ("/", "/mockbin", 8, false, "/mockbin", "/mockbin"),
        ("/v1/", "/mockbin/", 9, true, "/v1/", "/"),
        ("/v1/", "/mockbin", 8, true, "/v1", "/"),
        ("/v1/", "/mockbin/x", 8, true, "/v1/x", "/x"),
        ("/v1/", "/mockbin/x", 9, true, "/v1/x", "/x"),
        ("/v1/", "/x", 2, false, "/v1/x", "/x"),
        ("/v1", "/mockbin/", 9, true, "/v1/", "/"),
        ("/v1", "/mockbin", 8, true, "/v1", "/"),
        ("/v1", "/mockbin/x", 8, true, "/v1/x", "/x"),
        ("/v1", "/mockbinx", 8, true, "/v1/x", "/x"),
        ("/v1", "/", 1, false, "/v1", "/"),
        ("/v1", "/x", 2, false, "/v1/x", "/x"),
        ("/", "/a..", 2, true, "/", "/"),
        ("/v1", "/a../x", 2, true, "/v1/x", "/x"),
    ];

    #[test]
    fn joins_as_kong_does() {
        for &(base, request, matched, strip, upstream, service) in ROWS {
            let row = format!("{base} {request} {matched} {strip}");
            assert_eq!(upstream_path(PathHandling::V0, base, request, matched, strip), upstream, "{row}");
            assert_eq!(service_path(request, matched, strip), service, "{row}");
        }
    }

    /// (base, request path, matched, strip) → upstream path, as Kong's manual has them for `v1`.
    const TEXTS: &[(&str, &str, usize, bool, &str)] = &[
        ("/", "/fv1/req", 4, true, "/req"),
        ("/", "/fv1", 4, true, "/"),
        ("/", "/fv1/req", 4, false, "/fv1/req"),
        ("/s", "/fv1/req", 4, false, "/sfv1/req"),
        ("/s", "/fv1/req", 4, true, "/s/req"),
        ("/s", "/fv1req", 4, true, "/sreq"),
        ("/s", "/fv1", 4, true, "/s"),
        ("/s/", "/fv1/req", 4, false, "/s/fv1/req"),
        ("/s/", "/fv1/req", 4, true, "/s/req"),
        ("/s/", "/fv1/req", 5, true, "/s/req"),
        ("/s", "/", 1, false, "/s"),
        ("/s/", "/a..", 2, true, "/s/"),
    ];

    #[test]
    fn joins_texts_as_kong_1_did() {
        for &(base, request, matched, strip, upstream) in TEXTS {
            let row = format!("{base} {request} {matched} {strip}");
            assert_eq!(upstream_path(PathHandling::V1, base, request, matched, strip), upstream, "{row}");
        }
    }
}
