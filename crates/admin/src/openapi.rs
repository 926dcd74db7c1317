//! `GET /retrohook/openapi.json`: this API as an OpenAPI 3.1 document. It is made from the table of paths and from the types of their parameters and
//! answers.

use axum::Json;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::Error;
use crate::paths::{self, Answer, Method, Operation};

/// Makes schemas of types as they are serialised, which refer to each other in OpenAPI's way.
pub(crate) fn generator() -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let settings = settings.with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    settings.into_generator()
}

pub(crate) async fn get() -> Json<Value> {
    Json(document())
}

/// The document.
pub(crate) fn document() -> Value {
    let mut generator = generator();
    let error = generator.subschema_for::<Error>();
    let mut paths: Map<String, Value> = Map::new();
    for operation in paths::all() {
        let method = operation.method.as_str().to_ascii_lowercase();
        let described = described(&operation, &error, &mut generator);
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[method] = described;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Retrohook's admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What operators ask a node. Times are of RFC 3339, in UTC. Every error is an object with `message` and `hint`.",
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": { "schemas": generator.take_definitions(true) },
    })
}

fn described(operation: &Operation, error: &Schema, generator: &mut SchemaGenerator) -> Value {
    let mut parameters = of_path(operation.path);
    if let Some(query) = operation.query {
        parameters.extend(of_query(&query(generator)));
    }
    let content = match operation.answer {
        Answer::Json(schema) => json!({ "application/json": { "schema": schema(generator) } }),
        Answer::Text(media) => json!({ media: { "schema": { "type": "string" } } }),
    };
    let mut described = json!({
        "operationId": id_of(operation),
        "summary": operation.what,
        "parameters": parameters,
        "responses": {
            "200": { "description": operation.what, "content": content },
            "default": {
                "description": "what was asked was not done, and why",
                "content": { "application/json": { "schema": error } },
            },
        },
    });
    if operation.method == Method::Post && operation.path == "/config" {
        let text = json!({ "schema": { "type": "string" } });
        described["requestBody"] = json!({
            "description": "a configuration in Kong's declarative format, as text",
            "content": { "application/yaml": text, "application/json": { "schema": true } },
        });
    }
    described
}

/// The id of an operation: `get_retrohook_events_id`.
fn id_of(operation: &Operation) -> String {
    let words = operation.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let words = std::iter::once(operation.method.as_str()).chain(words).map(str::to_ascii_lowercase);
    words.collect::<Vec<_>>().join("_")
}

/// The parameters in a path. They are numbers, except for the ids of events.
fn of_path(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name: &str| {
        let schema = match path.starts_with("/retrohook/events/") && name == "id" {
            true => json!({ "type": "string", "format": "uuid" }),
            false => json!({ "type": "integer", "format": "int64" }),
        };
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    };
    names.map(parameter).collect()
}

/// The parameters in a query, one for each member of the type that the query is read as. None of them is required.
fn of_query(query: &Schema) -> Vec<Value> {
    let members = query.get("properties").and_then(Value::as_object);
    let parameter =
        |(name, schema): (&String, &Value)| json!({ "name": name, "in": "query", "schema": schema });
    members.map(|members| members.iter().map(parameter).collect()).unwrap_or_default()
}

/// Makes the schema of a type. The table of paths has this function, for the type of each query.
pub(crate) fn members_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// All that is referred to.
    fn references(of: &Value, found: &mut BTreeSet<String>) {
        match of {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn what_is_referred_to_is_there_and_no_name_is_used_twice() {
        let document = document();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.len() > 10, "{found:?}");
        for reference in &found {
            let pointer = reference.strip_prefix('#').expect("it is within the document");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        let names = document["components"]["schemas"].as_object().expect("schemas");
        // One that schemars had to number: two types have one name.
        let numbered = names.keys().filter(|name| name.ends_with(|last: char| last.is_ascii_digit()));
        assert_eq!(numbered.collect::<Vec<_>>(), [""; 0]);
        let ids: Vec<String> = paths::all().iter().map(id_of).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    }
}
