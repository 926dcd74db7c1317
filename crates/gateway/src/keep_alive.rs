//! What `Keep-Alive` says: for how long a service keeps an idle connection.

use std::time::Duration;

/// The longest age of an idle connection, whatever its upstream says.
const LONGEST: Duration = Duration::from_secs(60);
/// How long before the upstream's end the connection is not used any more, unless that is half of its time.
const MARGIN: Duration = Duration::from_secs(1);

/// For how long a connection may be idle if its upstream says this in `Keep-Alive`; `None` if it says no time.
pub fn said(keep_alive: &[u8]) -> Option<Duration> {
    let parameters = std::str::from_utf8(keep_alive).ok()?.split(',');
    let seconds =
        parameters.filter_map(|parameter| parameter.split_once('=')).find_map(|(name, value)| {
            let is_timeout = name.trim().eq_ignore_ascii_case("timeout");
            is_timeout.then(|| value.trim().trim_matches('"').parse::<u32>().ok())?
        })?;
    let time = Duration::from_secs(u64::from(seconds));
    Some(time.saturating_sub(MARGIN).max(time / 2).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn an_upstream_says_how_long_it_keeps_connections() {
        for (keep_alive, age) in [
            ("timeout=5, max=100", Some(millis(4_000))),
            ("max=100,Timeout = 30", Some(millis(29_000))),
            ("timeout=\"1\"", Some(millis(500))),
            ("timeout=0", Some(millis(0))),
            ("timeout=4294967295", Some(LONGEST)),
            ("timeout=4294967296", None),
            ("timeout=-1", None),
            ("timeout", None),
            ("300", None),
            ("", None),
        ] {
            assert_eq!(said(keep_alive.as_bytes()), age, "{keep_alive}");
        }
        assert_eq!(said(b"timeout=\xff"), None);
    }
}
