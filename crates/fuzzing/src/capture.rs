//! Captured bodies and their redaction.
//!
//! Read as: a line with the cap and where the body is cut into two pieces (`64 5`), JSON Pointers one a line up to an empty line, the
//! body. What must hold: nothing that a pointer names is kept, whatever the body is; the rest of a redacted document stays; without
//! pointers the beginning of the body is kept to the byte; pieces make no difference.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use event::capture::{BodyCapture, JsonRedaction};
use event::facts::{BodyEncoding, CapturedBody, REDACTED};
use serde_json::value::RawValue;

use crate::input::Input;
use crate::tree::Tree;

/// The shortest text of which it is said that it is nowhere: a shorter one may stand there by chance.
const TELLING: usize = 6;

/// Panics when a promise is broken.
pub fn target(data: &[u8]) {
    let mut input = Input::new(data);
    let numbers = input.line();
    let mut numbers = numbers.split(' ').map(|number| number.parse::<u16>().unwrap_or(0));
    let cap = usize::from(numbers.next().unwrap_or(0));
    let cut = usize::from(numbers.next().unwrap_or(0));
    let mut redaction = JsonRedaction::default();
    let mut pointers = Vec::new();
    while !input.is_empty() {
        let pointer = input.line();
        if pointer.is_empty() {
            break;
        }
        if redaction.add(&pointer).is_ok() {
            pointers.push(pointer);
        }
    }
    let body = input.rest();
    let redaction = Arc::new(redaction);
    let captured = capture(&[body], cap, &redaction);
    let cut = cut.min(body.len());
    assert_eq!(
        captured,
        capture(&[&body[..cut], &body[cut..]], cap, &redaction),
        "pieces make no difference"
    );
    let bytes: Vec<&[u8]> = body.chunks(1).collect();
    assert_eq!(captured, capture(&bytes, cap, &redaction), "and be they bytes");
    assert_eq!(captured.size, body.len() as u64);
    match pointers.is_empty() {
        true => is_kept(&captured, body, cap),
        false => is_redacted(&captured, body, cap, &pointers),
    }
}

fn capture(pieces: &[&[u8]], cap: usize, redaction: &Arc<JsonRedaction>) -> CapturedBody {
    let mut capture = BodyCapture::new(cap, redaction);
    pieces.iter().for_each(|piece| capture.push(piece));
    capture.finish()
}

fn is_kept(captured: &CapturedBody, body: &[u8], cap: usize) {
    let kept = match captured.encoding {
        BodyEncoding::Utf8 => captured.content.clone().into_bytes(),
        BodyEncoding::Base64 => STANDARD.decode(&captured.content).expect("base64"),
    };
    assert!(body.starts_with(&kept));
    assert_eq!(captured.truncated, body.len() > cap);
    // A character that the cap cut through is left out.
    assert!(body.len().min(cap) - kept.len() <= 3);
    assert!(captured.truncated || kept == body);
}

fn is_redacted(captured: &CapturedBody, body: &[u8], cap: usize, pointers: &[String]) {
    assert_eq!(captured.encoding, BodyEncoding::Utf8);
    if captured.content.is_empty() {
        assert_eq!(captured.truncated, !body.is_empty());
        let is_json = serde_json::from_slice::<&RawValue>(body).is_ok();
        // A name with half a surrogate compares with no pointer; and ten bytes may be where one was.
        let may_be_refused = body.contains(&b'\\') || body.len() > cap / 10;
        assert!(!is_json || may_be_refused, "a document that fits is kept");
        return;
    }
    assert!(serde_json::from_slice::<&RawValue>(body).is_ok(), "only a document is kept");
    assert!(!captured.truncated);
    let Some(output) = Tree::parse(&captured.content) else {
        // Too deep for a tree, or with half a surrogate: all the same one document.
        assert!(serde_json::from_str::<&RawValue>(&captured.content).is_ok(), "{}", captured.content);
        return;
    };
    for pointer in pointers {
        for named in output.named(pointer) {
            assert_eq!(*named, Tree::Text(REDACTED.to_owned()), "{pointer} in {}", captured.content);
        }
    }
    let Some(input) = std::str::from_utf8(body).ok().and_then(Tree::parse) else { return };
    let mut open = Vec::new();
    unnamed(&input, pointers, &input, &mut open);
    for secret in pointers.iter().flat_map(|pointer| input.named(pointer)) {
        let mut texts = Vec::new();
        secret.texts(&mut texts);
        for text in texts.into_iter().filter(|text| text.len() >= TELLING && !REDACTED.contains(text)) {
            if !open.iter().any(|open| open.contains(text)) {
                let mut kept = Vec::new();
                output.texts(&mut kept);
                assert!(!kept.iter().any(|kept| kept.contains(text)), "{text} in {}", captured.content);
            }
        }
    }
    let mut kept = Vec::new();
    output.texts(&mut kept);
    assert!(open.iter().all(|text| kept.contains(text)), "what no pointer names stays");
}

/// The texts that no pointer names.
fn unnamed<'t>(value: &'t Tree, pointers: &[String], root: &'t Tree, to: &mut Vec<&'t str>) {
    let is_named = |value: &Tree| {
        pointers.iter().any(|pointer| root.named(pointer).iter().any(|one| std::ptr::eq(*one, value)))
    };
    if is_named(value) {
        return;
    }
    match value {
        Tree::Text(text) => to.push(text),
        Tree::Other => {}
        Tree::List(items) => items.iter().for_each(|item| unnamed(item, pointers, root, to)),
        Tree::Map(members) => {
            for (name, value) in members {
                to.push(name);
                unnamed(value, pointers, root, to);
            }
        }
    }
}
