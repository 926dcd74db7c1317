//! Who owns an entity.

use serde::{Deserialize, Serialize};

/// Who owns an entity. Nobody else can change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The configuration files, or the text of `POST /config` that replaces them.
    File,
    /// One of the APIs: Kong's Admin API, SNS, SQS.
    Api,
}

impl Origin {
    /// Its name in the store and the APIs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Api => "api",
        }
    }
}
