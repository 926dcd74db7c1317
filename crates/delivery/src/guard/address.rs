//! Addresses: the ranges of each rule, and the IPv4 addresses that are contained in IPv6 ones.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Allow, Blocked, Rule};

/// IPv4 addresses of cloud services that give a machine its credentials, user data or other secrets.
const METADATA_V4: [Ipv4Addr; 14] = [
    // AWS, Azure, GCP, Oracle, OpenStack, DigitalOcean, Hetzner and most others.
    Ipv4Addr::new(169, 254, 169, 254),
    // AWS: credentials of ECS's tasks and of EKS's pods; resolver, clock, licences.
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    Ipv4Addr::new(169, 254, 169, 253),
    Ipv4Addr::new(169, 254, 169, 123),
    Ipv4Addr::new(169, 254, 169, 250),
    Ipv4Addr::new(169, 254, 169, 251),
    // Azure's wire server.
    Ipv4Addr::new(168, 63, 129, 16),
    // Scaleway.
    Ipv4Addr::new(169, 254, 42, 42),
    // Tencent.
    Ipv4Addr::new(169, 254, 0, 23),
    // Alibaba.
    Ipv4Addr::new(100, 100, 100, 200),
    // Oracle classic.
    Ipv4Addr::new(192, 0, 0, 192),
    // Equinix Metal.
    Ipv4Addr::new(192, 80, 8, 124),
    // AWS Lambda's extensions and telemetry.
    Ipv4Addr::new(169, 254, 100, 1),
];

/// The same for IPv6, as networks.
const METADATA_V6: [([u16; 8], u8); 6] = [
    // AWS keeps the whole network for its services: metadata (::254), EKS (::23), resolver (::253), clock (::123), licences (::250).
    ([0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0], 32),
    // GCP.
    ([0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254], 128),
    // Scaleway.
    ([0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x42], 128),
    // Oracle.
    ([0xfd00, 0x00c1, 0, 0, 0, 0, 0xa9fe, 0xa9fe], 128),
    // Linode.
    ([0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 1], 128),
    // OpenStack.
    ([0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe], 128),
];

/// Forbidden IPv4 ranges; the first one that contains an address gives the rule.
const RANGES_V4: [([u8; 4], u8, Rule); 15] = [
    ([0, 0, 0, 0], 8, Rule::Unspecified),
    ([10, 0, 0, 0], 8, Rule::Private),
    ([100, 64, 0, 0], 10, Rule::Shared),
    ([127, 0, 0, 0], 8, Rule::Loopback),
    ([169, 254, 0, 0], 16, Rule::LinkLocal),
    ([172, 16, 0, 0], 12, Rule::Private),
    ([192, 0, 0, 0], 24, Rule::Reserved),
    ([192, 0, 2, 0], 24, Rule::Reserved),
    ([192, 88, 99, 0], 24, Rule::Reserved),
    ([192, 168, 0, 0], 16, Rule::Private),
    ([198, 18, 0, 0], 15, Rule::Reserved),
    ([198, 51, 100, 0], 24, Rule::Reserved),
    ([203, 0, 113, 0], 24, Rule::Reserved),
    ([224, 0, 0, 0], 4, Rule::Multicast),
    ([240, 0, 0, 0], 4, Rule::Reserved),
];

/// Forbidden IPv6 ranges inside 2000::/3, and those outside of it with a rule of their own.
const RANGES_V6: [([u16; 8], u8, Rule); 14] = [
    ([0, 0, 0, 0, 0, 0, 0, 0], 128, Rule::Unspecified),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, Rule::Loopback),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, Rule::Private),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, Rule::LinkLocal),
    ([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, Rule::Private),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, Rule::Multicast),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, Rule::Reserved),
    ([0x2001, 2, 0, 0, 0, 0, 0, 0], 48, Rule::Reserved),
    ([0x2001, 0x10, 0, 0, 0, 0, 0, 0], 28, Rule::Reserved),
    ([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28, Rule::Reserved),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, Rule::Reserved),
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, Rule::Reserved),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, Rule::Reserved),
    ([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16, Rule::Reserved),
];

