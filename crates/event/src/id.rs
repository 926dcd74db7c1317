//! The id of an event: a UUIDv7 (RFC 9562), fixed at the intent, the same in every delivery.
//!
//! It is the SNS `MessageId`, the `webhook-id` and the CloudEvents `id`. That of a request's first event is also, written without hyphens, the
//! request id that the client and the upstream see in `X-Kong-Request-Id`.

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

    /// The id of a further event of a request: that of the first one is the request's own. The same four values always give the same id.
    ///
    /// It keeps the 48 bits of time of the request's id, and takes its 74 random bits from the UUIDv5 (RFC 9562: SHA-1) whose name space is
    /// the request's id, and whose name is the 16 bytes of the plug-in instance's id, then `entry` and `element` as 4 bytes each, the highest
    /// first. So anybody can compute it, and ids of different plug-ins, entries and elements differ as random ones do.
    pub fn further(request: Self, instance: Uuid, entry: u32, element: u32) -> Self {
        let mut name = [0; 24];
        name[..16].copy_from_slice(instance.as_bytes());
        name[16..20].copy_from_slice(&entry.to_be_bytes());
        name[20..].copy_from_slice(&element.to_be_bytes());
        let mut bytes = Uuid::new_v5(&request.0, &name).into_bytes();
        bytes[..6].copy_from_slice(&request.as_bytes()[..6]);
        let version_7 = uuid::Builder::from_bytes(bytes).with_version(uuid::Version::SortRand);
        Self(version_7.into_uuid())
    }

    /// The 16 bytes that the store keeps.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// From the 16 bytes that the store kept.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// 32 lower-case hexadecimal digits with hyphens between them, as receivers see it, written into `buffer`.
    pub fn write<'b>(&self, buffer: &'b mut [u8; 36]) -> &'b str {
        self.0.hyphenated().encode_lower(buffer)
    }

    /// 32 lower-case hexadecimal digits, without hyphens, written into `buffer`.
    pub fn write_simple<'b>(&self, buffer: &'b mut [u8; 32]) -> &'b str {
        self.0.simple().encode_lower(buffer)
    }
}

/// The text is no UUID.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an event id: write it as a UUID, with or without hyphens")]
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
    fn further_ids_are_a_hash_of_what_they_are_of_at_the_requests_time() {
        let request: EventId = "01234567-89ab-7fff-bfff-ffffffffffff".parse().unwrap();
        let other_request: EventId = "01234567-89ab-7fff-bfff-fffffffffffe".parse().unwrap();
        let instance = Uuid::parse_str("ac6337b5-a72a-5c03-bcf7-97719f943af8").unwrap();
        let other_instance = Uuid::parse_str("731efa0b-d28e-5d6c-b831-e9570735de50").unwrap();
        // Computed apart from this code, with Python's hashlib.
        for (request, instance, entry, element, expected) in [
            (request, instance, 0, 0, "01234567-89ab-7bab-9e0a-7efec3a7e8e4"),
            (request, instance, 0, 1, "01234567-89ab-7ed4-98e5-d289260a9a35"),
            (request, instance, 1, 0, "01234567-89ab-7a3f-b36a-cdc1738546e8"),
            (request, instance, u32::MAX, 7, "01234567-89ab-730e-b398-ecee0af8e83e"),
            (request, other_instance, 0, 0, "01234567-89ab-7c96-ac69-85b4ed98b8c1"),
            (other_request, instance, 0, 0, "01234567-89ab-7923-9fdb-6dd49285c80e"),
        ] {
            assert_eq!(EventId::further(request, instance, entry, element).to_string(), expected);
        }
    }

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
            "`profile` is not an event id: write it as a UUID, with or without hyphens"
        );
    }
}
