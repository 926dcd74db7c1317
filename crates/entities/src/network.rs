//! Networks as people write them: an address, or one with the length of a prefix.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A network of IPv4 or of IPv6, as its first address in IPv6 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    v4: bool,
    bits: u128,
    prefix: u32,
}

/// Why a text is not a network. Does not repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotANetwork {
    /// What stands before the slash is not an address.
    Address,
    /// A prefix that is not a number, or longer than the address.
    Prefix,
    /// Address bits after the prefix: probably a typing error, so it is not guessed at.
    HostBits,
}

impl fmt::Display for NotANetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "is neither an address nor a network: write it like 10.1.2.3, 10.0.0.0/8 or fd00::/8",
            Self::Prefix => "has no valid prefix length: write 0 to 32 after the slash of an IPv4 address, 0 to 128 after one of IPv6",
            Self::HostBits => "has address bits after its prefix: write the network's first address, like 10.0.0.0/8",
        })
    }
}

impl std::error::Error for NotANetwork {}

impl FromStr for Network {
    type Err = NotANetwork;

    /// `10.0.0.0/8`, `10.1.2.3`, `fd00::/8`, also with brackets around an address of IPv6.
    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.trim_matches(['[', ']']).parse().map_err(|_| NotANetwork::Address)?;
        let v4 = address.is_ipv4();
        let longest = if v4 { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) => {
                digits.parse().ok().filter(|prefix| *prefix <= longest).ok_or(NotANetwork::Prefix)?
            }
        };
        let network = Self { v4, bits: bits(address), prefix: prefix + 128 - longest };
        if network.bits & !network.mask() != 0 {
            return Err(NotANetwork::HostBits);
        }
        Ok(network)
    }
}

impl Network {
    /// Whether an address is in it. An address of one version is never in a network of the other.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.v4 == address.is_ipv4() && (bits(address) ^ self.bits) & self.mask() == 0
    }

    fn mask(&self) -> u128 {
        u128::MAX.checked_shl(128 - self.prefix).unwrap_or(0)
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => Ipv6Addr::to_bits(v6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_addresses_of_its_prefix_and_of_its_version() {
        let contains = |network: &str, address: &str| {
            network.parse::<Network>().unwrap().contains(address.parse().unwrap())
        };
        for (network, address, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("0.0.0.0/0", "192.0.2.1", true),
            ("0.0.0.0/0", "::1", false),
            ("fd00::/8", "fdff::1", true),
            ("[::1]", "::1", true),
            ("::/0", "10.0.0.1", false),
        ] {
            assert_eq!(contains(network, address), expected, "{network} {address}");
        }
    }

    #[test]
    fn what_is_not_a_network_says_why() {
        let wrong = |text: &str| text.parse::<Network>().unwrap_err();
        assert_eq!(wrong("10.0.0.1/8"), NotANetwork::HostBits);
        assert_eq!([wrong("10.0.0.0/33"), wrong("10.0.0.0/x"), wrong("::/129")], [NotANetwork::Prefix; 3]);
        assert_eq!([wrong(""), wrong("localhost"), wrong("10.0.0/8")], [NotANetwork::Address; 3]);
    }
}
