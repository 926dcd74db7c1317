//! From a name to addresses.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Semaphore;

/// Lookups at once. The system's resolver takes a thread each and cannot be told to stop.
const MAX_LOOKUPS: usize = 32;

/// The answer to a lookup.
pub type Lookup<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Who is asked for a name's addresses.
pub trait Resolve: Send + Sync + 'static {
    /// All addresses of a name. A name that ends in a dot is not to be completed by search domains.
    fn lookup(&self, name: String) -> Lookup<'_>;
}

/// The operating system's resolver.
pub struct SystemResolver {
    places: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(MAX_LOOKUPS)) }
    }
}

impl Resolve for SystemResolver {
    fn lookup(&self, name: String) -> Lookup<'_> {
        Box::pin(async move {
            let place = self.places.clone().acquire_owned().await.map_err(io::Error::other)?;
            // A task of its own: the place is held as long as the thread is, also when nobody waits any more.
            let lookup = tokio::spawn(async move {
                let found: io::Result<Vec<SocketAddr>> =
                    tokio::net::lookup_host((name, 0)).await.map(Iterator::collect);
                drop(place);
                found
            });
            let found = lookup.await.map_err(io::Error::other)??;
            Ok(found.into_iter().map(|address| address.ip()).collect())
        })
    }
}
