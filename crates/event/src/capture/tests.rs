//! Caps, encodings and redaction.

use proptest::prelude::*;

use super::*;

mod oracle;
mod stream;

fn redaction(pointers: &[&str]) -> JsonRedaction {
    let mut redaction = JsonRedaction::default();
    for pointer in pointers {
        redaction.add(pointer).unwrap();
    }
    redaction
}

fn capture(cap: usize, chunks: &[&[u8]], pointers: &[&str]) -> CapturedBody {
    let mut capture = BodyCapture::new(cap, &Arc::new(redaction(pointers)));
    for chunk in chunks {
        capture.push(chunk);
    }
    capture.finish()
}

/// `content`, `encoding`, `truncated` and `size` in one line.
fn check(body: &CapturedBody, content: &str, encoding: BodyEncoding, truncated: bool, size: u64) {
    let expected = CapturedBody { content: content.into(), encoding, truncated, size };
    assert_eq!(*body, expected);
}

#[test]
fn keeps_up_to_the_cap_and_counts_all() {
    use BodyEncoding::Utf8;
    check(&capture(8, &[], &[]), "", Utf8, false, 0);
    check(&capture(8, &[b"abc", b"", b"de"], &[]), "abcde", Utf8, false, 5);
    check(&capture(5, &[b"abc", b"de"], &[]), "abcde", Utf8, false, 5);
    check(&capture(4, &[b"abc", b"de", b"f"], &[]), "abcd", Utf8, true, 6);
    check(&capture(0, &[b"abc"], &[]), "", Utf8, true, 3);
}

#[test]
fn a_text_cut_within_a_character_is_still_text() {
    use BodyEncoding::{Base64, Utf8};
    let euro = "a€".as_bytes();
    check(&capture(4, &[euro], &[]), "a€", Utf8, false, 4);
    check(&capture(3, &[euro], &[]), "a", Utf8, true, 4);
    check(&capture(2, &[&euro[..2], &euro[2..]], &[]), "a", Utf8, true, 4);
    // The sender's own cut is no text, and nothing else is.
    check(&capture(8, &[&euro[..3]], &[]), "YeKC", Base64, false, 3);
    check(&capture(8, &[b"\xffab"], &[]), "/2Fi", Base64, false, 3);
    check(&capture(3, &[b"\xffabc"], &[]), "/2Fi", Base64, true, 4);
}

/// What is left of a complete JSON body.
fn redacted(body: &str, pointers: &[&str]) -> String {
    let captured = capture(4096, &[body.as_bytes()], pointers);
    assert!(!captured.truncated, "{body}");
    assert_eq!(captured.size, body.len() as u64);
    captured.content
}

