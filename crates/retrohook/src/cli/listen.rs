//! The address of a listener, as a setting.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// The address of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// The listener is off.
    Off,
    /// At this address; port 0 picks a free one.
    On(SocketAddr),
    /// On a Unix socket of this path.
    Unix(PathBuf),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                "" => Err("a Unix socket needs a path: write it like unix:/run/retrohook/admin.sock".into()),
                path => Ok(Self::Unix(path.into())),
            };
        }
        let advice = || {
            format!(
                "`{text}` is not an IP address with port (names are not resolved): write it like 127.0.0.1:8000, [::1]:8000, \
                 unix:/path/of/a.sock, or off"
            )
        };
        text.parse().map(Self::On).map_err(|_| advice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_teach_what_is_wrong() {
        assert_eq!("off".parse(), Ok(Listen::Off));
        assert_eq!("unix:/run/a.sock".parse(), Ok(Listen::Unix("/run/a.sock".into())));
        assert_eq!("unix:a.sock".parse(), Ok(Listen::Unix("a.sock".into())));
        assert!("8000".parse::<Listen>().unwrap_err().contains("127.0.0.1:8000"));
        assert!("unix:".parse::<Listen>().unwrap_err().contains("unix:/run/retrohook/admin.sock"));
    }
}
