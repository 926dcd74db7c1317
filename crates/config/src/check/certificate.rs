//! The authorities of the files, read and checked.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use entities::{CaCertificate, Origin};
use event::Timestamp;
use uuid::Uuid;

use super::declared::{Declarations, Declared};
use super::service::times;
use crate::problem::{Problems, Spot};
use crate::raw;

/// All authorities of the files.
pub(super) struct Authorities {
    all: Vec<Arc<CaCertificate>>,
    /// The ids of all authorities, including those with a problem.
    ids: HashMap<Uuid, Spot>,
    /// Whether all files could be read, so that an authority which is not here does not exist.
    complete: bool,
}

/// Checks every authority.
pub(super) fn check_all(
    declared: &Declarations,
    complete: bool,
    now: Timestamp,
    problems: &mut Problems<'_>,
) -> Authorities {
    let mut authorities = Authorities { all: Vec::new(), ids: HashMap::new(), complete };
    let mut certificates = HashMap::new();
    for Declared { spot, raw, .. } in &declared.ca_certificates {
        let Some((raw, id)) = raw.as_ref().and_then(|raw| Some((raw, Uuid::try_parse(&raw.id.0).ok()?)))
        else {
            // It may be the authority that a service refers to.
            authorities.complete = false;
            continue;
        };
        let what = format!("primary key set to '{id}'");
        claim(&mut authorities.ids, id, &spot.key("id"), &what, problems);
        let authority = entity(raw, id, now);
        for error in authority.check() {
            problems.add_field(spot, error);
        }
        if let Ok(der) = authority.der() {
            check_digest(spot, raw, &der, problems);
            claim(&mut certificates, der, &spot.key("cert"), "this certificate", problems);
        }
        authorities.all.push(Arc::new(authority));
    }
    authorities
}

impl Authorities {
    /// The id by which a service refers to an authority. Adds a problem if there is no such authority.
    pub(super) fn resolve(&self, spot: &Spot, id: &str, problems: &mut Problems<'_>) -> Option<Uuid> {
        let id = Uuid::try_parse(id).ok()?;
        if !self.ids.contains_key(&id) && self.complete {
            let message =
                format!("invalid reference 'ca_certificates: {id}' (no such entry in 'ca_certificates')");
            let hint = "add the authority's certificate under the file's `ca_certificates`, with this id";
            problems.add(spot, message, hint);
        }
        Some(id)
    }

    pub(super) fn into_all(self) -> Vec<Arc<CaCertificate>> {
        self.all
    }
}

fn entity(raw: &raw::CaCertificate, id: Uuid, now: Timestamp) -> CaCertificate {
    let (created_at, updated_at) = times(raw.created_at, raw.updated_at, now);
    let (cert, tags) = (raw.cert.clone(), raw.tags.clone().unwrap_or_default());
    CaCertificate { id, origin: Origin::File, cert, tags, created_at, updated_at }
}

fn check_digest(spot: &Spot, raw: &raw::CaCertificate, der: &[u8], problems: &mut Problems<'_>) {
    if let Some(said) = &raw.cert_digest
        && !said.eq_ignore_ascii_case(&CaCertificate::digest(der))
    {
        let hint = "remove the key: it is computed from the certificate";
        problems.add(&spot.key("cert_digest"), "does not belong to the certificate", hint);
    }
}

fn claim<K: std::hash::Hash + Eq>(
    taken: &mut HashMap<K, Spot>,
    key: K,
    spot: &Spot,
    what: &str,
    problems: &mut Problems<'_>,
) {
    match taken.entry(key) {
        Entry::Vacant(free) => {
            free.insert(spot.clone());
        }
        Entry::Occupied(first) => {
            let message =
                format!("uniqueness violation: 'ca_certificates' entity with {what} already declared");
            let first = problems.whereabouts(first.get());
            problems.add(spot, message, format!("the first one is at {first}: remove one"));
        }
    }
}
