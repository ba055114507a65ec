use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::acquisition::{parse_stamp, stamp_from_number};

/// The number in a cell: `None` if it is some other text, NaN if it says that there is no value.
pub(super) fn number(cell: &str, decimal_comma: bool) -> Option<f64> {
    let cell = cell.trim();
    if NO_VALUE.iter().any(|word| cell.eq_ignore_ascii_case(word)) {
        return Some(f64::NAN);
    }
    let parsed = if decimal_comma && cell.contains(',') && !cell.contains('.') {
        cell.replacen(',', ".", 1).parse::<f64>()
    } else {
        cell.parse::<f64>()
    };
    parsed.ok().map(|number| if number.is_finite() { number } else { f64::NAN })
}

/// Which comes first where a date is written with slashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum DateOrder {
    #[default]
    DayFirst,
    MonthFirst,
}

/// The order in which all cells of a column can be read; no single cell can tell.
pub(super) fn date_order<'c>(cells: impl Iterator<Item = &'c str> + Clone) -> DateOrder {
    let all = |order| cells.clone().all(|cell| time(cell, order).is_some());
    if !all(DateOrder::DayFirst) && all(DateOrder::MonthFirst) { DateOrder::MonthFirst } else { DateOrder::DayFirst }
}

/// The time in a cell, in any of the ways that recordings write it.
pub(super) fn time(cell: &str, order: DateOrder) -> Option<Timestamp> {
    let cell = cell.trim();
    if let Some(stamp) = parse_stamp(cell) {
        return Some(stamp);
    }
    if let Ok(number) = cell.parse::<f64>() {
        return stamp_from_number(number);
    }
    let slashed = match order {
        DateOrder::DayFirst => DAY_FIRST,
        DateOrder::MonthFirst => MONTH_FIRST,
    };
    let with_time = FORMATS.iter().chain(&slashed).find_map(|format| DateTime::strptime(format, cell).ok());
    let civil = with_time.or_else(|| DATES.iter().find_map(|format| Some(Date::strptime(format, cell).ok()?.into())));
    TimeZone::UTC.to_timestamp(civil?).ok()
}

const NO_VALUE: [&str; 8] = ["", "nan", "na", "n/a", "null", "none", "-", "?"];
const FORMATS: [&str; 5] =
    ["%Y-%m-%d %H:%M", "%Y/%m/%d %H:%M:%S%.f", "%Y/%m/%d %H:%M", "%d.%m.%Y %H:%M:%S%.f", "%d.%m.%Y %H:%M"];
const DAY_FIRST: [&str; 2] = ["%d/%m/%Y %H:%M:%S%.f", "%d/%m/%Y %H:%M"];
const MONTH_FIRST: [&str; 2] = ["%m/%d/%Y %H:%M:%S%.f", "%m/%d/%Y %H:%M"];
const DATES: [&str; 2] = ["%Y-%m-%d", "%d.%m.%Y"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_a_number_no_value_or_a_text() {
        assert_eq!(number(" 1.5 ", false), Some(1.5));
        assert_eq!(number("1,5", true), Some(1.5));
        assert_eq!(number("1,5", false), None);
        assert_eq!(number("open", false), None);
        for none in ["", "NaN", "N/A", "inf", "-"] {
            assert!(number(none, false).is_some_and(f64::is_nan), "{none}");
        }
    }

    #[test]
    fn the_usual_ways_to_write_a_time_are_read() {
        let time = |text| time(text, DateOrder::DayFirst);
        let expected = time("2016-07-01T00:30:00Z");
        assert!(expected.is_some());
        for text in [
            "2016-07-01 00:30:00",
            "2016-07-01 00:30",
            "2016/07/01 00:30:00",
            "01.07.2016 00:30",
            "01.07.2016 00:30:00.000",
            "1467333000",
            "1467333000000",
        ] {
            assert_eq!(time(text), expected, "{text}");
        }
        assert_eq!(time("2016-07-01"), time("2016-07-01T00:00:00Z"));
        assert_eq!(time("Friday"), None);
    }
    #[test]
    fn a_column_of_slashed_dates_is_read_in_one_order() {
        let american = ["03/31/2024 10:00:00", "04/01/2024 10:00:00"];
        let order = date_order(american.into_iter());
        let days = american.map(|cell| time(cell, order).unwrap().as_second() / 86_400);
        assert_eq!((order, days[1] - days[0]), (DateOrder::MonthFirst, 1));
        assert_eq!(date_order(["01/02/2024 10:00", "31/03/2024 10:00"].into_iter()), DateOrder::DayFirst);
    }
}
