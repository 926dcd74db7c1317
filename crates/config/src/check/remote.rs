//! Topics elsewhere that plug-ins publish to. Each has a local topic and a subscription, so that its events wait in the log until the other side
//! has accepted them.

use std::collections::BTreeMap;

use delivery::{Endpoint, guard};
use entities::subscription::{MAX_IN_FLIGHT, TIMEOUT};
use entities::{Access, AccessKey, Format, Origin, Protocol, Secret, Subscription, Topic, ids};
use event::Timestamp;
use pipeline::{CheckContext, Remote};

use super::declared::Declarations;
use super::hub;
use super::{Options, plugin};
use crate::problem::Problems;

/// The local topic for a topic elsewhere, to which events are published, and the subscription that publishes them there.
pub fn stand_in(remote: &Remote, origin: Origin, now: Timestamp) -> (Topic, Subscription) {
    let Remote { topic: elsewhere, region, key } = remote;
    let name = elsewhere.stand_in().to_string();
    let topic = Topic {
        id: ids::of_name("topics", &name),
        origin,
        name: name.clone(),
        attributes: BTreeMap::new(),
        tags: BTreeMap::new(),
        created_at: now,
        updated_at: now,
    };
    let key =
        key.as_ref().map(|(id, secret)| AccessKey { id: id.clone(), secret: Secret::new(secret.clone()) });
    let access = (key.is_some() || region.is_some()).then(|| Access { region: region.clone(), key });
    let subscription = Subscription {
        id: uuid::Uuid::nil(),
        origin,
        topic: name,
        name: None,
        protocol: Protocol::Sns,
        endpoint: elsewhere.to_string(),
        // The message alone, because SNS makes the envelope.
        raw_message_delivery: true,
        format: Format::Sns,
        content_type: None,
        signature_version: None,
        confirm: false,
        fifo: elsewhere.is_fifo(),
        timeout: TIMEOUT,
        max_in_flight: MAX_IN_FLIGHT,
        access,
        created_at: now,
        updated_at: now,
    };
    let id = ids::of_subscription(&subscription.identity());
    (topic, Subscription { id, ..subscription })
}

/// Adds the local topics and subscriptions for the topics elsewhere that plug-ins publish to. Two plug-ins that publish to the same topic must
/// use the same access key.
pub(super) fn add(
    plugins: &[Option<plugin::Checked>],
    declared: &Declarations,
    (options, context): (&Options<'_>, &CheckContext<'_>),
    hub: &mut hub::Checked,
    problems: &mut Problems<'_>,
) {
    let mut known: Vec<(Remote, String)> = Vec::new();
    for (plugin, stands) in plugins.iter().zip(&declared.plugins) {
        let Some(plugin) = plugin.as_ref().map(|checked| &checked.plugin) else { continue };
        let kind = options.kinds.iter().find(|kind| kind.name() == plugin.name);
        let Some(remote) = kind.and_then(|kind| kind.remote(&plugin.config, context)) else { continue };
        let spot = stands.entity.spot.key("config");
        let endpoint = remote.topic.endpoint().and_then(|url| url.parse::<Endpoint>().ok());
        if let Some(Err(blocked)) = endpoint.map(|endpoint| guard::possible(&endpoint.host)) {
            let hint =
                "give the address of SNS's API: credentials of this machine are read at the one that it has";
            problems.add(&spot, blocked.to_string(), hint);
        }
        let place = problems.whereabouts(&spot.key("topic_arn"));
        match known.iter().find(|(other, _)| other.topic == remote.topic) {
            Some((same, _)) if *same == remote => {}
            Some((_, first)) => {
                let message = "another rule publishes to the same topic with another region or access key";
                let hint = format!(
                    "it is at {first}: give both rules the same `region`, `aws_key` and `aws_secret`"
                );
                problems.add(&spot.key("topic_arn"), message, hint);
            }
            None => {
                let (topic, subscription) = stand_in(&remote, Origin::File, options.now);
                if !hub.topics.iter().any(|one| one.name == topic.name) {
                    hub.topics.push(topic);
                }
                hub.subscriptions.push(Some((subscription, place.clone())));
                known.push((remote, place));
            }
        }
    }
}
