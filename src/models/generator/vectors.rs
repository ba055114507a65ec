use std::collections::BTreeMap;

use serde::Deserialize;

/// For each role its cases: one window's inputs with the outputs that PyTorch computed from them.
pub(super) type RoleVectors = BTreeMap<String, Vec<RoleCase>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleCase {
    pub inputs: BTreeMap<String, Vec<f32>>,
    pub outputs: BTreeMap<String, Vec<f32>>,
}

impl RoleCase {
    /// The inputs of these names, if there are just these and each has its size.
    pub fn inputs(&self, names: &[String], size: impl Fn(&str) -> usize) -> Result<Vec<&[f32]>, String> {
        values(&self.inputs, names, size)
    }

    pub fn outputs(&self, names: &[String], size: impl Fn(&str) -> usize) -> Result<Vec<&[f32]>, String> {
        values(&self.outputs, names, size)
    }
}

fn values<'a>(
    all: &'a BTreeMap<String, Vec<f32>>,
    names: &[String],
    size: impl Fn(&str) -> usize,
) -> Result<Vec<&'a [f32]>, String> {
    if all.len() != names.len() {
        let found: Vec<&String> = all.keys().collect();
        return Err(format!("has {found:?}, expected {names:?}"));
    }
    let each = names.iter().map(|name| match all.get(name) {
        Some(values) if values.len() == size(name) => Ok(values.as_slice()),
        Some(values) => Err(format!("has {} values of {name}, expected {}", values.len(), size(name))),
        None => Err(format!("has no {name}")),
    });
    each.collect()
}
