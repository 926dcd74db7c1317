//! Upstreams: names that stand for several targets. A service whose host is the name of one has its requests spread over them. The rules are
//! Kong's.

use event::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Host;
use uuid::Uuid;

use crate::field::{self, FieldError, Flaw, Path};
use crate::{Origin, name};

/// A name that stands for several targets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Upstream {
    /// Its id.
    pub id: Uuid,
    /// Who owns it.
    pub origin: Origin,
    /// What services have as their host: like a host name, without a port, and not an IP address; unique.
    pub name: String,
    /// How a target is chosen for a request.
    pub algorithm: Algorithm,
    /// The Host that targets see; their own if there is none.
    pub host_header: Option<String>,
    /// Settings of Kong's that are kept for their readers and have no effect: of hashes and of health checks.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub settings: Map<String, Value>,
    /// Words by which it can be found.
    pub tags: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// How a target is chosen for a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// In turns, each as often as its weight says.
    #[default]
    RoundRobin,
    /// By what requests have alike.
    ConsistentHashing,
    /// The one with the fewest requests under way.
    LeastConnections,
    /// The one that answers soonest.
    Latency,
}

impl Upstream {
    /// Everything that is wrong with its fields.
    pub fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        field::note(&mut errors, Path::key("name"), host_name(&self.name));
        if let Some(host) = &self.host_header {
            field::note(&mut errors, Path::key("host_header"), header(host));
        }
        name::check_tags(&self.tags, &mut errors);
        errors
    }
}

fn host_name(name: &str) -> Result<(), Flaw> {
    let hint = "services have it as their host: letters, digits, `-`, `_` and dots";
    let invalid = |why: &str| Err(Flaw::invalid(format!("invalid name ('{name}'): {why}"), hint));
    if name.contains(':') {
        return invalid("no port allowed");
    }
    match Host::parse(name) {
        Ok(Host::Domain(_)) => Ok(()),
        Ok(Host::Ipv4(_) | Host::Ipv6(_)) => invalid("no IP addresses allowed"),
        Err(_) => invalid("not a valid hostname"),
    }
}

fn header(host: &str) -> Result<(), Flaw> {
    let (name, port) = host.rsplit_once(':').unwrap_or((host, "80"));
    if Host::parse(name).is_ok() && port.parse::<u16>().is_ok_and(|port| port > 0) {
        return Ok(());
    }
    Err(Flaw::invalid("invalid hostname", "write a host name, with or without :port"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_name_is_like_a_host_name() {
        for good in ["billing", "billing_v2.internal", "a-b"] {
            assert_eq!(host_name(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("10.0.0.1", "no IP addresses allowed"),
            ("a:80", "no port allowed"),
            ("a b", "not a valid hostname"),
            ("", "not a valid hostname"),
        ] {
            let message = host_name(bad).expect_err("a bad name").message;
            assert_eq!(message, format!("invalid name ('{bad}'): {why}"));
        }
        assert!(header("api.example.com:8080").is_ok() && header("api.example.com").is_ok());
        assert!(header("api.example.com:0").is_err() && header("a b").is_err());
    }
}
