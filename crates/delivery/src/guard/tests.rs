//! Tests of the guard: every spelling of what must not be called, and what each option opens.

use std::net::IpAddr;

use super::*;
use crate::endpoint::{Endpoint, EndpointHost};

/// What a sink does before it dials: the name or the literal, by the rules.
fn check(url_host: &str, allow: &Allow) -> Result<(), String> {
    let endpoint: Endpoint = format!("http://{url_host}/").parse().map_err(|error| format!("{error}"))?;
    match endpoint.host {
        EndpointHost::Address(address) => vet(address, allow).map_err(|blocked| blocked.to_string()),
        EndpointHost::Name(name) => vet_name(&name, allow).map_err(|blocked| blocked.to_string()),
    }
}

fn allow(private: bool, endpoints: &[&str]) -> Allow {
    Allow::parse(private, endpoints.iter().copied()).unwrap()
}

fn rule(address: &str) -> Option<Rule> {
    vet(address.parse().unwrap(), &Allow::default()).err().map(|blocked| blocked.rule)
}

const REFUSED: &[&str] = &[
    // IPv4 in every spelling.
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "0x7f.0.0.0x1",
    "0",
    "0.0.0.0",
    "0x0",
    "127.0.0.1.",
    "127.255.255.254",
    "10.0.0.1",
    "172.16.0.0",
    "172.31.255.255",
    "192.168.255.255",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.169.253",
    "100.64.0.1",
    "100.127.255.255",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    // IPv6 in every spelling.
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::1]",
    "[2002:7f00:1::]",
    "[2001:0:1:2:3:4:5:6]",
    "[fe80::1%25eth0]",
    "[fe80::1]",
    "[febf::1]",
    "[fec0::1]",
    "[fd00:ec2::254]",
    "[fd20:ce::254]",
    "[2001:db8::5efe:7f00:1]",
    "[2606:4700::5efe:7f00:1]",
    "[2606:4700::200:5efe:a00:1]",
    "[5f00::1]",
    "[2001:2::1]",
    "[2001:10::1]",
    "[2001:20::1]",
    "[2001:db8::1]",
    "[3fff::1]",
    "[fc00::1]",
    "[ff02::1]",
    "[100::1]",
    "[4000::1]",
    // Names.
    "localhost",
    "LOCALHOST",
    "localhost.",
    "a.localhost",
    "ip6-localhost",
    "metadata",
    "metadata.google.internal",
    "instance-data.ec2.internal",
    "kubernetes.default.svc",
    "printer.local",
    "db.internal",
    "intranet",
    "api.default.svc.cluster.local",
    // Unicode and escapes.
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "１２７.0.0.1",
    "127%2e0%2e0%2e1",
    "ⓛocalhost",
    "%6cocalhost",
];

const PASSED: &[&str] = &[
    "172.15.255.255",
    "172.32.0.0",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.0",
    "192.0.1.1",
    "198.20.0.0",
    "[2001:4860:4860::8888]",
    "[64:ff9b::808:808]",
    "[::ffff:8.8.8.8]",
    "[2606:4700::1]",
    "example.com",
    "hooks.example.co.uk",
    "localhost.example.com",
    "xn--mnchen-3ya.de",
];

#[test]
fn refuses_every_spelling_of_what_is_not_public() {
    for host in REFUSED {
        assert!(check(host, &Allow::default()).is_err(), "{host} passed");
    }
    for host in PASSED {
        assert_eq!(check(host, &Allow::default()), Ok(()), "{host}");
    }
}

#[test]
fn names_the_rule() {
    for (address, expected) in [
        ("127.0.0.1", Rule::Loopback),
        ("::ffff:10.1.2.3", Rule::Private),
        ("64:ff9b::a00:1", Rule::Private),
        ("169.254.1.1", Rule::LinkLocal),
        ("100.64.0.1", Rule::Shared),
        ("0.1.2.3", Rule::Unspecified),
        ("::", Rule::Unspecified),
        ("ff02::1", Rule::Multicast),
        ("fec0::1", Rule::Private),
        ("2002:7f00:1::", Rule::Reserved),
        ("255.255.255.255", Rule::Reserved),
    ] {
        assert_eq!(rule(address), Some(expected), "{address}");
    }
    let text = check("localhost", &Allow::default()).unwrap_err();
    assert!(text.contains("loopback") && text.contains("--allow-endpoints"), "{text}");
}

#[test]
fn link_local_addresses_are_opened_by_a_network_alone() {
    let spellings = [
        "169.254.1.1",
        "0xa9fe0101",
        "[::ffff:169.254.1.1]",
        "[64:ff9b::a9fe:101]",
        "[64:ff9b:1::a9fe:101]",
        "[2002:a9fe:101::1]",
        "[::169.254.1.1]",
        "[fe80::1]",
        "[febf::1]",
    ];
    for host in spellings {
        assert!(check(host, &allow(true, &["169.254.1.2", "fe80::2", "receiver"])).is_err(), "{host} passed");
    }
    let text = check("169.254.1.1", &allow(true, &[])).unwrap_err();
    assert!(text.contains("link-local") && text.ends_with("--allow-endpoints CIDR"), "{text}");
    let link_local: IpAddr = "169.254.1.1".parse().unwrap();
    assert!(vet_resolved("receiver", [link_local], &allow(true, &["receiver"])).is_err(), "nor by a name");
    let opened = allow(false, &["169.254.1.0/24", "fe80::/64"]);
    for host in ["169.254.1.1", "[::ffff:169.254.1.1]", "[64:ff9b::a9fe:101]", "[fe80::1]"] {
        assert_eq!(check(host, &opened), Ok(()), "{host}");
    }
}

