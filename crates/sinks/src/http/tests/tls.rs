//! Over TLS, with certificates that were made a moment ago.

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::*;

struct Identity {
    certificate: CertificateDer<'static>,
    acceptor: TlsAcceptor,
}

fn identity(name: &str) -> Identity {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    Identity { certificate, acceptor: TlsAcceptor::from(Arc::new(config)) }
}

async fn receiver(acceptor: TlsAcceptor) -> Receiver {
    Receiver::scripted(move |stream, log| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            loop {
                let request = read_request(&mut stream).await;
                if request.is_empty() {
                    return;
                }
                log.push(request);
                stream.write_all(NO_CONTENT.as_bytes()).await.unwrap();
            }
        }
    })
    .await
}

fn sink_trusting(roots: Vec<CertificateDer<'static>>) -> Client {
    Client::build(Config { roots: Roots::Only(roots), ..config(private(), &Answers::of(&[&["127.0.0.1"]])) })
}

fn https(receiver: &Receiver, host: &str) -> String {
    receiver.url().replace("http:", "https:").replace("127.0.0.1", host)
}

#[tokio::test]
async fn delivers_over_tls_and_keeps_the_connection() {
    let identity = identity("hooks.example.com");
    let receiver = receiver(identity.acceptor).await;
    let sink = sink_trusting(vec![identity.certificate]);
    for _ in 0..3 {
        let report = sink.attempt(request(&https(&receiver, "hooks.example.com"), PATIENT)).await;
        assert_eq!(report.status, Some(204), "{report:?}");
    }
    assert_eq!((receiver.connections(), receiver.requests().len()), (1, 3));
}

#[tokio::test]
async fn who_answers_early_gets_what_tls_holds_back() {
    let identity = identity("hooks.example.com");
    let acceptor = identity.acceptor;
    let receiver = Receiver::scripted(move |stream, log| {
        let acceptor = acceptor.clone();
        async move { answer_early(acceptor.accept(stream).await.unwrap(), log).await }
    })
    .await;
    let sink = sink_trusting(vec![identity.certificate]);
    let url = https(&receiver, "hooks.example.com");
    let large = Request { body: vec![b'a'; 8 << 20].into(), ..request(&url, PATIENT) };
    assert_eq!(sink.attempt(large).await.status, Some(200));
    receiver.wait_for_requests(1).await;
    assert_eq!(receiver.requests(), [(8 << 20).to_string()]);
}

#[tokio::test]
async fn refuses_strangers_and_wrong_names() {
    let (known, stranger) = (identity("hooks.example.com"), identity("hooks.example.com"));
    let sink = sink_trusting(vec![known.certificate]);
    let (ours, other) = (receiver(known.acceptor).await, receiver(stranger.acceptor).await);
    for (receiver, host) in
        [(&other, "hooks.example.com"), (&ours, "other.example.com"), (&ours, "127.0.0.1")]
    {
        let report = sink.attempt(request(&https(receiver, host), PATIENT)).await;
        assert_eq!(kind(&report), Some(Failure::Tls), "{host}: {report:?}");
    }
    assert_eq!(ours.requests().len() + other.requests().len(), 0);
}

#[tokio::test]
async fn a_handshake_that_never_ends_ends_at_the_deadline() {
    let silent = Receiver::scripted(|mut stream, _| async move {
        let mut byte = [0];
        while matches!(stream.read(&mut byte).await, Ok(1)) {}
    })
    .await;
    let report = sink_trusting(Vec::new()).attempt(request(&https(&silent, "127.0.0.1"), SHORT)).await;
    assert_eq!(kind(&report), Some(Failure::Timeout));
    assert!(report.took < PATIENT);
}
