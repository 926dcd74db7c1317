//! Whatever the text, there is a configuration or a report with good places; never a panic.

use proptest::prelude::*;

use super::run;

/// A line of something like a configuration.
fn line() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "_format_version",
        "services",
        "routes",
        "plugins",
        "topics",
        "subscriptions",
        "queues",
        "name",
        "url",
        "host",
        "paths",
        "config",
        "matcher",
        "protocol",
        "endpoint",
        "secret",
        "service",
        "topic",
        "tags",
        "enabled",
        "<<",
        "consumers",
        "consumer",
        "username",
        "keyauth_credentials",
        "acls",
        "key",
        "ttl",
        "id",
    ]);
    let value = prop::sample::select(vec![
        "",
        "\"3.0\"",
        "3.0",
        "a",
        "publish-sns",
        "http://localhost:9000",
        "[a, b]",
        "{ a: b }",
        "{}",
        "[]",
        "null",
        "true",
        "/a",
        "~/(",
        "-1",
        "99999999999999999999",
        ".nan",
        "&x",
        "*x",
        "!!int 5",
        "|",
        "{vault://env/X}",
        "'",
        "[{ name: a, paths: [/] }]",
        "http",
        "sqs",
        "whsec_",
        "%zz",
        "\u{feff}",
        "ä: ö",
    ]);
    (0..4usize, prop::bool::ANY, key, value).prop_map(|(depth, dash, key, value)| {
        format!("{}{}{key}: {value}\n", "  ".repeat(depth), if dash { "- " } else { "" })
    })
}

fn judge(text: &str) -> Result<(), TestCaseError> {
    let Err(report) = run(&[text]) else { return Ok(()) };
    prop_assert!(!report.problems.is_empty());
    for problem in &report.problems {
        let place = problem.place.expect("a place");
        prop_assert!(place.line >= 1 && place.column >= 1);
        prop_assert!(place.line <= text.matches(['\r', '\n']).count() + 2, "{problem}");
        prop_assert!(!problem.message.is_empty() && !problem.hint.is_empty(), "{problem}");
    }
    Ok(())
}

proptest! {
    #[test]
    fn lines_like_a_configuration(lines in prop::collection::vec(line(), 0..24)) {
        judge(&format!("_format_version: \"3.0\"\n{}", lines.concat()))?;
    }

    #[test]
    fn characters_like_yaml(text in "[a-c:\\-\\[\\]{}&*!|>'\"%@#,?<~ \t\r\n0-9.äx]{0,120}") {
        judge(&text)?;
    }

    #[test]
    fn any_text(text in "\\PC{0,80}") {
        judge(&text)?;
    }

    #[test]
    fn a_good_file_with_a_piece_cut_out(from in 0..700usize, length in 0..60usize) {
        let whole = include_str!("../../../../../examples/forum-profiles/retrohook.yaml");
        let cut = |index: usize| (0..=index.min(whole.len())).rev().find(|at| whole.is_char_boundary(*at)).unwrap_or(0);
        judge(&[&whole[..cut(from)], &whole[cut(from + length)..]].concat())?;
    }
}
