//! Where a connection to a service leads. Connections to one destination can replace each other.
//!
//! The pools of upstream connections are keyed by a destination's number. Two services, of one generation of the configuration or of two, that
//! lead to the same host and port and verify the server there in the same way share one [`Destination`], and with it the kept connections: a
//! reload that does not change these does not close them. Anything else that comes to distinguish connections (a client certificate) belongs in
//! here. The server name in TLS is the destination's host, or with `preserve_host` that of the request; the pool keeps those connections apart.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use dialing::tls::{SystemRoots, Verification, client_config, only};
use rustls::ClientConfig;
use rustls_pki_types::{CertificateDer, ServerName};

/// The next unused number. It belongs to the process and not to one [`Destinations`]. So if a snapshot is compiled with other destinations than
/// the last one, the worst case is that it reuses no connections; it never uses one that leads elsewhere.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A host and a port, and whether and how TLS is used there. It lives as long as a generation or a running request needs it.
#[derive(Debug)]
pub struct Destination {
    id: DestinationId,
    /// A host name or an IP literal (without brackets).
    pub host: String,
    /// The port.
    pub port: u16,
    /// Both, as a URL has them.
    authority: Box<str>,
    /// How TLS is used there; `None` without TLS.
    pub(crate) tls: Option<Tls>,
}

/// How TLS is used at a destination.
#[derive(Debug)]
pub(crate) struct Tls {
    /// Shared by all destinations of the same trust.
    pub config: Arc<ClientConfig>,
    /// Its host, as the server name to ask for, which its certificate must have. An IP address is not asked for.
    pub name: ServerName<'static>,
}

/// Which certificates of a destination over TLS are trusted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Trust {
    /// All of them: nothing is verified.
    Anyone,
    /// Those of the system's authorities.
    System {
        /// The most certificates between the authority's and the server's.
        depth: Option<u8>,
    },
    /// Those of these authorities.
    Only {
        /// Certificates in DER, in order, each once.
        authorities: Vec<Arc<[u8]>>,
        /// The most certificates between the authority's and the server's.
        depth: Option<u8>,
    },
}

impl Trust {
    /// Those of these authorities, certificates in DER; in whatever order.
    pub fn only(authorities: impl IntoIterator<Item = Arc<[u8]>>, depth: Option<u8>) -> Self {
        let mut authorities: Vec<_> = authorities.into_iter().collect();
        authorities.sort_unstable();
        authorities.dedup();
        Self::Only { authorities, depth }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.authority)
    }
}

impl Destination {
    /// Its number, by which the hot path finds it.
    pub(crate) fn id(&self) -> DestinationId {
        self.id
    }

    /// Host and port, as a URL has them.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// Whether an authority, as a Host or a URL writes it, is this host and port. A port that is the scheme's own need not be written; the
    /// scheme of the URL does not matter: a service without TLS that redirects to https on its own host is meant as well.
    pub(crate) fn is_called(&self, authority: &[u8]) -> bool {
        let own = self.authority.as_bytes();
        let usual = if self.tls.is_some() { ":443" } else { ":80" };
        let bare = self.authority.strip_suffix(usual).map(str::as_bytes);
        authority.eq_ignore_ascii_case(own) || bare.is_some_and(|bare| authority.eq_ignore_ascii_case(bare))
    }
}

/// The number of a [`Destination`]; never used again for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DestinationId(u64);

/// All destinations of a gateway, over all generations of its configuration. Equal ones are one.
#[derive(Debug, Default)]
pub struct Destinations {
    known: Mutex<Known>,
    system: SystemRoots,
}

#[derive(Debug, Default)]
struct Known {
    destinations: HashMap<(String, u16, Option<Trust>), Weak<Destination>>,
    configs: HashMap<Trust, Weak<ClientConfig>>,
    /// At this number of entries, those that nothing leads to any more are dropped.
    sweep_at: usize,
}

/// With fewer entries a sweep is not worth it.
const SWEEP_AT_LEAST: usize = 64;

impl Destinations {
    /// With the authorities that verify services unless a service says otherwise.
    pub fn new(system: SystemRoots) -> Self {
        Self { known: Mutex::default(), system }
    }

