//! Divides the file descriptors (open files, sockets) among the parts, so that clients and endpoints cannot use up those of the others.
//!
//! The soft limit of the process is raised to the hard one at the start. `retrohook run` starts no other programs, so no other program inherits
//! it. The descriptors are then divided: each part has its own limit, and the sum stays below the process's limit.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Below this, a start warns: each share is so small that ordinary traffic can reach it.
const FEW: usize = 1_024;
/// What the process needs without any connection, and without the cores: the store, its readers, signals, runtimes.
const OWN: usize = 48;
/// What each core needs without any connection.
const OWN_OF_A_CORE: usize = 6;
/// The most that the listeners beside the data path need: as many as the hub accepts long polls, and some more.
const MAX_CONTROL: usize = 2_304;
/// The most that deliveries need.
const MAX_DELIVERIES: usize = 4_096;
/// Exchanges that may outlive their clients, each with a connection to its service.
const MAX_EXCHANGES: usize = 10_000;
/// Connections of clients for each core.
const MAX_CONNECTIONS: usize = 16_384;

/// The shares of all parts. Their sum is at most the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors {
    /// What the process may have open.
    pub limit: usize,
    /// For clients of the proxy and for connections to services.
    pub proxy: usize,
    /// For admin, legacy-admin, hub and hub-public.
    pub control: usize,
    /// For deliveries.
    pub deliveries: usize,
    /// For the store, the listeners themselves and the rest of the process.
    pub reserve: usize,
}

/// How the data path divides its share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyShare {
    /// Connections of clients on each core. For each of them, one more is reserved for a connection to a service.
    pub connections: usize,
    /// Exchanges at once; each may go on with a connection to its service when its client has left.
    pub exchanges: usize,
}

/// How the listeners beside the data path divide their share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlShare {
    /// Connections to admin.
    pub admin: usize,
    /// Connections to the 0.x Admin API.
    pub legacy_admin: usize,
    /// Connections to the hub.
    pub hub: usize,
    /// Connections to the hub's public part.
    pub hub_public: usize,
    /// Receives that wait; fewer than the hub's connections, so that there is room for other calls.
    pub long_polls: usize,
}

impl Descriptors {
    /// Raises the soft limit to the hard one and divides it.
    pub fn raise(cores: usize) -> Self {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        if current != maximum
            && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        {
            tracing::warn!(%error, "cannot raise the limit on open files");
        }
        // `None` is no limit at all.
        let limit = getrlimit(Resource::Nofile)
            .current
            .map_or(usize::MAX, |limit| limit.try_into().unwrap_or(usize::MAX));
        Self::share(limit, cores)
    }

    /// Divides a limit.
    pub fn share(limit: usize, cores: usize) -> Self {
        // With a very small limit, the process itself keeps half of it, and hardly anything is left to serve.
        let reserve = (OWN + OWN_OF_A_CORE * cores).min(limit / 2);
        let rest = limit - reserve;
        let control = (rest / 4).min(MAX_CONTROL);
        let deliveries = (rest / 4).min(MAX_DELIVERIES);
        Self { limit, proxy: rest - control - deliveries, control, deliveries, reserve }
    }

    /// The warning about a limit that is too small.
    pub fn warning(&self) -> Option<String> {
        (self.limit < FEW).then(|| {
            format!(
                "this process may have only {} open files: {} for requests, {} for deliveries\n  hint: raise the hard limit: \
                 LimitNOFILE=65536 in a systemd unit, --ulimit nofile=65536 for a container",
                self.limit, self.proxy, self.deliveries
            )
        })
    }

    /// How the data path divides its share.
    pub fn of_proxy(&self, cores: usize) -> ProxyShare {
        let exchanges = (self.proxy / 3).clamp(1, MAX_EXCHANGES);
        let clients = self.proxy.saturating_sub(exchanges) / 2;
        ProxyShare { connections: (clients / cores.max(1)).clamp(1, MAX_CONNECTIONS), exchanges }
    }

    /// How the listeners beside the data path divide their share.
    pub fn of_control(&self) -> ControlShare {
        let few = (self.control / 8).max(1);
        // Each listener needs one more for a moment: the connection for which an idle one is closed.
        let hub = self.control.saturating_sub(3 * few + 4).max(1);
        ControlShare {
            admin: few,
            legacy_admin: few,
            hub,
            hub_public: few,
            long_polls: (hub * 3 / 4).clamp(1, hub::settings::MAX_LONG_POLLS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(limit: usize, cores: usize) -> (Descriptors, ProxyShare, ControlShare) {
        let all = Descriptors::share(limit, cores);
        assert_eq!(all.proxy + all.control + all.deliveries + all.reserve, limit, "{all:?}");
        let (proxy, control) = (all.of_proxy(cores), all.of_control());
        assert!(proxy.connections >= 1 && proxy.exchanges >= 1 && control.long_polls >= 1);
        if limit >= 256 {
            let of_proxy = 2 * cores * proxy.connections + proxy.exchanges;
            assert!(of_proxy <= all.proxy, "{of_proxy} of {all:?}");
            let of_control = control.admin + control.legacy_admin + control.hub + control.hub_public;
            assert!(
                of_control + 4 <= all.control && control.long_polls < control.hub,
                "{control:?} of {all:?}"
            );
        }
        (all, proxy, control)
    }

    #[test]
    fn the_shares_stay_within_the_limit() {
        for cores in [1, 2, 8, 64] {
            for limit in [0, 1, 64, 1_024, 4_096, 20_000, 65_536, 524_288, 1 << 30, usize::MAX] {
                check(limit, cores);
            }
        }
        check(256, 2);
    }

    #[test]
    fn who_has_enough_gets_what_there_ever_was() {
        let (_, proxy, control) = check(1 << 20, 8);
        assert_eq!(proxy, ProxyShare { connections: MAX_CONNECTIONS, exchanges: MAX_EXCHANGES });
        assert_eq!(control.long_polls, hub::settings::MAX_LONG_POLLS);
    }

    #[test]
    fn a_small_limit_is_said() {
        assert!(check(256, 2).0.warning().is_some_and(|text| text.contains("LimitNOFILE")));
        assert_eq!(check(1_024, 2).0.warning(), None);
    }
}
