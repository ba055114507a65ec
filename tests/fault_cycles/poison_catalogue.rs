//! Sixty and more kinds of poison, each with what is to become of it.

use crate::mqtt::Outgoing;

/// One kind of it.
pub struct Poison {
    pub named: &'static str,
    pub message: Outgoing,
    pub fate: Fate,
}

/// What is to become of a message.
#[derive(Clone, Copy, PartialEq)]
pub enum Fate {
    /// Counted once under this cause.
    Refused(&'static str),
    /// A command: answered with a refusal.
    Answered,
    /// Odd, but sound as far as it goes; or nobody's.
    Passed,
}

/// What is sent after the gateway has subscribed.
pub fn live() -> Vec<Poison> {
    [not_json(), structure(), numbers(), members(), stamps(), names(), values(), sizes(), commands()]
        .into_iter()
        .flatten()
        .collect()
}

/// What a broker hands out to a gateway that has just subscribed: all of it says nothing about now.
pub fn retained() -> Vec<Poison> {
    let big = format!("{{\"a\":1,\"x\":\"{}\"}}", "y".repeat(20_000));
    let command = "{\"id\":\"old\",\"operator\":\"nobody\"}";
    [
        json("20 kB, retained", big, "retained"),
        poison("garbage, retained", "plant/bad-2/telemetry", "garbage", Fate::Refused("retained")),
        poison("1 MiB, retained", "plant/bad-3/telemetry", vec![b'x'; MIB], Fate::Refused("oversize")),
        poison("a value, retained", "values/bad/a", "1", Fate::Refused("retained")),
        poison("a command, retained", "wheeltapper/v1/g1/bad/cmd/ack", command, Fate::Passed),
    ]
    .into_iter()
    .map(|poison| Poison { message: Outgoing { retain: true, ..poison.message }, ..poison })
    .collect()
}

/// Messages that must come before, so that those of the catalogue are second or late.
pub fn prelude() -> Vec<Outgoing> {
    (10..14)
        .map(|second| {
            let payload = format!("{{\"time\":\"2026-01-01T00:00:{second}Z\",\"a\":{second}}}");
            Outgoing::new("plant/clocked/telemetry", payload, 1)
        })
        .collect()
}

fn not_json() -> Vec<Poison> {
    vec![
        json("nothing", "", "malformed"),
        json("a space", " ", "malformed"),
        json("a text", "not json", "malformed"),
        json("CSV", "2026-11-24,1,2,3", "malformed"),
        json("XML", "<a>1</a>", "malformed"),
        json("a comment in it", "{\"a\":1 /* x */}", "malformed"),
        json("single quotes", "{'a':1}", "malformed"),
        json("no quotes", "{a:1}", "malformed"),
        json("a comma too many", "{\"a\":1,}", "malformed"),
        json("a brace too many", "{\"a\":1}}", "malformed"),
        json("two objects", "{\"a\":1}{\"a\":2}", "malformed"),
        json("cut after the brace", "{", "malformed"),
        json("cut after the colon", "{\"a\":", "malformed"),
        json("cut after the number", "{\"a\":1", "malformed"),
        json("NUL", [0], "malformed"),
        json("64 times NUL", [0; 64], "malformed"),
        json("a byte order mark", b"\xef\xbb\xbf{\"a\":1}", "malformed"),
        json("UTF-16", b"\xff\xfe{\0}\0", "not_utf8"),
        json("Latin 1", b"{\"temp\xe9rature\":1}", "not_utf8"),
        json("an overlong encoding", b"{\"\xc0\xaf\":1}", "not_utf8"),
        json("a half surrogate in UTF-8", b"{\"\xed\xa0\x80\":1}", "not_utf8"),
        json("a half surrogate, escaped", "{\"\\ud800\":1}", "malformed"),
        json("a control character in a name", "{\"a\u{1}\":1}", "malformed"),
        json("gzip", [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xab, 0x56], "not_utf8"),
        json("CBOR", [0xa1, 0x61, 0x61, 0xfa, 0x3f, 0x80, 0, 0], "not_utf8"),
        json("MessagePack", [0x81, 0xa1, 0x61, 0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0], "not_utf8"),
    ]
}

fn structure() -> Vec<Poison> {
    let array = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let object = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    vec![
        json("10 lists deep", array(10), "no_reading"),
        json("1,000 lists deep", array(1_000), "no_reading"),
        json("10,000 lists deep", array(10_000), "no_reading"),
        json("100,000 lists deep", array(100_000), "no_reading"),
        json("10 objects deep", object(10), "no_reading"),
        json("10,000 objects deep", object(10_000), "no_reading"),
        json("40,000 objects deep", object(40_000), "no_reading"),
        json("100,000 brackets, none closed", "[".repeat(100_000), "malformed"),
        json("null", "null", "malformed"),
        json("true", "true", "malformed"),
        json("a number alone", "42", "malformed"),
        json("a text alone", "\"text\"", "malformed"),
        json("a list", "[1,2,3]", "malformed"),
    ]
}

fn numbers() -> Vec<Poison> {
    vec![
        json("NaN", "{\"a\":NaN}", "non_finite"),
        json("-Infinity", "{\"a\":-Infinity}", "non_finite"),
        json("1e400", "{\"a\":1e400}", "non_finite"),
        json("100,000 digits", format!("{{\"a\":{}}}", "9".repeat(100_000)), "non_finite"),
        json("an exponent of 20 digits", "{\"a\":1e99999999999999999999}", "non_finite"),
        json("a plus sign", "{\"a\":+1}", "malformed"),
        json("a leading zero", "{\"a\":01}", "malformed"),
        json("no digit before the point", "{\"a\":.5}", "malformed"),
        json("a decimal comma", "{\"a\":1,5}", "malformed"),
        json("hexadecimal", "{\"a\":0x10}", "malformed"),
        poison("1e308", "plant/wild/telemetry", "{\"a\":1e308}", Fate::Passed),
        poison("-1e308", "plant/wild/telemetry", "{\"a\":-1e308}", Fate::Passed),
        poison("5e-324", "plant/wild/telemetry", "{\"a\":5e-324}", Fate::Passed),
    ]
}

fn members() -> Vec<Poison> {
    vec![
        json("an empty object", "{}", "no_reading"),
        json("null for a number", "{\"a\":null}", "no_reading"),
        json("a text for a number", "{\"a\":\"5\"}", "no_reading"),
        json("a truth for a number", "{\"a\":true}", "no_reading"),
        json("a time and nothing else", "{\"time\":1795538405}", "no_reading"),
        json("a channel twice", "{\"a\":1,\"a\":2}", "duplicate_key"),
        json("a channel twice, once escaped", "{\"a\":1,\"\\u0061\":2}", "duplicate_key"),
        json("the time twice", "{\"time\":1,\"time\":2,\"a\":1}", "duplicate_key"),
    ]
}

fn stamps() -> Vec<Poison> {
    let at = |time: &str| format!("{{\"time\":{time},\"a\":1}}");
    let clocked = |named, time: &str, cause| poison(named, "plant/clocked/telemetry", at(time), Fate::Refused(cause));
    vec![
        json("noon", at("\"noon\""), "bad_time"),
        json("an empty time", at("\"\""), "bad_time"),
        json("a date alone", at("\"2026-11-24\""), "bad_time"),
        json("a date with slashes", at("\"24/11/2026 10:00:00\""), "bad_time"),
        json("a thirteenth month", at("\"2026-13-01T00:00:00Z\""), "bad_time"),
        json("a truth for a time", at("true"), "bad_time"),
        json("a list for a time", at("[2026,11,24]"), "bad_time"),
        json("an object for a time", at("{}"), "bad_time"),
        json("1e30 for a time", at("1e30"), "bad_time"),
        json("-1e30 for a time", at("-1e30"), "bad_time"),
        json("the year 2999", at("\"2999-01-01T00:00:00Z\""), "future"),
        json("the year 9999", at("\"9999-12-30T00:00:00Z\""), "future"),
        json("the year 5000 in seconds", at("95617584000"), "future"),
        clocked("a stamp again", "\"2026-01-01T00:00:11Z\"", "late"),
        clocked("the newest stamp again", "\"2026-01-01T00:00:13Z\"", "duplicate"),
        clocked("the year 1970", "0", "late"),
        clocked("the year 1", "\"0001-01-01T00:00:00Z\"", "late"),
    ]
}

fn names() -> Vec<Poison> {
    let many: Vec<String> = (0..2_000).map(|channel| format!("\"c{channel}\":1")).collect();
    let long = format!("plant/{}/telemetry", "m".repeat(129));
    vec![
        json("a channel without a name", "{\"\":1}", "bad_name"),
        json("a channel of 129 characters", format!("{{\"{}\":1}}", "c".repeat(129)), "bad_name"),
        json("a channel like a filter", "{\"a/+/#\":1}", "bad_name"),
        json("a channel with NUL", "{\"a\\u0000\":1}", "bad_name"),
        poison(
            "2,000 channels",
            "plant/many/telemetry",
            format!("{{{}}}", many.join(",")),
            Fate::Refused("too_many_channels"),
        ),
        poison("a machine without a name", "plant//telemetry", "{\"a\":1}", Fate::Refused("bad_name")),
        poison("a machine of 129 characters", &long, "{\"a\":1}", Fate::Refused("bad_name")),
        poison("a machine written from right to left", "plant/\u{202e}m/telemetry", "", Fate::Refused("malformed")),
        poison("a level too many", "plant/bad/telemetry/x", "{\"a\":1}", Fate::Passed),
        poison("a level too few", "plant/bad", "{\"a\":1}", Fate::Passed),
        poison("a telemetry topic of ours", "wheeltapper/v1/g1/bad/score", "{}", Fate::Passed),
        poison("a value without a channel's name", "values/bad/", "1", Fate::Refused("bad_name")),
    ]
}

fn values() -> Vec<Poison> {
    let value = |named, payload: &[u8], cause| poison(named, "values/bad/a", payload, Fate::Refused(cause));
    vec![
        value("no value", b"", "malformed"),
        value("on", b"on", "malformed"),
        value("two values", b"1 2", "malformed"),
        value("a value with a comma", b"1,5", "malformed"),
        value("a hexadecimal value", b"0x10", "malformed"),
        value("a value in JSON", b"{\"value\":1}", "malformed"),
        value("nan", b"nan", "non_finite"),
        value("1e999", b"1e999", "non_finite"),
        value("a value of 100,000 digits", "9".repeat(100_000).as_bytes(), "non_finite"),
        value("bytes", b"\xff\xfe", "not_utf8"),
        value("1 MiB of nines", &vec![b'9'; MIB], "oversize"),
    ]
}

fn sizes() -> Vec<Poison> {
    let text = |length: usize| format!("{{\"x\":\"{}\"}}", "y".repeat(length));
    vec![
        json("255 KiB in a text", text(255 << 10), "no_reading"),
        json("300 KiB in a text", text(300 << 10), "oversize"),
        json("1 MiB in a text", text(MIB - 20), "oversize"),
        json("1 MiB of NUL", vec![0; MIB], "oversize"),
        json("1 MiB of brackets", vec![b'['; MIB], "oversize"),
        json("255 KiB of spaces", vec![b' '; 255 << 10], "malformed"),
        json("255 KiB of brackets", vec![b'['; 255 << 10], "malformed"),
        json("255 KiB of no UTF-8", vec![0xff; 255 << 10], "not_utf8"),
    ]
}

fn commands() -> Vec<Poison> {
    let command = |named, verb: &str, payload: Vec<u8>, fate| {
        poison(named, &format!("wheeltapper/v1/g1/clocked/cmd/{verb}"), payload, fate)
    };
    vec![
        command("a command of garbage", "ack", b"garbage".to_vec(), Fate::Answered),
        command("an empty command", "ack", Vec::new(), Fate::Answered),
        command("a command of bytes", "shelve", vec![0xff; 100], Fate::Answered),
        command("a command 100,000 lists deep", "ack", vec![b'['; 100_000], Fate::Answered),
        command("a command of 17 KiB", "suppress", vec![b' '; 17 << 10], Fate::Answered),
        command("a command of 1 MiB", "replay", vec![b'x'; MIB], Fate::Answered),
        command("a command without its id", "ack", b"{\"operator\":\"x\"}".to_vec(), Fate::Answered),
        command("a command with a number as its id", "ack", b"{\"id\":1,\"operator\":\"x\"}".to_vec(), Fate::Answered),
        command(
            "shelved for ever",
            "shelve",
            b"{\"id\":\"s\",\"operator\":\"x\",\"reason\":\"r\"}".to_vec(),
            Fate::Answered,
        ),
        command("a verb that there is not", "explode", b"{}".to_vec(), Fate::Passed),
        command("an answer that is none of ours", "ack/result", b"{}".to_vec(), Fate::Passed),
    ]
}

fn json(named: &'static str, payload: impl AsRef<[u8]>, cause: &'static str) -> Poison {
    poison(named, "plant/bad/telemetry", payload, Fate::Refused(cause))
}

fn poison(named: &'static str, topic: &str, payload: impl AsRef<[u8]>, fate: Fate) -> Poison {
    Poison { named, message: Outgoing::new(topic, payload.as_ref(), 1), fate }
}

const MIB: usize = 1 << 20;
