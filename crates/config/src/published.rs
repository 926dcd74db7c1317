//! The schema of a file for editors: its keys, and for each plug-in the settings of its kind, chosen by its `name`.

use pipeline::PluginKind;
use serde_json::{Value, json};

use crate::raw;

/// The JSON Schema of a configuration file with these kinds of plug-in, for editors; `docs/config.schema.json` is its copy.
pub fn json_schema(kinds: &[&dyn PluginKind]) -> Value {
    let mut schema = raw::schema();
    let mut choices = Vec::new();
    for kind in kinds {
        let definition = format!("plugin-{}", kind.name());
        let mut settings = kind.schema().to_value();
        place_below(&mut settings, &definition);
        if let Value::Object(settings) = &mut settings {
            settings.shift_remove("$schema");
        }
        choices.push(choice(kind.name(), &definition, &settings));
        schema["$defs"][definition] = settings;
    }
    schema["$defs"]["Plugin"]["allOf"] = choices.into();
    schema
}

/// The part of the schema that says: a plug-in of this name has these settings.
fn choice(name: &str, definition: &str, settings: &Value) -> Value {
    let config = json!({ "$ref": format!("#/$defs/{definition}") });
    let has_required = settings["required"].as_array().is_some_and(|required| !required.is_empty());
    let then = match has_required {
        true => json!({ "properties": { "config": config }, "required": ["config"] }),
        false => json!({ "properties": { "config": { "anyOf": [config, { "type": "null" }] } } }),
    };
    json!({ "if": { "properties": { "name": { "const": name } }, "required": ["name"] }, "then": then })
}

/// Changes the references within a schema so that they lead to the definition under which it is put.
fn place_below(schema: &mut Value, definition: &str) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::String(target)) = object.get_mut("$ref")
                && let Some(rest) = target.strip_prefix('#')
            {
                *target = format!("#/$defs/{definition}{rest}");
            }
            object.values_mut().for_each(|value| place_below(value, definition));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| place_below(item, definition)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;
    use crate::tree::{self, Node};

    /// What is wrong with a plug-in by the published schema. Its keys and its settings are looked at in turn, as a reader of `if` does.
    fn misfits(plugin: &Node) -> Vec<String> {
        let published = json_schema(&plugins::all());
        let name = plugin.get("name").and_then(Node::text).expect("a name");
        let choices = published["$defs"]["Plugin"]["allOf"].as_array().expect("choices");
        let then = |choice: &&Value| choice["if"]["properties"]["name"]["const"] == name;
        let then = &choices.iter().find(then).unwrap_or_else(|| panic!("no choice for {name}"))["then"];
        let found = [json!({ "$ref": "#/$defs/Plugin" }), then.clone()].map(|part| {
            let mut root = part.as_object().cloned().unwrap_or_default();
            root.insert("$defs".into(), published["$defs"].clone());
            schema::misfits(&root.into(), plugin)
        });
        found
            .concat()
            .into_iter()
            .map(|problem| format!("{}: {}", problem.pointer, problem.message))
            .collect()
    }

    #[test]
    fn each_kind_has_its_settings_in_the_published_schema() {
        let kinds = plugins::all();
        assert!(kinds.len() > 2);
        for kind in kinds {
            let file = tree::parse(kind.example()).expect("its example");
            let lists = [Some(&file), file.get("services").and_then(|services| services.items().first())];
            let plugins = lists.into_iter().flatten().filter_map(|parent| parent.get("plugins"));
            let of_kind = |plugin: &&Node| plugin.get("name").and_then(Node::text) == Some(kind.name());
            let plugin = plugins.flat_map(Node::items).find(of_kind).expect("the example has one");
            assert_eq!(misfits(plugin), Vec::<String>::new(), "{}", kind.name());
            let bad = Node::of_json(&json!({ "name": kind.name(), "config": { "no-such-setting": 1 } }));
            let found = misfits(&bad);
            assert!(found.iter().any(|one| one.contains("unknown field `no-such-setting`")), "{found:?}");
        }
    }

    #[test]
    fn every_reference_of_the_published_schema_leads_somewhere() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(object) => {
                    found.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
                    object.values().for_each(|value| references(value, found));
                }
                Value::Array(items) => items.iter().for_each(|item| references(item, found)),
                _ => {}
            }
        }
        let (published, mut found) = (json_schema(&plugins::all()), Vec::new());
        references(&published, &mut found);
        assert!(found.len() > 10);
        for target in found {
            let pointer = target.strip_prefix('#').expect("of this document");
            assert!(published.pointer(pointer).is_some(), "{target}");
        }
    }
}
