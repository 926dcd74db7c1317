//! The settings of plug-ins: read by the schema of their kind as leniently as 0.x reads them, refused with its messages, and shown with defaults.

use config::check_settings;
use pipeline::{CheckContext, PluginKind};
use serde_json::{Map, Value, json};

use super::error::{Error, Wrong};
use super::fields::Type;

/// How many levels of a plug-in's schema are followed. Schemas are made from types, and none has so many.
const MAX_DEPTH: usize = 32;

/// The settings in the types of the kind's schema.
///
/// # Errors
/// Everything that is wrong with them, at once.
pub(super) fn read(
    kind: &dyn PluginKind,
    settings: Map<String, Value>,
    context: &CheckContext<'_>,
) -> Result<Value, Error> {
    let schema = kind.schema().to_value();
    let mut reading = Reading { root: &schema, wrong: Wrong::default() };
    let settings = reading.value(&schema, settings.into(), "config", 0);
    reading.wrong.check()?;
    let mut wrong = Wrong::default();
    for problem in check_settings(kind, &settings, context) {
        wrong.add(field(&problem.pointer), format!("{} ({})", problem.message, problem.hint));
    }
    wrong.check().map(|()| settings)
}

/// The name of a field from its JSON Pointer: `config.routes[0].matcher` from `/routes/0/matcher`.
fn field(pointer: &str) -> String {
    let mut field = "config".to_owned();
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        match part.parse::<usize>() {
            Ok(index) => field.push_str(&format!("[{index}]")),
            Err(_) => field.push_str(&format!(".{part}")),
        }
    }
    field
}

struct Reading<'s> {
    root: &'s Value,
    wrong: Wrong,
}

impl<'s> Reading<'s> {
    /// A value in the type of its schema. If it does not fit, it stays as it is, and the problem is noted.
    fn value(&mut self, schema: &'s Value, value: Value, path: &str, depth: usize) -> Value {
        let schema = resolved(self.root, schema);
        if let Some(allowed) = allowed(schema) {
            return self.one_of(&allowed, value, path);
        }
        let Some(of) = type_of(schema).filter(|_| depth < MAX_DEPTH) else { return value };
        let value = match of.read(value.clone()) {
            Ok(value) => value,
            Err(message) => {
                self.wrong.add(path, format!("{} {message}", last(path)));
                return value;
            }
        };
        match value {
            Value::Object(object) => self.object(schema, object, path, depth),
            Value::Array(items) => {
                let Some(each) = schema.get("items") else { return items.into() };
                let each = |(index, item)| self.value(each, item, &format!("{path}[{index}]"), depth + 1);
                items.into_iter().enumerate().map(each).collect()
            }
            other => other,
        }
    }

    fn object(&mut self, schema: &'s Value, object: Map<String, Value>, path: &str, depth: usize) -> Value {
        let properties = schema.get("properties").and_then(Value::as_object);
        let additional = schema.get("additionalProperties");
        let mut read = Map::new();
        // A null removes a value.
        for (name, value) in object.into_iter().filter(|(_, value)| !value.is_null()) {
            let inner = format!("{path}.{name}");
            let value = match (properties.and_then(|known| known.get(&name)), additional) {
                (Some(property), _) => self.value(property, value, &inner, depth + 1),
                (None, Some(Value::Bool(false))) => {
                    self.wrong.add(&inner, format!("{name} is an unknown field"));
                    continue;
                }
                (None, Some(other)) => self.value(other, value, &inner, depth + 1),
                (None, None) => value,
            };
            read.insert(name, value);
        }
        for name in required(schema).filter(|name| !read.contains_key(*name)) {
            self.wrong.add(format!("{path}.{name}"), format!("{name} is required"));
        }
        read.into()
    }

    fn one_of(&mut self, allowed: &[&Value], value: Value, path: &str) -> Value {
        if !allowed.contains(&&value) {
            let shown =
                |value: &Value| value.as_str().map_or_else(|| value.to_string(), |text| format!("{text:?}"));
            let given = shown(&value);
            let allowed: Vec<String> =
                allowed.iter().filter(|value| !value.is_null()).map(|v| shown(v)).collect();
            let message = format!("{given} is not allowed. Allowed values are: {}", allowed.join(", "));
            self.wrong.add(path, message);
        }
        value
    }
}

