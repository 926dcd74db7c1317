//! Who may have how many descriptors (open files, sockets), so that no client and no endpoint can take those of the others.
//!
//! The soft limit of the process is raised to the hard one at the start. `retrohook run` starts no other programs, so nobody inherits it.
//! What the process may have is then shared out: each part has a limit of its own, and together they stay below the process's.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Below this, a start warns: each share is so small that ordinary traffic can reach it.
const FEW: usize = 1_024;
/// What the process has open without any connection, cores apart: the store, its readers, signals, runtimes.
const OWN: usize = 48;
/// What each core has open without any connection.
const OWN_OF_A_CORE: usize = 6;
/// The most that the listeners beside the data path need: as many long polls as the hub takes, and others beside them.
const MAX_CONTROL: usize = 2_304;
/// The most that deliveries need.
const MAX_DELIVERIES: usize = 4_096;
/// Exchanges that may outlive their clients, each with a connection to its service.
const MAX_EXCHANGES: usize = 10_000;
/// Connections of clients for each core.
const MAX_CONNECTIONS: usize = 16_384;

/// Descriptors, shared out. The sum of the shares is at most the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors {
    /// What the process may have open.
    pub limit: usize,
    /// For clients of the proxy and for the services that they are given to.
    pub proxy: usize,
    /// For admin, legacy-admin, hub and hub-public.
    pub control: usize,
    /// For deliveries.
    pub deliveries: usize,
    /// For the store, the listeners themselves and the rest of the process.
    pub reserve: usize,
}

/// What the data path may take of its share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyShare {
    /// Connections of clients on each core. One of the share is kept for each of them: that to its service.
    pub connections: usize,
    /// Exchanges at once; each may go on with a connection to its service when its client has left.
    pub exchanges: usize,
}

/// What the listeners beside the data path may take of their share.
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
    /// Receives that wait; fewer than the hub's connections, so that others can ask beside them.
    pub long_polls: usize,
}

impl Descriptors {
    /// Raises the soft limit to the hard one and shares out what there is.
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

    /// Shares out a limit.
    pub fn share(limit: usize, cores: usize) -> Self {
        // Whoever has next to nothing serves next to nothing, but the process keeps most of it.
        let reserve = (OWN + OWN_OF_A_CORE * cores).min(limit / 2);
        let rest = limit - reserve;
        let control = (rest / 4).min(MAX_CONTROL);
        let deliveries = (rest / 4).min(MAX_DELIVERIES);
        Self { limit, proxy: rest - control - deliveries, control, deliveries, reserve }
    }

    /// What to say of a limit that is small.
    pub fn warning(&self) -> Option<String> {
        (self.limit < FEW).then(|| {
            format!(
                "this process may have only {} open files: {} for requests, {} for deliveries\n  hint: raise the hard limit: \
                 LimitNOFILE=65536 in a systemd unit, --ulimit nofile=65536 for a container",
                self.limit, self.proxy, self.deliveries
            )
        })
    }

    /// What the data path may take of its share.
    pub fn of_proxy(&self, cores: usize) -> ProxyShare {
        let exchanges = (self.proxy / 3).clamp(1, MAX_EXCHANGES);
        let clients = self.proxy.saturating_sub(exchanges) / 2;
        ProxyShare { connections: (clients / cores.max(1)).clamp(1, MAX_CONNECTIONS), exchanges }
    }

    /// What the listeners beside the data path may take of their share.
    pub fn of_control(&self) -> ControlShare {
        let few = (self.control / 8).max(1);
        // Each listener holds one more for a moment: that of the client for whom room is made.
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