/// Whether `address` may be dialled.
///
/// # Errors
/// The rule that forbids it.
pub fn vet(address: IpAddr, allow: &Allow) -> Result<(), Blocked> {
    let address = address.to_canonical();
    if is_metadata(address) {
        return Err(Blocked::address(Rule::Metadata));
    }
    // A translator dials the IPv4 address inside. Forbidding its whole prefix would break hosts that have no other connection.
    let judged = match address {
        IpAddr::V6(v6) => nat64(v6).map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    };
    let Some(rule) = rule_of(judged) else { return Ok(()) };
    let allowed = allow.covers(address) || allow.covers(judged);
    if allowed || (allow.private && rule.opens_with_private()) {
        return Ok(());
    }
    Err(Blocked::address(rule))
}

fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => METADATA_V4.contains(&v4),
        IpAddr::V6(v6) => {
            METADATA_V6.iter().any(|(base, prefix)| is_in(v6, *base, *prefix))
                || embedded(v6).into_iter().flatten().any(|v4| METADATA_V4.contains(&v4))
        }
    }
}

fn rule_of(address: IpAddr) -> Option<Rule> {
    match address {
        IpAddr::V4(v4) => rule_of_v4(v4),
        IpAddr::V6(v6) => rule_of_v6(v6),
    }
}

fn rule_of_v4(address: Ipv4Addr) -> Option<Rule> {
    let bits = address.to_bits();
    RANGES_V4
        .iter()
        .find(|(base, prefix, _)| (bits ^ u32::from_be_bytes(*base)) >> (32 - prefix) == 0)
        .map(|(_, _, rule)| *rule)
}

fn rule_of_v6(address: Ipv6Addr) -> Option<Rule> {
    let ranged = RANGES_V6.iter().find(|(base, prefix, _)| is_in(address, *base, *prefix));
    if let Some((_, _, rule)) = ranged {
        return Some(*rule);
    }
    let global = address.segments()[0] & 0xe000 == 0x2000;
    if !global || isatap(address).is_some() {
        return Some(Rule::Reserved);
    }
    None
}

/// Whether an address is in the network `base`/`prefix`; `prefix` is not 0.
fn is_in(address: Ipv6Addr, base: [u16; 8], prefix: u8) -> bool {
    (address.to_bits() ^ Ipv6Addr::from(base).to_bits()) >> (128 - u32::from(prefix)) == 0
}

/// All IPv4 addresses that some mechanism would take from an IPv6 address.
fn embedded(address: Ipv6Addr) -> [Option<Ipv4Addr>; 9] {
    let s = address.segments();
    let low = v4(s[6], s[7]);
    let compatible = (s[..6] == [0; 6]).then_some(low);
    let siit = (s[..6] == [0, 0, 0, 0, 0xffff, 0]).then_some(low);
    // A network of 64:ff9b:1::/48 may be a translator's, with a prefix of 48, 56, 64 or 96 bits (RFC 6052, section 2.2).
    let local = s[..3] == [0x64, 0xff9b, 1];
    let nat64_96 = local.then_some(low);
    let nat64_48 = local.then(|| v4(s[3], s[4] << 8 | s[5] >> 8));
    let nat64_56 = local.then(|| v4(s[3] << 8 | (s[4] & 0xff), s[5]));
    let nat64_64 = local.then(|| v4(s[4] << 8 | s[5] >> 8, s[5] << 8 | s[6] >> 8));
    let six_to_four = (s[0] == 0x2002).then(|| v4(s[1], s[2]));
    let teredo = (s[..2] == [0x2001, 0]).then(|| v4(!s[6], !s[7]));
    let well_known = nat64(address).or(nat64_96);
    [well_known, nat64_48, nat64_56, nat64_64, compatible, siit, six_to_four, teredo, isatap(address)]
}

/// Of 64:ff9b::/96, the well-known prefix of translators.
fn nat64(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = address.segments();
    (s[..6] == [0x64, 0xff9b, 0, 0, 0, 0]).then(|| v4(s[6], s[7]))
}

/// Of an interface id `0:5efe:a.b.c.d` or `200:5efe:a.b.c.d`, in any prefix.
fn isatap(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = address.segments();
    (s[4] & !0x0200 == 0 && s[5] == 0x5efe).then(|| v4(s[6], s[7]))
}

fn v4(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}
