//! What is redacted, what is not, and that no spelling gets around it.

use http::header::HeaderName;
use proptest::prelude::*;

use super::*;

fn headers(names: &[&str]) -> Vec<String> {
    let redaction = HeaderRedaction::of_secrets();
    let covered = names.iter().filter(|name| redaction.covers(&name.parse::<HeaderName>().unwrap()));
    covered.map(|name| (*name).to_owned()).collect()
}

#[test]
fn headers_are_redacted_by_the_whole_words_of_their_names() {
    let secret = [
        "authorization",
        "proxy-authorization",
        "x-auth",
        "x-devpi-auth",
        "Auth-Key",
        "x-auth-token",
        "private-token",
        "token",
        "x-csrf-token",
        "x-secret",
        "client-secret-id",
        "X-Password",
        "apikey",
        "x-apikey",
        "api-key",
        "x-api-key",
        "X-Api-Key-2",
        "cookie",
        "set-cookie",
        "cookie2",
        "x-cookies",
        "x_auth_token",
        "api_key",
        "x-amz-security-token",
    ];
    assert_eq!(headers(&secret), secret);
    let open = [
        "host",
        "author",
        "authority",
        "authenticate",
        "www-authenticate",
        "tokens",
        "x-tokenizer",
        "secretary",
        "passwords",
        "api",
        "key",
        "x-key",
        "api-x-key",
        "key-api",
        "apikeys",
        "cookiecutter",
        "x-request-id",
        "x-consumer-id",
        "x-consumer-custom-id",
        "x-consumer-token",
        "x-credential-identifier",
        "x-authenticated-userid",
        "x-authenticated-scope",
        "x-authenticated-token",
    ];
    assert_eq!(headers(&open), [""; 0]);
    // Only these names are open, not what looks like them.
    let near = ["x-consumer_token", "consumer-token", "x-credential-token", "x-authenticate-token"];
    assert_eq!(headers(&near), near);
}

#[test]
fn a_header_may_be_added_or_opened() {
    let name = HeaderName::from_static;
    let mut redaction = HeaderRedaction::of_secrets();
    redaction.add(name("x-session"));
    redaction.open(name("x-auth"));
    redaction.open(name("x-session"));
    let covers = |header| redaction.covers(&name(header));
    assert_eq!(
        (covers("x-session"), covers("x-auth"), covers("x-auth-token"), covers("x-other")),
        (true, false, true, false),
        "what was added by its name stays"
    );
    assert!(redaction.names(&name("x-session")) && !redaction.names(&name("x-auth-token")));
    let none = HeaderRedaction::default();
    assert!(!none.covers(&name("authorization")));
}

/// The request target as an event has it.
#[track_caller]
fn uri(uri: &str, expected: &str) {
    assert_eq!(QueryRedaction::of_secrets().uri(uri), expected, "{uri}");
    // A second time changes nothing.
    assert_eq!(QueryRedaction::of_secrets().uri(expected), expected, "{uri}");
}

#[test]
fn every_parameter_of_the_list_is_redacted() {
    for name in [
        "access_token",
        "refresh_token",
        "id_token",
        "token",
        "api_key",
        "apikey",
        "password",
        "client_secret",
        "signature",
        "sig",
        "X-Amz-Signature",
        "X-Amz-Credential",
        "X-Amz-Security-Token",
        "_state",
    ] {
        uri(&format!("/a?{name}=s3cr3t"), &format!("/a?{name}=REDACTED"));
        let upper = name.to_uppercase();
        uri(&format!("/a?x=1&{upper}=s3cr3t&y=2"), &format!("/a?x=1&{upper}=REDACTED&y=2"));
        uri(&format!("/a?{name}s=1&x{name}=2&{name}x"), &format!("/a?{name}s=1&x{name}=2&{name}x"));
    }
}

