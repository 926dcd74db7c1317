//! Entities of APIs as rows of the store's registry.

use std::sync::Arc;

use entities::{Entity, Item, Kind, OnKind, Origin, Set};
use storage::registry::Row;
use uuid::Uuid;

/// Why a row cannot be read as an entity: a newer version wrote it, or it is damaged.
#[derive(Debug, thiserror::Error)]
#[error("the store has a {kind} `{id}` that cannot be read")]
pub struct RowError {
    /// Its kind, as the row has it.
    pub kind: String,
    /// Its id.
    pub id: Uuid,
    /// The reason; `None` if the kind is unknown.
    #[source]
    pub source: Option<serde_json::Error>,
}

/// The row of an entity.
pub fn row(entity: &Entity) -> Row {
    struct Body<'e>(&'e Entity);
    impl OnKind for Body<'_> {
        type Out = String;

        fn on<T: Item>(&mut self) -> String {
            // A struct of texts, numbers and JSON can always be written as JSON.
            T::of(self.0).and_then(|one| serde_json::to_string(&**one).ok()).unwrap_or_default()
        }
    }
    let kind = entity.kind();
    let body = kind.with(&mut Body(entity));
    Row { kind: kind.key().to_owned(), id: entity.id(), origin: Origin::Api, body }
}

/// The entities in rows, in the order in which they were made.
///
/// # Errors
/// The first row that cannot be read.
pub fn read(rows: &[Row]) -> Result<Set, RowError> {
    struct Read<'r>(&'r [Row], Set);
    impl OnKind for Read<'_> {
        type Out = Result<(), RowError>;

        fn on<T: Item>(&mut self) -> Self::Out {
            *T::list_mut(&mut self.1) = of::<T>(self.0)?;
            Ok(())
        }
    }
    let mut set = Read(rows, Set::default());
    Kind::ALL.iter().try_for_each(|kind| kind.with(&mut set))?;
    match rows.iter().find(|row| Kind::ALL.iter().all(|kind| kind.key() != row.kind)) {
        Some(Row { kind, id, .. }) => Err(RowError { kind: kind.clone(), id: *id, source: None }),
        None => Ok(set.1),
    }
}

fn of<T: Item>(rows: &[Row]) -> Result<Vec<Arc<T>>, RowError> {
    let rows = rows.iter().filter(|row| row.kind == T::KIND.key() && row.origin == Origin::Api);
    let read = |Row { kind, id, body, .. }: &Row| {
        let error = |source| RowError { kind: kind.clone(), id: *id, source: Some(source) };
        serde_json::from_str(body).map(Arc::new).map_err(error)
    };
    let mut list: Vec<Arc<T>> = rows.map(read).collect::<Result<_, _>>()?;
    list.sort_by_key(|one| (one.created_at(), one.id()));
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{config, trusting};

    #[test]
    fn entities_read_back_as_they_were_written() {
        let text = "_format_version: '3.0'\nservices: [{ name: s, host: x, tags: [a], routes: [{ paths: [/] }] }]\n\
            topics:\n- name: t\n  subscriptions:\n  - { protocol: sqs, endpoint: q }\n  - { protocol: http, endpoint: 'http://a', \
            format: standard-webhooks, secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw }\nqueues: [{ name: q, visibility_timeout: 7 }]\n";
        let set = config(&[text]).set;
        let rows: Vec<Row> = set
            .services
            .iter()
            .cloned()
            .map(Entity::Service)
            .chain(set.routes.iter().cloned().map(Entity::Route))
            .chain(set.topics.iter().cloned().map(Entity::Topic))
            .chain(set.queues.iter().cloned().map(Entity::Queue))
            .chain(set.subscriptions.iter().rev().cloned().map(Entity::Subscription))
            .map(|entity| row(&entity))
            .collect();
        let mut read = read(&rows).expect("entities");
        // Of the same age, they are in the order of their ids.
        read.subscriptions.sort_by_key(|one| set.subscriptions.iter().position(|other| other.id == one.id));
        assert_eq!(read, set);
    }

    #[test]
    fn authorities_and_what_services_say_of_them_read_back() {
        let set = config(&[&trusting()]).set;
        let authority = Entity::CaCertificate(set.ca_certificates[0].clone());
        let rows = [row(&authority), row(&Entity::Service(set.services[0].clone()))];
        assert_eq!(read(&rows).expect("entities"), set);
    }

    #[test]
    fn consumers_and_what_belongs_to_them_read_back() {
        let text = "_format_version: '3.0'\nconsumers: [{ username: ann, keyauth_credentials: [{ key: k1 }], acls: [{ group: g }] }]\n";
        let set = config(&[text]).set;
        let rows = [
            row(&Entity::Acl(set.acls[0].clone())),
            row(&Entity::KeyAuthCredential(set.keyauth_credentials[0].clone())),
            row(&Entity::Consumer(set.consumers[0].clone())),
        ];
        assert_eq!(read(&rows).expect("entities"), set);
    }

    #[test]
    fn upstreams_with_their_targets_and_groups_read_back() {
        let text = "_format_version: '3.0'\nconsumer_groups: [{ name: gold, tags: [a] }]\nupstreams:\n- name: u\n  \
            algorithm: least-connections\n  host_header: h\n  healthchecks: { active: { timeout: 2 } }\n  \
            targets: [{ target: 'A:80', weight: 7, created_at: 1.5 }]\n";
        let set = config(&[text]).set;
        let rows = [
            row(&Entity::Target(set.targets[0].clone())),
            row(&Entity::Upstream(set.upstreams[0].clone())),
            row(&Entity::ConsumerGroup(set.consumer_groups[0].clone())),
        ];
        assert_eq!(read(&rows).expect("entities"), set);
    }

    #[test]
    fn a_plugin_of_before_there_were_consumers_reads_back() {
        let body = r#"{"id":"00000000-0000-0000-0000-000000000001","origin":"api","name":"tap","instance_name":null,"service":null,"route":null,"config":{},"enabled":true,"tags":[],"created_at":1,"updated_at":1}"#;
        let row =
            Row { kind: "plugin".into(), id: Uuid::from_u128(1), origin: Origin::Api, body: body.into() };
        let set = read(&[row]).expect("entities");
        assert_eq!(set.plugins[0].consumer, None);
    }

    #[test]
    fn a_row_that_is_no_entity_is_said() {
        let row = |kind: &str, body: &str| Row {
            kind: kind.to_owned(),
            id: Uuid::nil(),
            origin: Origin::Api,
            body: body.to_owned(),
        };
        for bad in [row("topic", "{}"), row("vault", "{}")] {
            let error = read(std::slice::from_ref(&bad)).expect_err("no entity");
            assert!(error.to_string().contains(&bad.kind), "{error}");
        }
    }
}
