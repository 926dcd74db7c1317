//! A configuration that was read: its entities, and what only files say about them.

use std::collections::HashMap;

use entities::{Served, Set};
use uuid::Uuid;

use crate::problem::Problem;

/// All files together.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// What the files declare.
    pub set: Set,
    /// The part that requests use.
    pub served: Served,
    /// The places of subscriptions.
    pub places: Places,
    /// What is allowed but probably not meant.
    pub warnings: Vec<Problem>,
}

/// The place of a subscription's endpoint, `file:line:column`, by the subscription's id.
pub type Places = HashMap<Uuid, String>;
