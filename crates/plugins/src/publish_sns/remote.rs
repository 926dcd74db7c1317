//! Where the events go: a topic of this gateway, or one of real SNS.
//!
//! A bare name is a topic of this gateway. An ARN is a topic of this gateway if its partition, region and account are the gateway's, and if
//! `endpoint`, where given, leads to this gateway.

use event::arn::NameError;
use event::{Arn, RemoteError, RemoteTopic, TopicName};
use url::{Host, Url};

use super::config::Config;
use pipeline::{CheckContext, Remote};

/// Where the events go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// A topic of this gateway.
    Here(TopicName),
    /// A topic elsewhere.
    There(RemoteTopic),
}

/// Why a `config` names no destination.
#[derive(Debug)]
pub(super) enum Wrong {
    /// `topic_arn` names no topic.
    Name(NameError),
    /// `topic_arn` is not the ARN of a topic elsewhere.
    Remote(RemoteError),
    /// `endpoint` is not the address of an API.
    Endpoint(&'static str),
}

impl Destination {
    /// The topic in the log that the events belong to.
    pub(super) fn topic(&self) -> TopicName {
        match self {
            Self::Here(name) => name.clone(),
            Self::There(topic) => topic.stand_in(),
        }
    }

    pub(super) fn of(config: &Config, context: &CheckContext<'_>) -> Result<Self, Wrong> {
        let text = &config.topic_arn;
        if !text.contains(':') {
            return text.parse().map(Self::Here).map_err(Wrong::Name);
        }
        let arn: Arn = text.parse().map_err(Wrong::Name)?;
        arn.expect_service("sns").map_err(Wrong::Name)?;
        let is_ours = arn == Arn::topic(context.region, context.account, &arn.resource);
        let endpoint = config.endpoint.as_ref().or(config.sns_endpoint.as_ref());
        let elsewhere = match endpoint {
            Some(text) => {
                Some(address(text).map_err(Wrong::Endpoint)?).filter(|url| !leads_here(url, context.hubs))
            }
            None => None,
        };
        if is_ours && elsewhere.is_none() {
            return arn.resource.parse().map(Self::Here).map_err(Wrong::Name);
        }
        // One address must have one spelling, because another spelling would be another topic.
        let endpoint = elsewhere.map(|url| url.as_str().trim_end_matches('/').to_owned());
        RemoteTopic::new(arn, endpoint).map(Self::There).map_err(Wrong::Remote)
    }
}

/// The topic elsewhere that a `config` names, with the access key for it. Other parts of the `config` may be wrong.
pub(super) fn find(config: Config, context: &CheckContext<'_>) -> Option<Remote> {
    let Ok(Destination::There(topic)) = Destination::of(&config, context) else { return None };
    let Config { region, aws_key, aws_secret, .. } = config;
    Some(Remote { topic, region, key: aws_key.zip(aws_secret) })
}

/// The address of an API of SNS's, or what is wrong with it.
fn address(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "this is not a URL")?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("this is not an http:// or https:// URL");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a user or password in the URL means nothing to SNS");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("SNS is asked at an address without `?` and `#`");
    }
    Ok(url)
}

/// Whether it is this gateway's own API. All loopback addresses count as one.
fn leads_here(url: &Url, hubs: &[String]) -> bool {
    let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else { return false };
    hubs.iter().filter_map(|hub| hub.rsplit_once(':')).any(|(name, at)| {
        let is_same = || host.to_string().eq_ignore_ascii_case(name);
        at.parse() == Ok(port)
            && (is_same() || (is_loopback(&host) && Host::parse(name).is_ok_and(|name| is_here(&name))))
    })
}

fn is_loopback<S: AsRef<str>>(host: &Host<S>) -> bool {
    match host {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.to_canonical().is_loopback(),
        Host::Domain(name) => {
            let name = name.as_ref().trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

/// Whether this host is a loopback address, or an address whose listener a loopback address reaches.
fn is_here<S: AsRef<str>>(host: &Host<S>) -> bool {
    match host {
        Host::Ipv4(address) if address.is_unspecified() => true,
        Host::Ipv6(address) if address.is_unspecified() => true,
        other => is_loopback(other),
    }
}
