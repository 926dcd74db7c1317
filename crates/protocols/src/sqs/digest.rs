//! The MD5 digests by which SQS clients verify messages: they refuse a message whose digest is wrong or missing.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use event::attributes::AttributeValue;
use md5::{Digest, Md5};

/// `MD5OfBody`.
pub fn of_body(body: &str) -> String {
    hex::encode(Md5::digest(body.as_bytes()))
}

/// `MD5OfMessageAttributes` over attributes in byte order of their names. `None` if there are none.
pub fn of_attributes<'a>(
    attributes: impl IntoIterator<Item = (&'a str, &'a AttributeValue)>,
) -> Option<String> {
    let mut digest = None;
    for (name, AttributeValue { data_type, value }) in attributes {
        let digest = digest.get_or_insert_with(Md5::new);
        let binary = is_binary(data_type);
        add(digest, name.as_bytes());
        add(digest, data_type.as_bytes());
        digest.update([if binary { 2 } else { 1 }]);
        // A value that is not base64 is digested as it is: the client's digest differs then, and the client reports that.
        match binary.then(|| STANDARD.decode(value)) {
            Some(Ok(bytes)) => add(digest, &bytes),
            _ => add(digest, value.as_bytes()),
        }
    }
    digest.map(|digest| hex::encode(digest.finalize()))
}

/// Whether a type, label or not, is `Binary`.
pub(super) fn is_binary(data_type: &str) -> bool {
    data_type.split('.').next() == Some("Binary")
}

fn add(digest: &mut Md5, bytes: &[u8]) {
    // Names, types and values are far below 4 GiB.
    digest.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    digest.update(bytes);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use event::attributes::MessageAttributes;

    use super::*;

    fn check(attributes: &[(&str, &str, &str)], expected: Option<&str>) {
        let attributes: MessageAttributes = attributes
            .iter()
            .map(|(name, data_type, value)| {
                let value = AttributeValue { data_type: (*data_type).into(), value: (*value).into() };
                ((*name).to_owned(), value)
            })
            .collect::<BTreeMap<_, _>>();
        let in_order = attributes.iter().map(|(name, value)| (name.as_str(), value));
        assert_eq!(of_attributes(in_order).as_deref(), expected);
    }

    #[test]
    fn digests_are_those_of_another_implementation() {
        assert_eq!(of_body("hello"), "5d41402abc4b2a76b9719d911017c592");
        check(&[], None);
        check(&[("timestamp", "Number", "1493147359900")], Some("235c5c510d26fb653d073faed50ae77c"));
        // Computed with Python's hashlib: names in byte order, labels kept, binary values decoded.
        let all = [("b.x", "Binary.png", "AP9kYXRh"), ("B", "String", "ä"), ("n", "Number.int", "42")];
        check(&all, Some("81a2d3b79a6d811670d8f3826b635639"));
    }
}
