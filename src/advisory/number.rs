/// A value and what was expected of it, written with as many digits as it takes to tell them apart: three significant
/// ones, and up to three more. A number that is not finite is not written.
pub(super) fn write_pair(value: Option<f64>, expected: Option<f64>) -> (Option<String>, Option<String>) {
    let value = value.filter(|value| value.is_finite());
    let expected = expected.filter(|expected| expected.is_finite());
    let (Some(a), Some(b)) = (value, expected) else {
        return (value.map(|a| write(a, decimals(a))), expected.map(|b| write(b, decimals(b))));
    };
    let fewest = decimals(if a.abs() > b.abs() { a } else { b });
    let enough = (fewest..fewest + 3).find(|decimals| write(a, *decimals) != write(b, *decimals));
    let decimals = enough.unwrap_or(fewest);
    (Some(write(a, decimals)), Some(write(b, decimals)))
}

/// A number with three significant digits; `None` where it is not finite.
pub(super) fn write_number(value: f64) -> Option<String> {
    write_pair(Some(value), None).0
}

/// A probability or share in whole per cent; the ends are kept for what is certain.
pub(super) fn write_percent(share: f64) -> String {
    if !share.is_finite() || share <= 0.0 {
        return "0 %".to_owned();
    }
    if share < 0.01 {
        return "below 1 %".to_owned();
    }
    if share > 0.99 && share < 1.0 {
        return "over 99 %".to_owned();
    }
    format!("{:.0} %", 100.0 * share.min(1.0))
}

fn write(value: f64, decimals: usize) -> String {
    let magnitude = value.abs();
    if magnitude >= LARGE || (magnitude > 0.0 && magnitude < SMALL) {
        return format!("{value:.2e}");
    }
    let written = format!("{value:.decimals$}");
    // A value that rounds to nothing has no sign to show.
    match written.strip_prefix('-') {
        Some(digits) if digits.bytes().all(|byte| matches!(byte, b'0' | b'.')) => digits.to_owned(),
        _ => written,
    }
}

fn decimals(value: f64) -> usize {
    let magnitude = value.abs();
    (0..6).find(|decimals| magnitude * 10f64.powi(*decimals) >= 99.95).unwrap_or(3) as usize
}

const LARGE: f64 = 1e9;
const SMALL: f64 = 1e-4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_follow_the_size() {
        assert_eq!(write_number(6.7071).as_deref(), Some("6.71"));
        assert_eq!(write_number(57.228).as_deref(), Some("57.2"));
        assert_eq!(write_number(1234.5).as_deref(), Some("1234"));
        assert_eq!(write_number(-0.000_04).as_deref(), Some("-4.00e-5"));
        assert_eq!(write_number(0.0).as_deref(), Some("0.000"));
        assert_eq!(write_number(1e300).as_deref(), Some("1.00e300"));
    }

    #[test]
    fn two_numbers_that_differ_are_written_apart() {
        assert_eq!(write_pair(Some(40.01), Some(40.04)), (Some("40.01".to_owned()), Some("40.04".to_owned())));
        assert_eq!(write_pair(Some(5.0), Some(5.0)), (Some("5.00".to_owned()), Some("5.00".to_owned())));
    }

    #[test]
    fn what_is_no_number_is_not_written() {
        assert_eq!(write_pair(Some(f64::NAN), Some(f64::INFINITY)), (None, None));
        assert_eq!(write_pair(None, Some(2.0)), (None, Some("2.00".to_owned())));
    }

    #[test]
    fn only_what_is_certain_is_written_as_certain() {
        assert_eq!(write_percent(0.997), "over 99 %");
        assert_eq!(write_percent(0.004), "below 1 %");
        assert_eq!(write_percent(0.814), "81 %");
        assert_eq!(write_percent(f64::NAN), "0 %");
    }
}