#[test]
fn a_code_is_a_secret_beside_a_state() {
    uri("/cb?code=1", "/cb?code=1");
    uri("/cb?code=1&state=2", "/cb?code=REDACTED&state=2");
    uri("/cb?state&x=1&CODE=1", "/cb?state&x=1&CODE=REDACTED");
    uri("/cb?st%61te=2&c%6Fde=1", "/cb?st%61te=2&c%6Fde=REDACTED");
    uri("/cb?code=1&states=2&_code=3", "/cb?code=1&states=2&_code=3");
    uri("/cb?codes=1&state=2", "/cb?codes=1&state=2");
    uri("/state?code=1", "/state?code=1");
}

#[test]
fn no_spelling_of_a_name_hides_it() {
    uri("/a?tok%65n=s", "/a?tok%65n=REDACTED");
    uri("/a?%54OKEN=s", "/a?%54OKEN=REDACTED");
    uri("/a?+token=s", "/a?+token=REDACTED");
    uri("/a?token%20=s", "/a?token%20=REDACTED");
    uri("/a?user[password]=s&user%5Btoken%5D=s", "/a?user[password]=REDACTED&user%5Btoken%5D=REDACTED");
    uri("/a?token[]=s&token[0]=t", "/a?token[]=REDACTED&token[0]=REDACTED");
    uri("/a?user.password=s", "/a?user.password=REDACTED");
    uri("/a?x=1;token=s", "/a?x=1;token=REDACTED");
    uri("/a?x?token=s", "/a?x?token=REDACTED");
    uri("/a?token%3Ds3cr3t", "/a?REDACTED");
}

#[test]
fn a_secret_ends_where_all_servers_agree_that_it_does() {
    uri("/a?token=a;b=c&x=1", "/a?token=REDACTED&x=1");
    uri("/a?token=a?b#c,d e&x=1", "/a?token=REDACTED&x=1");
    uri("/a?token=a=b=c", "/a?token=REDACTED");
    uri("/a?token=&x=1&token", "/a?token=&x=1&token");
    uri("/a?token=s&token=t", "/a?token=REDACTED&token=REDACTED");
    uri("/a?token=a>b", "/a?token=REDACTED");
    uri("/a?=s&&token=s&", "/a?=s&&token=REDACTED&");
}

#[test]
fn what_is_no_query_stays() {
    for plain in [
        "",
        "/",
        "*",
        "/token=s/password=t",
        "/a;token=s",
        "/a?x=1&y",
        "/a?name=%zz%4",
        "/a?b=http://c.d/@e",
        "/a?user.name=x&ids[0]=y",
    ] {
        uri(plain, plain);
    }
}

#[test]
fn a_url_within_a_value_has_no_secret_either() {
    uri("/a?next=/b?token=s&x=1", "/a?next=/b?token=REDACTED&x=1");
    uri("/a?next=%2Fb%3Ftoken%3Ds&x=1", "/a?next=REDACTED&x=1");
    uri("/a?next=%2Fb%3Fx%3Ds&x=1", "/a?next=%2Fb%3Fx%3Ds&x=1");
    uri("/a?next=%252Fb%253Ftoken%253Ds", "/a?next=REDACTED");
    uri("/a?next=1%26token%3Ds", "/a?next=REDACTED");
    // Decoded three times, no more: a text that is unwrapped for ever costs for ever.
    uri("/a?n=%25253Ftoken%25253Ds", "/a?n=REDACTED");
    uri("/a?n=%2525253Ftoken%2525253Ds", "/a?n=%2525253Ftoken%2525253Ds");
}

#[test]
fn the_user_info_of_a_url_is_a_secret() {
    uri("http://me:pass@a.b/c?x=1", "http://REDACTED@a.b/c?x=1");
    uri("http://a.b/c@d", "http://a.b/c@d");
    uri("/a?to=http://me:p@ss@b.c/d", "/a?to=http://REDACTED@b.c/d");
    uri("/a?to=http%3A%2F%2Fme%3Ap%40b.c", "/a?to=REDACTED");
    uri("/a?token=http://u:p@h/x&y=1", "/a?token=REDACTED&y=1");
    uri("/a?x=http://u&token=p@h", "/a?x=http://REDACTED");
    uri("/a?x=://@b", "/a?x=://@b");
}

