//! What the operator opened: `--allow-endpoints CIDR|name` and `--allow-private-endpoints`.

use std::net::{IpAddr, Ipv6Addr};

use event::redaction::shown;
use url::Host;

/// Exceptions from the guard. The default has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow {
    /// All private, loopback and internal endpoints; not the link-local ones.
    pub private: bool,
    cidrs: Vec<Cidr>,
    names: Vec<String>,
}

/// Why a value of `--allow-endpoints` is neither a network nor a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseAllowError {
    /// A prefix that is no number, or longer than the address.
    #[error("`{0}` has no valid prefix length")]
    Prefix(String),
    /// Address bits behind the prefix: probably a typing error, so it is not guessed at.
    #[error("`{0}` has address bits behind its prefix")]
    HostBits(String),
    /// Neither an address nor a host name.
    #[error("`{0}` is neither an address, a CIDR nor a host name")]
    Name(String),
}

impl Allow {
    /// Reads the options' values.
    ///
    /// # Errors
    /// All values that are wrong, not only the first.
    pub fn parse<'a>(
        private: bool,
        endpoints: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, Vec<ParseAllowError>> {
        let mut allow = Self { private, ..Self::default() };
        let wrong: Vec<_> = endpoints.into_iter().filter_map(|text| allow.add(text.trim()).err()).collect();
        if wrong.is_empty() { Ok(allow) } else { Err(wrong) }
    }

    fn add(&mut self, text: &str) -> Result<(), ParseAllowError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        if let Ok(address) = address.trim_matches(['[', ']']).parse::<IpAddr>() {
            self.cidrs.push(Cidr::new(address, prefix, text)?);
            return Ok(());
        }
        let wrong = || ParseAllowError::Name(shown(text).into_owned());
        if prefix.is_some() {
            return Err(wrong());
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
        self.cidrs.iter().any(|cidr| cidr.contains(address))
    }
}

/// A network, as its first address in IPv6 bits.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cidr {
    v4: bool,
    bits: u128,
    prefix: u32,
}

impl Cidr {
    fn new(address: IpAddr, prefix: Option<&str>, text: &str) -> Result<Self, ParseAllowError> {
        let v4 = address.is_ipv4();
        let longest = if v4 { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) => digits
                .parse()
                .ok()
                .filter(|prefix| *prefix <= longest)
                .ok_or_else(|| ParseAllowError::Prefix(shown(text).into_owned()))?,
        };
        let cidr = Self { v4, bits: bits(address), prefix: prefix + 128 - longest };
        if cidr.bits & !cidr.mask() != 0 {
            return Err(ParseAllowError::HostBits(text.to_owned()));
        }
        Ok(cidr)
    }

    fn mask(&self) -> u128 {
        u128::MAX.checked_shl(128 - self.prefix).unwrap_or(0)
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.v4 == address.is_ipv4() && (bits(address) ^ self.bits) & self.mask() == 0
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => Ipv6Addr::to_bits(v6),
    }
}
