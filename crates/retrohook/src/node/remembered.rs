//! The configuration that was served last, kept in the store: a start without `-c` goes on with it.
//!
//! It is stored as the texts that it was read from. So it passes the same checks at every start, a problem has its place, and variables are read
//! from the environment again. One commit makes it the current one: the commit that also makes its topics, queues and subscriptions, or, where
//! these are changed in slices, the one before the first slice.
//!
//! A configuration of up to 64 KiB is one small value, `configuration`. A larger one would make that commit long, and requests would wait for
//! it. So it is [staged](Remembered::stage) first: it is written in [slices], few in each commit, to one of two areas
//! (`configuration-0-3` is the fourth slice of the first area; `configuration-0` says how many slices there will be). `configuration-staged`
//! says which area has the current one; only this is written by the last commit. The other area is deleted afterwards, or by the next start.
//!
//! If no more than 64 KiB of its slices differ from those of the current one, nothing is staged: the last commit writes these slices over the
//! current ones, in their area. That takes one commit instead of dozens, with requests between them that wait for each.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use config::Text;
use control::OtherId;
use entities::{Kind, Queue, Set, Topic};
use event::Timestamp;
use serde::{Deserialize, Serialize};
use storage::registry::Row;
use storage::{StoreError, Tx, Writer, failpoint};
use uuid::Uuid;

mod slices;

use slices::Hash;

/// The small value with a configuration of one slice.
const WHOLE: &str = "configuration";
/// The small value that says where a larger one is.
const STAGED: &str = "configuration-staged";
/// How much of a configuration one commit writes, in bytes.
const SLICE: usize = slices::MOST;
/// Slices that are deleted in one commit.
const DELETED_AT_ONCE: u32 = 4;
/// The areas for a large one: the current one is in one of them, and the next one is written to the other.
const AREAS: [u8; 2] = [0, 1];

/// A configuration with where it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// Where it came from.
    pub from: Source,
    /// Its files, in their order.
    pub files: Vec<Text>,
    /// Entities whose id differs from the one in the files: kind, the id in the files, and the real one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ids: Vec<(String, Uuid, Uuid)>,
    /// The queues of the files, with their times, and attributes and tags, which are not in the files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    queues: Vec<Arc<Queue>>,
    /// Those topics of the files that have attributes or tags, which are not in the files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    topics: Vec<Arc<Topic>>,
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
        Self { from, files, ids: Vec::new(), queues: Vec::new(), topics: Vec::new() }
    }

    /// The entities of the files whose id differs from the one in the files.
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

    /// The queues that its files had.
    pub fn queues(&self) -> &[Arc<Queue>] {
        &self.queues
    }

    /// Those of its files' topics of which more is known than the files say.
    pub fn topics(&self) -> &[Arc<Topic>] {
        &self.topics
    }

    /// The same, with the queues of these files, and what is known of their topics.
    #[must_use]
    pub fn with_unsaid(mut self, files: &Set) -> Self {
        self.queues.clone_from(&files.queues);
        let has_more = |topic: &&Arc<Topic>| !topic.attributes.is_empty() || !topic.tags.is_empty();
        self.topics = files.topics.iter().filter(has_more).cloned().collect();
        self
    }

    /// The configuration in the store; `None` if nothing was declared in it yet.
    ///
    /// # Errors
    /// If the store fails, or has something else under this name.
    pub fn read(writer: &Writer) -> Result<Option<Self>, StoreError> {
        let read = |tx: &mut dyn Tx| match Large::kept(tx)? {
            Some(large) => large.read(tx).map(Some),
            None => tx.get_value(WHOLE),
        };
        let Some(bytes) = writer.transact(read).wait()? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(unreadable)
    }

    /// Writes as much of it as possible before the commit that makes it the current one. Blocks for each commit. `written` is what the last call
    /// wrote, if it was made by this process.
    ///
    /// # Errors
    /// If the store fails: then the current one stays.
    pub fn stage(&self, writer: &Writer, written: &mut Written) -> Result<Staged, StoreError> {
        // A struct of texts can always be written as JSON.
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        if bytes.len() <= SLICE {
            return Ok(Staged(Last::Whole(bytes)));
        }
        let kept = writer.transact(Large::kept).wait()?;
        let slices = slices::cut(&bytes);
        let area = kept.as_ref().map_or(AREAS[0], Large::other_area);
        let large = Large::of(&bytes, slices.len(), area);
        if kept.as_ref().is_some_and(|kept| kept.has_same_text(&large)) {
            return Ok(Staged(Last::Nothing));
        }
        let hashes = slices::hashes(&slices);
        // Until it is written, what is written may be anything.
        let before = written.last.take().filter(|(large, _)| Some(large) == kept.as_ref());
        let last = match before.and_then(|before| Patch::new(before, &large, &slices, &hashes)) {
            Some(patch) => {
                written.last = Some((patch.large.clone(), hashes));
                Last::Patch(patch)
            }
            None => {
                large.stage(writer, &slices)?;
                written.last = Some((large.clone(), hashes));
                Last::Large(large)
            }
        };
        Ok(Staged(last))
    }

    /// The names of its files in one line.
    pub fn names(&self) -> String {
        self.files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// A configuration for which only the last commit is missing. If it is dropped before that, nothing has changed.
#[derive(Clone)]
pub struct Staged(Last);

#[derive(Clone)]
enum Last {
    /// It is the current one already.
    Nothing,
    Whole(Vec<u8>),
    Large(Large),
    Patch(Patch),
}

/// What the store has of the texts of configurations, as far as this process wrote it.
#[derive(Default)]
pub struct Written {
    /// The large one that was written last, with the hashes of its slices.
    last: Option<(Large, Vec<Hash>)>,
    /// Whether there may be something that [`drop_unfinished`] deletes.
    pub has_replaced: bool,
}

impl Staged {
    /// Makes it the current one, as a part of a commit. Costs nothing if it is the current one already.
    pub fn keep(&self, tx: &mut dyn Tx) -> storage::Result<()> {
        match &self.0 {
            Last::Nothing => Ok(()),
            Last::Whole(bytes) => {
                tx.delete_value(STAGED)?;
                match tx.get_value(WHOLE)? {
                    Some(kept) if kept == *bytes => Ok(()),
                    _ => tx.put_value(WHOLE, bytes),
                }
            }
            Last::Large(large) => {
                tx.delete_value(WHOLE)?;
                large.put(tx)
            }
            Last::Patch(patch) => patch.write(tx),
        }
    }
}

/// Deletes what was staged and is not the current one: the previous one, or one that was never finished.
///
/// # Errors
/// If the store fails: the next call deletes what is left.
pub fn drop_unfinished(writer: &Writer) -> Result<(), StoreError> {
    let kept = writer.transact(Large::kept).wait()?;
    for area in AREAS {
        if kept.as_ref().is_none_or(|kept| kept.area != area) {
            empty(writer, area)?;
        }
    }
    Ok(())
}

/// Where a large configuration is, with its size and hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Large {
    /// The area that has it, 0 or 1.
    #[serde(rename = "place")]
    area: u8,
    slices: u32,
    bytes: usize,
    /// In hexadecimal digits.
    sha256: String,
}

