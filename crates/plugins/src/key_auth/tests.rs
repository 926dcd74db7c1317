//! Whom a request lets in, what it forwards, and what a refusal says.

use std::sync::Arc;

use bytes::Bytes;
use entities::{Consumer, KeyAuthCredential, Known, Origin, Secret};
use event::Timestamp;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use pipeline::{
    BuildContext, Context, Deciding, Plugin, PluginKind, RequestBody, RequestHead, Services, Verdict,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Found, Kind, body, config, query};
use crate::Consumers;
use crate::tests::{context, stopped};

mod bodies;

const NOW: u64 = 1_700_000_000_000;

fn known() -> Known {
    let at = Timestamp::from_millis(1);
    let consumer = |id, username: &str, custom_id: Option<&str>| {
        Arc::new(Consumer {
            id: Uuid::from_u128(id),
            origin: Origin::File,
            username: Some(username.into()),
            custom_id: custom_id.map(str::to_owned),
            tags: Vec::new(),
            created_at: at,
            updated_at: at,
        })
    };
    let key = |id, consumer, key: &str, expires_at| {
        Arc::new(KeyAuthCredential {
            id: Uuid::from_u128(id),
            origin: Origin::File,
            consumer: Uuid::from_u128(consumer),
            key: Secret::new(key.into()),
            expires_at,
            tags: Vec::new(),
            created_at: at,
            updated_at: at,
        })
    };
    let over = Some(Timestamp::from_millis(NOW));
    let later = Some(Timestamp::from_millis(NOW + 1));
    Known {
        consumers: vec![consumer(1, "ann", Some("42")), consumer(2, "bob", None), consumer(3, "guest", None)],
        keyauth_credentials: vec![
            key(11, 1, "anns-key", None),
            key(12, 1, "anns-other", later),
            key(13, 2, "bobs-old", over),
            key(14, 2, "a b&c", None),
        ],
        acls: Vec::new(),
    }
}

fn plugin(config: &Value) -> Plugin {
    let services = Services::default().with(Consumers::of(&known()));
    let build = BuildContext { services, ..stopped() };
    Kind.build(config, &build).unwrap_or_else(|problem| panic!("{problem}"))
}

/// What is asked.
#[derive(Clone)]
struct Asked {
    method: Method,
    target: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    /// If it is needed.
    body: RequestBody,
}

fn whole(body: &'static str) -> RequestBody {
    RequestBody::Whole(Bytes::from_static(body.as_bytes()))
}

fn get(target: &'static str, headers: &[(&'static str, &'static str)]) -> Asked {
    Asked { method: Method::GET, target, headers: headers.to_vec(), body: whole("") }
}

fn post(content_type: &'static str, body: &'static str) -> Asked {
    Asked {
        method: Method::POST,
        target: "/",
        headers: vec![("content-type", content_type)],
        body: whole(body),
    }
}

/// What comes of it: `status message challenge`, or `consumer credential` and what is forwarded.
fn ask(config: &Value, asked: &Asked) -> (String, RequestHead, Context) {
    let mut context = context();
    let (verdict, head) = judged(&plugin(config), asked, &mut context);
    let said = match verdict {
        Verdict::Respond(answer) => {
            let body: Value = serde_json::from_slice(answer.body()).expect("JSON");
            let challenge = answer.headers().get("www-authenticate");
            let challenge = challenge.map(|value| format!(" [{}]", value.to_str().unwrap()));
            format!(
                "{} {}{}",
                answer.status().as_u16(),
                body["message"].as_str().unwrap(),
                challenge.unwrap_or_default()
            )
        }
        Verdict::Continue => {
            let consumer = context.consumer.as_ref().and_then(|one| one.username.clone());
            let credential = context.credential.as_ref().map(|one| one.id.as_u128().to_string());
            format!("{} {}", consumer.unwrap_or_default(), credential.unwrap_or_default()).trim().to_owned()
        }
        Verdict::NeedsBody => panic!("it has the body"),
    };
    (said, head, context)
}

