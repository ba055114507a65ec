//! The bytes of one segment file; `FORMAT.md` is the specification.

use std::ops::Range;

use super::Publication;

/// The most publications in one transition: their flags fit one byte.
pub(super) const MAX_PUBLICATIONS: usize = 8;
/// The most bytes in one payload.
pub(super) const MAX_PAYLOAD: usize = 4 << 20;
/// The most bytes in a stream's or topic's name.
pub(super) const MAX_NAME: usize = u16::MAX as usize;
/// Bytes of the file header.
pub(super) const HEADER: usize = 32;

/// What a file begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The number in the file's name.
    pub segment: u64,
    /// No entry number below this will be given out again.
    pub base: u64,
}

/// Why a file is not one of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HeaderFault {
    /// The header's first bytes, and no more: creation was cut short.
    Torn,
    /// Other bytes.
    Foreign,
    /// Written by another version.
    Version(u32),
    /// The magic is there, the checksum is wrong.
    Damaged,
}

/// One transition as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TransitionRecord {
    /// Entry number of its first publication; the others follow.
    pub first: u64,
    /// Wall clock at `append`, milliseconds since 1970.
    pub stamp: i64,
    pub seq: u64,
    /// Bit `n`: publication `n` is confirmed.
    pub acked: u8,
    pub stream: String,
    pub publications: Vec<Publication>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    Transition(TransitionRecord),
    /// Entry numbers that the broker confirmed.
    Acks(Vec<u64>),
}

/// A record's fault, as far as it can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordFault {
    /// The file ends inside it.
    Incomplete,
    /// Checksum or content is wrong.
    Damaged,
}

/// Everything that a file's bytes hold.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Each readable record with its place.
    pub records: Vec<(Range<usize>, Record)>,
    /// Unreadable stretches with readable records or whole damaged ones behind them.
    pub damage: Vec<Range<usize>>,
    /// Where an unfinished write begins, if the file ends in one.
    pub torn_at: Option<usize>,
}

pub(super) fn encode_header(header: Header) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..20].copy_from_slice(&header.segment.to_le_bytes());
    bytes[20..28].copy_from_slice(&header.base.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..28]);
    bytes[28..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

pub(super) fn decode_header(bytes: &[u8]) -> Result<Header, HeaderFault> {
    let magic = &bytes[..bytes.len().min(8)];
    if magic != &MAGIC[..magic.len()] {
        // A file system may extend a file before it writes it.
        let torn = bytes.len() <= HEADER && bytes.iter().all(|byte| *byte == 0);
        return Err(if torn { HeaderFault::Torn } else { HeaderFault::Foreign });
    }
    if bytes.len() < HEADER {
        return Err(HeaderFault::Torn);
    }
    let mut reader = Reader(&bytes[8..HEADER]);
    let (version, segment, base, crc) = (reader.u32(), reader.u64(), reader.u64(), reader.u32());
    if crc != Some(crc32fast::hash(&bytes[..28])) {
        return Err(HeaderFault::Damaged);
    }
    match (version, segment, base) {
        (Some(VERSION), _, Some(base)) if base > LAST_ENTRY => Err(HeaderFault::Damaged),
        (Some(VERSION), Some(segment), Some(base)) => Ok(Header { segment, base }),
        (version, ..) => Err(HeaderFault::Version(version.unwrap_or(0))),
    }
}

pub(super) fn encode_transition(record: &TransitionRecord, out: &mut Vec<u8>) {
    framed(out, |out| {
        out.push(KIND_TRANSITION);
        out.extend(record.first.to_le_bytes());
        out.extend(record.stamp.to_le_bytes());
        out.extend(record.seq.to_le_bytes());
        out.push(record.acked);
        name(out, &record.stream);
        out.push(record.publications.len() as u8);
        for publication in &record.publications {
            out.push(u8::from(publication.retain));
            name(out, &publication.topic);
            out.extend((publication.payload.len() as u32).to_le_bytes());
            out.extend(&publication.payload);
        }
    });
}

pub(super) fn encode_acks(entries: &[u64], out: &mut Vec<u8>) {
    for some in entries.chunks(4_096) {
        framed(out, |out| {
            out.push(KIND_ACKS);
            for entry in some {
                out.extend(entry.to_le_bytes());
            }
        });
    }
}

/// Reads the record at the start of `bytes`, with its length.
pub(super) fn decode_record(bytes: &[u8]) -> Result<(Record, usize), RecordFault> {
    let mut reader = Reader(bytes);
    let length = reader.u32().ok_or(RecordFault::Incomplete)? as usize;
    if length == 0 || length > MAX_BODY {
        return Err(RecordFault::Damaged);
    }
    let crc = reader.u32().ok_or(RecordFault::Incomplete)?;
    let body = reader.take(length).ok_or(RecordFault::Incomplete)?;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..4]);
    hasher.update(body);
    if hasher.finalize() != crc {
        return Err(RecordFault::Damaged);
    }
    let record = decode_body(body).ok_or(RecordFault::Damaged)?;
    Ok((record, FRAME + length))
}