/// The slices of a configuration that differ from those of the current one.
#[derive(Clone)]
struct Patch {
    large: Large,
    changed: Vec<(u32, Vec<u8>)>,
    /// How many slices the current one has.
    slices_before: u32,
}

impl Patch {
    /// `None` if too much differs for one commit.
    fn new(
        (before, hashes_before): (Large, Vec<Hash>),
        large: &Large,
        slices: &[&[u8]],
        hashes: &[Hash],
    ) -> Option<Self> {
        let (mut changed, mut free) = (Vec::new(), SLICE);
        let mut hashes_before = hashes_before.iter();
        for (index, (slice, hash)) in (0..large.slices).zip(slices.iter().zip(hashes)) {
            if hashes_before.next() != Some(hash) {
                free = free.checked_sub(slice.len())?;
                changed.push((index, slice.to_vec()));
            }
        }
        let large = Large { area: before.area, ..large.clone() };
        let is_little = before.slices.saturating_sub(large.slices) <= DELETED_AT_ONCE;
        is_little.then_some(Self { large, changed, slices_before: before.slices })
    }

    fn write(&self, tx: &mut dyn Tx) -> storage::Result<()> {
        let Large { area, slices, .. } = self.large;
        self.changed.iter().try_for_each(|(index, slice)| tx.put_value(&of_slice(area, *index), slice))?;
        (slices..self.slices_before).try_for_each(|gone| tx.delete_value(&of_slice(area, gone)).map(drop))?;
        tx.put_value(&of_area(area), slices.to_string().as_bytes())?;
        self.large.put(tx)
    }
}

impl Large {
    fn of(text: &[u8], slices: usize, area: u8) -> Self {
        let slices = u32::try_from(slices).unwrap_or(u32::MAX);
        Self { area, slices, bytes: text.len(), sha256: sha256(text) }
    }

    /// Makes it the current one.
    fn put(&self, tx: &mut dyn Tx) -> storage::Result<()> {
        let current = serde_json::to_vec(self).map_err(unreadable)?;
        tx.put_value(STAGED, &current)
    }

    fn kept(tx: &mut dyn Tx) -> storage::Result<Option<Self>> {
        let Some(current) = tx.get_value(STAGED)? else { return Ok(None) };
        serde_json::from_slice(&current).map(Some).map_err(unreadable)
    }

    fn other_area(&self) -> u8 {
        if self.area == AREAS[0] { AREAS[1] } else { AREAS[0] }
    }

    fn has_same_text(&self, other: &Self) -> bool {
        (self.bytes, &self.sha256) == (other.bytes, &other.sha256)
    }

