//! Redaction piece by piece, held against redaction of the whole document at once.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value;

use super::super::stream::Redactor;
use super::{oracle, redaction};

/// More than any document here becomes.
const ROOM: usize = 1 << 20;

fn streamed(body: &[u8], pieces: usize, pointers: &[&str]) -> Option<String> {
    let mut redactor = Redactor::new(Arc::new(redaction(pointers)), ROOM);
    body.chunks(pieces.max(1)).for_each(|piece| redactor.push(piece));
    redactor.finish()
}

/// Both ways agree, in pieces of any length. (The other way writes no spaces and no escapes where it looks for members.)
#[track_caller]
fn same(body: &[u8], pointers: &[&str]) {
    let redaction = redaction(pointers);
    let expected = oracle::redacted(body, &redaction);
    for pieces in [1, 2, 3, 7, body.len()] {
        let kept = streamed(body, pieces, pointers);
        let shown = String::from_utf8_lossy(body);
        assert_eq!(kept.is_some(), expected.is_some(), "{shown:?} in pieces of {pieces}");
        if let Some(kept) = kept {
            assert_eq!(oracle::redacted(kept.as_bytes(), &redaction), expected, "{shown:?} as {kept:?}");
        }
    }
}

/// Documents, and what is nearly one.
const TEXTS: &[&str] = &[
    "",
    " ",
    "1",
    " 1 ",
    "1 2",
    "01",
    "-",
    "-0",
    "-01",
    "1.",
    "1.0",
    ".1",
    "1.e1",
    "1e",
    "1e+",
    "1e+1",
    "1E-2",
    "1e1.0",
    "1-",
    "1.5e",
    "-a",
    "+1",
    "0x1",
    "1a",
    "true",
    "tru",
    "truex",
    "trux",
    "true ",
    "false",
    "fals",
    "falsy",
    "null",
    "nul",
    "nill",
    "nullnull",
    "[",
    "]",
    "[]",
    "[ ]",
    "[1",
    "[1]",
    "[1,]",
    "[,1]",
    "[1,2]",
    "[1 2]",
    "[1,,2]",
    "[1}",
    "{]",
    "[[]]",
    "[[]",
    "[]]",
    "[1],",
    "{",
    "}",
    "{}",
    "{ }",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1}",
    "{\"a\":1,}",
    "{\"a\":1,\"b\":2}",
    "{\"a\":1 \"b\":2}",
    "{,}",
    "{\"a\":1,,}",
    "{a:1}",
    "{1:1}",
    "{\"a\"::1}",
    "{\"a\":1}}",
    "{\"a\" 1}",
    "{\"a\",1}",
    ":",
    ",",
    "{\"a\":1:2}",
    "{true:1}",
    "\"",
    "\"\"",
    "\"a",
    "\"a\"",
    "\"\\\"\"",
    "\"\\",
    "\"\\x\"",
    "\"\\u\"",
    "\"\\u12\"",
    "\"\\u12g4\"",
    "\"\\u1234\"",
    "\"\\u12345\"",
    "\"\\b\\f\\n\\r\\t\\/\\\\\"",
    "\"\n\"",
    "\"\u{1f}\"",
    "\"\u{7f}\"",
    "\"é€😀\"",
    "\u{feff}1",
    "é",
    "\"a\"\"b\"",
    "'a'",
    "\t\r\n[\t\r\n1\t\r\n]\t\r\n",
    "\u{b}1",
    "\u{c}1",
    "\u{0}1",
    "{\"\\ud800\":1}",
    "{\"\\ud83d\\ude00\":1}",
    "\"\\ud800\"",
    "{\"x\":{\"\\ud800\":1}}",
    "NaN",
    "[-]",
    "[1e]",
    "[tru]",
    "[\"\\q\"]",
];

#[test]
fn only_json_is_json() {
    for body in TEXTS {
        for pointers in [&["/a"][..], &["/x/y"], &[""], &["/*"], &["/0"]] {
            same(body.as_bytes(), pointers);
        }
    }
}