/// Settings with the defaults of their kind, as 0.x answers them. A setting without a value and without a default is left out.
pub(super) fn shown(kind: Option<&dyn PluginKind>, settings: &Value) -> Value {
    let mut shown = settings.as_object().cloned().unwrap_or_default();
    let schema = kind.map(|kind| kind.schema().to_value()).unwrap_or_default();
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if let Some(default) = property.get("default").filter(|default| !default.is_null()) {
            shown.entry(name.as_str()).or_insert_with(|| without_nulls(default));
        }
    }
    shown.into()
}

/// A default, without its members that are null.
fn without_nulls(default: &Value) -> Value {
    match default {
        Value::Object(object) => {
            let there = object.iter().filter(|(_, value)| !value.is_null());
            there.map(|(name, value)| (name.clone(), without_nulls(value))).collect()
        }
        other => other.clone(),
    }
}

/// The schema of a kind's settings in 0.x's form.
pub(super) fn schema(kind: &dyn PluginKind) -> Value {
    let root = kind.schema().to_value();
    json!({ "fields": fields(&root, &root, 0) })
}

fn fields(root: &Value, schema: &Value, depth: usize) -> Value {
    let mut fields = Map::new();
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let mut field = Map::new();
        let inner = resolved(root, property);
        let of = type_of(inner).or_else(|| allowed(inner).map(|_| Type::Text));
        field.insert("type".into(), of.map_or("table", Type::name).into());
        if required(schema).any(|required| required == name) {
            field.insert("required".into(), true.into());
        }
        if let Some(default) = property.get("default").filter(|default| !default.is_null()) {
            field.insert("default".into(), without_nulls(default));
        }
        if let Some(allowed) = allowed(inner) {
            field.insert(
                "enum".into(),
                allowed.into_iter().filter(|value| !value.is_null()).cloned().collect(),
            );
        }
        if inner.get("properties").is_some() && depth < MAX_DEPTH {
            field.insert("schema".into(), json!({ "fields": self::fields(root, inner, depth + 1) }));
        }
        fields.insert(name.clone(), field.into());
    }
    fields.into()
}

/// A schema with its references followed. If it has only one variant besides `null`, that variant.
fn resolved<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let mut schema = schema;
    for _ in 0..MAX_DEPTH {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
        if let Some(target) = target.and_then(|pointer| root.pointer(pointer)) {
            schema = target;
            continue;
        }
        let variants = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array);
        let is_null = |variant: &&Value| variant.get("type").is_some_and(|of| of == "null");
        let mut others = variants.into_iter().flatten().filter(|variant| !is_null(variant));
        match (others.next(), others.next()) {
            (Some(only), None) => schema = only,
            _ => return schema,
        }
    }
    schema
}

/// The values that a schema allows, if it lists them.
fn allowed(schema: &Value) -> Option<Vec<&Value>> {
    if let Some(only) = schema.get("const") {
        return Some(vec![only]);
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return Some(values.iter().collect());
    }
    let variants = schema.get("oneOf").or_else(|| schema.get("anyOf"))?.as_array()?;
    let values: Option<Vec<_>> = variants.iter().map(allowed).collect();
    values.map(|values| values.concat())
}

/// The type of a schema; `None` if 0.x has no word for it. Then only the kind checks the value.
fn type_of(schema: &Value) -> Option<Type> {
    let of = schema.get("type")?;
    let mut names =
        of.as_str().into_iter().chain(of.as_array().into_iter().flatten().filter_map(Value::as_str));
    match names.find(|name| *name != "null")? {
        "string" => Some(Type::Text),
        "boolean" => Some(Type::Flag),
        "integer" | "number" => Some(Type::Number),
        "array" => Some(Type::List),
        "object" => Some(Type::Table),
        _ => None,
    }
}

fn required(schema: &Value) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// The last name of a path.
fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}
