//! Which endpoints may be called: the SSRF guard.
//!
//! Pure. The sink asks it about the address that it is about to dial, for every connection: a check when a subscription is made would not help
//! against a later change in DNS. All addresses of a name are checked, and a single forbidden one refuses them all. Errors name the rule and
//! what to do, but never the addresses of a name.
//!
//! The metadata addresses of clouds are refused under every flag, in every spelling that carries an IPv4 address inside an IPv6 one. Other
//! link-local addresses, where clouds and orchestrators put more services of this kind, are allowed only by a CIDR.

mod address;
mod allow;
mod name;

use crate::endpoint::EndpointHost;

pub use address::vet;
pub use allow::{Allow, ParseAllowError};
pub use name::{vet_name, vet_resolved};

/// Whether an endpoint may be called, as far as its host tells: what a name resolves to is judged when it is dialled.
///
/// # Errors
/// The rule that forbids it.
pub fn vet_host(host: &EndpointHost, allow: &Allow) -> Result<(), Blocked> {
    match host {
        EndpointHost::Address(address) => vet(*address, allow),
        EndpointHost::Name(name) => vet_name(name, allow),
    }
}

/// Whether any options at all let an endpoint be called.
///
/// # Errors
/// The rule that no option opens.
pub fn possible(host: &EndpointHost) -> Result<(), Blocked> {
    match vet_host(host, &Allow::default()) {
        Err(blocked) if blocked.rule == Rule::Metadata => Err(blocked),
        _ => Ok(()),
    }
}

/// Why an endpoint may not be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("the endpoint's {subject} is {rule}; {remedy}", subject = self.subject(), remedy = self.remedy())]
pub struct Blocked {
    /// The rule that forbids it.
    pub rule: Rule,
    subject: Subject,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Address,
    Name,
}

impl Blocked {
    fn address(rule: Rule) -> Self {
        Self { rule, subject: Subject::Address }
    }

    fn name(rule: Rule) -> Self {
        Self { rule, subject: Subject::Name }
    }

    /// What is wrong: `its address is a private one`.
    pub fn what(self) -> String {
        format!("its {} is {}", self.subject(), self.rule)
    }

    /// What to do, in a sentence: the options that open an address or a name, as they are written, if any does.
    pub fn advice(self) -> &'static str {
        match (self.subject, self.rule) {
            (_, Rule::Metadata) => {
                "give the address of a receiver of your own: credentials of this machine are read there, and no option opens it"
            }
            (Subject::Address, rule) if rule.opens_with_private() => {
                "start with --allow-endpoints CIDR, where the address is in CIDR, or --allow-private-endpoints"
            }
            (Subject::Name, rule) if rule.opens_with_private() => {
                "start with --allow-endpoints NAME, where NAME is its host, or --allow-private-endpoints"
            }
            _ => "start with --allow-endpoints CIDR, where the address is in CIDR",
        }
    }

    fn subject(self) -> &'static str {
        match self.subject {
            Subject::Address => "address",
            Subject::Name => "name",
        }
    }

    fn remedy(self) -> &'static str {
        match self.rule {
            Rule::Metadata => "no option allows it",
            rule if rule.opens_with_private() => {
                "allow it by --allow-endpoints CIDR|name or --allow-private-endpoints"
            }
            _ => "allow it by --allow-endpoints CIDR",
        }
    }
}

/// The rules; each forbids some ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// A cloud's metadata service: hands out credentials.
    Metadata,
    /// 127/8, ::1, `localhost`.
    Loopback,
    /// 10/8, 172.16/12, 192.168/16, fc00::/7, fec0::/10.
    Private,
    /// 169.254/16, fe80::/10.
    LinkLocal,
    /// 100.64/10: carrier-grade NAT.
    Shared,
    /// A name of an internal network: one label, `.local`, `.internal`, `.svc`.
    Internal,
    /// 0/8 and `::`: this host.
    Unspecified,
    /// 224/4, ff00::/8.
    Multicast,
    /// Documentation, benchmarks, protocol assignments, tunnels: no address of a single host.
    Reserved,
}

impl Rule {
    /// Whether `--allow-private-endpoints` allows it.
    fn opens_with_private(self) -> bool {
        match self {
            Self::Loopback | Self::Private | Self::Shared | Self::Internal => true,
            Self::Metadata | Self::LinkLocal | Self::Unspecified | Self::Multicast | Self::Reserved => false,
        }
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Metadata => "a cloud metadata service",
            Self::Loopback => "a loopback one",
            Self::Private => "a private one",
            Self::LinkLocal => "a link-local one",
            Self::Shared => "of the shared range 100.64.0.0/10",
            Self::Internal => "one of an internal network",
            Self::Unspecified => "an unspecified one",
            Self::Multicast => "a multicast one",
            Self::Reserved => "of a reserved range",
        })
    }
}

#[cfg(test)]
mod tests;
