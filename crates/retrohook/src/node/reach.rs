//! Whether deliveries can reach those who are to get them, and whether these can reach the addresses in the messages.
//!
//! Where deliveries may go is said by options; an endpoint that they leave closed gets nothing.
//!
//! A message in SNS's form names this node to confirm, to unsubscribe and for the signing certificate. By default that is a loopback address,
//! which is right for an endpoint on this machine and useless for any other.

use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;

use config::Config;
use delivery::Endpoint;
use delivery::guard::{self, Allow};
use entities::{Format, Protocol, Set, Subscription};
use event::RemoteTopic;

/// The address in messages, and whether anything listens there.
#[derive(Clone, Debug)]
pub struct Reach {
    /// The URL in messages.
    pub hub_url: String,
    /// Whether the hub or its public part listens.
    pub served: Served,
    /// Where deliveries may go.
    pub allow: Allow,
}

/// Whether endpoints can ask the hub or its public part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// They listen on an address, or something in front of them does.
    Yes,
    /// On a Unix socket alone, and nobody has said what is in front of it.
    OnUnixSocket,
    /// They do not listen.
    Off,
}

/// A warning for every subscription to whose endpoint nothing is delivered with the options that there are.
pub fn closed(config: &Config, allow: &Allow) -> Vec<String> {
    let closed = |subscription: &Arc<Subscription>| {
        let place = config.places.get(&subscription.id).map_or("", String::as_str);
        Some(format!("{place}: {}", why_closed(subscription, allow)?))
    };
    config.set.subscriptions.iter().filter_map(closed).collect()
}

/// The same for subscriptions that APIs made, which have no place in a file.
pub fn closed_of_apis(api: &Set, allow: &Allow) -> Vec<String> {
    let made = api.subscriptions.iter();
    let closed = |one: &Arc<Subscription>| {
        Some(format!("a subscription of `{}`, which an API made: {}", one.topic, why_closed(one, allow)?))
    };
    made.filter_map(closed).collect()
}

/// Why nothing is delivered to a subscription's endpoint with the options that there are, and what to do; `None` if they let it be called.
pub fn why_closed(subscription: &Subscription, allow: &Allow) -> Option<String> {
    let endpoint = dialled(subscription)?;
    let blocked = guard::vet_host(&endpoint.host, allow).err()?;
    let shown = delivery::endpoint::shown(&subscription.endpoint);
    let (what, advice) = (blocked.what(), blocked.advice());
    Some(format!("nothing is delivered to {shown}: {what}\n  hint: {advice}"))
}

/// What deliveries connect to, as far as it is known before they do: the endpoint, or that of a topic elsewhere which has one of its own.
fn dialled(subscription: &Subscription) -> Option<Endpoint> {
    if subscription.protocol == Protocol::Sns {
        return subscription.endpoint.parse::<RemoteTopic>().ok()?.endpoint()?.parse().ok();
    }
    subscription.protocol.is_webhook().then(|| subscription.endpoint.parse().ok())?
}

/// A warning for every subscription whose endpoint cannot reach the addresses in its messages.
pub fn warnings(config: &Config, reach: &Reach) -> Vec<String> {
    let local_only = host(&reach.hub_url).is_none_or(|host| is_loopback(&host));
    let warning = |subscription: &Subscription| {
        let place = config.places.get(&subscription.id).map_or("", String::as_str);
        let endpoint = delivery::endpoint::shown(&subscription.endpoint);
        let why = match reach.served {
            Served::Yes => None,
            Served::Off => Some(("--hub-listen and --hub-public-listen are off", REMEDY)),
            Served::OnUnixSocket => Some(("the hub listens on a Unix socket", REMEDY_OF_UNIX)),
        };
        if let Some((why, remedy)) = why {
            return Some(format!(
                "{place}: messages to {endpoint} name {} for confirmation and certificate, and nothing listens there: {why}\n  \
                 hint: {remedy}",
                reach.hub_url
            ));
        }
        let elsewhere = host(&endpoint).is_some_and(|host| !is_this_machine(&host));
        (local_only && elsewhere).then(|| {
            format!(
                "{place}: messages to {endpoint} name {} for confirmation and certificate: a loopback address, which \
                 only this machine can reach\n  hint: {REMEDY}",
                reach.hub_url
            )
        })
    };
    let subscriptions = config.set.subscriptions.iter().filter(|subscription| names_us(subscription));
    subscriptions.filter_map(|one| warning(one)).chain(closed(config, &reach.allow)).collect()
}

const REMEDY: &str = "open --hub-public-listen ADDR and say with --hub-url where it is reached from there; \
    `raw_message_delivery: true` with `confirm: skip`, or `format: standard-webhooks`, need neither";

const REMEDY_OF_UNIX: &str = "say with --hub-url where what is in front of that socket is reached, or open --hub-public-listen ADDR beside it; \
    `raw_message_delivery: true` with `confirm: skip`, or `format: standard-webhooks`, need neither";

/// Whether a subscription's messages contain addresses of this node.
fn names_us(subscription: &Subscription) -> bool {
    let Subscription { protocol, format, raw_message_delivery, confirm, .. } = subscription;
    protocol.is_push() && *format == Format::Sns && (*confirm || !raw_message_delivery)
}

/// The host of a URL, in lower case; of an IPv6 address without brackets.
fn host(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    let host = uri.host()?.trim_matches(['[', ']']);
    Some(host.trim_end_matches('.').to_ascii_lowercase())
}