/// Reads everything behind the header. Damage costs the records it touches and no others.
pub(super) fn scan(bytes: &[u8]) -> Scan {
    let mut scan = Scan::default();
    let mut at = HEADER;
    while at < bytes.len() {
        match decode_record(&bytes[at..]) {
            Ok((record, length)) => {
                scan.records.push((at..at + length, record));
                at += length;
            }
            Err(fault) => match (at + 1..bytes.len()).find(|next| begins_record(&bytes[*next..])) {
                Some(next) => {
                    scan.damage.push(at..next);
                    at = next;
                }
                None => {
                    let zeros = bytes[at..].iter().all(|byte| *byte == 0);
                    if fault == RecordFault::Incomplete || zeros {
                        scan.torn_at = Some(at);
                    } else {
                        scan.damage.push(at..bytes.len());
                    }
                    break;
                }
            },
        }
    }
    scan
}

fn begins_record(bytes: &[u8]) -> bool {
    matches!(bytes.get(FRAME), Some(&(KIND_TRANSITION | KIND_ACKS))) && decode_record(bytes).is_ok()
}

fn decode_body(body: &[u8]) -> Option<Record> {
    let mut reader = Reader(body);
    match reader.u8()? {
        KIND_ACKS => {
            let (entries, rest) = reader.0.as_chunks::<8>();
            let entries: Vec<u64> = entries.iter().map(|entry| u64::from_le_bytes(*entry)).collect();
            (rest.is_empty() && entries.iter().all(|entry| *entry <= LAST_ENTRY)).then_some(Record::Acks(entries))
        }
        KIND_TRANSITION => {
            let first = reader.u64()?;
            let stamp = reader.u64()? as i64;
            let seq = reader.u64()?;
            let acked = reader.u8()?;
            let stream = reader.name()?;
            let count = usize::from(reader.u8()?);
            if !(1..=MAX_PUBLICATIONS).contains(&count) || first > LAST_ENTRY {
                return None;
            }
            let mut publications = Vec::with_capacity(count);
            for _ in 0..count {
                let retain = reader.u8()? != 0;
                let topic = reader.name()?;
                let length = reader.u32()? as usize;
                publications.push(Publication { topic, payload: reader.take(length)?.to_vec(), retain });
            }
            let record = TransitionRecord { first, stamp, seq, acked, stream, publications };
            reader.0.is_empty().then_some(Record::Transition(record))
        }
        _ => None,
    }
}

fn framed(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; FRAME]);
    body(out);
    let length = ((out.len() - start - FRAME) as u32).to_le_bytes();
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(&out[start + FRAME..]);
    out[start..start + 4].copy_from_slice(&length);
    out[start + 4..start + FRAME].copy_from_slice(&hasher.finalize().to_le_bytes());
}

