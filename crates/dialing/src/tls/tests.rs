//! Handshakes in memory, with certificates that were made a moment ago.

use std::io;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::{ClientConnection, ServerConfig, ServerConnection};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use super::*;

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Issuer {
    CertifiedIssuer::self_signed(of_authority(), KeyPair::generate().unwrap()).unwrap()
}

fn between(above: &Issuer) -> Issuer {
    CertifiedIssuer::signed_by(of_authority(), KeyPair::generate().unwrap(), above).unwrap()
}

fn of_authority() -> CertificateParams {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, format!("authority {}", fastrand::u64(..)));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn server(params: CertificateParams, issuer: &Issuer, chain: &[&Issuer]) -> ServerConfig {
    let key = KeyPair::generate().unwrap();
    let mut certificates = vec![params.signed_by(&key, issuer).unwrap().der().clone()];
    certificates.extend(chain.iter().map(|between| between.der().clone()));
    server_with(certificates, &key)
}

fn server_with(certificates: Vec<CertificateDer<'static>>, key: &KeyPair) -> ServerConfig {
    ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap()
}

fn named(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).unwrap()
}

fn by(authority: &Issuer, depth: Option<u8>) -> Verification {
    Verification::By { roots: Arc::new(only([authority.der().clone()])), depth }
}

/// A handshake with `a.test`: nothing, or why it failed.
fn shake(verification: Verification, server: ServerConfig) -> Result<(), Trouble> {
    let config = Arc::new(client_config(verification).unwrap());
    let name = ServerName::try_from("a.test").unwrap();
    let mut client = ClientConnection::new(config, name).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    while client.is_handshaking() {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets().unwrap();
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client
                .process_new_packets()
                .map_err(|error| Trouble::of(&io::Error::new(io::ErrorKind::InvalidData, error)))?;
        }
    }
    Ok(())
}

#[track_caller]
fn refused(verification: Verification, server: ServerConfig, cause: &str) {
    let trouble = shake(verification, server).expect_err("the handshake must fail");
    assert!(trouble.cause.contains(cause), "{trouble:?}");
}

#[test]
fn a_certificate_of_a_trusted_authority_is_taken_and_others_say_why_not() {
    let (ours, theirs) = (authority(), authority());
    shake(by(&ours, None), server(named("a.test"), &ours, &[])).unwrap();
    refused(by(&ours, None), server(named("a.test"), &theirs, &[]), "an authority that is not trusted");
    refused(by(&ours, None), server(named("b.test"), &ours, &[]), "is not for `a.test`, but for");
    let nobody = Verification::By { roots: Arc::new(RootCertStore::empty()), depth: None };
    refused(nobody, server(named("a.test"), &ours, &[]), "an authority that is not trusted");
    let mut old = named("a.test");
    (old.not_before, old.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(2001, 1, 1));
    refused(by(&ours, None), server(old, &ours, &[]), "has expired");
    let mut new = named("a.test");
    new.not_before = date_time_ymd(3000, 1, 1);
    refused(by(&ours, None), server(new, &ours, &[]), "is not valid yet");
}

#[test]
fn a_server_may_vouch_for_itself_if_it_is_trusted() {
    for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let key = KeyPair::generate().unwrap();
        let mut params = named("a.test");
        params.is_ca = is_ca;
        let itself = params.self_signed(&key).unwrap();
        let trusting = |certificate: &Certificate| Verification::By {
            roots: Arc::new(only([certificate.der().clone()])),
            depth: Some(0),
        };
        let server = || server_with(vec![itself.der().clone()], &key);
        shake(trusting(&itself), server()).unwrap();
        let other = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        shake(trusting(&other), server()).unwrap_err();

        // What it says of itself holds all the same.
        let mut elsewhere = named("b.test");
        elsewhere.is_ca = is_ca;
        let elsewhere = elsewhere.self_signed(&key).unwrap();
        let server = server_with(vec![elsewhere.der().clone()], &key);
        refused(trusting(&elsewhere), server, "is not for `a.test`, but for");
        (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(2001, 1, 1));
        let old = params.self_signed(&key).unwrap();
        refused(trusting(&old), server_with(vec![old.der().clone()], &key), "has expired");
    }
    let (key, mut stranger) = (KeyPair::generate().unwrap(), named("a.test"));
    stranger.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let stranger = stranger.self_signed(&key).unwrap();
    refused(by(&authority(), None), server_with(vec![stranger.der().clone()], &key), "it made itself");
}

#[test]
fn the_depth_counts_what_is_between_the_authority_and_the_server() {
    let root = authority();
    let upper = between(&root);
    let lower = between(&upper);
    let deep = || server(named("a.test"), &lower, &[&lower, &upper]);
    for depth in [None, Some(2), Some(9)] {
        shake(by(&root, depth), deep()).unwrap();
    }
    for depth in [0, 1] {
        refused(by(&root, Some(depth)), deep(), &format!("more than {depth} certificates"));
    }
    // An authority further down makes the chain shorter, whatever the server sends along.
    shake(by(&lower, Some(0)), deep()).unwrap();
    shake(by(&root, Some(0)), server(named("a.test"), &root, &[])).unwrap();
    refused(by(&root, Some(0)), server(named("b.test"), &root, &[]), "is not for `a.test`");
}

#[test]
fn what_is_not_tls_is_said_to_be_not() {
    let config = Arc::new(client_config(Verification::Off).unwrap());
    let mut client = ClientConnection::new(config, ServerName::try_from("a.test").unwrap()).unwrap();
    client.read_tls(&mut &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..]).unwrap();
    let error = client.process_new_packets().unwrap_err();
    let trouble = Trouble::of(&io::Error::new(io::ErrorKind::InvalidData, error));
    assert_eq!(trouble.cause, "what it answers is not TLS");
    let closed = Trouble::of(&io::ErrorKind::UnexpectedEof.into());
    assert_eq!(closed.cause, "it closed the connection within the handshake");
    assert!(closed.remedy.contains("perhaps it speaks http there"));
}

#[test]
fn without_verification_whoever_answers_is_believed() {
    let mut old = named("b.test");
    (old.not_before, old.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(2001, 1, 1));
    shake(Verification::Off, server(old, &authority(), &[])).unwrap();
}

#[test]
fn the_systems_authorities_are_read_once() {
    let roots = SystemRoots::default();
    let first = roots.get();
    assert!(!first.is_empty());
    assert!(Arc::ptr_eq(&first, &roots.clone().get()));
}
