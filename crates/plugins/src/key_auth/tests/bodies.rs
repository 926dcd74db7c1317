//! Keys in bodies.

use super::*;

const MULTIPART: &str = "multipart/form-data; boundary=\"x\"";
const PARTS: &str = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x\r\nContent-Disposition: form-data; name=\"apikey\"\r\n\
    Content-Type: text/plain\r\n\r\nanns-key\r\n--x--\r\n";

/// A boundary of 71 letters.
const ENDLESS: &str =
    "multipart/form-data; boundary=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn in_body() -> Value {
    json!({ "key_in_body": true })
}

#[test]
fn keys_are_found_in_bodies() {
    let form = "application/x-www-form-urlencoded; charset=utf-8";
    let none = "401 No API key found in request [Key]";
    let unreadable = "400 Cannot process request body";
    for (content_type, text, expected) in [
        (form, "a=1&apikey=anns%2Dkey", "ann 11"),
        (form, "apikey=1&apikey=2", "401 Duplicate API key found [Key]"),
        ("application/json", " {\"a\": {\"apikey\": 1}, \"apikey\": \"anns\\u002dkey\"}", "ann 11"),
        ("application/json", "{\"apikey\": 7}", none),
        ("application/json", "{\"apikey\": [\"anns-key\"]}", "401 Duplicate API key found [Key]"),
        ("application/json", "[1]", none),
        ("application/json", "{\"apikey\": ", unreadable),
        ("application/json", "", none),
        (MULTIPART, PARTS, "ann 11"),
        ("multipart/form-data", PARTS, none),
        ("text/plain", "apikey=anns-key", none),
    ] {
        assert_eq!(ask(&in_body(), &post(content_type, text)).0, expected, "{content_type} {text}");
    }
    assert_eq!(
        ask(&json!({}), &post("application/json", "{\"apikey\":\"anns-key\"}")).0,
        none,
        "only if asked for"
    );
}

#[test]
fn a_body_that_is_too_long_to_be_read_is_refused_unless_the_key_is_elsewhere() {
    let plugin = plugin(&in_body());
    let role = plugin.access.as_ref().unwrap();
    for (key, passes) in [(None, false), (Some("anns-key"), true)] {
        let mut headers = HeaderMap::new();
        key.map(|key| headers.insert("apikey", HeaderValue::from_static(key)));
        let mut head = RequestHead { method: Method::POST, uri: "/".parse().unwrap(), headers, body: None };
        let mut context = context();
        let Deciding::Now(verdict) = role.access(&mut head, &mut context) else { panic!("at once") };
        assert_eq!(matches!(verdict, Verdict::Continue), passes);
    }
}

#[test]
fn what_is_hidden_is_taken_out_and_all_else_stays_as_it_was() {
    let hide = json!({ "key_in_body": true, "hide_credentials": true });
    let kept = |content_type, text| {
        let (_, head, _) = ask(&hide, &post(content_type, text));
        String::from_utf8(head.body.unwrap().to_vec()).unwrap()
    };
    assert_eq!(kept("application/x-www-form-urlencoded", "a=%7e&apikey=anns-key&b"), "a=%7e&b");
    assert_eq!(
        kept(
            "application/json",
            "{\"n\": 12345678901234567890.10, \"apikey\": \"anns-key\", \"z\": { \"apikey\" : 1 }}"
        ),
        "{\"n\":12345678901234567890.10,\"z\":{ \"apikey\" : 1 }}"
    );
    assert_eq!(
        kept(MULTIPART, PARTS),
        "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x--\r\n"
    );
    assert_eq!(kept("application/json", "{\"a\": 1}"), "{\"a\": 1}", "nothing to hide, nothing changed");
    let (_, _, context) = ask(&hide, &post("application/json", "{}"));
    assert!(!context.carried[0].in_body, "what is forwarded has none");
    for (content_type, text) in [("application/json", "{\"apikey\":"), (ENDLESS, PARTS)] {
        let (said, _, context) = ask(&hide, &post(content_type, text));
        assert!(said.contains("Cannot process request body"), "{said}");
        assert!(context.carried[0].in_body, "nobody knows what it has");
    }
    let (_, _, context) = ask(&in_body(), &post("application/json", "{}"));
    assert!(context.carried[0].in_body);
}

proptest! {
    /// Whatever is sent: no panic, and what is hidden is not found any more.
    #[test]
    fn nothing_that_is_found_stays_after_hiding(
        form in 0_usize..4,
        pieces in prop::collection::vec(prop::sample::select(vec![
            "apikey", "=", "&", "%61pikey", "{", "}", ":", ",", "\"apikey\"", "\"k\"", "[", "]", "--x", "\r\n", "\n", "--",
            "Content-Disposition: form-data; name=\"apikey\"", "name=apikey", "1", " ", "\u{e9}", "\\u0061pikey", "\"",
        ]), 0..24),
    ) {
        let text = pieces.concat();
        let content_type = ["application/json", "application/x-www-form-urlencoded", MULTIPART, "text/plain"][form].as_bytes();
        let names = ["apikey".to_owned()];
        let found = body::find(content_type, text.as_bytes(), "apikey");
        match body::without(content_type, text.as_bytes(), &names) {
            Ok(Some(left)) => prop_assert_eq!(body::find(content_type, &left, "apikey"), Ok(Found::Nothing), "{}", text),
            Ok(None) => prop_assert_eq!(found, Ok(Found::Nothing), "{}", text),
            Err(unreadable) => prop_assert_eq!(found, Err(unreadable), "{}", text),
        }
        if let Some(left) = query::without(text.as_bytes(), &names) {
            prop_assert_eq!(query::find(&left, "apikey"), Found::Nothing);
        }
    }
}
