use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use super::cell::{self, DateOrder};
use super::columns::Columns;
use crate::acquisition::stamp_from_number;

/// A time that lies later by so much, written as this cell writes its own; `None` where it cannot be.
pub fn shifted_stamp(cell: &str, by: SignedDuration, columns: &Columns) -> Option<String> {
    let time = cell::time(cell, columns.date_order)?;
    let later = time.checked_add(by).ok()?;
    let trimmed = cell.trim();
    match trimmed.parse::<f64>() {
        Ok(number) => shifted_number(trimmed, number, by),
        Err(_) => {
            patterns(trimmed, columns.date_order).find(|way| way.write(time) == trimmed).map(|way| way.write(later))
        }
    }
}

/// One way to write a time.
struct Way {
    pattern: String,
    offset: Offset,
}

impl Way {
    fn write(&self, time: Timestamp) -> String {
        let civil: DateTime = self.offset.to_datetime(time);
        civil.strftime(&self.pattern).to_string()
    }
}

/// Every way that could have written a cell; the one that writes it again has.
fn patterns(cell: &str, order: DateOrder) -> impl Iterator<Item = Way> {
    let (suffix, offset) = zone(cell);
    let body = &cell[..cell.len() - suffix.len()];
    let digits = body.rsplit_once('.').filter(|(before, _)| before.contains(':')).map_or(0, |(_, digits)| digits.len());
    let seconds = match digits {
        0 => "%H:%M:%S".to_owned(),
        digits => format!("%H:%M:%S%.{}f", digits.min(9)),
    };
    let slashed = if order == DateOrder::DayFirst { "%d/%m/%Y" } else { "%m/%d/%Y" };
    let dates = ["%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", slashed];
    let suffix = suffix.to_owned();
    dates.into_iter().flat_map(move |date| {
        let times =
            [format!("T{seconds}"), format!(" {seconds}"), "T%H:%M".to_owned(), " %H:%M".to_owned(), String::new()];
        let suffix = suffix.clone();
        times.into_iter().map(move |time| Way { pattern: format!("{date}{time}{suffix}"), offset })
    })
}

/// What a cell says of its time zone.
fn zone(cell: &str) -> (&str, Offset) {
    if cell.ends_with('Z') {
        return (&cell[cell.len() - 1..], Offset::UTC);
    }
    let Some(start) = cell.len().checked_sub("+01:00".len()).filter(|&start| cell.is_char_boundary(start)) else {
        return ("", Offset::UTC);
    };
    let tail = &cell[start..];
    let sign = match tail.as_bytes()[0] {
        b'+' => 1,
        b'-' => -1,
        _ => return ("", Offset::UTC),
    };
    let minutes = tail[1..].split_once(':').and_then(|(hours, minutes)| {
        let [hours, minutes]: [i32; 2] = [hours.parse().ok()?, minutes.parse().ok()?];
        Some(60 * hours + minutes)
    });
    match minutes.and_then(|minutes| Offset::from_seconds(sign * 60 * minutes).ok()) {
        Some(offset) => (tail, offset),
        None => ("", Offset::UTC),
    }
}

fn shifted_number(cell: &str, number: f64, by: SignedDuration) -> Option<String> {
    // The cell's unit is the one in which reading it again gives the shifted time.
    let unit = [1e9, 1e6, 1e3, 1.0].into_iter().find(|unit| {
        let one = stamp_from_number(number + 1e9 / unit);
        one.zip(stamp_from_number(number)).is_some_and(|(one, zero)| one.duration_since(zero).as_secs_f64() > 0.9)
    })?;
    match cell.parse::<i128>() {
        Ok(whole) => Some((whole + (by.as_nanos() as f64 / unit).round() as i128).to_string()),
        Err(_) => {
            let digits = cell.rsplit_once('.').map_or(0, |(_, digits)| digits.len().min(9));
            Some(format!("{:.digits$}", number + by.as_nanos() as f64 / unit))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(order: DateOrder) -> Columns {
        Columns {
            channels: Vec::new(),
            time: None,
            left_out: Vec::new(),
            channel_places: Vec::new(),
            time_place: Some(0),
            decimal_comma: false,
            date_order: order,
        }
    }

    #[test]
    fn a_shifted_time_is_written_as_the_cell_was() {
        for (cell, expected) in [
            ("2026-01-01T00:00:00Z", "2026-01-01T00:01:30Z"),
            ("2026-01-01T00:00:00.250+01:00", "2026-01-01T00:01:30.250+01:00"),
            ("2026-01-01 00:00:00", "2026-01-01 00:01:30"),
            ("2026-01-01 00:00", "2026-01-01 00:01"),
            ("31.12.2025 23:59:00", "01.01.2026 00:00:30"),
            ("2026/01/01 00:00:00.5", "2026/01/01 00:01:30.5"),
            ("31/12/2025 23:59", "01/01/2026 00:00"),
            ("1767225600", "1767225690"),
            ("1767225600000", "1767225690000"),
            ("1767225600.25", "1767225690.25"),
        ] {
            let shifted = shifted_stamp(cell, SignedDuration::from_secs(90), &columns(DateOrder::DayFirst));
            assert_eq!(shifted.as_deref(), Some(expected), "{cell}");
        }
        let american =
            shifted_stamp("12/31/2025 23:59", SignedDuration::from_secs(60), &columns(DateOrder::MonthFirst));
        assert_eq!(american.as_deref(), Some("01/01/2026 00:00"));
        assert_eq!(shifted_stamp("later", SignedDuration::from_secs(90), &columns(DateOrder::DayFirst)), None);
    }
}
