//! A secret that stands in a wrong place: problems say where, never what.

use super::run;

/// A configuration whose keys and values, one at a time, are replaced by something that must not be shown.
const FILE: &str = r#"
«_format_version»: "«3.0»"
services:
- name: «mockbin»
  «url»: «http://upstream:9000/a»
  enabled: «true»
  read_timeout: «1000»
  tags: [«blue»]
  routes:
  - { name: «r», «paths»: [«/mockbin»], methods: [«PUT»], hosts: [«a.b»], strip_path: «true», protocols: [«http»] }
  plugins:
  - name: «publish-sns»
    config: { «topic_arn»: «changes», routes: [{ «method»: «PUT», matcher: «/a» }], durability: «strict» }
- name: other
  host: «x»
  path: «/p»
routes:
- { name: top, paths: [/t], service: { name: «mockbin» } }
consumers:
- username: «ann»
  keyauth_credentials: [{ key: «correct-horse-battery», «tags»: [«a»] }]
  acls: [{ group: «readers» }]
  plugins: [{ name: tap, config: { topic_arn: changes, routes: [{ method: GET, matcher: /a }] } }]
keyauth_credentials: [{ consumer: «ann», key: «battery-correct-horse» }]
topics:
- name: «changes»
  subscriptions:
  - { protocol: «http», endpoint: «http://a.b/c», «confirm»: «skip», fifo: «false», timeout: «1000», raw_message_delivery: «true» }
  - { protocol: https, endpoint: «https://a.b/d», format: «standard-webhooks», secret: «whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw» }
  - { protocol: https, endpoint: «https://a.b/e», format: standard-webhooks, secrets: [«whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw»] }
  - { protocol: sqs, endpoint: «q» }
subscriptions:
- { topic: «changes», protocol: sqs, endpoint: «arn:aws:sqs:us-east-1:000000000000:q» }
queues:
- { name: «q», visibility_timeout: «30» }
"#;

/// The file with its place of this number replaced; `None` if there are not so many.
fn with(number: usize, text: &str) -> Option<String> {
    let mut file = String::new();
    let mut found = false;
    for (index, part) in FILE.split(['«', '»']).enumerate() {
        // The parts between the marks are the odd ones.
        let is_it = index == 2 * number + 1;
        file.push_str(if is_it { text } else { part });
        found |= is_it;
    }
    found.then_some(file)
}

/// Everything that is said about a file.
fn said(file: &str) -> String {
    match run(&[file.trim_start()]) {
        Ok(config) => config.warnings.iter().map(ToString::to_string).collect(),
        Err(report) => report.to_string(),
    }
}

#[test]
fn the_file_itself_is_good() {
    let good = FILE.replace(['«', '»'], "");
    assert_eq!(said(&good.replace("  - { protocol: sqs, endpoint: q }\n", "")), "");
}

#[test]
fn no_secret_is_shown_wherever_it_stands() {
    let texts = [
        ("\"whsec_QpWoEiRuTyAlSkDjFhGmZnXbCv12345\"", &["QpWoEi"][..]),
        ("\"whsec_too/short+12=\"", &["too/short"]),
        ("\"sk_live_4eC39HqLyjWDarjtT1zdp7dc\"", &["4eC39Hq"]),
        ("\"http://me:hunter2hunter2@a.b/c?token=s3cr3ts3cr3t&x=1\"", &["hunter2", "s3cr3t"]),
        ("\"http://me:hunter2hunter2@[/?sig=s3cr3ts3cr3t\"", &["hunter2", "s3cr3t"]),
        ("\"me:hunter2hunter2@a.b\"", &["hunter2"]),
        ("[\"whsec_QpWoEiRuTyAlSkDjFhGmZnXbCv12345\"]", &["QpWoEi"]),
        ("{ password: hunter2hunter2, apiKey: s3cr3ts3cr3t }", &["hunter2", "s3cr3t"]),
        ("{ whsec_QpWoEiRuTyAlSkDjFhGmZnXbCv12345: 1 }", &["QpWoEi"]),
        ("AKIAIOSFODNN7EXAMPLE", &["IOSFODNN"]),
    ];
    for (text, secrets) in texts {
        let mut number = 0;
        while let Some(file) = with(number, text) {
            let said = said(&file);
            for secret in secrets {
                assert!(!said.contains(secret), "{text} as number {number}:\n{said}");
            }
            number += 1;
        }
        assert!(number > 40, "{number}");
    }
}

#[test]
fn a_text_of_another_type_is_not_quoted() {
    for place in
        ["enabled: «true»", "read_timeout: «1000»", "tags: [«blue»]", "protocol: «http»", "confirm»: «skip»"]
    {
        let (before, after) = FILE.split_once(place).expect("a place");
        let key = place.split(':').next().expect("a key");
        let file = format!("{before}{key}: correct horse battery staple{after}").replace(['«', '»'], "");
        let said = said(&file);
        assert!(!said.is_empty() && !said.contains("horse"), "{said}");
    }
}

#[test]
fn what_a_key_calls_a_secret_is_not_shown_even_where_it_is_a_name_elsewhere() {
    let file = r#"
_format_version: "3.0"
topics:
- name: changes
  subscriptions:
  - { protocol: sqs, endpoint: plain-words, api_token: plain-words }
  - { protocol: sqs, endpoint: q, secret: 123456789 }
  - { protocol: https, endpoint: "https://a/b", secret: [plain-words] }
queues: [{ name: q }]
"#;
    let said = said(file);
    assert!(said.contains("unknown field `api_token`") && said.contains("REDACTED"), "{said}");
    assert!(!said.contains("plain-words") && !said.contains("123456789"), "{said}");
}

#[test]
fn two_subscriptions_with_one_endpoint_do_not_show_its_query() {
    let line = "  - { protocol: https, endpoint: \"https://a.b/c?key=s3cr3t\", confirm: skip }\n";
    let said = said(&format!("_format_version: \"3.0\"\ntopics:\n- name: t\n  subscriptions:\n{line}{line}"));
    assert!(said.contains("endpoint 'https://a.b/c?...' already declared"), "{said}");
}
