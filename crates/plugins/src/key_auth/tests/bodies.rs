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
    let long = Asked { body: RequestBody::TooLong, ..post("application/json", "") };
    let unreadable = "400 Cannot process request body";
    assert_eq!(ask(&in_body(), &long).0, unreadable);
    assert_eq!(ask(&in_body(), &Asked { target: "/?apikey=anns-key", ..long.clone() }).0, "ann 11");
    let hide = json!({ "key_in_body": true, "hide_credentials": true });
    assert_eq!(ask(&hide, &Asked { target: "/?apikey=anns-key", ..long }).0, unreadable);
}

/// Whoever sends a body can make the gateway wait for it, and hold what came of it.
#[test]
fn a_body_is_needed_only_where_the_head_does_not_settle_it() {
    let needs = |config: &Value, target: &'static str| {
        let plugin = plugin(config);
        let role = plugin.access.as_ref().unwrap();
        let (uri, headers) = (target.parse().unwrap(), HeaderMap::new());
        let mut head = RequestHead { method: Method::POST, uri, headers, body: RequestBody::Unread };
        let mut context = context();
        let Deciding::Now(verdict) = role.access(&mut head, &mut context) else { panic!("at once") };
        matches!(verdict, Verdict::NeedsBody)
    };
    let hide = json!({ "key_in_body": true, "hide_credentials": true });
    let guest = json!({ "key_in_body": true, "hide_credentials": true, "anonymous": "guest" });
    let names = json!({ "key_in_body": true, "key_names": ["apikey", "other"] });
    for (config, target, needed) in [
        (json!({}), "/", false),
        (in_body(), "/", true),
        (in_body(), "/?apikey=anns-key", false),
        (in_body(), "/?apikey=wrong", false),
        (names, "/?other=anns-key", false),
        (hide.clone(), "/?apikey=anns-key", true),
        (hide, "/?apikey=wrong", false),
        (guest, "/?apikey=wrong", true),
    ] {
        assert_eq!(needs(&config, target), needed, "{config} {target}");
    }
}

#[test]
fn what_is_hidden_is_taken_out_and_all_else_stays_as_it_was() {
    let hide = json!({ "key_in_body": true, "hide_credentials": true });
    let kept = |content_type, text| {
        let (_, head, _) = ask(&hide, &post(content_type, text));
        let RequestBody::Whole(body) = head.body else { panic!("{:?}", head.body) };
        String::from_utf8(body.to_vec()).unwrap()
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
    assert!(!context.carried.in_body, "what is forwarded has none");
    for (content_type, text) in [("application/json", "{\"apikey\":"), (ENDLESS, PARTS)] {
        let (said, _, context) = ask(&hide, &post(content_type, text));
        assert!(said.contains("Cannot process request body"), "{said}");
        assert!(context.carried.in_body, "nobody knows what it has");
    }
    let (_, _, context) = ask(&in_body(), &post("application/json", "{}"));
    assert!(context.carried.in_body);
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
        let has_none = |text: &[u8]| body::parse(content_type, text).map(|body| body.find("apikey") == Found::Nothing);
        match body::parse(content_type, text.as_bytes()).map(|body| body.without(&names)) {
            Ok(Some(left)) => prop_assert_eq!(has_none(&left), Ok(true), "{}", text),
            Ok(None) => prop_assert_eq!(has_none(text.as_bytes()), Ok(true), "{}", text),
            Err(unreadable) => prop_assert_eq!(has_none(text.as_bytes()), Err(unreadable), "{}", text),
        }
        if let Some(left) = query::without(text.as_bytes(), &names) {
            prop_assert_eq!(query::find(&left, "apikey"), Found::Nothing);
        }
    }
}
