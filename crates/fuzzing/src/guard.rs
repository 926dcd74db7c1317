//! The SSRF guard: endpoints, `--allow-endpoints`, addresses.
//!
//! Read as: a line with an endpoint's URL, a line that begins with `1` where private endpoints are allowed, values of `--allow-endpoints` one a
//! line up to an empty one, sixteen bytes of an address. What must hold: no setting opens a metadata address, in whatever spelling;
//! without settings only public addresses are open; more settings never close what fewer open; and what is vetted is what is dialled.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use delivery::endpoint::EndpointError;
use delivery::guard::{Allow, vet, vet_name, vet_resolved};
use delivery::{Endpoint, EndpointHost, Scheme};

use crate::input::Input;

/// Panics when a promise is broken.
pub fn target(data: &[u8]) {
    let mut input = Input::new(data);
    let url = input.line();
    let private = input.line().starts_with('1');
    let mut entries = Vec::new();
    while !input.is_empty() {
        let entry = input.line();
        if entry.is_empty() {
            break;
        }
        entries.push(entry);
    }
    let entries = entries.iter().map(String::as_str);
    let allow = Allow::parse(private, entries.clone()).unwrap_or_else(|wrong| {
        assert!(!wrong.is_empty() && wrong.len() <= entries.len());
        Allow::parse(private, []).expect("nothing is wrong with no value")
    });
    let mut address = [0; 16];
    address.fill_with(|| input.byte());
    let v6 = Ipv6Addr::from(address);
    let v4 = Ipv4Addr::new(address[12], address[13], address[14], address[15]);
    judge(IpAddr::V6(v6), &allow);
    judge(IpAddr::V4(v4), &allow);
    carriers(v4).into_iter().for_each(|carrier| judge(IpAddr::V6(carrier), &allow));
    endpoint(&url, &allow);
}

fn judge(address: IpAddr, allow: &Allow) {
    let open = vet(address, allow).is_ok();
    assert!(!open || !is_metadata(address), "{address} is open under {allow:?}");
    let plain = vet(address, &Allow::default());
    assert!(plain.is_err() || is_public(address), "{address} is open without a setting");
    assert!(plain.is_err() || open, "{address} is closed by {allow:?}");
    let private = Allow::parse(true, []).expect("nothing is wrong with no value");
    assert!(vet(address, &private).is_err() || !is_link_local(address), "{address} is open to all");
    let resolved = vet_resolved("hooks.example.com", [address], allow).is_ok();
    assert_eq!(resolved, open || (allow.names("hooks.example.com") && resolved), "{address}");
    assert!(!resolved || !is_metadata(address), "{address} is open to a name under {allow:?}");
    assert!(
        vet_resolved("x", [IpAddr::from([169, 254, 169, 254]), address], allow).is_err(),
        "one is enough"
    );
}

/// The IPv6 addresses that some mechanism takes for an IPv4 one.
fn carriers(v4: Ipv4Addr) -> [Ipv6Addr; 8] {
    let [a, b, c, d] = v4.octets().map(u16::from);
    let (high, low) = (a << 8 | b, c << 8 | d);
    [
        v4.to_ipv6_mapped(),
        Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
        Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0x64, 0xff9b, 1, high, c, d << 8, 0, 0),
        Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
        Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, !high, !low),
        Ipv6Addr::new(0x2a00, 1, 2, 3, 0, 0x5efe, high, low),
    ]
}

/// The metadata services that everybody knows, beside the guard's own list.
fn is_metadata(address: IpAddr) -> bool {
    const V4: [[u8; 4]; 6] = [
        [169, 254, 169, 254],
        [169, 254, 170, 2],
        [169, 254, 42, 42],
        [169, 254, 0, 23],
        [100, 100, 100, 200],
        [168, 63, 129, 16],
    ];
    match address {
        IpAddr::V4(v4) => V4.contains(&v4.octets()),
        IpAddr::V6(v6) => {
            v6.segments()[..2] == [0xfd00, 0xec2]
                || V4.iter().any(|octets| carriers((*octets).into()).contains(&v6))
        }
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// As the standard library has it.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let closed = v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_unspecified();
            !closed
        }
        IpAddr::V6(v6) => {
            let closed = v6.is_loopback()
                || v6.is_multicast()
                || v6.is_unspecified()
                || v6.is_unique_local()
                || v6.is_unicast_link_local();
            !closed
        }
    }
}

fn endpoint(url: &str, allow: &Allow) {
    let Ok(endpoint) = url.parse::<Endpoint>() else { return };
    assert_ne!(endpoint.port, 0);
    assert!(!endpoint.path.as_str().contains(char::is_whitespace) && endpoint.path.as_str().starts_with('/'));
    let authority = endpoint.authority.to_str().expect("a Host header is a text");
    let scheme = if endpoint.scheme == Scheme::Https { "https" } else { "http" };
    // Whom the Host header names is whom we dial.
    match format!("{scheme}://{authority}{}", endpoint.path).parse::<Endpoint>() {
        Ok(again) => {
            let authorization = endpoint.authorization.clone();
            assert_eq!(Endpoint { authorization, ..again }, endpoint);
        }
        // Escapes are longer than what they stand for.
        Err(error) => assert_eq!(error, EndpointError::TooLong),
    }
    match &endpoint.host {
        EndpointHost::Address(address) => judge(*address, allow),
        EndpointHost::Name(name) => {
            assert!(name.parse::<IpAddr>().is_err(), "an address is never asked of DNS: {name}");
            assert!(!name.bytes().any(|byte| byte.is_ascii_uppercase()) && !name.ends_with('.'), "{name}");
            let metadata = ["metadata.google.internal", "metadata"].contains(&name.as_str());
            assert!(!metadata || vet_name(name, allow).is_err(), "{name} is open under {allow:?}");
            let local = name == "localhost" || name.ends_with(".localhost");
            assert!(!local || vet_name(name, &Allow::default()).is_err(), "{name} is open without a setting");
        }
    }
}
