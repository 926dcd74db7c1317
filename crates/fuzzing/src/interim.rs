//! Bytes of an answer: the first byte is the size of the pieces in which the rest comes.
//!
//! Whatever the pieces, the same interim answers are found; each is a complete head with a status from 102 to 199 and nothing behind it, and none
//! of them has a header that concerns the service's connection alone.

use gateway::interim::Scan;
use pipeline::headers::is_hop_by_hop;

/// Panics when a promise is broken.
pub fn target(data: &[u8]) {
    let Some((&size, bytes)) = data.split_first() else { return };
    let whole = found(bytes, bytes.len());
    assert_eq!(found(bytes, usize::from(size)), whole, "in pieces of {size}");
    for head in &whole {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Response::new(&mut headers);
        let status = parsed.parse(head).expect("a head");
        assert_eq!(status, httparse::Status::Complete(head.len()));
        assert!(parsed.code.is_some_and(|code| (102..200).contains(&code)), "{:?}", parsed.code);
        for header in &*parsed.headers {
            assert!(!is_hop_by_hop(&header.name.parse().expect("a name")), "{}", header.name);
        }
    }
}

fn found(bytes: &[u8], size: usize) -> Vec<Vec<u8>> {
    let (mut scan, mut found) = (Scan::default(), Vec::new());
    for piece in bytes.chunks(size.max(1)) {
        scan.came(piece, |head| found.push(head.to_vec()));
    }
    found
}
