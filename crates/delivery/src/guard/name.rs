//! Names of this host, of internal networks and of metadata services. They are checked before a name is resolved.

use std::net::IpAddr;

use super::{Allow, Blocked, Rule, vet};

/// Names of metadata services.
const METADATA: [&str; 11] = [
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "instance-data",
    "instance-data.ec2.internal",
    "metadata.tencentyun.com",
    "metadata.platformequinix.com",
    "metadata.packet.net",
    "api.metadata.cloud.ibm.com",
    "metadata.azure.internal",
    "rancher-metadata",
];

/// Names that `/etc/hosts` usually gives this host, besides `localhost`.
const THIS_HOST: [&str; 4] = ["ip6-localhost", "ip6-loopback", "localhost.localdomain", "localhost6"];

/// Endings of internal networks.
const INTERNAL: [&str; 8] =
    [".local", ".internal", ".svc", ".localdomain", ".lan", ".intranet", ".home.arpa", ".cluster.local"];

/// Whether a name may be resolved and called. Upper case and trailing dots make no difference.
///
/// # Errors
/// The rule that forbids it.
pub fn vet_name(host: &str, allow: &Allow) -> Result<(), Blocked> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let Some(rule) = rule_of(&host) else { return Ok(()) };
    let allowed = allow.names(&host) || (allow.private && rule.opens_with_private());
    if rule != Rule::Metadata && allowed {
        return Ok(());
    }
    Err(Blocked::name(rule))
}

/// Whether the addresses of a name may be dialled: all of them, or none. A name that the operator allowed may have internal addresses.
///
/// # Errors
/// The rule that forbids the first bad one.
pub fn vet_resolved(
    host: &str,
    addresses: impl IntoIterator<Item = IpAddr>,
    allow: &Allow,
) -> Result<(), Blocked> {
    let named = allow.names(host).then(|| allow.with_private());
    let allow = named.as_ref().unwrap_or(allow);
    addresses.into_iter().try_for_each(|address| vet(address, allow))
}

fn rule_of(host: &str) -> Option<Rule> {
    if METADATA.contains(&host) {
        return Some(Rule::Metadata);
    }
    if host == "localhost" || host.ends_with(".localhost") || THIS_HOST.contains(&host) {
        return Some(Rule::Loopback);
    }
    let single_label = !host.contains('.');
    let internal = INTERNAL.iter().any(|ending| host.ends_with(ending));
    (single_label || internal).then_some(Rule::Internal)
}
