//! Targets: where the requests for an upstream go.

use event::Timestamp;
use rustls_pki_types::ServerName;
use serde::{Deserialize, Serialize};
use url::Host;
use uuid::Uuid;

use crate::field::{FieldError, Flaw};
use crate::{Origin, name};

/// One of the addresses that an upstream stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its id.
    pub id: Uuid,
    /// Who owns it.
    pub origin: Origin,
    /// The id of the upstream that it belongs to.
    pub upstream: Uuid,
    /// A host name in lower case, or an IP address (version 6 without brackets).
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How many of the requests it gets, beside the weights of the others; none if it is 0.
    pub weight: u16,
    /// Words by which it can be found.
    pub tags: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Target {
    /// Kong's port, where none is named.
    pub const PORT: u16 = 8_000;
    /// Kong's weight, where none is given.
    pub const WEIGHT: u16 = 100;

    /// Kong's `target`: its host and its port.
    pub fn label(&self) -> String {
        address(&self.host, self.port)
    }

    /// Everything that is wrong with its own fields.
    pub fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        name::check_tags(&self.tags, &mut errors);
        errors
    }

    /// Reads Kong's `target`, a host or an address with or without a port, as host and port.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(text: &str) -> Result<(String, u16), Flaw> {
        let hint = r#"write a host name or an IP address, with or without a port: `target: "10.0.0.1:8080"`"#;
        let invalid = |why: &str| Flaw::invalid(format!("invalid target ('{text}'): {why}"), hint);
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
            _ => (text, None),
        };
        let port = match port {
            None => Self::PORT,
            Some(port) => {
                port.parse().ok().filter(|port| *port > 0).ok_or_else(|| invalid("invalid port"))?
            }
        };
        let bracketed =
            if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.into() };
        let host = match Host::parse(&bracketed) {
            Ok(Host::Domain(name)) => name.to_ascii_lowercase(),
            Ok(Host::Ipv4(address)) => address.to_string(),
            Ok(Host::Ipv6(address)) => address.to_string(),
            Err(_) => return Err(invalid("not a valid hostname or ip address")),
        };
        // What no certificate can be for could not be reached over https.
        match ServerName::try_from(host.as_str()) {
            Ok(_) => Ok((host, port)),
            Err(_) => Err(invalid("not a valid hostname or ip address")),
        }
    }
}

/// `host:port`, of version 6 with brackets.
pub(crate) fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_host_with_or_without_a_port() {
        for (text, host, port) in [
            ("Billing.internal", "billing.internal", 8_000),
            ("billing_v2:80", "billing_v2", 80),
            ("10.0.0.1:8080", "10.0.0.1", 8_080),
            ("::1", "::1", 8_000),
            ("[::1]:81", "::1", 81),
        ] {
            assert_eq!(Target::parse(text), Ok((host.to_owned(), port)), "{text}");
        }
        for (bad, why) in [
            ("a:0", "invalid port"),
            ("a:99999", "invalid port"),
            ("a:b", "invalid port"),
            ("a b", "not a valid hostname or ip address"),
            ("", "not a valid hostname or ip address"),
            ("a!b", "not a valid hostname or ip address"),
        ] {
            let message = Target::parse(bad).expect_err("a bad target").message;
            assert_eq!(message, format!("invalid target ('{bad}'): {why}"));
        }
        assert_eq!((address("::1", 80), address("a", 80)), ("[::1]:80".into(), "a:80".into()));
    }
}
