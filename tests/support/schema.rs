//! The public contract's JSON Schemas, from `$WHEELTAPPER_SCHEMA` or `../shared/schema` beside the checkout.

use std::path::PathBuf;

use serde_json::Value;

/// Panics unless the payload is valid; says so and does nothing where the schemas are not at hand.
pub fn assert_valid(schema: &str, payload: &Value) {
    let folder = std::env::var_os("WHEELTAPPER_SCHEMA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/schema"), PathBuf::from);
    let Ok(text) = std::fs::read_to_string(folder.join(format!("{schema}.schema.json"))) else {
        println!("skipped: no schemas in {}", folder.display());
        return;
    };
    let schema: Value = serde_json::from_str(&text).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(payload).map(|error| format!("{} at {}", error, error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{payload:#}");
}