    /// The destination of this host and port, in the clear.
    pub fn get(&self, host: &str, port: u16) -> Arc<Destination> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (host.to_owned(), port, None);
        known.find(&key).unwrap_or_else(|| known.add(key, None))
    }

    /// The destination of this host and port, over TLS. The first call for a service that trusts the system's authorities reads them.
    ///
    /// # Errors
    /// If no certificate can be for the host, or there is no TLS in this build; the configuration's check finds the first.
    pub fn get_over_tls(
        &self,
        host: &str,
        port: u16,
        trust: Trust,
    ) -> Result<Arc<Destination>, rustls::Error> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (host.to_owned(), port, Some(trust.clone()));
        if let Some(destination) = known.find(&key) {
            return Ok(destination);
        }
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|error| rustls::Error::General(error.to_string()))?;
        let config = match known.configs.get(&trust).and_then(Weak::upgrade) {
            Some(config) => config,
            None => {
                let config = Arc::new(self.config(&trust)?);
                known.configs.insert(trust, Arc::downgrade(&config));
                config
            }
        };
        Ok(known.add(key, Some(Tls { config, name })))
    }

    fn config(&self, trust: &Trust) -> Result<ClientConfig, rustls::Error> {
        let mut config = client_config(match trust {
            Trust::Anyone => Verification::Off,
            Trust::System { depth } => Verification::By { roots: self.system.get(), depth: *depth },
            Trust::Only { authorities, depth } => {
                let authorities = authorities.iter().map(|der| CertificateDer::from(&**der));
                Verification::By { roots: Arc::new(only(authorities)), depth: *depth }
            }
        })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl Known {
    fn find(&self, key: &(String, u16, Option<Trust>)) -> Option<Arc<Destination>> {
        self.destinations.get(key).and_then(Weak::upgrade)
    }

    fn add(&mut self, key: (String, u16, Option<Trust>), tls: Option<Tls>) -> Arc<Destination> {
        self.sweep();
        let id = DestinationId(NEXT.fetch_add(1, Ordering::Relaxed));
        let (host, port) = (key.0.clone(), key.1);
        let authority =
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let destination = Arc::new(Destination { id, host, port, authority: authority.into(), tls });
        self.destinations.insert(key, Arc::downgrade(&destination));
        destination
    }

    /// Sweeps are rare: after each one, as many entries can be added as it left.
    fn sweep(&mut self) {
        if self.destinations.len() >= self.sweep_at {
            self.destinations.retain(|_, destination| destination.strong_count() > 0);
            self.configs.retain(|_, config| config.strong_count() > 0);
            self.sweep_at = (2 * self.destinations.len()).max(SWEEP_AT_LEAST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_destinations_are_one_for_as_long_as_something_leads_there() {
        let destinations = Destinations::default();
        let first = destinations.get("a.test", 80);
        assert_eq!(destinations.get("a.test", 80).id(), first.id());
        let others = [destinations.get("a.test", 81), destinations.get("b.test", 80)];
        assert!(others.iter().all(|other| other.id() != first.id()));
        let known = first.id();
        drop(first);
        assert_ne!(destinations.get("a.test", 80).id(), known, "its number is not used again");
        let elsewhere = Destinations::default().get("a.test", 81);
        assert!(others.iter().all(|other| other.id() != elsewhere.id()), "nor by anybody else");
    }

    #[test]
    fn a_destination_is_called_by_its_host_and_port() {
        let destinations = Destinations::default();
        let is_called =
            |host, port, authority: &str| destinations.get(host, port).is_called(authority.as_bytes());
        assert!(is_called("a.test", 80, "A.test") && is_called("a.test", 80, "a.test:80"));
        assert!(is_called("a.test", 81, "a.test:81") && is_called("::1", 80, "[::1]"));
        assert!(!is_called("a.test", 81, "a.test") && !is_called("a.test", 80, "a.test:81"));
        assert!(!is_called("a.test", 80, "b.a.test") && !is_called("a.test", 80, "a.test:443"));
        let over_tls = destinations.get_over_tls("a.test", 443, Trust::Anyone).unwrap();
        assert!(over_tls.is_called(b"a.test") && over_tls.is_called(b"a.test:443"));
        assert!(!over_tls.is_called(b"a.test:80"));
    }

    #[test]
    fn whoever_trusts_others_is_another_destination() {
        let destinations = Destinations::default();
        let over_tls = |trust: Trust| destinations.get_over_tls("a.test", 443, trust).unwrap();
        let certificate = |name: &str| -> Arc<[u8]> {
            rcgen::generate_simple_self_signed([name.to_owned()]).unwrap().cert.der().as_ref().into()
        };
        let (one, other) = (certificate("one"), certificate("other"));
        let all = [
            destinations.get("a.test", 443),
            over_tls(Trust::Anyone),
            over_tls(Trust::System { depth: None }),
            over_tls(Trust::System { depth: Some(1) }),
            over_tls(Trust::only([one.clone()], None)),
            over_tls(Trust::only([one.clone()], Some(1))),
            over_tls(Trust::only([one.clone(), other.clone()], None)),
        ];
        let mut ids: Vec<u64> = all.iter().map(|destination| destination.id().0).collect();
        ids.dedup();
        assert_eq!(ids.len(), all.len());
        let same = over_tls(Trust::only([other.clone(), one.clone(), other], None));
        assert_eq!(same.id(), all[6].id(), "their order does not matter");
        let elsewhere = destinations.get_over_tls("b.test", 443, Trust::only([one], None)).unwrap();
        let config = |destination: &Destination| Arc::as_ptr(&destination.tls.as_ref().unwrap().config);
        assert_ne!(elsewhere.id(), all[4].id());
        assert_eq!(config(&elsewhere), config(&all[4]), "one set of settings for all that trust the same");
        assert!(destinations.get_over_tls("no name", 443, Trust::Anyone).is_err());
    }

    #[test]
    fn what_nothing_leads_to_is_forgotten() {
        let destinations = Destinations::default();
        let kept = destinations.get("kept.test", 80);
        for count in 0..10 * SWEEP_AT_LEAST {
            destinations.get(&format!("{count}.test"), 80);
        }
        assert!(destinations.known.lock().unwrap().destinations.len() <= SWEEP_AT_LEAST);
        assert_eq!(destinations.get("kept.test", 80).id(), kept.id());
    }
}
