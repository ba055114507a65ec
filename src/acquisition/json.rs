use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::stamp::{parse_stamp, stamp_from_number};
use super::{Rejection, Sink};

/// Reads one flat JSON object of numbers; its member `time` is the stamp, every other member a channel.
///
/// `null`, texts and booleans say that a channel has no value. Nested arrays and objects are skipped: they are no
/// quantity. Nothing is allocated unless a key is written with escapes.
pub fn decode_json(payload: &[u8], sink: &mut impl Sink) -> Result<Option<Timestamp>, Rejection> {
    let text = std::str::from_utf8(payload).map_err(|_| Rejection::NotUtf8)?;
    let mut members = Members { sink, stamp: None, numbers: 0, rejection: None };
    let mut json = serde_json::Deserializer::from_str(text);
    let read = (&mut members).deserialize(&mut json).and_then(|()| json.end());
    match (read, members.rejection) {
        (_, Some(rejection)) => Err(rejection),
        (Err(error), None) => Err(cause_of(&error, text)),
        (Ok(()), None) if members.numbers == 0 => Err(Rejection::NoReading),
        (Ok(()), None) => Ok(members.stamp),
    }
}

/// Tells a number that is not finite, which JSON cannot write, from other nonsense.
fn cause_of(error: &serde_json::Error, text: &str) -> Rejection {
    let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
    let rest = line.get(error.column().saturating_sub(1)..).unwrap_or_default();
    let rest = rest.trim_start_matches(['-', '+']).to_ascii_lowercase();
    let not_finite = ["nan", "inf", "an", "nfinity", "1.#"].iter().any(|word| rest.starts_with(word));
    if not_finite || error.to_string().starts_with("number out of range") {
        Rejection::NonFinite
    } else {
        Rejection::Malformed
    }
}

struct Members<'s, S> {
    sink: &'s mut S,
    stamp: Option<Timestamp>,
    numbers: usize,
    rejection: Option<Rejection>,
}

impl<S: Sink> Members<'_, S> {
    fn take<'de, A: MapAccess<'de>>(&mut self, map: &mut A, key: &str) -> Result<Result<(), Rejection>, A::Error> {
        let value = map.next_value::<Member>()?;
        if key == "time" {
            return Ok(match (value, self.stamp) {
                (_, Some(_)) => Err(Rejection::DuplicateKey),
                (Member::Null, None) => Ok(()),
                (Member::Number(number), None) => {
                    stamp_from_number(number).map(|stamp| self.stamp = Some(stamp)).ok_or(Rejection::BadTime)
                }
                (Member::Text(Some(stamp)), None) => {
                    self.stamp = Some(stamp);
                    Ok(())
                }
                (Member::Text(None) | Member::Boolean | Member::Nested, None) => Err(Rejection::BadTime),
            });
        }
        Ok(match value {
            Member::Number(number) if !number.is_finite() => Err(Rejection::NonFinite),
            Member::Number(number) => {
                self.numbers += 1;
                self.sink.reading(key, Some(number))
            }
            Member::Null | Member::Text(_) | Member::Boolean => self.sink.reading(key, None),
            Member::Nested => Ok(()),
        })
    }
}

impl<'de, S: Sink> DeserializeSeed<'de> for &mut Members<'_, S> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, S: Sink> Visitor<'de> for &mut Members<'_, S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a flat object of numbers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            if let Err(rejection) = self.take(&mut map, &key)? {
                self.rejection = Some(rejection);
                return Err(de::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

/// A member's name, borrowed from the payload where it has no escapes.
struct Key<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member's name")
            }

            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }

            fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

