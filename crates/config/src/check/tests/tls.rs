//! Services over https, and the authorities that vouch for them.

use entities::{CaCertificate, Service};

use super::{accept, check, run};

/// Certificates of two authorities, made for this test.
const ONE: &str = include_str!("authorities/one.pem");
const OTHER: &str = include_str!("authorities/other.pem");
const ID: &str = "6a7c4d38-7d0e-4f4f-9b58-0f0f2a7a0001";
/// Of the first authority, computed by OpenSSL.
const DIGEST: &str = include_str!("authorities/one.sha256");

/// A certificate as a flow scalar.
fn quoted(pem: &str) -> String {
    format!("{pem:?}")
}

#[test]
fn an_https_url_and_its_parts_say_the_same() {
    let config = accept(&[r#"
_format_version: "3.0"
services:
- { name: a, url: "https://A.example.com/base" }
- { name: b, protocol: https, host: a.example.com, path: /base }
- { name: c, url: "https://a.example.com:8443" }
- { name: d, protocol: https, host: "::1", port: 80, tls_verify: false, tls_verify_depth: 0 }
- { name: e, protocol: http, host: x, tls_verify: null, ca_certificates: [] }
"#]);
    let urls: Vec<_> = config.set.services.iter().map(|service| service.url()).collect();
    assert_eq!(
        urls,
        [
            "https://a.example.com/base",
            "https://a.example.com/base",
            "https://a.example.com:8443",
            "https://[::1]:80",
            "http://x",
        ]
    );
    let said = |service: &Service| (service.tls_verify, service.tls_verify_depth);
    assert_eq!(said(&config.set.services[0]), (None, None));
    assert_eq!(said(&config.set.services[3]), (Some(false), Some(0)));
}

#[test]
fn a_service_names_its_authorities() {
    let upper = ID.to_ascii_uppercase();
    let digest = DIGEST.trim().to_ascii_uppercase();
    let config = accept(&[&format!(
        r#"
_format_version: "3.0"
ca_certificates:
- {{ id: {ID}, cert: {}, cert_digest: {digest}, tags: [ours], created_at: 1 }}
services:
- {{ name: a, url: "https://x", ca_certificates: [{upper}] }}
"#,
        quoted(ONE)
    )]);
    let authority = &config.set.ca_certificates[0];
    assert_eq!(config.set.services[0].ca_certificates, [authority.id]);
    assert_eq!((authority.id.to_string(), &authority.tags[..]), (ID.to_owned(), &["ours".to_owned()][..]));
    assert_eq!(CaCertificate::digest(&authority.der().expect("a certificate")), DIGEST.trim());
}

#[test]
fn what_is_wrong_with_authorities() {
    let (one, other) = (quoted(ONE), quoted(OTHER));
    let joined = quoted(&ONE.replace('\n', " "));
    let both = quoted(&format!("{ONE}{OTHER}"));
    let broken = quoted(&ONE.replacen("MII", "?II", 1));
    let not_one = quoted(&format!("{}aGFsbG8=\n{}", &ONE[..28], &ONE[ONE.len() - 26..]));
    let key = quoted("-----BEGIN PRIVATE KEY-----\naGFsbG8=\n-----END PRIVATE KEY-----\n");
    check(
        &[&format!(
            r#"
_format_version: "3.0"
ca_certificates:
- id: 6a7c4d38-7d0e-4f4f-9b58-0f0f2a7a0001
  cert: {one}
  cert_digest: abc
- id: 6A7C4D38-7D0E-4F4F-9B58-0F0F2A7A0001
  cert: {one}
- cert: {other}
- {{ id: mine, cert: x }}
- id: 6a7c4d38-7d0e-4f4f-9b58-0f0f2a7a0002
  cert: a text
- id: 6a7c4d38-7d0e-4f4f-9b58-0f0f2a7a0003
  cert: {joined}
- id: 6a7c4d38-7d0e-4f4f-9b58-0f0f2a7a0004
  cert: {both}
- id: 6a7c4d38-7d0e-4f4f-9b58-0f0f2a7a0005
  cert: {broken}
- id: 6a7c4d38-7d0e-4f4f-9b58-0f0f2a7a0006
  cert: {not_one}
- id: 6a7c4d38-7d0e-4f4f-9b58-0f0f2a7a0007
  cert: {key}
"#
        )],
        r#"
gateway.yaml:5:16: ca_certificates[0].cert_digest: does not belong to the certificate
  hint: remove the key: it is computed from the certificate
gateway.yaml:6:7: ca_certificates[1].id: uniqueness violation: 'ca_certificates' entity with primary key set to '6a7c4d38-7d0e-4f4f-9b58-0f0f2a7a0001' already declared
  hint: the first one is at gateway.yaml:3:7: remove one
gateway.yaml:7:9: ca_certificates[1].cert: uniqueness violation: 'ca_certificates' entity with this certificate already declared
  hint: the first one is at gateway.yaml:4:9: remove one
gateway.yaml:8:3: ca_certificates[2]: required field missing: `id`
  hint: add `id`: its id, by which services refer to it
gateway.yaml:9:9: ca_certificates[3].id: expected a valid UUID
  hint: give it an id of its own, by which services name it, like `id: 6a7c4d38-7d0e-4f4f-9b58-0f0f2a7a0001`; `uuidgen` makes one
gateway.yaml:11:9: ca_certificates[4].cert: invalid certificate: there is none in PEM
  hint: write it as a block (`cert: |`) from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----
gateway.yaml:13:9: ca_certificates[5].cert: invalid certificate: its lines are joined, or the text between them is not base64
  hint: write it as a block (`cert: |`) from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----
gateway.yaml:15:9: ca_certificates[6].cert: please submit only one certificate at a time
  hint: give each an entry of its own, with an id
gateway.yaml:17:9: ca_certificates[7].cert: invalid certificate: its lines are joined, or the text between them is not base64
  hint: write it as a block (`cert: |`) from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----
gateway.yaml:19:9: ca_certificates[8].cert: invalid certificate: what is in it is not a certificate (X.509)
  hint: write it as a block (`cert: |`) from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----
gateway.yaml:21:9: ca_certificates[9].cert: invalid certificate: this is a private key
  hint: put the authority's certificate here; its key belongs in no file of a gateway
11 problems
"#,
    );
}

#[test]
fn settings_of_services_that_cannot_be_meant() {
    check(
        &[r#"
_format_version: "3.0"
services:
- { name: a, url: http://x, tls_verify: true, tls_verify_depth: 1, ca_certificates: [6a7c4d38-7d0e-4f4f-9b58-0f0f2a7a0001] }
- { name: b, url: https://x, ca_certificates: [6a7c4d38-7d0e-4f4f-9b58-0f0f2a7a0002, mine], tls_verify_depth: 65 }
- { name: c, url: "https://a!b" }
- { name: d, protocol: https, host: "-x" }
ca_certificates: []
"#],
        r#"
gateway.yaml:3:41: services[0].tls_verify: value must be null
  hint: it is for services that are reached over https: remove it, or begin the url with https://
gateway.yaml:3:65: services[0].tls_verify_depth: value must be null
  hint: it is for services that are reached over https: remove it, or begin the url with https://
gateway.yaml:3:85: services[0].ca_certificates: value must be null
  hint: it is for services that are reached over https: remove it, or begin the url with https://
gateway.yaml:3:86: services[0].ca_certificates[0]: invalid reference 'ca_certificates: 6a7c4d38-7d0e-4f4f-9b58-0f0f2a7a0001' (no such entry in 'ca_certificates')
  hint: add the authority's certificate under the file's `ca_certificates`, with this id
gateway.yaml:4:86: services[1].ca_certificates[1]: expected a valid UUID
  hint: write the `id` of an entry under the file's `ca_certificates`, which has the certificate: `id: 6a7c4d38-7d0e-4f4f-9b58-0f0f2a7a0001`
gateway.yaml:4:111: services[1].tls_verify_depth: value should be between 0 and 64
  hint: 65 is too large
gateway.yaml:5:19: services[2].url: no certificate can be for this host
  hint: over https a host is a name of letters, digits, `-`, `_` and dots, or an IP address
gateway.yaml:6:37: services[3].host: no certificate can be for this host
  hint: over https a host is a name of letters, digits, `-`, `_` and dots, or an IP address
8 problems
"#,
    );
}

#[test]
fn an_authority_may_stand_in_another_file() {
    let service = format!(
        "_format_version: \"3.0\"\nservices: [{{ name: a, url: https://x, ca_certificates: [{ID}] }}]"
    );
    let authority =
        format!("_format_version: \"3.0\"\nca_certificates: [{{ id: {ID}, cert: {} }}]", quoted(ONE));
    accept(&[&service, &authority]);
    let report = run(&[&service, "_format_version: ["]).expect_err("one cannot be read");
    assert!(!report.to_string().contains("invalid reference"), "it may have the authority: {report}");
}

#[test]
fn what_is_not_verified_is_said() {
    let config = accept(&[&format!(
        r#"
_format_version: "3.0"
ca_certificates: [{{ id: {ID}, cert: {} }}]
services:
- {{ name: a, url: https://x, tls_verify: false, ca_certificates: [{ID}] }}
- {{ name: b, url: https://x, tls_verify: true }}
"#,
        quoted(ONE)
    )]);
    let warnings: Vec<_> = config.warnings.iter().map(|warning| warning.path.as_str()).collect();
    assert_eq!(warnings, ["services[0].tls_verify", "services[0].ca_certificates"]);
    assert!(config.warnings[0].message.contains("anyone who answers at its address is trusted"));
}
