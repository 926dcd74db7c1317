//! What the store should have of a configuration: topics, queues and subscriptions, without their settings.

use entities::{RedrivePolicy, Set, Subscription};
use storage::entities::{Desired, DesiredSubscription};
use storage::redrive::Redrive;
use uuid::Uuid;

/// Random values for a new subscription. The caller must make them unguessable: whoever knows them can confirm or unsubscribe.
#[derive(Clone, Debug)]
pub struct Fresh {
    /// The token with which the endpoint confirms.
    pub token: String,
    /// The last part of its ARN.
    pub uuid: Uuid,
}

/// What the store should have.
pub fn desired(set: &Set, fresh: &mut dyn FnMut() -> Fresh) -> Desired {
    let subscriptions = set.subscriptions.iter().map(|subscription| wanted(subscription, fresh()));
    let retention = |queue: &entities::Queue| (queue.name.clone(), queue.message_retention_period);
    Desired {
        topics: set.topics.iter().map(|topic| topic.name.clone()).collect(),
        queues: set.queues.iter().map(|queue| queue.name.clone()).collect(),
        message_retention: set.queues.iter().map(|queue| retention(queue)).collect(),
        redrive: set.queues.iter().filter_map(|queue| Some((queue.name.clone(), redrive(queue)?))).collect(),
        subscriptions: subscriptions.collect(),
    }
}

/// When a queue gives a message up, as the store has it.
pub(crate) fn redrive(queue: &entities::Queue) -> Option<Redrive> {
    let RedrivePolicy { dead_letter_queue, max_receive_count } = queue.redrive.as_ref()?;
    Some(Redrive { to: dead_letter_queue.clone(), max_receives: *max_receive_count })
}

pub(crate) fn wanted(subscription: &Subscription, Fresh { token, uuid }: Fresh) -> DesiredSubscription {
    DesiredSubscription {
        topic: subscription.topic.clone(),
        name: subscription.name.clone(),
        protocol: subscription.protocol,
        endpoint: subscription.endpoint.clone(),
        confirm_with: subscription.confirm.then_some(token),
        uuid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_is_asked_for_all_that_is_configured() {
        let config = crate::testing::config(&[
            "_format_version: '3.0'\ntopics:\n- name: t\n  subscriptions:\n  - { protocol: http, endpoint: 'http://a' }\n  - { name: b, protocol: http, endpoint: 'http://b', confirm: skip, raw_message_delivery: true }\n  - { protocol: sqs, endpoint: 'arn:aws:sqs:us-east-1:000000000000:q' }\nqueues: [{ name: q }]\n",
        ]);
        let mut drawn = 0;
        let desired = desired(&config.set, &mut || {
            drawn += 1;
            Fresh { token: format!("token {drawn}"), uuid: Uuid::from_u128(drawn) }
        });
        assert_eq!((desired.topics, desired.queues), (vec!["t".to_owned()], vec!["q".to_owned()]));
        let kept: Vec<_> = desired
            .subscriptions
            .iter()
            .map(|one| {
                (one.name.as_deref(), one.endpoint.as_str(), one.confirm_with.as_deref(), one.uuid.as_u128())
            })
            .collect();
        assert_eq!(
            kept,
            [(None, "http://a", Some("token 1"), 1), (Some("b"), "http://b", None, 2), (None, "q", None, 3)]
        );
    }
}
