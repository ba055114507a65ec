use super::{Rejection, Sink};

/// Reads one bare number, the value of the channel that the topic names.
pub fn decode_value(payload: &[u8], channel: &str, sink: &mut impl Sink) -> Result<(), Rejection> {
    let text = std::str::from_utf8(payload).map_err(|_| Rejection::NotUtf8)?;
    let number: f64 = text.trim().parse().map_err(|_| Rejection::Malformed)?;
    if !number.is_finite() {
        return Err(Rejection::NonFinite);
    }
    sink.reading(channel, Some(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Taken(Option<f64>);

    impl Sink for Taken {
        fn reading(&mut self, _: &str, value: Option<f64>) -> Result<(), Rejection> {
            self.0 = value;
            Ok(())
        }
    }

    #[test]
    fn a_bare_number_is_its_channels_reading() {
        for (payload, value) in [("21.5", 21.5), (" -3\n", -3.0), ("1e-3", 0.001)] {
            let mut taken = Taken(None);
            decode_value(payload.as_bytes(), "t", &mut taken).unwrap();
            assert_eq!(taken.0, Some(value));
        }
    }

    #[test]
    fn each_kind_of_bad_value_has_its_own_cause() {
        for (payload, cause) in [
            (&b""[..], Rejection::Malformed),
            (b"on", Rejection::Malformed),
            (b"1 2", Rejection::Malformed),
            (b"nan", Rejection::NonFinite),
            (b"-inf", Rejection::NonFinite),
            (b"1e999", Rejection::NonFinite),
            (b"\xff\xfe", Rejection::NotUtf8),
        ] {
            assert_eq!(decode_value(payload, "t", &mut Taken(None)), Err(cause), "{payload:?}");
        }
    }
}