fn is_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback() || address.is_unspecified(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// Whether an endpoint's host is certainly this machine. Names are not resolved, because their addresses can change.
fn is_this_machine(host: &str) -> bool {
    is_loopback(host) || host.parse::<IpAddr>().is_ok_and(|address| UdpSocket::bind((address, 0)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(subscription: &str) -> Config {
        let text = format!(
            "_format_version: \"3.0\"\ntopics:\n- name: t\n  subscriptions:\n  - {{ {subscription} }}\nqueues: [{{ name: q }}]\n"
        );
        let options = config::Options {
            kinds: &[],
            region: "us-east-1",
            account: "000000000000",
            hubs: &[],
            env: &|_| None,
            now: event::Timestamp::from_millis(0),
            tolerance: config::Tolerance::default(),
        };
        config::check(&[("f.yaml", &text)], &options).expect("a good configuration")
    }

    /// Everything that an option can allow.
    fn open() -> Allow {
        Allow::parse(true, ["0.0.0.0/0", "::/0"]).expect("networks")
    }

    #[track_caller]
    fn warns(subscription: &str, hub_url: &str, is_served: bool) -> Option<String> {
        let served = if is_served { Served::Yes } else { Served::Off };
        let mut found =
            warnings(&config(subscription), &Reach { hub_url: hub_url.to_owned(), served, allow: open() });
        assert!(found.len() <= 1, "{found:?}");
        found.pop()
    }

    const AWAY: &str = "protocol: https, endpoint: \"https://hooks.example.com/x\"";
    const HERE: &str = "protocol: http, endpoint: \"http://localhost:9100/x\"";

    #[test]
    fn an_endpoint_elsewhere_is_not_given_a_loopback_address() {
        for hub_url in
            ["http://127.0.0.1:4566", "http://localhost:4566", "http://[::1]:4566/", "http://127.1.2.3"]
        {
            let warning = warns(AWAY, hub_url, true).expect("a warning");
            assert!(
                warning.starts_with("f.yaml:5:34: messages to https://hooks.example.com/x name"),
                "{warning}"
            );
            assert!(warning.contains(hub_url) && warning.contains("--hub-url"), "{warning}");
            assert_eq!(warns(HERE, hub_url, true), None);
        }
        assert_eq!(warns(AWAY, "https://gateway.example.com", true), None);
        let own = "protocol: http, endpoint: \"http://127.8.8.8/x\"";
        assert_eq!(warns(own, "http://127.0.0.1:4566", true), None);
        let private = "protocol: http, endpoint: \"http://192.0.2.7/x\"";
        assert!(warns(private, "http://127.0.0.1:4566", true).is_some());
    }

    #[test]
    fn nobody_is_given_an_address_where_nothing_listens() {
        for (subscription, hub_url) in [(AWAY, "http://127.0.0.1:4566"), (HERE, "http://127.0.0.1:4566")] {
            let warning = warns(subscription, hub_url, false).expect("a warning");
            assert!(warning.contains("--hub-public-listen"), "{warning}");
        }
    }

    #[test]
    fn a_hub_on_a_unix_socket_is_not_said_to_be_off() {
        let reach = |served| Reach { hub_url: "http://127.0.0.1:4566".into(), served, allow: open() };
        let found = warnings(&config(HERE), &reach(Served::OnUnixSocket));
        assert!(
            found[0].contains("the hub listens on a Unix socket") && found[0].contains("--hub-url"),
            "{found:?}"
        );
        assert!(!found[0].contains("are off"), "{found:?}");
        assert_eq!(warnings(&config(HERE), &reach(Served::Yes)), [""; 0]);
    }

    #[test]
    fn endpoints_are_warned_of_that_the_options_leave_closed() {
        let closed = |subscription: &str, allow: &[&str]| {
            let allow = Allow::parse(false, allow.iter().copied()).expect("good options");
            closed(&config(subscription), &allow)
        };
        let found = closed(HERE, &[]);
        let said = "f.yaml:5:33: nothing is delivered to http://localhost:9100/x: its name is a loopback one\n  hint: start with --allow-endpoints \
                    NAME, where NAME is its host, or --allow-private-endpoints";
        assert_eq!(found, [said]);
        assert_eq!(closed(HERE, &["localhost"]), [""; 0]);
        assert_eq!(closed(AWAY, &[]), [""; 0]);
        let link_local = "protocol: http, endpoint: \"http://169.254.1.1/x\"";
        assert!(
            closed(link_local, &[])[0]
                .ends_with("start with --allow-endpoints CIDR, where the address is in CIDR")
        );
        assert_eq!(closed(link_local, &["169.254.0.0/16"]), [""; 0]);
        assert_eq!(closed("protocol: sqs, endpoint: q", &[]), [""; 0]);
        for metadata in
            ["169.254.169.254", "[::ffff:169.254.169.254]", "2852039166", "metadata.google.internal"]
        {
            let said =
                closed(&format!("protocol: http, endpoint: \"http://{metadata}/x\""), &["169.254.0.0/16"]);
            assert!(
                said[0].contains("a cloud metadata service\n") && said[0].contains("no option opens it"),
                "{said:?}"
            );
        }
    }

    #[test]
    fn messages_without_our_addresses_are_no_matter() {
        let raw = format!("{AWAY}, raw_message_delivery: true");
        assert!(warns(&raw, "http://127.0.0.1:4566", true).is_some(), "its handshake has them");
        for harmless in [
            format!("{raw}, confirm: skip"),
            format!("{AWAY}, format: standard-webhooks, secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
            "protocol: sqs, endpoint: q".to_owned(),
        ] {
            assert_eq!(warns(&harmless, "http://127.0.0.1:4566", false), None, "{harmless}");
        }
    }
}
