use serde_json::{Map, Value, json};

use super::{Layout, Lineage, SeriesRow};
use crate::publication::show_stamp;

/// A row as a machine would tell it: an object of numbers and, if it is to bear one, its `time`. Nothing in it says that
/// nobody measured it; that is for the [`truth`] beside it.
pub fn telemetry(row: &SeriesRow, layout: &Layout, stamped: bool) -> Vec<u8> {
    let mut members = Map::new();
    if stamped {
        members.insert("time".to_owned(), Value::String(show_stamp(row.time)));
    }
    members.extend(
        layout.channels.iter().zip(&row.values).map(|(channel, value)| (channel.name.to_string(), json!(value))),
    );
    Value::Object(members).to_string().into_bytes()
}

/// What is true of a row: that it is synthetic, the machine's condition, who made it. `row` counts from 0 and is what finds
/// its telemetry where that bears no time.
pub fn truth(row: &SeriesRow, number: u64, stamped: bool, (layout, lineage): (&Layout, &Lineage)) -> Vec<u8> {
    let levels = layout.labels.iter().zip(&row.condition.levels);
    let label: Map<String, Value> = levels.map(|(label, level)| (label.name.to_string(), json!(level))).collect();
    let maker = &lineage.generator;
    let truth = json!({
        "v": 1,
        "synthetic": true,
        "time": stamped.then(|| show_stamp(row.time)),
        "row": number,
        "window": row.window,
        "label": label,
        "generator": { "name": maker.name, "version": maker.version, "sha256": maker.sha256, "seed": lineage.seed },
    });
    truth.to_string().into_bytes()
}