    fn stage(&self, writer: &Writer, slices: &[&[u8]]) -> Result<(), StoreError> {
        empty(writer, self.area)?;
        let (area, count) = (self.area, self.slices);
        let mut next = 0;
        while next < slices.len() {
            let mut free = SLICE;
            let fit = slices[next..].iter().take_while(|slice| {
                let rest = free.checked_sub(slice.len());
                free = rest.unwrap_or_default();
                rest.is_some()
            });
            let some: Vec<Vec<u8>> = fit.map(|slice| slice.to_vec()).collect();
            let first = u32::try_from(next).unwrap_or(u32::MAX);
            next += some.len();
            let write = move |tx: &mut dyn Tx| {
                if first == 0 {
                    tx.put_value(&of_area(area), count.to_string().as_bytes())?;
                }
                (first..)
                    .zip(&some)
                    .try_for_each(|(slice, bytes)| tx.put_value(&of_slice(area, slice), bytes))
            };
            writer.transact(write).wait()?;
            failpoint::hit(failpoint::STAGED);
        }
        Ok(())
    }

    fn read(&self, tx: &mut dyn Tx) -> storage::Result<Vec<u8>> {
        let mut text = Vec::with_capacity(self.bytes);
        for slice in 0..self.slices {
            text.extend(tx.get_value(&of_slice(self.area, slice))?.unwrap_or_default());
        }
        if !self.has_same_text(&Self::of(&text, 0, self.area)) {
            return Err(unreadable("a part of it is missing or was changed"));
        }
        Ok(text)
    }
}

/// Deletes an area, a few slices in each commit.
fn empty(writer: &Writer, area: u8) -> Result<(), StoreError> {
    let Some(slices) = writer.transact(move |tx| tx.get_value(&of_area(area))).wait()? else {
        return Ok(());
    };
    let slices: u32 = String::from_utf8_lossy(&slices).parse().map_err(unreadable)?;
    for first in (0..slices).step_by(DELETED_AT_ONCE as usize) {
        let some = first..slices.min(first + DELETED_AT_ONCE);
        let delete = move |tx: &mut dyn Tx| {
            some.clone().try_for_each(|slice| tx.delete_value(&of_slice(area, slice)).map(drop))
        };
        writer.transact(delete).wait()?;
    }
    writer.transact(move |tx| tx.delete_value(&of_area(area)).map(drop)).wait()
}

fn of_area(area: u8) -> String {
    format!("{WHOLE}-{area}")
}

fn of_slice(area: u8, slice: u32) -> String {
    format!("{WHOLE}-{area}-{slice}")
}

fn sha256(text: &[u8]) -> String {
    hex::encode(digest(&SHA256, text))
}

fn unreadable(why: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged(format!("the configuration that the store remembers cannot be read: {why}"))
}

/// Makes a configuration the current one, deletes the rows of `gone` entities, which APIs made and the files have adopted, and writes the rows
/// of entities that belong to the APIs from now on.
pub fn with_rows(
    staged: Staged,
    gone: Vec<(Kind, Uuid)>,
    rows: Vec<Row>,
) -> impl FnMut(&mut dyn Tx) -> storage::Result<()> + Send + 'static {
    move |tx| {
        staged.keep(tx)?;
        for (kind, id) in &gone {
            tx.delete_row(kind.key(), *id)?;
        }
        rows.iter().try_for_each(|row| tx.put_row(row))
    }
}

/// What is known of topics and queues that no file can say: attributes and tags that an API gave them before a file adopted them, and their times.
#[derive(Default)]
pub struct Unsaid<'k> {
    topics: HashMap<&'k str, &'k Topic>,
    queues: HashMap<&'k str, &'k Queue>,
}

impl<'k> Unsaid<'k> {
    /// Of all topics and queues so far, of files and of APIs.
    pub fn of(
        topics: impl IntoIterator<Item = &'k Arc<Topic>>,
        queues: impl IntoIterator<Item = &'k Arc<Queue>>,
    ) -> Self {
        Self {
            topics: topics.into_iter().map(|one| (one.name.as_str(), &**one)).collect(),
            queues: queues.into_iter().map(|one| (one.name.as_str(), &**one)).collect(),
        }
    }

    /// Gives it to the topics and queues of files with the same names. What a file can say is as the file says it, also where it says nothing.
    /// `now` is the time for new ones.
    pub fn keep(&self, files: &mut Set, now: Timestamp) {
        for topic in &mut files.topics {
            let Some(before) = self.topics.get(topic.name.as_str()) else { continue };
            let Topic { attributes, tags, created_at, updated_at, .. } = Topic::clone(before);
            *topic = Arc::new(Topic { attributes, tags, created_at, updated_at, ..Topic::clone(topic) });
        }
        for queue in &mut files.queues {
            let before = self.queues.get(queue.name.as_str());
            let created_at = before.map_or(now, |before| before.created_at);
            let updated_at =
                before.filter(|before| before.is_as(queue)).map_or(now, |before| before.updated_at);
            let (attributes, tags) =
                before.map(|before| (before.attributes.clone(), before.tags.clone())).unwrap_or_default();
            *queue = Arc::new(Queue { attributes, tags, created_at, updated_at, ..Queue::clone(queue) });
        }
    }
}

#[cfg(test)]
mod tests;
