//! Who owns an entity.

use serde::{Deserialize, Serialize};

/// Who owns an entity: nobody else changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The configuration files, or the text of `POST /config` in their place.
    File,
    /// One of the APIs: Kong's Admin API, SNS, SQS.
    Api,
}

impl Origin {
    /// As the store and the APIs write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Api => "api",
        }
    }
}