#[test]
fn headers_that_hold_urls_are_redacted_like_them() {
    let redaction = QueryRedaction::of_secrets();
    for (value, expected) in [
        ("https://a.b/c?token=s&x=1", "https://a.b/c?token=REDACTED&x=1"),
        (
            "https://a.b/cb#access_token=s&token_type=bearer",
            "https://a.b/cb#access_token=REDACTED&token_type=bearer",
        ),
        ("https://me:pass@a.b/", "https://REDACTED@a.b/"),
        ("0;url=/c?sig=s", "0;url=/c?sig=REDACTED"),
        (
            "</a?token=s>; rel=\"next\", </b?x=1&sig=t>; rel=\"last\"",
            "</a?token=REDACTED>; rel=\"next\", </b?x=1&sig=REDACTED>; rel=\"last\"",
        ),
        ("token=s", "token=REDACTED"),
        ("/cb?code=1&state=2", "/cb?code=REDACTED&state=2"),
        ("text/html;q=0.9, */*;q=0.8", "text/html;q=0.9, */*;q=0.8"),
        ("multipart/form-data; boundary=token", "multipart/form-data; boundary=token"),
        ("what? token & password", "what? token & password"),
    ] {
        assert_eq!(redaction.value(value), expected, "{value}");
    }
}

#[test]
fn a_list_of_ones_own_redacts_that_alone() {
    let mut own = QueryRedaction::default();
    assert_eq!(own.uri("http://u:p@a/?token=s"), "http://u:p@a/?token=s");
    own.add("Session");
    assert_eq!(
        own.uri("http://u:p@a/?token=s&code=1&state=2&session=3&x=token%3D1"),
        "http://u:p@a/?token=s&code=1&state=2&session=REDACTED&x=token%3D1"
    );
    let mut more = QueryRedaction::of_secrets();
    more.add("session");
    assert_eq!(more.uri("/?token=s&SESSION=3"), "/?token=REDACTED&SESSION=REDACTED");
}

#[test]
fn what_looks_like_a_secret_is_not_shown() {
    for (text, expected) in [
        ("unknown value `whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw`", "unknown value `REDACTED`"),
        ("field[\"whsec_MfKQ9r8/KYqr+wjU=\"]: no", "field[\"REDACTED\"]: no"),
        ("x-whsec_MfKQ9r8GKYqr", "REDACTED"),
        ("sk_live_4eC39HqL", "REDACTED"),
        ("(ghp_16C7e42F292c6912E7)", "(REDACTED)"),
        ("eyJhbGciOi.eyJzdWIiOiIx.SflKxwRJ", "REDACTED"),
        ("a9993e364706816aba3e25717850c26c", "REDACTED"),
        ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY12", "REDACTED"),
        ("http://me:pass@a.b/c?token=s&x=1 is no URL", "http://REDACTED@a.b/c?token=REDACTED&x=1 is no URL"),
        ("me:pass@a.b", "REDACTED@a.b"),
        ("http://token@a.b/", "http://REDACTED@a.b/"),
    ] {
        assert_eq!(shown(text), expected);
    }
    for text in [
        "",
        "make one: echo whsec_$(openssl rand -base64 32)",
        "write whsec_… or whsec_abc",
        "AKIA",
        "sk_live_short",
        "arn:aws:sns:eu-west-1:123456789012:profile-changes",
        "4c6b2a8e-0f1d-4b7a-9c3e-5d2f1a0b9c8d",
        "profile-worker-2024-production",
        "the string \"15s\"",
        "http://a.b/c?x=1#y",
        "ALL_CAPITALS_AND_DIGITS_1234567890",
        "CamelCaseWithoutManyDigits1",
        "1234567890123456789012345678901",
        "someone@example.com",
    ] {
        assert_eq!(shown(text), text);
    }
}