#[test]
fn only_utf_8_is_text() {
    let bodies: [&[u8]; 10] = [
        b"\"\xff\"",
        b"\"\xc3\"",
        b"\"\xc3\xa9\"",
        b"\"\xe2\x82\"",
        b"\"\xe2\x82\xac\"",
        b"\"\xf0\x9f\x98\x80\"",
        b"\"\xf0\x9f\x98",
        b"\"\xed\xa0\x80\"",
        b"\"\xc0\x80\"",
        b"\"\xf4\x90\x80\x80\"",
    ];
    for body in bodies {
        same(body, &["/a"]);
        // What is left out has to be text, too.
        same(&[b"{\"a\":", body, b"}"].concat(), &["/a"]);
        same(&[b"{", body, b":1}"].concat(), &["/a"]);
    }
}

#[test]
fn pointers_lead_through_every_shape() {
    let bodies = [
        r#"{"a":{"b":[1,{"c":2},3],"d":4},"b":5,"":6,"0":7}"#,
        r#"[{"a":1,"b":[2,[3,[4]]]},[5,6,[7,{"a":8}]],"a",null,true]"#,
        r#"{"a":1,"a":{"a":2,"b":"x"},"b":{"a":[]},"c":{}}"#,
        r#"{"a":{"a":{"a":{"a":{"a":-1.5e3}}}}}"#,
        r#"[[[],[[]]],{"a":[[],{"a":{}}]}]"#,
        r#"[0,1,2,3,4,5,6,7,8,9,10,11,12]"#,
        r#"{"a~b":1,"a/b":[1],"\u0061":[2,"\n"],"x":"\"a\":1"}"#,
    ];
    let pointers: [&[&str]; 14] = [
        &["/a"],
        &["/*"],
        &["/*/a"],
        &["/a/*/c"],
        &["/0"],
        &["/10"],
        &["/1/2/1/a"],
        &["/a/b", "/a/d", "/b"],
        &["/a/a/a", "/*/*"],
        &["/a", "/a/b"],
        &["/01", "/-1"],
        &["/a~1b/0", "/a~0b"],
        &["/*/*/*/*"],
        &["", "/a"],
    ];
    for body in bodies {
        pointers.iter().for_each(|pointers| same(body.as_bytes(), pointers));
    }
}

#[test]
fn a_pointer_reaches_as_deep_as_one_may_be() {
    let pointer = "/a".repeat(32);
    let body = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    for depth in [31, 32, 33, 40] {
        same(body(depth).as_bytes(), &[&pointer]);
        let list = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        same(list.as_bytes(), &[&"/0".repeat(32)]);
        same(list.as_bytes(), &[&"/*".repeat(32)]);
    }
    assert!(streamed(body(32).as_bytes(), 1, &[&pointer]).is_some_and(|kept| kept.contains("REDACTED")));
}

#[test]
fn nothing_of_what_is_left_out_is_ever_held() {
    let mut redactor = Redactor::new(Arc::new(redaction(&["/a"])), ROOM);
    for piece in [&b"{\"b\":1,\"a\":\"s3"[..], b"cr3t", b"-value\",\"c\":2", b"}"] {
        redactor.push(piece);
        let held = format!("{redactor:?}");
        let bytes = |text: &str| format!("{:?}", text.as_bytes()).trim_matches(['[', ']']).to_owned();
        assert!(!held.contains(&bytes("s3")) && !held.contains(&bytes("cr3t")), "{held}");
    }
    assert_eq!(redactor.finish().as_deref(), Some("{\"b\":1,\"a\":\"REDACTED\",\"c\":2}"));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec(("[abc\"\\\\/é]{0,2}", inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Any document, whole or with a byte changed, and any pointers.
    #[test]
    fn both_ways_are_one(
        json in any_json(),
        pretty in any::<bool>(),
        change in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        pointers in prop::collection::vec("(/([abc*0-2]|~1)?){0,4}", 1..4),
    ) {
        let text = if pretty { serde_json::to_string_pretty(&json) } else { serde_json::to_string(&json) };
        let mut body = text.unwrap().into_bytes();
        if let Some((at, byte)) = change {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let pointers: Vec<&str> = pointers.iter().map(String::as_str).collect();
        same(&body, &pointers);
    }
}
