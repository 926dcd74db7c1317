//! Variables in whole files: where they are replaced and where not, and what is said of those that are not set.

use event::Timestamp;

use crate::check::{Options, Tolerance, check};
use crate::loaded::Config;
use crate::problem::Report;

const ENV: [(&str, &str); 9] = [
    ("HOST", "profiles.internal"),
    ("PORT", "9000"),
    ("URL", "https://other.internal:8443/base"),
    ("TIMEOUT", "1500"),
    ("OFF", "false"),
    ("WORD", "profiles"),
    ("SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    ("ODD", "hunter2-hunter2"),
    ("LARGE", "LARGE"),
];

fn run(text: &str, unset_variables: bool) -> Result<Config, Report> {
    let env = |name: &str| {
        let large = (name == "LARGE").then(|| "x".repeat(1 << 20));
        large.or_else(|| ENV.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    };
    let options = Options {
        kinds: &[],
        region: "us-east-1",
        account: "000000000000",
        hubs: &[],
        env: &env,
        now: Timestamp::from_millis(0),
        tolerance: Tolerance { unset_variables, ..Tolerance::default() },
    };
    let text = text.strip_prefix('\n').unwrap_or(text);
    check(&[("f.yaml", &format!("_format_version: \"3.0\"\n{text}"))], &options)
}

fn accept(text: &str) -> Config {
    run(text, false).unwrap_or_else(|report| panic!("{report}"))
}

#[track_caller]
fn refuse(text: &str, expected: &str) {
    let report = run(text, false).expect_err("the file must be refused").to_string();
    assert_eq!(report, expected.trim_start());
}

#[test]
fn values_are_those_of_the_environment_and_have_the_type_that_is_wanted() {
    let config = accept(
        r#"
services:
- name: ${WORD}-a
  url: http://$HOST:$PORT/$WORD
  connect_timeout: $TIMEOUT
  enabled: "${OFF}"
  tags: [$$WORD, "${WORD}.${PORT}", '$word', "{vault://env/port}"]
  _comment: $MISSING
- name: b
  url: $URL
- { name: c, host: '${{ env "HOST" }}', port: '${{ env "PORT" | toInt }}' }
"#,
    );
    let [a, b, c] = &config.set.services[..] else { panic!("three services") };
    assert_eq!(
        (a.name.as_deref(), a.url().as_str()),
        (Some("profiles-a"), "http://profiles.internal:9000/$WORD")
    );
    assert_eq!((a.connect_timeout.as_millis(), a.enabled), (1500, false));
    assert_eq!(a.tags, ["$WORD", "profiles.9000", "$word", "9000"]);
    assert_eq!(b.url(), "https://other.internal:8443/base");
    assert_eq!((c.host.as_str(), c.port), ("profiles.internal", 9000));
}

#[test]
fn regular_expressions_and_keys_are_left_alone() {
    let text = "services: [{ name: s, url: 'http://x', routes: [{ name: r, paths: ['~/a/${WORD}$', '/b/${WORD}'] }] }]\n";
    let paths = |text: &str| accept(text).set.routes[0].paths.clone();
    let report = run(text, false).expect_err("a regex with a bare brace").to_string();
    assert!(report.contains("invalid regex: '/a/${WORD}$'"), "{report}");
    assert_eq!(paths(&text.replace("${WORD}$'", "b$'")), ["~/a/b$", "/b/profiles"]);
    let report = run("${WORD}: 1\n", false).expect_err("no such key").to_string();
    assert!(report.starts_with("f.yaml:2:1: [\"${WORD}\"]: unknown field `${WORD}`\n"), "{report}");
}

#[test]
fn one_that_is_not_set_is_said_once_and_is_nobodys_name() {
    let text = r#"
services:
- { name: a, url: "http://$MISSING:$OTHER/", retries: $OTHER }
- { name: b, url: "http://a-${MISSING}.b/", host: "${MISSING}" }
- { name: c, url: $MISSING, read_timeout: "${MISSING}", enabled: $MISSING }
"#;
    refuse(
        text,
        "
f.yaml:3:19: services[0].url: the environment variable MISSING is not set
  hint: start with MISSING=… in the environment; it is used in 6 places
f.yaml:3:19: services[0].url: the environment variable OTHER is not set
  hint: start with OTHER=… in the environment; it is used in 2 places
2 problems",
    );
    let config = run(text, true).unwrap_or_else(|report| panic!("{report}"));
    let said: Vec<_> = config.warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(said[0], "the environment variable MISSING is not set");
    assert_eq!(said[1], "the environment variable OTHER is not set");
    assert_eq!(config.set.services.len(), 3);
    for service in &config.set.services {
        assert!(
            service.host.ends_with(".invalid") || service.host.ends_with(".invalid.b"),
            "{}",
            service.host
        );
    }
}

#[test]
fn what_the_environment_holds_is_not_shown() {
    let report = run("services: [{ name: s, host: x, path: $ODD, protocol: $ODD }]\n", false);
    let report = report.expect_err("a word is no path").to_string();
    assert!(!report.contains("hunter2"), "{report}");
    let text =
        "topics: [{ name: t }]\nsubscriptions: [{ topic: $ODD, protocol: http, endpoint: http://x }]\n";
    refuse(
        text,
        "
f.yaml:3:26: subscriptions[0].topic: invalid reference 'topic: ${ODD}' (no such entry in 'topics')
  hint: topics that exist: `t`
1 problem",
    );
}

#[test]
fn a_secret_may_come_from_any_of_them() {
    for secret in ["$SECRET", "'${SECRET}'", "'{vault://env/secret}'", "'${{ env \"SECRET\" }}'"] {
        let text = format!(
            "topics: [{{ name: t, subscriptions: [{{ protocol: http, endpoint: 'http://x', format: standard-webhooks, secret: {secret} }}] }}]\n"
        );
        assert_eq!(accept(&text).set.subscriptions.len(), 1, "{secret}");
        let text = text.replace("SECRET", "NO_SECRET").replace("secret}'", "no-secret}'");
        let config = run(&text, true).unwrap_or_else(|report| panic!("{report}"));
        assert_eq!(config.warnings.len(), 1, "{secret}");
        assert!(run(&text, false).is_err(), "{secret}");
    }
}

#[test]
fn what_cannot_be_read_and_what_grows_too_large_is_refused() {
    refuse(
        "services: [{ name: s, host: '${{ env x }}' }]\n",
        "
f.yaml:2:29: services[0].host: this template is not understood
  hint: write `${{ env \"DECK_NAME\" }}` with the name of a variable, or `$$` for a dollar
f.yaml:2:29: services[0].host: invalid hostname
  hint: a host is a name or an IP address, without port and path
2 problems",
    );
    let tags = ["'${LARGE}${LARGE}'"; 9].join(", ");
    let report = run(&format!("services: [{{ name: s, host: x, tags: [{tags}] }}]\n"), false);
    let report = report.expect_err("18 MiB").to_string();
    assert_eq!(report.matches("make the file larger than 16 MiB").count(), 1, "{report}");
}
