//! Turns the command line into the configuration of each part of a node. No other part knows the command line.

use std::net::SocketAddr;

use delivery::guard::Allow;
use gateway::access_log::Form;
use gateway::front::{self, Front, HostPort, Telling};
use listener::connection::NameCase;
use listener::guard::{self, HostPattern};
use storage::retention::Retention;

use super::access_log::AccessLog;
use super::descriptors::Descriptors;
use super::reach::Reach;
use super::serving::Asked;
use super::{StartError, ledger, sockets};
use crate::cli::{
    AccessLogFormat, AllowArgs, AmbiguousPaths, ForwardedHostPort, HeaderNames, Listen, LogFormat, NodeArgs,
    Tell, Via,
};

/// Account and region.
pub fn names(node: &NodeArgs) -> hub::Names {
    hub::Names { region: node.region.clone(), account: node.account_id.clone() }
}

/// The addresses of its own SNS API, `host:port`: the one in the settings, and the one that was bound.
pub fn hubs(node: &NodeArgs, bound: Option<SocketAddr>) -> Vec<String> {
    let told = match &node.hub_listen {
        Listen::On(address) => Some(*address),
        Listen::Off | Listen::Unix(_) => None,
    };
    let url = node.hub_url.as_deref().and_then(|url| url.parse::<http::Uri>().ok());
    let named = url.and_then(|url| {
        let usual = if url.scheme_str() == Some("https") { 443 } else { 80 };
        Some(format!("{}:{}", url.host()?, url.port_u16().unwrap_or(usual)))
    });
    told.into_iter().chain(bound).map(|address| address.to_string()).chain(named).collect()
}

/// The listeners of a node.
pub fn sockets(node: &NodeArgs) -> sockets::Config {
    let ambiguous_paths = match node.ambiguous_paths {
        AmbiguousPaths::Match => front::AmbiguousPaths::Match,
        AmbiguousPaths::Refuse => front::AmbiguousPaths::Refuse,
    };
    let telling = Telling {
        via: node.via == Via::Send,
        host_port: match node.forwarded_host_port {
            ForwardedHostPort::Keep => HostPort::Keep,
            ForwardedHostPort::Strip => HostPort::Strip,
        },
        script_name: node.tell.contains(&Tell::ScriptName),
        forwarded: node.tell.contains(&Tell::Forwarded),
    };
    sockets::Config {
        proxy: node.proxy_listen.clone(),
        admin: node.admin_listen.clone(),
        legacy_admin: node.legacy_admin_listen.clone(),
        hub: node.hub_listen.clone(),
        hub_public: node.hub_public_listen.clone(),
        workers: workers(node),
        front: Front {
            ambiguous_paths,
            trusted: node.trusted_ips.as_slice().into(),
            name_case: match node.header_names {
                HeaderNames::Lower => NameCase::Lower,
                HeaderNames::Keep => NameCase::Kept,
            },
            telling,
            ..Front::default()
        },
    }
}

/// The data directory and its limits.
pub fn ledger(node: &NodeArgs) -> ledger::Config {
    ledger::Config {
        store: stores::sqlite::Options { dir: node.data_dir.clone() },
        retention: Retention {
            max_bytes: node.max_store,
            min_free_bytes: node.min_free,
            ..Retention::default()
        },
    }
}

/// Who may call admin, hub and the 0.x Admin API.
pub fn asked(node: &NodeArgs) -> Asked {
    let machine = rustix::system::uname();
    let machine = machine.nodename().to_str().ok().map(HostPattern::exactly);
    let hub_url = node.hub_url.as_deref().and_then(guard::host_of);
    Asked {
        hosts: node.allow_host.iter().cloned().chain(machine).chain(hub_url).collect(),
        origins: node.allow_origin.clone(),
    }
}

/// Begins the access log that is wanted.
///
/// # Errors
/// If its settings contradict each other, or its file cannot be opened.
pub fn access_log(node: &NodeArgs) -> Result<Option<AccessLog>, StartError> {
    let form = match node.access_log {
        AccessLogFormat::Off if node.access_log_file.is_some() => return Err(StartError::AccessLogIsOff),
        AccessLogFormat::Off => return Ok(None),
        AccessLogFormat::Text if node.log_format == LogFormat::Json && node.access_log_file.is_none() => {
            return Err(StartError::AccessLogIsText);
        }
        AccessLogFormat::Text => Form::Text,
        AccessLogFormat::Json => Form::Json,
    };
    AccessLog::start(form, node.access_log_file.clone()).map(Some)
}

/// The number of cores of the data path.
pub fn workers(node: &NodeArgs) -> usize {
    let all = || std::thread::available_parallelism().map_or(1, usize::from);
    node.workers.map_or_else(all, usize::from)
}

/// Checks what the types of the command line cannot: that each value makes sense. Returns
/// what `--allow-endpoints` and `--allow-private-endpoints` allow.
///
/// # Errors
/// The first setting that is wrong.
pub fn checked(node: &NodeArgs) -> Result<Allow, StartError> {
    let allow = allowed(&node.allow)?;
    check_hub_url(node)?;
    Ok(allow)
}

/// What `--allow-endpoints` and `--allow-private-endpoints` allow.
///
/// # Errors
/// All values that are wrong.
pub fn allowed(allow: &AllowArgs) -> Result<Allow, StartError> {
    let AllowArgs { allow_private_endpoints, allow_endpoints } = allow;
    Allow::parse(*allow_private_endpoints, allow_endpoints.iter().map(String::as_str))
        .map_err(|wrong| StartError::AllowEndpoints(join(&wrong)))
}

fn join(wrong: &[impl std::fmt::Display]) -> String {
    wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The address in messages.
///
/// # Errors
/// If nobody could reach it.
fn check_hub_url(node: &NodeArgs) -> Result<(), StartError> {
    let Some(url) = &node.hub_url else { return Ok(()) };
    let parsed: Result<http::Uri, _> = url.parse();
    let usable = parsed.is_ok_and(|url| {
        matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some_and(|host| !host.is_empty())
    });
    // A user name in it would be sent to every subscriber.
    let usable = usable && !url.contains('@');
    if usable { Ok(()) } else { Err(StartError::HubUrl(event::redaction::shown(url).into_owned())) }
}

/// The configuration of the hub.
pub fn hub(names: hub::Names, reach: &Reach, descriptors: &Descriptors) -> hub::Config {
    hub::Config {
        names,
        hub_url: reach.hub_url.trim_end_matches('/').to_owned(),
        max_long_polls: descriptors.of_control().long_polls,
    }
}
