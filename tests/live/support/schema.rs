//! The public contract's JSON Schemas, from `$WHEELTAPPER_SCHEMA` or `../shared/schema` beside the checkout.

use std::path::PathBuf;

use serde_json::Value;

/// Panics unless the payload is valid; says so and does nothing where the schemas are not at hand.
pub fn assert_valid(schema: &str, payload: &Value) {
    if let Some(schema) = read(schema) {
        check(&schema, payload);
    }
}

/// The same against one definition of a schema.
pub fn assert_valid_part(schema: &str, definition: &str, payload: &Value) {
    if let Some(mut schema) = read(schema) {
        schema["$ref"] = Value::String(format!("#/$defs/{definition}"));
        check(&schema, payload);
    }
}

fn read(schema: &str) -> Option<Value> {
    let folder = std::env::var_os("WHEELTAPPER_SCHEMA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/schema"), PathBuf::from);
    match std::fs::read_to_string(folder.join(format!("{schema}.schema.json"))) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(_) => {
            println!("skipped: no schemas in {}", folder.display());
            None
        }
    }
}

fn check(schema: &Value, payload: &Value) {
    let validator = jsonschema::validator_for(schema).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(payload).map(|error| format!("{} at {}", error, error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{payload:#}");
}