#[test]
fn what_is_shown_depends_on_each_part_of_the_guess() {
    for secret in [
        "AKIA12345678",
        "xxAKIA12345678",
        "aaBB22xxxxxxxxxxxxxx",
        "name=aaBB22xxxxxxxxxxxxxx",
        "path/aaBB22xxxxxxxxxxxxxx.txt",
        "0123456789abcdef0123456789abcdef",
    ] {
        assert_eq!(shown(secret), crate::facts::REDACTED, "{secret}");
    }
    for name in [
        "AKIA1234567",
        "before-AKIA1234567",
        "aaBB22xxxxxxxxxxxxx",
        "aaBB2xxxxxxxxxxxxxxx",
        "aaB22xxxxxxxxxxxxxxx",
        "aBB22222222222222222",
        "0123456789abcdef0123456789abcdeg",
    ] {
        assert_eq!(shown(name), name);
    }
    assert_eq!(shown("/c?token=s&x=1"), "/c?token=REDACTED&x=1", "a query needs no host");
}

#[test]
fn the_secrets_of_a_text_are_told_as_they_stand() {
    let redaction = QueryRedaction::of_secrets();
    assert_eq!(redaction.secrets("http://a.b/?token=s1&x=1&sig=s2"), ["s1", "s2"]);
    assert_eq!(redaction.secrets("http://me:pass@a.b/"), ["me:pass"]);
    assert_eq!(redaction.secrets("http://a.b/?x=1"), [""; 0]);
}

#[test]
fn a_secret_is_seen_wherever_it_stands() {
    let redaction = QueryRedaction::of_secrets();
    for length in 0..40 {
        let pad = "é".repeat(length % 3) + &"x".repeat(length);
        for (secret, kept) in [
            ("sig=1", "sig=REDACTED"),
            ("//a?%73ig=1", "//a?%73ig=REDACTED"),
            ("http://me@a", "http://REDACTED@a"),
        ] {
            for (before, after) in [(&*pad, ""), ("", &*pad), (&*pad, &*pad)] {
                let text = format!("{before}?{secret}&{after}");
                assert_eq!(redaction.value(&text), format!("{before}?{kept}&{after}"));
            }
        }
    }
}

#[test]
fn what_was_replaced_is_not_replaced_again() {
    let redaction = QueryRedaction::of_secrets();
    let once = redaction.uri("/p?%://&@&token=secret&").into_owned();
    assert_eq!(once, "/p?%://REDACTED@&token=REDACTED&");
    assert_eq!(redaction.uri(&once), once);
}

proptest! {
    /// Whatever is around it, a secret is not in what is kept, and nothing is lost before it.
    #[test]
    fn a_secret_never_gets_through(
        before in "[a-z%=&;?#+./ <>@:\\[\\]0-9-]{0,30}",
        after in "[a-z%=&;?#+./ <>@:\\[\\]0-9-]{0,30}",
        name in prop::sample::select(vec!["token", "ToKeN", "%74oken", "a[password]", "sig"]),
    ) {
        let text = format!("/p?{before}&{name}=s3cr3t-value&{after}");
        let redaction = QueryRedaction::of_secrets();
        for kept in [redaction.uri(&text), redaction.value(&text)] {
            prop_assert!(!kept.contains("s3cr3t"), "{} of {}", kept, text);
        }
        let once = redaction.uri(&text);
        prop_assert_eq!(redaction.uri(&once), &*once);
    }

    /// No text at all makes it panic, or changes without a reason.
    #[test]
    fn any_text_can_be_looked_at(text in any::<String>()) {
        let redaction = QueryRedaction::of_secrets();
        let kept = redaction.value(&text);
        prop_assert!(*kept == *text || kept.contains(crate::facts::REDACTED));
        prop_assert_eq!(QueryRedaction::default().value(&text), text.as_str());
    }
}
