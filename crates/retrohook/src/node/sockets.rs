//! The sockets of a node, bound before anything else is started, and printed as they are bound.

use std::net::{SocketAddr, TcpListener};

use delivery::guard::Allow;
use dialing::Names;
use gateway::Gateway;
use gateway::front::Front;
use gateway::listeners::{Listener, NotBound};
use listener::{bind, unix};
use pipeline::context::Scheme;

use super::StartError;
use super::descriptors::Descriptors;
use super::reach::{Reach, Served};
use crate::cli::Listen;
use crate::report;

/// Where a node listens, and how its data path is served.
pub struct Config {
    /// The data path.
    pub proxy: Listen,
    /// For operators.
    pub admin: Listen,
    /// Kong's 0.x Admin API.
    pub legacy_admin: Listen,
    /// SNS and SQS.
    pub hub: Listen,
    /// What endpoints elsewhere may ask.
    pub hub_public: Listen,
    /// Cores of the data path.
    pub workers: usize,
    /// How it presents itself to both sides.
    pub front: Front,
}

/// Bound sockets.
pub struct Sockets {
    /// The data path.
    pub proxy: Option<Gateway>,
    /// For operators.
    pub admin: Option<Socket>,
    /// Kong's 0.x Admin API.
    pub legacy_admin: Option<Socket>,
    /// SNS and SQS.
    pub hub: Option<Socket>,
    /// What endpoints elsewhere may ask.
    pub hub_public: Option<Socket>,
}

/// A bound socket beside the data path.
pub enum Socket {
    /// Of an address.
    Tcp(TcpListener),
    /// Of a path.
    Unix(unix::Bound),
}

impl Socket {
    fn bind(listen: &Listen, setting: &'static str) -> Result<Option<Self>, StartError> {
        match listen {
            Listen::Off => Ok(None),
            Listen::On(address) => {
                let bound = bind::tcp(*address, 1);
                let mut listeners =
                    bound.map_err(|source| StartError::Listen { setting, address: *address, source })?;
                Ok(listeners.pop().map(Self::Tcp))
            }
            Listen::Unix(path) => {
                let failed = |source| StartError::ListenUnix { setting, path: path.clone(), source };
                Ok(Some(Self::Unix(unix::bind(path).map_err(failed)?)))
            }
        }
    }

    /// Where it listens; `None` for a Unix socket.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    /// As it is printed.
    fn shown(&self) -> String {
        match self {
            Self::Tcp(listener) => listener
                .local_addr()
                .map_or_else(|_| "unknown".to_owned(), |address| format!("http://{address}")),
            Self::Unix(bound) => format!("unix:{}", bound.path().display()),
        }
    }
}

impl Sockets {
    /// Binds all of them.
    ///
    /// # Errors
    /// Names the first that cannot be bound, and its setting.
    pub fn bind(config: Config, descriptors: &Descriptors, names: Names) -> Result<Self, StartError> {
        let Config { proxy, admin, legacy_admin, hub, hub_public, workers, front } = config;
        let proxy = bind_proxy(&proxy, workers, front, descriptors, names)?;
        let off = || "off".to_owned();
        for Listener { name, address, scheme } in proxy.iter().flat_map(Gateway::listeners) {
            report::entry(name, &format!("{}://{address}", scheme.as_str()));
        }
        if proxy.is_none() {
            report::entry("proxy", "off");
        }
        let one =
            |name: &str, listen: &Listen, setting: &'static str| -> Result<Option<Socket>, StartError> {
                let socket = Socket::bind(listen, setting)?;
                report::entry(name, &socket.as_ref().map_or_else(off, Socket::shown));
                Ok(socket)
            };
        let admin = one("admin", &admin, "--admin-listen")?;
        let legacy_admin = one("legacy-admin", &legacy_admin, "--legacy-admin-listen")?;
        let hub = one("hub", &hub, "--hub-listen")?;
        let hub_public = one("hub-public", &hub_public, "--hub-public-listen")?;
        Ok(Self { proxy, admin, legacy_admin, hub, hub_public })
    }

    /// How endpoints reach the hub: by `hub_url`, if it is given. With where deliveries may go.
    pub fn reach(&self, hub_url: Option<String>, allow: Allow) -> Reach {
        let served = self.hub_is_served(hub_url.is_some());
        Reach { hub_url: hub_url.unwrap_or_else(|| self.hub_url()), served, allow }
    }

    /// What messages name if nothing else is said: the public listener, else the hub's own. A Unix socket has no name for messages.
    fn hub_url(&self) -> String {
        let addresses = [&self.hub_public, &self.hub].map(|socket| socket.as_ref().and_then(Socket::address));
        let address = addresses.into_iter().flatten().next();
        let address = address.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 4566)));
        if address.ip().is_unspecified() {
            return format!("http://127.0.0.1:{}", address.port());
        }
        format!("http://{address}")
    }

    /// Whether endpoints can ask the hub or its public part. What is told where they do has something in front of a Unix socket.
    fn hub_is_served(&self, is_told: bool) -> Served {
        let sockets: Vec<&Socket> = [&self.hub_public, &self.hub].into_iter().flatten().collect();
        match sockets.iter().any(|socket| socket.address().is_some()) {
            true => Served::Yes,
            false if sockets.is_empty() => Served::Off,
            false if is_told => Served::Yes,
            false => Served::OnUnixSocket,
        }
    }

    /// Warnings of what listens beyond this machine and asks for no password.
    pub fn warnings(&self) -> Vec<String> {
        let open = |socket: &Option<Socket>, setting: &str, what: &str| {
            let address = socket.as_ref().and_then(Socket::address)?;
            let beyond = !address.ip().to_canonical().is_loopback();
            beyond.then(|| {
                format!(
                    "{setting} {address} is open to other machines and asks for no password: whoever reaches it can {what}\n  \
                     hint: listen on 127.0.0.1 or on a Unix socket ({setting} unix:/path/of/a.sock), or let only those reach it who may"
                )
            })
        };
        let admin = open(
            &self.admin,
            "--admin-listen",
            "read all events, have deliveries sent again, and replace the whole configuration (POST /config)",
        );
        let legacy = open(
            &self.legacy_admin,
            "--legacy-admin-listen",
            "change where requests go, and read and make the keys of consumers",
        );
        let hub = open(
            &self.hub,
            "--hub-listen",
            "publish and subscribe, receive and delete the messages of all queues, and delete topics and queues",
        );
        admin.into_iter().chain(legacy).chain(hub).collect()
    }
}

fn bind_proxy(
    listen: &Listen,
    workers: usize,
    front: Front,
    descriptors: &Descriptors,
    names: Names,
) -> Result<Option<Gateway>, StartError> {
    let setting = "--proxy-listen";
    let address = match listen {
        Listen::Off => return Ok(None),
        Listen::Unix(_) => return Err(StartError::NoUnix(setting)),
        Listen::On(address) => *address,
    };
    let share = descriptors.of_proxy(workers);
    let limits = gateway::limits::Limits {
        connections: share.connections,
        exchanges: share.exchanges,
        ..gateway::limits::Limits::default()
    };
    let listeners = vec![Listener { name: "proxy", address, scheme: Scheme::Http }];
    let config = gateway::gateway::Config { listeners, workers, limits, names, front };
    let not_bound =
        |NotBound { listener, source }| StartError::Listen { setting, address: listener.address, source };
    Ok(Some(Gateway::bind(config).map_err(not_bound)?))
}
