//! The id of an event: a UUIDv7 (RFC 9562), fixed at the intent, the same in every delivery.
//!
//! It is the SNS `MessageId`, the `webhook-id`, the CloudEvents `id` and, written without hyphens, the request id that the
//! client and the upstream see in `X-Kong-Request-Id`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;

/// A UUIDv7. Sorts by its millisecond, but the log is never ordered by it: clocks step back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(Uuid);

impl EventId {
    /// A new id from the time and ten random bytes.
    pub fn v7(now: Timestamp, random: [u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(now.as_millis(), &random).into_uuid())
    }

    /// The 16 bytes that the store keeps.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// From the 16 bytes that the store kept.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// 32 lower-case hexadecimal digits, without hyphens, written into `buffer`.
    pub fn write_simple<'b>(&self, buffer: &'b mut [u8; 32]) -> &'b str {
        self.0.simple().encode_lower(buffer)
    }
}

/// The text is no UUID.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no event id: write it as a UUID, with or without hyphens")]
pub struct ParseIdError(String);

impl FromStr for EventId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text).map(Self).map_err(|_| ParseIdError(text.to_owned()))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carries_version_and_variant_and_reads_back() {
        let id = EventId::v7(Timestamp::from_millis(0x0123_4567_89ab), [0xff; 10]);
        assert_eq!(id.to_string(), "01234567-89ab-7fff-bfff-ffffffffffff");
        assert_eq!(id.write_simple(&mut [0; 32]), "0123456789ab7fffbfffffffffffffff");
        assert_eq!(id.to_string().parse::<EventId>().unwrap(), id);
        assert_eq!(EventId::from_bytes(*id.as_bytes()), id);
        assert_eq!("0123456789ab7fffbfffffffffffffff".parse::<EventId>().unwrap(), id);
        assert_eq!(format!("{id:?}"), id.to_string());
        let error = "profile".parse::<EventId>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`profile` is no event id: write it as a UUID, with or without hyphens"
        );
    }
}
