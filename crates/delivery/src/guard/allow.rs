//! What the operator allows: `--allow-endpoints CIDR|name` and `--allow-private-endpoints`.

use std::net::IpAddr;

use entities::network::{Network, NotANetwork};
use event::redaction::shown;
use url::Host;

/// Exceptions from the guard. The default has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow {
    /// All private, loopback and internal endpoints; not the link-local ones.
    pub private: bool,
    networks: Vec<Network>,
    names: Vec<String>,
}

/// Why a value of `--allow-endpoints` is neither a network nor a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseAllowError {
    /// A prefix that is not a number, or is longer than the address.
    #[error("`{0}` has no valid prefix length: 0 to 32 after an IPv4 address, 0 to 128 after one of IPv6")]
    Prefix(String),
    /// Address bits after the prefix: probably a typing error, so it is refused.
    #[error("`{0}` has address bits after its prefix: write the network's first address, like 10.0.0.0/8")]
    HostBits(String),
    /// Neither an address nor a host name.
    #[error(
        "`{0}` is neither an address, a network nor a host name: write it like 10.1.2.3, 10.0.0.0/8 or hooks.internal"
    )]
    Name(String),
}

impl Allow {
    /// Reads the options' values.
    ///
    /// # Errors
    /// All wrong values, not only the first.
    pub fn parse<'a>(
        private: bool,
        endpoints: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, Vec<ParseAllowError>> {
        let mut allow = Self { private, ..Self::default() };
        let wrong: Vec<_> = endpoints.into_iter().filter_map(|text| allow.add(text.trim()).err()).collect();
        if wrong.is_empty() { Ok(allow) } else { Err(wrong) }
    }

    fn add(&mut self, text: &str) -> Result<(), ParseAllowError> {
        let wrong = || ParseAllowError::Name(shown(text).into_owned());
        match text.parse() {
            Ok(network) => {
                self.networks.push(network);
                return Ok(());
            }
            Err(NotANetwork::Prefix) => return Err(ParseAllowError::Prefix(shown(text).into_owned())),
            Err(NotANetwork::HostBits) => return Err(ParseAllowError::HostBits(text.to_owned())),
            Err(NotANetwork::Address) if text.contains('/') => return Err(wrong()),
            Err(NotANetwork::Address) => {}
        }
        match Host::parse(text) {
            Ok(Host::Domain(name)) if !name.is_empty() => {
                self.names.push(name.trim_end_matches('.').to_owned());
                Ok(())
            }
            _ => Err(wrong()),
        }
    }

    /// Whether the operator named this host. `host` is as [`Endpoint`](crate::Endpoint) has it.
    pub fn names(&self, host: &str) -> bool {
        self.names.iter().any(|name| name == host)
    }

    pub(super) fn with_private(&self) -> Self {
        Self { private: true, ..self.clone() }
    }

    pub(super) fn covers(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }
}