#[test]
fn private_opens_private_and_nothing_else() {
    let private = allow(true, &[]);
    for host in [
        "127.0.0.1",
        "[::1]",
        "10.1.2.3",
        "[fd12::1]",
        "100.64.0.1",
        "[64:ff9b::a00:1]",
        "localhost",
        "receiver",
        "db.internal",
        "printer.local",
    ] {
        assert_eq!(check(host, &private), Ok(()), "{host}");
    }
    for host in
        ["0.0.0.0", "[::]", "224.0.0.1", "192.0.2.1", "[2001:db8::1]", "255.255.255.255", "[::127.0.0.1]"]
    {
        assert!(check(host, &private).is_err(), "{host} passed");
    }
}

#[test]
fn no_option_opens_a_metadata_service() {
    let all = allow(true, &["0.0.0.0/0", "::/0", "metadata", "metadata.google.internal", "fd00:ec2::254"]);
    for host in [
        "169.254.169.123",
        "169.254.169.250",
        "169.254.169.251",
        "169.254.42.42",
        "169.254.0.23",
        "169.254.100.1",
        "192.80.8.124",
        "[::ffff:169.254.42.42]",
        "[64:ff9b::a9fe:17]",
        "[64:ff9b:1:a9fe:2a:2a00::]",
        "[64:ff9b:1:a9:fe:2a2a::]",
        "[64:ff9b:1::a9:fe2a:2a00:0]",
        "[2002:a9fe:17::]",
        "[::169.254.0.23]",
        "[fd00:ec2::123]",
        "[fd00:ec2::253]",
        "[fd00:ec2:0:1::1]",
        "[fd00:42::42]",
        "[fd00:c1::a9fe:a9fe]",
        "[fd00:a9fe:a9fe::1]",
        "[fe80::a9fe:a9fe]",
        "metadata.tencentyun.com",
        "metadata.platformequinix.com",
        "api.metadata.cloud.ibm.com",
        "rancher-metadata",
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "169.254.169.253",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "0xa9fea9fe",
        "[::ffff:169.254.169.254]",
        "[::169.254.169.254]",
        "[::ffff:0:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::a9fe:a9fe]",
        "[2002:a9fe:a9fe::1]",
        "[2001:0:1::5601:5601]",
        "[2606:4700::5efe:a9fe:a9fe]",
        "[fd00:ec2::254]",
        "[fd00:ec2::23]",
        "[fd20:ce::254]",
        "metadata",
        "METADATA.google.internal.",
        "instance-data",
    ] {
        let text = check(host, &all).expect_err(host);
        assert!(text.contains("no option allows it"), "{host}: {text}");
    }
    assert_eq!(check("0.0.0.0", &all), Ok(()), "a CIDR opens what is only reserved");
}

#[test]
fn a_network_opens_its_addresses() {
    let some = allow(false, &["10.1.0.0/16", "fd12::/16", "127.0.0.1"]);
    for host in ["10.1.255.255", "[fd12::1]", "127.0.0.1", "[::ffff:10.1.0.1]", "[64:ff9b::a01:1]"] {
        assert_eq!(check(host, &some), Ok(()), "{host}");
    }
    for host in ["10.2.0.0", "[fd13::1]", "127.0.0.2", "localhost"] {
        assert!(check(host, &some).is_err(), "{host} passed");
    }
}

#[test]
fn a_name_opens_itself_and_what_it_resolves_to() {
    let some = allow(false, &["receiver", "Hooks.Example.COM."]);
    let home: IpAddr = "10.0.0.7".parse().unwrap();
    let public: IpAddr = "8.8.8.8".parse().unwrap();
    assert_eq!(vet_name("receiver", &some), Ok(()));
    assert_eq!(vet_resolved("receiver", [home], &some), Ok(()));
    assert_eq!(vet_resolved("hooks.example.com", [public, home], &some), Ok(()));
    assert!(vet_name("other", &some).is_err());
    let mixed = vet_resolved("example.com", [public, home], &some).unwrap_err();
    assert_eq!(mixed.rule, Rule::Private, "one bad answer rejects them all");
    let metadata = vet_resolved("receiver", ["169.254.169.254".parse().unwrap()], &some).unwrap_err();
    assert_eq!(metadata.rule, Rule::Metadata);
}

#[test]
fn all_wrong_options_are_named_at_once() {
    let wrong = Allow::parse(false, ["10.0.0.0/33", "10.0.0.1/8", "a b", "example.com/8", "::/129", "ok"])
        .unwrap_err();
    assert_eq!(
        wrong,
        [
            ParseAllowError::Prefix("10.0.0.0/33".into()),
            ParseAllowError::HostBits("10.0.0.1/8".into()),
            ParseAllowError::Name("a b".into()),
            ParseAllowError::Name("example.com/8".into()),
            ParseAllowError::Prefix("::/129".into()),
        ]
    );
}
