//! The configuration that was served last, kept in the store: a start without `-c` goes on with it.
//!
//! It is kept as the texts that it was read from. So it passes the same checks at every start, a problem has its place, and what a text takes
//! from the environment is taken anew. It is written in the commit that makes topics, queues and subscriptions those of the same texts.

use config::Text;
use control::{Adopted, OtherId};
use entities::Kind;
use serde::{Deserialize, Serialize};
use storage::registry::Row;
use storage::{StoreError, Tx, Writer};
use uuid::Uuid;

/// Its name among the small values.
const NAME: &str = "configuration";

/// A configuration with where it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// Where it came from.
    pub from: Source,
    /// Its files, in their order.
    pub files: Vec<Text>,
    /// Entities that have other ids than those that the files give them: kind, that id, and the one that it has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ids: Vec<(String, Uuid, Uuid)>,
}

/// Where a configuration came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// From the files that `-c` names.
    Files,
    /// By `POST /config`.
    Api,
}

impl Remembered {
    /// Texts from somewhere.
    pub fn new(from: Source, files: Vec<Text>) -> Self {
        Self { from, files, ids: Vec::new() }
    }

    /// Ids that entities of the files have, and that the files do not say.
    pub fn other_ids(&self) -> Vec<OtherId> {
        let read = |(kind, declared, id): &(String, Uuid, Uuid)| {
            let kind = *Kind::ALL.iter().find(|known| known.key() == kind)?;
            Some(OtherId { kind, declared: *declared, id: *id })
        };
        self.ids.iter().filter_map(read).collect()
    }

    /// The same, with these.
    #[must_use]
    pub fn with_ids(mut self, ids: &[OtherId]) -> Self {
        self.ids = ids.iter().map(|one| (one.kind.key().to_owned(), one.declared, one.id)).collect();
        self
    }

    /// What the store has; `None` in a store in which nothing was declared yet.
    ///
    /// # Errors
    /// If the store fails, or has something else under this name.
    pub fn read(writer: &Writer) -> Result<Option<Self>, StoreError> {
        let Some(bytes) = writer.transact(|tx| tx.get_value(NAME)).wait()? else { return Ok(None) };
        let read = serde_json::from_slice(&bytes);
        read.map(Some).map_err(|error| {
            StoreError::Damaged(format!("the configuration that the store remembers cannot be read: {error}"))
        })
    }

    /// Writes it, as a part of a commit; one that the store has already costs nothing.
    pub fn keep(&self) -> impl FnMut(&mut dyn Tx) -> storage::Result<()> + Send + 'static {
        // A struct of texts is always JSON.
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        move |tx| match tx.get_value(NAME)? {
            Some(kept) if kept == bytes => Ok(()),
            _ => tx.put_value(NAME, &bytes),
        }
    }

    /// The names of its files in one line.
    pub fn names(&self) -> String {
        self.files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// Keeps a configuration, forgets what APIs made and its files have now, and writes rows of what is the APIs' from now on.
pub fn with_rows(
    remembered: &Remembered,
    adopted: Vec<Adopted>,
    rows: Vec<Row>,
) -> impl FnMut(&mut dyn Tx) -> storage::Result<()> + Send + 'static {
    let mut keep = remembered.keep();
    move |tx| {
        keep(tx)?;
        for one in &adopted {
            tx.delete_row(one.kind.key(), one.id)?;
        }
        rows.iter().try_for_each(|row| tx.put_row(row))
    }
}
