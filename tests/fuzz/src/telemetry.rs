//! Payloads of telemetry.

use serde_json::{Map, Value};
use wheeltapper::acquisition::{Rejection, Sink, decode_json, decode_value};

pub fn json(data: &[u8]) {
    let mut taken = Taken::default();
    let decoded = decode_json(data, &mut taken);
    if decoded.is_ok() {
        assert!(taken.0.iter().any(|(_, value)| value.is_some()), "a message without a reading was taken");
        assert!(taken.0.iter().all(|(_, value)| value.is_none_or(f64::is_finite)), "a reading that is not finite");
    }
    if let Ok(Value::Object(mut object)) = serde_json::from_slice(data) {
        object.remove("time");
        every_number_of_an_object_is_taken(&object);
    }
}

pub fn value(data: &[u8]) {
    let mut taken = Taken::default();
    let decoded = decode_value(data, "c", &mut taken);
    if decoded.is_ok() {
        let [(channel, value)] = &taken.0[..] else { panic!("one value is one reading") };
        assert!(channel == "c" && value.is_none_or(f64::is_finite));
    }
}

/// Whatever another reader finds in an object without a time and without doubles is found by the decoder too.
fn every_number_of_an_object_is_taken(object: &Map<String, Value>) {
    let mut taken = Taken::default();
    let text = serde_json::to_vec(object).expect("what was read as JSON can be written as JSON");
    let decoded = decode_json(&text, &mut taken);
    let numbers: Vec<_> =
        object.iter().filter_map(|(name, value)| Some((name.clone(), Some(value.as_f64()?)))).collect();
    assert_eq!(decoded, if numbers.is_empty() { Err(Rejection::NoReading) } else { Ok(None) });
    taken.0.retain(|(_, value)| value.is_some());
    assert_eq!(taken.0, numbers);
}

#[derive(Default)]
struct Taken(Vec<(String, Option<f64>)>);

impl Sink for Taken {
    fn reading(&mut self, channel: &str, value: Option<f64>) -> Result<(), Rejection> {
        self.0.push((channel.to_owned(), value));
        Ok(())
    }
}
