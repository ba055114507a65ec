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

use support::binary::{Told, wheeltapper};
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

#[test]
fn a_package_is_inspected_before_anything_takes_it() {
    let package = Package::copy();
    let folder = package.path("");
    let folder = folder.to_str().expect("a path of text");
    let json = |told: &Told| serde_json::from_str::<Value>(&told.out).expect("it is JSON");
    let brought = json(&wheeltapper(["model", "inspect", "hydraulic-dae", "--json"]));
    assert_eq!((&brought["engine"], &brought["shipped"]), (&json!("ring"), &json!(true)));
    assert!(brought["vectors"]["largest"].as_f64() < brought["vectors"]["tolerance"].as_f64(), "{brought}");
    assert_eq!(json(&wheeltapper(["model", "inspect", folder, "--json"])), brought);
    let text = wheeltapper(["model", "inspect", folder]).out;
    assert!(text.starts_with("hydraulic-dae 2.0.0, denoise for the kind hydraulic-rig\n"), "{text}");
    assert!(text.ends_with("  engine    ring\n"), "{text}");

    package.edit_manifest("licence = \"CC-BY-4.0\"", "licence = \"CC0-1.0\"");
    assert_eq!(json(&wheeltapper(["model", "inspect", folder, "--json"]))["shipped"], false);
    package.write("denoiser.onnx", b"changed");
    let refused = wheeltapper(["model", "inspect", folder]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("denoiser.onnx has 7 bytes"), "{}", refused.err);
    let models = package.models().to_str().expect("a path of text");
    let listed = wheeltapper(["model", "list", "--models", models]);
    assert_eq!(listed.code, 0, "{}", listed.err);
    let (first, second) = listed.out.split_once('\n').expect("two packages");
    assert_eq!(first, "hydraulic-dae: hydraulic-dae 2.0.0, kind hydraulic-rig, engine ring");
    assert!(second.contains("refused: ") && second.contains("denoiser.onnx has 7 bytes"), "{second}");
    let nothing = wheeltapper(["model", "inspect", "no-such-package"]);
    assert_eq!(nothing.code, 1);
    assert!(nothing.err.contains("\"hydraulic-dae\""), "{}", nothing.err);
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