fn name(out: &mut Vec<u8>, name: &str) {
    out.extend((name.len() as u16).to_le_bytes());
    out.extend(name.as_bytes());
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn name(&mut self) -> Option<String> {
        let length = u16::from_le_bytes(self.array()?);
        String::from_utf8(self.take(usize::from(length))?.to_vec()).ok()
    }
}

const MAGIC: [u8; 8] = *b"WTOUTBOX";
const VERSION: u32 = 1;
/// No outbox lives to give out more: a larger number is damage, and would leave none for what comes after it.
const LAST_ENTRY: u64 = 1 << 62;
const KIND_TRANSITION: u8 = 1;
const KIND_ACKS: u8 = 2;
/// Length and checksum before each body.
const FRAME: usize = 8;
const MAX_BODY: usize = MAX_PUBLICATIONS * (MAX_PAYLOAD + MAX_NAME + 16) + MAX_NAME + 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn record(first: u64) -> TransitionRecord {
        TransitionRecord {
            first,
            stamp: 1_700_000_000_000,
            seq: 7,
            acked: 0b10,
            stream: "press-01".to_owned(),
            publications: vec![
                Publication { topic: "e".to_owned(), payload: b"{}".to_vec(), retain: false },
                Publication { topic: "a".to_owned(), payload: vec![], retain: true },
            ],
        }
    }

    fn file(records: &[TransitionRecord]) -> Vec<u8> {
        let mut bytes = encode_header(Header { segment: 3, base: 9 }).to_vec();
        records.iter().for_each(|record| encode_transition(record, &mut bytes));
        bytes
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut bytes = file(&[record(1), record(3)]);
        encode_acks(&[1, 4], &mut bytes);
        assert_eq!(decode_header(&bytes), Ok(Header { segment: 3, base: 9 }));
        let scan = scan(&bytes);
        let records: Vec<_> = scan.records.into_iter().map(|(_, record)| record).collect();
        assert_eq!(records, [Record::Transition(record(1)), Record::Transition(record(3)), Record::Acks(vec![1, 4])]);
        assert!(scan.damage.is_empty() && scan.torn_at.is_none());
    }

    #[test]
    fn an_entry_number_that_no_outbox_lives_to_give_out_is_damage() {
        let header = encode_header(Header { segment: 3, base: LAST_ENTRY + 1 });
        assert_eq!(decode_header(&header), Err(HeaderFault::Damaged));
        let mut acks = Vec::new();
        encode_acks(&[1, u64::MAX], &mut acks);
        let mut transition = Vec::new();
        encode_transition(&record(u64::MAX - 2), &mut transition);
        for bytes in [acks, transition] {
            assert_eq!(decode_record(&bytes), Err(RecordFault::Damaged));
        }
    }

    #[test]
    fn any_single_flipped_bit_costs_at_most_the_record_it_hits() {
        let good = file(&[record(1), record(3), record(5)]);
        for bit in HEADER * 8..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let found = scan(&bytes);
            assert!(found.records.len() >= 2, "bit {bit}: {found:?}");
            assert!(!found.damage.is_empty() || found.torn_at.is_some(), "bit {bit} went unnoticed");
        }
    }

    #[test]
    fn a_header_says_what_is_wrong_with_it() {
        let good = file(&[]);
        assert_eq!(decode_header(&good[..20]), Err(HeaderFault::Torn));
        assert_eq!(decode_header(&[]), Err(HeaderFault::Torn));
        assert_eq!(decode_header(&[0; 32]), Err(HeaderFault::Torn));
        assert_eq!(decode_header(b"PK\x03\x04 something else entirely!!"), Err(HeaderFault::Foreign));
        let mut damaged = good.clone();
        damaged[14] ^= 1;
        assert_eq!(decode_header(&damaged), Err(HeaderFault::Damaged));
        let mut newer = good;
        newer[8] = 2;
        let crc = crc32fast::hash(&newer[..28]);
        newer[28..32].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(decode_header(&newer), Err(HeaderFault::Version(2)));
    }
}
