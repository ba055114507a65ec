use std::path::Path;

use super::outcome::Failure;
use crate::generation::{Condition, Known, Layout};
use crate::recording::{ReadOptions, Recording};

/// Reads what is known of a series: the channels of the layout that the recording has, and its labels.
pub(super) fn known(path: &Path, layout: &Layout) -> Result<Known, Failure> {
    let at = |what: &dyn std::fmt::Display| Failure::failed(format_args!("{}: {what}", path.display()));
    let mut recording = Recording::open(path, &ReadOptions::default()).map_err(Failure::failed)?;
    let columns = recording.columns().channels.clone();
    let place = |name: &str| columns.iter().position(|column| column == name);
    let channels: Vec<Option<usize>> = layout.channels.iter().map(|channel| place(channel.name.as_str())).collect();
    if channels.iter().all(Option::is_none) {
        let names: Vec<&str> = layout.channels.iter().map(|channel| channel.name.as_str()).collect();
        return Err(Failure::usage(format_args!(
            "{}: none of its columns {columns:?} is a channel of this generator; expected some of {}",
            path.display(),
            names.join(", ")
        )));
    }
    let labels: Option<Vec<usize>> = layout.labels.iter().map(|label| place(label.name.as_str())).collect();
    let labels = labels.filter(|labels| !labels.is_empty());
    let mut known = Known::new(layout);
    let mut values = Vec::new();
    let mut number = 0u64;
    while let Some(row) = recording.next_row().map_err(Failure::failed)? {
        number += 1;
        values.clear();
        values.extend(channels.iter().map(|place| place.map_or(f64::NAN, |place| row.values[place])));
        let levels = labels.as_ref().map(|labels| labels.iter().map(|&place| row.values[place]).collect());
        let condition = levels.map(|levels| Condition { levels }).filter(|condition| spanned(condition, layout));
        known
            .push((row.time, &values), condition, layout)
            .map_err(|error| at(&format_args!("row {number}: {error}")))?;
    }
    Ok(known)
}

/// Whether the generator knows such a condition; a hole is none.
fn spanned(condition: &Condition, layout: &Layout) -> bool {
    layout.labels.iter().zip(&condition.levels).all(|(label, &level)| label.spans(level))
}