fn judged(plugin: &Plugin, asked: &Asked, context: &mut Context) -> (Verdict, RequestHead) {
    let role = plugin.access.as_ref().expect("it looks at requests");
    let headers: HeaderMap = asked
        .headers
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_static(value)))
        .fold(HeaderMap::new(), |mut map, (name, value)| {
            map.append(name, value);
            map
        });
    let (method, uri) = (asked.method.clone(), asked.target.parse().unwrap());
    let mut head = RequestHead { method, uri, headers, body: RequestBody::Unread };
    let Deciding::Now(mut verdict) = role.access(&mut head, context) else { panic!("it decides at once") };
    if matches!(verdict, Verdict::NeedsBody) {
        head.body = asked.body.clone();
        let Deciding::Now(again) = role.access(&mut head, context) else { panic!("it decides at once") };
        verdict = again;
    }
    (verdict, head)
}

#[test]
fn keys_are_found_where_the_settings_say() {
    let all = json!({ "key_names": ["apikey", "x-key"], "key_in_body": true });
    let cases: [(Value, Asked, &str); 17] = [
        (json!({}), get("/", &[("apikey", "anns-key")]), "ann 11"),
        (json!({}), get("/", &[("ApiKey", "anns-other")]), "ann 12"),
        (json!({}), get("/?a=1&apikey=anns-key", &[]), "ann 11"),
        (json!({}), get("/?%61pikey=a+b%26c", &[]), "bob 14"),
        (json!({}), get("/?APIKEY=anns-key", &[]), "401 No API key found in request [Key]"),
        (json!({}), get("/?apikey", &[]), "401 No API key found in request [Key]"),
        (json!({}), get("/?apikey=", &[]), "401 No API key found in request [Key]"),
        (json!({}), get("/", &[("apikey", "")]), "401 No API key found in request [Key]"),
        (json!({}), get("/", &[("apikey", "anns-ke")]), "401 Unauthorized [Key]"),
        (json!({}), get("/", &[("apikey", "bobs-old")]), "401 Unauthorized [Key]"),
        (json!({}), get("/", &[("apikey", "a"), ("apikey", "a")]), "401 Duplicate API key found [Key]"),
        (json!({}), get("/?apikey=a&apikey", &[]), "401 Duplicate API key found [Key]"),
        (json!({ "realm": "here" }), get("/", &[]), "401 No API key found in request [Key realm=\"here\"]"),
        (
            json!({ "key_in_header": false }),
            get("/", &[("apikey", "anns-key")]),
            "401 No API key found in request [Key]",
        ),
        (
            json!({ "key_in_query": false }),
            get("/?apikey=anns-key", &[]),
            "401 No API key found in request [Key]",
        ),
        (all.clone(), get("/", &[("x-key", "anns-key")]), "ann 11"),
        // The header of the first name is found before anything of the second.
        (all, get("/?x-key=anns-key", &[("apikey", "wrong")]), "401 Unauthorized [Key]"),
    ];
    for (config, asked, expected) in cases {
        assert_eq!(ask(&config, &asked).0, expected, "{config} {} {:?}", asked.target, asked.headers);
    }
}

#[test]
fn the_service_is_told_who_it_is_and_gets_the_key_unless_it_is_hidden() {
    let (_, head, context) = ask(&json!({}), &get("/p?apikey=anns-key&a=1", &[]));
    let told =
        |head: &RequestHead, name: &str| head.headers.get(name).map(|v| v.to_str().unwrap().to_owned());
    assert_eq!(told(&head, "x-consumer-id"), Some(Uuid::from_u128(1).to_string()));
    assert_eq!(told(&head, "x-consumer-username").as_deref(), Some("ann"));
    assert_eq!(told(&head, "x-consumer-custom-id").as_deref(), Some("42"));
    assert_eq!(told(&head, "x-credential-identifier"), Some(Uuid::from_u128(11).to_string()));
    assert_eq!(told(&head, "x-anonymous-consumer"), None);
    assert_eq!(head.uri, "/p?apikey=anns-key&a=1");
    assert_eq!(context.carried.names.len(), 1, "events leave it out");
    let hide = json!({ "hide_credentials": true, "key_names": ["apikey", "x-key"] });
    let asked =
        get("/p?a=%7E&apikey=anns-key&x-key=1&b", &[("apikey", "anns-key"), ("x-key", "2"), ("x-a", "1")]);
    let (said, head, _) = ask(&hide, &asked);
    assert_eq!((said.as_str(), head.uri.to_string().as_str()), ("ann 11", "/p?a=%7E&b"));
    assert_eq!(
        (told(&head, "apikey"), told(&head, "x-key"), told(&head, "x-a")),
        (None, None, Some("1".into()))
    );
    assert_eq!(ask(&hide, &get("/p?apikey=anns-key", &[])).1.uri, "/p", "no question mark is left");
    let (_, head, _) = ask(&json!({}), &get("/", &[("apikey", "a b&c")]));
    assert_eq!(told(&head, "x-consumer-custom-id"), None, "bob has none");
}

