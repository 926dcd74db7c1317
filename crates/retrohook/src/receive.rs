//! `retrohook receive`: shows what arrives on a port, as a receiver of webhooks or as the service behind the gateway, for whoever tries things out.
//!
//! A delivery is printed with its event, its outcome, its key and the result of checking its signature; a request to confirm a subscription is
//! confirmed if its signature is good. Any other request is answered with what it was (an echo), so that the same command can be the service.
//!
//! What it fetches because a message says so (the certificate, the link that confirms) it fetches only from this machine or from the hub
//! that it was told of, and only what a hub serves: see [`origin`].

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use tokio::net::TcpListener;

use crate::cli::ReceiveArgs;
use crate::report;
use crate::stop::Stop;

mod arrival;
mod origin;
mod printer;
mod seen;
mod service;
mod shown;
mod signature;

use printer::Printer;
use service::Service;

/// Why it does not run.
#[derive(Debug, thiserror::Error)]
enum ReceiveError {
    #[error("cannot {what}")]
    Io {
        what: &'static str,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot listen on {place}: name a port that no other program has")]
    Listen {
        place: SocketAddr,
        #[source]
        source: std::io::Error,
    },
}

/// Runs until a signal ends it or nobody reads its output any more: then the status is 0.
pub fn run(args: ReceiveArgs) -> ExitCode {
    let io = |what| move |source| ReceiveError::Io { what, source };
    let done = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(io("make a runtime"))
        .and_then(|runtime| runtime.block_on(receive(args)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::failure("receive", &error);
            ExitCode::FAILURE
        }
    }
}

async fn receive(args: ReceiveArgs) -> Result<(), ReceiveError> {
    let io = |what| move |source| ReceiveError::Io { what, source };
    let mut stop = Stop::listen().map_err(io("listen for signals"))?;
    let (printer, mut printing) = Printer::start(args.json).map_err(io("start the thread that prints"))?;
    let mut listeners = Vec::with_capacity(args.places.len());
    for place in args.places.iter().copied() {
        let listener =
            TcpListener::bind(place).await.map_err(|source| ReceiveError::Listen { place, source })?;
        let address = listener.local_addr().map_err(|source| ReceiveError::Listen { place, source })?;
        if !address.ip().is_loopback() {
            report::problem(&format!(
                "warning: {address} is not on this machine alone: whoever reaches it can print lines here"
            ));
        }
        listeners.push((listener, address));
    }
    let service = Arc::new(Service::new(args, printer));
    for (listener, address) in listeners {
        service.say_listening(address).await;
        let service = service.clone();
        let router = Router::new().fallback(async move |request| service.answer(address, request).await);
        tokio::spawn(axum::serve(listener, router).into_future());
    }
    tokio::select! {
        biased;
        _ = stop.asked() => {}
        () = printing.closed() => {}
    }
    drop(service);
    printing.finish().await;
    Ok(())
}
