//! How often a request has passed through this process. If a service's URL leads back here, a request would go round in circles.
//!
//! Every node counts its own passes in one header, `x-retrohook-hops: <node id>;<passes>`, entries of several nodes with commas between them.
//! Several gateways in a row are allowed, so the product's name in `Via` does not show a circle.

use std::fmt::Write;

use http::header::{HeaderName, HeaderValue};

/// The header.
pub(crate) const HOPS: HeaderName = HeaderName::from_static("x-retrohook-hops");

/// The most passes of one request through one node.
const MAX_PASSES: u8 = 8;
/// A request that passed through more nodes than this is taken to go in circles.
const MAX_NODES: usize = 32;
/// An entry: id, semicolon, up to three digits, comma and space.
const MAX_ENTRY: usize = ID + 6;
/// The digits of an id.
const ID: usize = 16;

/// The id of this process among all nodes that a request may pass through. It is random, so that nobody has to choose one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeId(String);

impl NodeId {
    /// A new one.
    pub fn random() -> Self {
        Self(format!("{:016x}", fastrand::u64(..)))
    }
}

/// The request has passed too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Looping;

/// The header's value for the upstream, made from the one that came in. Entries that Retrohook did not write are dropped.
pub(crate) fn next(node: &NodeId, came: Option<&HeaderValue>) -> Result<HeaderValue, Looping> {
    let came = came.and_then(|value| value.to_str().ok()).unwrap_or_default();
    if came.len() > MAX_NODES * MAX_ENTRY {
        return Err(Looping);
    }
    let mut passes = 0;
    let mut value = String::with_capacity(came.len() + MAX_ENTRY);
    let mut nodes = 0;
    for (id, count) in came.split(',').filter_map(entry) {
        if id == node.0 {
            passes = passes.max(count);
            continue;
        }
        nodes += 1;
        let _ = write!(value, "{id};{count}, ");
    }
    if passes >= MAX_PASSES || nodes >= MAX_NODES {
        return Err(Looping);
    }
    let _ = write!(value, "{};{}", node.0, passes + 1);
    HeaderValue::try_from(value).map_err(|_| Looping)
}

fn entry(text: &str) -> Option<(&str, u8)> {
    let (id, count) = text.trim().split_once(';')?;
    let is_id = id.len() == ID && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    Some((id, count.parse().ok()?)).filter(|_| is_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(digit: char) -> NodeId {
        NodeId(digit.to_string().repeat(ID))
    }

    fn after(node: &NodeId, came: &str) -> Result<String, Looping> {
        let came = HeaderValue::from_str(came).unwrap();
        next(node, Some(&came)).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_ninth_pass_through_one_node_is_a_loop() {
        let node = node('a');
        let mut value = next(&node, None);
        for _ in 1..MAX_PASSES {
            value = next(&node, Some(&value.unwrap()));
        }
        let value = value.unwrap();
        assert_eq!(value, "aaaaaaaaaaaaaaaa;8");
        assert_eq!(next(&node, Some(&value)), Err(Looping));
    }

    #[test]
    fn other_nodes_count_for_themselves() {
        let came = "bbbbbbbbbbbbbbbb;8, cccccccccccccccc;255";
        assert_eq!(after(&node('a'), came).unwrap(), format!("{came}, aaaaaaaaaaaaaaaa;1"));
    }

    #[test]
    fn what_no_node_wrote_is_dropped_and_what_is_too_long_is_a_loop() {
        for came in ["", "x", ";", "b;1", "bbbbbbbbbbbbbbbb;256", "bbbbbbbbbbbbbbbb", "zzzzzzzzzzzzzzzz;1"] {
            assert_eq!(after(&node('a'), came).unwrap(), "aaaaaaaaaaaaaaaa;1", "{came}");
        }
        assert_eq!(after(&node('a'), &"bbbbbbbbbbbbbbbb;1,".repeat(MAX_NODES)), Err(Looping));
        assert!(after(&node('a'), &"bbbbbbbbbbbbbbbb;1,".repeat(MAX_NODES - 1)).is_ok());
        assert_eq!(after(&node('a'), &",".repeat(MAX_NODES * MAX_ENTRY + 1)), Err(Looping));
    }

    #[test]
    fn two_nodes_have_two_ids() {
        assert_ne!(NodeId::random(), NodeId::random());
    }
}
