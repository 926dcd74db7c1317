//! Checks settings of a plug-in that come from an API by the same rules as those in a file.

use pipeline::{CheckContext, ConfigProblem, PluginKind};
use serde_json::Value;

use crate::schema;
use crate::tree::Node;

/// Everything that is wrong with the settings of a plug-in: first by the schema of its kind and then, if they fit, by the kind itself. Empty if
/// nothing is wrong. The caller must limit how deep the value nests.
pub fn check_settings(
    kind: &dyn PluginKind,
    settings: &Value,
    context: &CheckContext<'_>,
) -> Vec<ConfigProblem> {
    let misfits = schema::misfits(&kind.schema().to_value(), &Node::of_json(settings));
    if misfits.is_empty() { kind.check(settings, context) } else { misfits }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(settings: &Value, expected: &[(&str, &str)]) {
        let kinds = plugins::all();
        let kind = kinds.iter().find(|kind| kind.name() == "publish-sns").expect("the kind");
        let context = CheckContext {
            topics: &["t".to_owned()],
            region: "us-east-1",
            account: "000000000000",
            hubs: &[],
        };
        let found = check_settings(*kind, settings, &context);
        let found: Vec<_> =
            found.iter().map(|problem| (problem.pointer.as_str(), problem.message.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn settings_without_a_file_pass_the_schema_and_the_kind() {
        let routes = json!([{ "method": "PUT", "matcher": "^/x$" }]);
        check(&json!({ "topic_arn": "t", "routes": routes }), &[]);
        check(
            &json!({ "topic_arn": 7, "routes": [{ "method": "PUT" }] }),
            &[
                ("/topic_arn", "expected a string, found the number 7"),
                ("/routes/0", "required field missing: `matcher`"),
            ],
        );
        check(
            &json!({ "topic_arn": "t", "routes": routes, "resolve_after": 600_001, "a/b~c": 1 }),
            &[
                ("/resolve_after", "value should be between 0 and 600000"),
                ("/a~1b~0c", "unknown field `a/b~c`"),
            ],
        );
        check(&json!({ "topic_arn": "u", "routes": routes }), &[("/topic_arn", "there is no topic `u`")]);
    }
}
