//! As much of MQTT 3.1.1 as a witness needs. It shares no code with what it judges.

use std::io::{self, ErrorKind, Read};

/// A message on its way to the broker.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub topic: String,
    pub payload: Vec<u8>,
    pub qos: u8,
    pub retain: bool,
}

/// A packet of the broker's.
pub enum Packet {
    ConnAck,
    SubAck,
    PubAck(u16),
    Publish(Incoming),
    Other,
}

pub struct Incoming {
    pub topic: String,
    pub payload: Vec<u8>,
    /// To be confirmed, at QoS 1.
    pub packet: Option<u16>,
}

impl Outgoing {
    pub fn new(topic: impl Into<String>, payload: impl Into<Vec<u8>>, qos: u8) -> Self {
        Self { topic: topic.into(), payload: payload.into(), qos, retain: false }
    }

    pub fn encode(&self, packet: u16, again: bool) -> Vec<u8> {
        let mut body = text(&self.topic);
        if self.qos > 0 {
            body.extend(packet.to_be_bytes());
        }
        body.extend(&self.payload);
        framed(0x30 | u8::from(again) << 3 | self.qos << 1 | u8::from(self.retain), &body)
    }
}

/// Without keep-alive: a broker that stands still is to be noticed by nobody but the gateway.
pub fn connect(client: &str, clean: bool) -> Vec<u8> {
    let mut body = text("MQTT");
    body.extend([4, u8::from(clean) << 1, 0, 0]);
    body.extend(text(client));
    framed(0x10, &body)
}

pub fn subscribe(filters: &[String]) -> Vec<u8> {
    let mut body = vec![0, 1];
    for filter in filters {
        body.extend(text(filter));
        body.push(1);
    }
    framed(0x82, &body)
}

pub fn confirm(packet: u16) -> [u8; 4] {
    let [high, low] = packet.to_be_bytes();
    [0x40, 2, high, low]
}

pub fn read(stream: &mut impl Read) -> io::Result<Packet> {
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    let [kind] = byte;
    let mut length = 0;
    for shift in [0, 7, 14, 21] {
        stream.read_exact(&mut byte)?;
        length |= usize::from(byte[0] & 0x7f) << shift;
        if byte[0] < 0x80 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let number = |at: usize| body.get(at..at + 2).map(|two| u16::from_be_bytes([two[0], two[1]]));
    let broken = || io::Error::from(ErrorKind::InvalidData);
    Ok(match kind >> 4 {
        2 => Packet::ConnAck,
        3 => {
            let topic_end = 2 + usize::from(number(0).ok_or_else(broken)?);
            let topic = String::from_utf8(body.get(2..topic_end).ok_or_else(broken)?.to_vec());
            let packet = if kind & 0x06 == 0 { None } else { Some(number(topic_end).ok_or_else(broken)?) };
            let payload = body.split_off(topic_end + if packet.is_some() { 2 } else { 0 });
            Packet::Publish(Incoming { topic: topic.map_err(|_| broken())?, payload, packet })
        }
        4 => Packet::PubAck(number(0).ok_or_else(broken)?),
        9 => Packet::SubAck,
        _ => Packet::Other,
    })
}

fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![kind];
    let mut left = body.len();
    loop {
        let more = left >= 0x80;
        packet.push((left & 0x7f) as u8 | u8::from(more) << 7);
        left >>= 7;
        if !more {
            break;
        }
    }
    packet.extend(body);
    packet
}

fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("topics and names are short");
    [&length.to_be_bytes(), text.as_bytes()].concat()
}
