//! TLS as a client: whom we trust, and with that the settings of a handshake.
//!
//! * [`SystemRoots`] are read at most once for whoever shares them: hundreds of files, perhaps.
//! * [`client_config`] makes the settings of one way to verify. TLS 1.2 and 1.3, with the one provider of this process.
//! * [`Trouble`] says why a handshake failed, in words for whoever runs the gateway.

mod chain;
mod roots;
mod trouble;

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};

use self::chain::{Anyone, Chains};
pub use self::roots::{SystemRoots, only};
pub use self::trouble::Trouble;

/// How the certificate of the other side is verified.
#[derive(Clone, Debug)]
pub enum Verification {
    /// Not at all: whoever answers is believed.
    Off,
    /// It must be valid now, for the name that was asked for, and signed by one of these authorities.
    By {
        /// Whose signatures count.
        roots: Arc<RootCertStore>,
        /// The most certificates between the authority's and the server's; `None` is what the library takes.
        depth: Option<u8>,
    },
}

/// The settings of handshakes that verify so. They share a cache of sessions, unless the caller gives a clone one of its own.
///
/// # Errors
/// If there are no authorities, or the provider has no version of TLS in common with rustls, which would be a bug.
pub fn client_config(verification: Verification) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = match verification {
        Verification::By { roots, depth } => {
            let verifier = Chains::new(roots, depth, provider);
            let verifier = verifier.map_err(|error| rustls::Error::General(error.to_string()))?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
        Verification::Off => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone::new(&provider)))
        }
    };
    Ok(builder.with_no_client_auth())
}

#[cfg(test)]
mod tests;