#[test]
fn who_is_not_recognised_is_the_anonymous_consumer() {
    let by_name = json!({ "anonymous": "guest" });
    let (said, head, context) = ask(&by_name, &get("/", &[("apikey", "wrong")]));
    assert_eq!((said.as_str(), context.credential.is_none()), ("guest", true));
    assert_eq!(head.headers["x-anonymous-consumer"], "true");
    assert!(!head.headers.contains_key("x-credential-identifier"));
    let by_id = json!({ "anonymous": Uuid::from_u128(3).to_string() });
    assert_eq!(ask(&by_id, &get("/", &[])).0, "guest");
    assert_eq!(ask(&by_name, &get("/", &[("apikey", "anns-key")])).0, "ann 11");
    let nobody = json!({ "anonymous": "nobody" });
    assert_eq!(ask(&nobody, &get("/", &[])).0, "500 An unexpected error occurred");
    // Another plug-in has recognised somebody: one of them is enough.
    let mut context = self::context();
    let (_, _) = judged(&plugin(&json!({})), &get("/", &[("apikey", "a b&c")]), &mut context);
    let (verdict, _) = judged(&plugin(&by_name), &get("/", &[]), &mut context);
    assert!(matches!(verdict, Verdict::Continue));
    assert_eq!(context.consumer.unwrap().username.as_deref(), Some("bob"));
}

#[test]
fn a_preflight_needs_a_key_unless_the_settings_say_otherwise() {
    let preflight = Asked { method: Method::OPTIONS, ..get("/", &[]) };
    assert_eq!(ask(&json!({}), &preflight).0, "401 No API key found in request [Key]");
    assert_eq!(ask(&json!({ "run_on_preflight": false }), &preflight).0, "");
    assert_eq!(
        ask(&json!({ "run_on_preflight": false }), &get("/", &[])).0,
        "401 No API key found in request [Key]"
    );
}

#[test]
fn settings_that_let_nobody_in_are_refused() {
    let said = |config: Value| -> Vec<String> {
        let problems = config::read(&config).err().unwrap_or_default();
        problems.into_iter().map(|problem| format!("{}: {}", problem.pointer, problem.message)).collect()
    };
    assert_eq!(
        said(
            json!({ "key_names": ["a b", "X-Consumer-Key", "Via", "content-length"], "realm": "a\"b", "anonymous": "" })
        ),
        [
            "/key_names/0: bad header name 'a b', allowed characters are A-Z, a-z, 0-9, '_', and '-'",
            "/key_names/1: `X-Consumer-Key` cannot carry a key: the gateway removes or writes this header itself",
            "/key_names/2: `Via` cannot carry a key: the gateway removes or writes this header itself",
            "/key_names/3: `content-length` cannot carry a key: the gateway removes or writes this header itself",
            "/anonymous: length must be at least 1",
            "/realm: a realm must not have quotes, backslashes or control characters",
        ]
    );
    assert_eq!(
        said(json!({ "key_names": [], "key_in_header": false, "key_in_query": false })),
        [
            "/key_names: length must be at least 1",
            ": no place to look for a key is left: every request would be refused"
        ]
    );
    assert_eq!(said(json!({ "key_names": ["via"], "key_in_header": false })), Vec::<String>::new());
    // As decK writes it out.
    let exported = json!({ "anonymous": null, "hide_credentials": false, "key_in_body": false, "key_in_header": true,
        "key_in_query": true, "key_names": ["apikey"], "realm": null, "run_on_preflight": true });
    assert_eq!(said(exported), Vec::<String>::new());
}
