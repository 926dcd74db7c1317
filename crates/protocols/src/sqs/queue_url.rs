//! Queue URLs as clients send them: only the last two segments count, whatever scheme, host or path precedes them.

/// What a queue URL names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named<'a> {
    /// Absent from a bare name.
    pub account: Option<&'a str>,
    pub queue: &'a str,
}

/// A `QueueUrl`: a URL or a bare name. `None` if it names nothing.
pub(super) fn parse(url: &str) -> Option<Named<'_>> {
    let path = match url.split_once("://") {
        Some((_, behind)) => behind.split_once('/')?.1,
        None => url,
    };
    last_two(path)
}

/// The path of a request, if it is one of a queue.
pub(super) fn parse_path(path: &str) -> Option<Named<'_>> {
    last_two(path).filter(|named| named.account.is_some())
}

fn last_two(path: &str) -> Option<Named<'_>> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let mut segments = path.rsplit('/').filter(|segment| !segment.is_empty());
    let queue = segments.next()?;
    Some(Named { account: segments.next(), queue })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_host_and_every_known_path() {
        let named = Named { account: Some("000000000000"), queue: "q" };
        for url in [
            "https://sqs.us-east-1.amazonaws.com/000000000000/q",
            "https://queue.amazonaws.com/000000000000/q",
            "http://localhost:4566/000000000000/q",
            "http://localhost:4566/000000000000/q/?x=1",
            "http://localhost:4566/queue/us-east-1/000000000000/q",
            "/000000000000/q",
        ] {
            assert_eq!(parse(url), Some(named), "{url}");
        }
        assert_eq!(parse("q"), Some(Named { account: None, queue: "q" }));
        assert_eq!(parse("http://localhost/q"), Some(Named { account: None, queue: "q" }));
        for nothing in ["", "/", "http://localhost", "http://localhost/"] {
            assert_eq!(parse(nothing), None, "{nothing}");
        }
        assert_eq!(parse_path("/000000000000/q"), Some(named));
        assert_eq!((parse_path("/"), parse_path("/q")), (None, None));
    }
}
