/// Reads a size in bytes: a whole number and one of `B`, `KiB`, `MiB`, `GiB`, e.g. `256KiB`.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let explain = || format!("{text:?} is not a size; write a whole number and B, KiB, MiB or GiB, e.g. \"256KiB\"");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(explain)?;
    let (number, unit) = text.split_at(digits);
    let shift = match unit {
        "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err(explain()),
    };
    let number: u64 = number.parse().map_err(|_| explain())?;
    number.checked_mul(1 << shift).ok_or_else(explain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_whole_number_and_a_unit() {
        for (text, bytes) in [("0B", 0), ("256KiB", 262_144), ("64MiB", 67_108_864), ("1GiB", 1 << 30)] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_explained() {
        for text in ["", "1", "KiB", "1.5MiB", "1MB", "99999999999999GiB"] {
            assert!(parse_size(text).unwrap_err().contains("e.g. \"256KiB\""), "{text}");
        }
    }
}
