//! The checked-in JSON Schema is the one that the code has.

use std::path::Path;

#[test]
fn the_checked_in_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/config.schema.json");
    let schema = serde_json::to_string_pretty(&config::json_schema(&plugins::all())).expect("JSON") + "\n";
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&path, &schema).expect("docs/config.schema.json");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == schema,
        "docs/config.schema.json is stale: UPDATE_GENERATED=1 cargo test -p config --test schema"
    );
}