#[test]
fn redacts_members_elements_and_wildcards() {
    let cases = [
        (
            r#"{"user":{"password":"s","name":"n"}}"#,
            "/user/password",
            r#"{"user":{"password":"REDACTED","name":"n"}}"#,
        ),
        (r#"{"user":{"password":{"a":[1]}}}"#, "/user/password", r#"{"user":{"password":"REDACTED"}}"#),
        (r#"[{"t":1},{"t":2,"u":3}]"#, "/*/t", r#"[{"t":"REDACTED"},{"t":"REDACTED","u":3}]"#),
        (r#"{"a":{"t":1},"b":{"t":2}}"#, "/*/t", r#"{"a":{"t":"REDACTED"},"b":{"t":"REDACTED"}}"#),
        (r#"{"a":1,"b":[2]}"#, "/*", r#"{"a":"REDACTED","b":"REDACTED"}"#),
        (r#"["a","b"]"#, "/1", r#"["a","REDACTED"]"#),
        (r#"["a","b"]"#, "/01", r#"["a","b"]"#),
        (r#"{"a/b":1,"m~n":2}"#, "/a~1b", r#"{"a/b":"REDACTED","m~n":2}"#),
        (r#"{"a/b":1,"m~n":2}"#, "/m~0n", r#"{"a/b":1,"m~n":"REDACTED"}"#),
        (r#"{"":1}"#, "/", r#"{"":"REDACTED"}"#),
        (r#"{"a":1}"#, "", r#""REDACTED""#),
        (r#"{"a":1}"#, "/b", r#"{"a":1}"#),
        (r#"{"a":1}"#, "/a/b", r#"{"a":1}"#),
        ("7", "/a", "7"),
    ];
    for (body, pointer, expected) in cases {
        assert_eq!(redacted(body, &[pointer]), expected, "{pointer} in {body}");
    }
    assert_eq!(
        redacted(r#"{"a":1,"b":{"c":2,"d":3}}"#, &["/a", "/b/d"]),
        r#"{"a":"REDACTED","b":{"c":2,"d":"REDACTED"}}"#
    );
}

#[test]
fn a_name_cannot_hide_from_redaction() {
    // Written with escapes, given twice, between spaces.
    let body = "{ \"p\\u0061ss\" : \"s1\" , \"pass\":\t\"s2\"}";
    let expected = "{ \"p\\u0061ss\" : \"REDACTED\" , \"pass\":\t\"REDACTED\"}";
    assert_eq!(redacted(body, &["/pass"]), expected);
}

#[test]
fn what_is_not_redacted_stays_as_it_was_written() {
    let body = r#"{"n":12345678901234567890123.10,"t":"\u00e9","deep":{"x": [ 1 ]},"s":1}"#;
    let expected = r#"{"n":12345678901234567890123.10,"t":"\u00e9","deep":{"x": [ 1 ]},"s":"REDACTED"}"#;
    assert_eq!(redacted(body, &["/s"]), expected);
}

#[test]
fn what_cannot_be_redacted_is_not_kept() {
    use BodyEncoding::Utf8;
    let bodies: [&[u8]; 7] = [
        br#"{"pass":"secret""#,
        b"pass=secret",
        b"{\"pass\":\"secret\"}\n{\"pass\":\"secret\"}",
        b"\xef\xbb\xbf{\"pass\":\"secret\"}",
        b"{\"pass\":\"secret\xff\"}",
        b"\x1f\x8bsecret",
        b"{\"other\":tru,\"pass\":\"secret\"}",
    ];
    for body in bodies {
        check(&capture(4096, &[body], &["/pass"]), "", Utf8, true, body.len() as u64);
    }
    // Complete JSON, but not in what was kept of it; here even the part kept would parse.
    check(&capture(2, &[b"12", b"34"], &["/pass"]), "", Utf8, true, 4);
    check(&capture(16, &[], &["/pass"]), "", Utf8, false, 0);
}

#[test]
fn a_redacted_document_may_grow_to_twice_the_cap() {
    use BodyEncoding::Utf8;
    // `"REDACTED"` has ten bytes.
    check(&capture(11, &[b"[1,22]"], &["/0"]), "[\"REDACTED\",22]", Utf8, false, 6);
    check(&capture(6, &[b"[1,22]"], &["/0"]), "", Utf8, true, 6);
    check(&capture(7, &[b"[1]"], &["/0"]), "[\"REDACTED\"]", Utf8, false, 3);
    check(&capture(6, &[b"[1]"], &["/0"]), "[\"REDACTED\"]", Utf8, false, 3);
    check(&capture(5, &[b"[1]"], &["/0"]), "", Utf8, true, 3);
    check(&capture(5, &[b"1"], &[""]), "\"REDACTED\"", Utf8, false, 1);
    // The cap itself is for what came.
    check(&capture(4, &[b"[22]"], &["/x"]), "[22]", Utf8, false, 4);
    check(&capture(3, &[b"[22]"], &["/x"]), "", Utf8, true, 4);
}

#[test]
fn deep_nesting_overflows_nothing() {
    let deep = format!("{{\"pass\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let captured = capture(1 << 20, &[deep.as_bytes()], &["/pass"]);
    assert_eq!(captured.content, r#"{"pass":"REDACTED"}"#);
}

#[test]
fn pointers_say_what_is_wrong_with_them() {
    let error = |pointer: &str| JsonRedaction::default().add(pointer).unwrap_err();
    assert_eq!(error("user/password"), PointerError::NoSlash);
    assert_eq!(error("/a~2"), PointerError::BadEscape);
    assert_eq!(error("/a~"), PointerError::BadEscape);
    assert_eq!(error(&"/a".repeat(33)), PointerError::TooDeep);
    assert_eq!(JsonRedaction::default().add(&"/a".repeat(32)), Ok(()));
}

proptest! {
    /// The pieces in which a body came change nothing, and text that fits comes back.
    #[test]
    fn a_body_is_the_same_in_any_pieces(body in any::<Vec<u8>>(), at in any::<proptest::sample::Index>(), cap in 0_usize..200) {
        let middle = at.index(body.len() + 1);
        let pieces = capture(cap, &[&body[..middle], &body[middle..]], &[]);
        prop_assert_eq!(&pieces, &capture(cap, &[&body], &[]));
        prop_assert_eq!(pieces.truncated, body.len() > cap);
    }

    /// Whatever surrounds a secret, it is not in what is kept.
    #[test]
    fn a_secret_never_gets_through(before in any::<String>(), after in any::<String>(), cut in 0_usize..200) {
        let json = serde_json::json!({"before": before, "user": {"pass": "s3cr3t-value"}, "after": after}).to_string();
        let captured = capture(cut, &[json.as_bytes()], &["/user/pass"]);
        prop_assert!(!captured.content.contains("s3cr3t"));
        let whole = capture(json.len(), &[json.as_bytes()], &["/user/pass"]);
        prop_assert!(!whole.truncated && whole.content.contains("REDACTED"));
    }
}