enum Member {
    Number(f64),
    Null,
    /// A text, with the stamp that it spells if it spells one.
    Text(Option<Timestamp>),
    Boolean,
    Nested,
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MemberVisitor;
        impl<'de> Visitor<'de> for MemberVisitor {
            type Value = Member;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_f64<E>(self, number: f64) -> Result<Member, E> {
                Ok(Member::Number(number))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Member, E> {
                Ok(Member::Number(number as f64))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Member, E> {
                Ok(Member::Number(number as f64))
            }

            fn visit_unit<E>(self) -> Result<Member, E> {
                Ok(Member::Null)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Member, E> {
                Ok(Member::Boolean)
            }

            fn visit_str<E>(self, text: &str) -> Result<Member, E> {
                Ok(Member::Text(parse_stamp(text)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Member, A::Error> {
                while sequence.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Member::Nested)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Member, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Member::Nested)
            }
        }
        deserializer.deserialize_any(MemberVisitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Default)]
    struct Taken(Vec<(String, Option<f64>)>);

    impl Sink for Taken {
        fn reading(&mut self, channel: &str, value: Option<f64>) -> Result<(), Rejection> {
            if self.0.iter().any(|(name, _)| name == channel) {
                return Err(Rejection::DuplicateKey);
            }
            self.0.push((channel.to_owned(), value));
            Ok(())
        }
    }

    type Decoded = (Option<Timestamp>, Vec<(String, Option<f64>)>);

    fn decode(text: &str) -> Result<Decoded, Rejection> {
        let mut taken = Taken::default();
        decode_json(text.as_bytes(), &mut taken).map(|stamp| (stamp, taken.0))
    }

    #[test]
    fn every_number_is_a_channel_and_time_is_the_stamp() {
        let (stamp, readings) = decode(r#"{"a":1,"time":"2026-11-24T16:40:05.120Z","b":-2.5e-1,"c":null}"#).unwrap();
        assert_eq!(stamp.unwrap().as_millisecond(), 1_795_538_405_120);
        assert_eq!(readings, [("a".into(), Some(1.0)), ("b".into(), Some(-0.25)), ("c".into(), None)]);
    }

    #[test]
    fn a_time_may_be_a_number_of_seconds_or_milliseconds() {
        assert_eq!(decode(r#"{"time":1795538405.12,"a":1}"#), decode(r#"{"time":1795538405120,"a":1}"#));
    }

    #[test]
    fn what_is_no_quantity_is_skipped() {
        let (_, readings) = decode(r#"{"meta":{"line":[1,2]},"tags":[1],"unit":"bar","on":true,"a":1}"#).unwrap();
        assert_eq!(readings, [("unit".into(), None), ("on".into(), None), ("a".into(), Some(1.0))]);
    }

    #[test]
    fn each_kind_of_bad_payload_has_its_own_cause() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
        for (payload, cause) in [
            ("", Rejection::Malformed),
            ("[1,2]", Rejection::Malformed),
            ("{\"a\":1", Rejection::Malformed),
            ("{\"a\":1} trailing", Rejection::Malformed),
            (deep.as_str(), Rejection::NoReading),
            ("{}", Rejection::NoReading),
            ("{\"a\":null}", Rejection::NoReading),
            ("{\"a\":NaN}", Rejection::NonFinite),
            ("{\"a\": -Infinity}", Rejection::NonFinite),
            ("{\"a\":1e999}", Rejection::NonFinite),
            ("{\"a\":1,\"a\":2}", Rejection::DuplicateKey),
            ("{\"time\":\"yesterday\",\"a\":2}", Rejection::BadTime),
            ("{\"time\":1e300,\"a\":2}", Rejection::BadTime),
            ("{\"time\":1,\"time\":2,\"a\":2}", Rejection::DuplicateKey),
        ] {
            assert_eq!(decode(payload), Err(cause), "{}", &payload[..payload.len().min(40)]);
        }
        assert_eq!(decode_json(b"{\"a\xff\":1}", &mut Taken::default()), Err(Rejection::NotUtf8));
    }

    proptest! {
        #[test]
        fn no_payload_makes_it_panic(payload in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = decode_json(&payload, &mut Taken::default());
        }

        #[test]
        fn every_finite_number_arrives_bit_for_bit(number in proptest::num::f64::NORMAL | proptest::num::f64::ZERO) {
            let (_, readings) = decode(&serde_json::json!({ "x": number }).to_string()).unwrap();
            prop_assert_eq!(readings[0].1.unwrap().to_bits(), number.to_bits());
        }
    }
}
