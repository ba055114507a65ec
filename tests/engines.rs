//! Which engine runs a kind's network, and why not a faster one, is told before anything runs.

mod support {
    pub mod binary;
    #[allow(dead_code, reason = "each test breaks a package in its own way")]
    pub mod package;
}

use std::fs;

use prost::Message;
use serde_json::{Value, json};
use tract_onnx::pb::{ModelProto, NodeProto};

use support::binary::wheeltapper;
use support::package::Package;

#[test]
fn the_shipped_network_runs_on_the_ring() {
    let (json, text) = checked(&Package::copy());
    let model = &json["kinds"]["hydraulic-rig"]["model"];
    assert_eq!((&model["engine"], &model["turned_down"]), (&json!("ring"), &json!([])));
    assert!(text.contains("engine ring\n"), "{text}");
    assert!(!text.contains("not ring"), "{text}");
}

#[test]
fn a_network_that_the_ring_does_not_know_is_pulsed_and_says_what_it_was() {
    let package = Package::copy();
    package.write_listed("denoiser.onnx", &with_a_sine_at_its_end(&package.read("denoiser.onnx")));
    let mut vectors: Value = serde_json::from_slice(&package.read("vectors.json")).expect("the vectors are JSON");
    for case in vectors["cases"].as_array_mut().expect("cases") {
        let rows = case["output"].as_array_mut().expect("channels");
        for value in rows.iter_mut().flat_map(|row| row.as_array_mut().expect("values")) {
            *value = json!(value.as_f64().expect("a number").sin() as f32);
        }
    }
    package.write_listed("vectors.json", vectors.to_string().as_bytes());
    let (json, text) = checked(&package);
    let model = &json["kinds"]["hydraulic-rig"]["model"];
    assert_eq!(model["engine"], "pulse");
    assert_eq!(model["turned_down"][0]["engine"], "ring");
    assert!(model["turned_down"][0]["why"].as_str().is_some_and(|why| why.contains("Sin")), "{model}");
    assert!(text.contains("engine pulse\n    not ring: Sin"), "{text}");
}

/// `check` as JSON and in words.
fn checked(package: &Package) -> (Value, String) {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let config = folder.path().join("wheeltapper.toml");
    let text = format!(
        "gateway = \"g1\"\nallow_unsigned = true\nstate_dir = {:?}\nmodels = {:?}\n[mqtt]\nhost = \"127.0.0.1\"\n\
         [[input]]\ntopic = \"plant/{{machine}}/telemetry\"\nformat = \"json\"\n\
         [machine_defaults]\nkind = \"hydraulic-rig\"\n",
        folder.path().join("state"),
        package.models(),
    );
    fs::write(&config, text).expect("the test's folder can be written");
    let config = config.to_str().expect("a path of text");
    let [json, text] =
        [&["check", "--config", config, "--json"][..], &["check", "--config", config]].map(|arguments| {
            let told = wheeltapper(arguments.iter().copied());
            assert_eq!(told.code, 0, "{}", told.err);
            told.out
        });
    (serde_json::from_str(&json).expect("it is JSON"), text)
}

fn with_a_sine_at_its_end(onnx: &[u8]) -> Vec<u8> {
    let mut model = ModelProto::decode(onnx).expect("it is ONNX");
    let graph = model.graph.as_mut().expect("it has a graph");
    for output in graph.node.iter_mut().flat_map(|node| &mut node.output).filter(|output| *output == "y") {
        *output = "before".to_owned();
    }
    graph.node.push(NodeProto {
        op_type: "Sin".to_owned(),
        name: "sine".to_owned(),
        input: vec!["before".to_owned()],
        output: vec!["y".to_owned()],
        ..NodeProto::default()
    });
    model.encode_to_vec()
}
