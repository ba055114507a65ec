//! What the link tells, and what it is told.

use bytes::Bytes;

use crate::outbox::{EntryId, Publication};

/// What happened on the link, in order.
#[derive(Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// The broker accepted the connection. Without a session it has forgotten subscriptions (the link renews them) and
    /// whatever it had confirmed but not yet delivered: the newest states are to be announced again.
    Connected {
        /// The broker kept this client's session.
        session_present: bool,
    },
    /// The connection is gone; the link reconnects by itself.
    Disconnected {
        /// What ended it.
        reason: String,
    },
    /// A connection attempt failed; the link goes on trying.
    Unreachable {
        /// What was tried, what was found.
        reason: String,
        /// Attempts so far in this outage.
        attempts: u32,
    },
    /// A message that matches a subscription.
    Message {
        /// Its topic.
        topic: String,
        /// Its content.
        payload: Bytes,
        /// Kept by the broker from before the subscription.
        retain: bool,
        /// The sender says that it may have been delivered before.
        dup: bool,
        /// How it was delivered.
        qos: Qos,
        /// To be given to [`LinkHandle::ack`](super::LinkHandle::ack) when the message is done with; `None` if there
        /// is nothing to acknowledge any more (QoS 0, or its connection and session are gone).
        ack: Option<AckToken>,
    },
    /// A message beyond `max_payload`; its payload was dropped here.
    Oversize {
        /// Its topic.
        topic: String,
        /// Bytes of its payload.
        size: usize,
        /// As in [`LinkEvent::Message`].
        ack: Option<AckToken>,
    },
    /// The broker has confirmed this very publication.
    Acknowledged(EntryId),
    /// These were on their way when the connection went, or came when there was none: send them again.
    Lost(Vec<EntryId>),
    /// The broker refuses a subscription; nothing will arrive under it. Tried again with every connection.
    SubscriptionRefused {
        /// The topic filter.
        filter: String,
    },
    /// The broker grants less than was asked: messages under this filter may be lost on the way here.
    SubscriptionDowngraded {
        /// The topic filter.
        filter: String,
        /// What it grants.
        granted: Qos,
    },
    /// The broker keeps handing out a message that this client cannot take, so its session was dropped with everything
    /// queued in it.
    SessionDropped {
        /// What was found, and what to do.
        reason: String,
    },
    /// The broker closes every connection right after it has accepted it.
    ClientIdContested {
        /// What was found, and what to do.
        reason: String,
    },
}

/// The right to acknowledge one message, once, on the connection that brought it.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an unacknowledged message is delivered again and blocks the broker's window"]
pub struct AckToken {
    pub(super) generation: u64,
    pub(super) packet: u16,
    /// Acknowledged with PUBREC.
    pub(super) exactly_once: bool,
}

/// How safely a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Qos {
    /// Fire and forget.
    AtMostOnce,
    /// Confirmed, may arrive twice.
    AtLeastOnce,
    /// Never asked for by this link; a broker may still deliver so.
    ExactlyOnce,
}

/// Why a publication was not taken; it is handed back. None of these is a fault of the connection.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no connection.
    #[error("no connection to the broker; publish again after `Connected`")]
    Offline(Publication),
    /// As many publications are on their way as may be.
    #[error("as many publications are on their way as the link takes; publish again after the next `Acknowledged`")]
    Full(Publication),
    /// No broker would take it, now or later.
    #[error("topic {:?}: {why}", .publication.topic.chars().take(80).collect::<String>())]
    Impossible {
        /// The publication.
        publication: Publication,
        /// Found and expected.
        why: String,
    },
}

/// Counts since the link was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkMetrics {
    /// Connected now.
    pub online: bool,
    /// Connection attempts.
    pub attempts: u64,
    /// Connections that the broker accepted.
    pub connections: u64,
    /// Messages received.
    pub received: u64,
    /// Messages beyond `max_payload`.
    pub oversize: u64,
    /// QoS 0 messages dropped because the consumer took none for too long.
    pub shed: u64,
    /// Messages acknowledged to the broker.
    pub acks_sent: u64,
    /// Acknowledgements that came after their connection was gone; the broker delivers those messages again.
    pub acks_stale: u64,
    /// Messages read from a connection that ended before they were handed on, left to be delivered again.
    pub left_to_redelivery: u64,
    /// Tracked publications confirmed.
    pub acknowledged: u64,
    /// Tracked publications handed back.
    pub handed_back: u64,
    /// Untracked publications lost with a connection.
    pub untracked_lost: u64,
    /// Connections given up because something stayed unconfirmed for too long.
    pub no_progress: u64,
    /// Sessions dropped to get rid of a message that cannot be taken.
    pub sessions_dropped: u64,
    /// Times that the packet limit was raised to let such a message pass.
    pub limit_raised: u64,
    /// Times that the client id was found contested.
    pub contested: u64,
    /// Times that new certificates were taken into use.
    pub certificates_renewed: u64,
    /// Times that new certificates could not be used, so that the old ones were kept.
    pub certificates_refused: u64,
    /// Publications on their way, tracked ones.
    pub outstanding: usize,
    /// Subscriptions that the broker has granted.
    pub subscribed: usize,
}
