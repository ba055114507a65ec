//! What a failed handshake means to whoever looks after the plant, and what to do about it.

use std::io;

use jiff::Timestamp;
use rumqttc::{ConnectionError, StateError, TlsError, mqttbytes};
use rustls::{AlertDescription, CertificateError, Error, pki_types::UnixTime};

use super::tls::Tls;

/// The words for an attempt that TLS has ended, or `None` if it was something else.
pub(super) fn explain(error: &ConnectionError, tls: &Tls) -> Option<String> {
    if let Some(error) = cause(error) {
        return Some(words(error, tls));
    }
    match error {
        ConnectionError::Tls(TlsError::Io(error)) if hung_up(error) => Some(
            "closed the connection in the midst of the TLS handshake; most likely this port speaks no TLS: check \
             `mqtt.port`, usually 8883 with TLS and 1883 without"
                .to_owned(),
        ),
        ConnectionError::Tls(error) => Some(format!("TLS failed: {error}")),
        _ => None,
    }
}

/// Whether certificates may be at fault, the broker's or ours. Under TLS 1.3 the broker's verdict comes after the
/// handshake and may be lost with the connection, so that only a hang-up is left of it.
pub(super) fn blames_certificates(error: &ConnectionError) -> bool {
    cause(error).is_some()
        || match error {
            ConnectionError::MqttState(StateError::ConnectionAborted) => true,
            error => io_error(error).is_some_and(hung_up),
        }
}

/// Where the library has put the error of rustls.
fn cause(error: &ConnectionError) -> Option<&Error> {
    if let ConnectionError::Tls(TlsError::TLS(error)) = error {
        return Some(error);
    }
    let inner: &(dyn std::error::Error + 'static) = io_error(error)?.get_ref()?;
    inner.downcast_ref().or_else(|| inner.source()?.downcast_ref())
}

fn io_error(error: &ConnectionError) -> Option<&io::Error> {
    match error {
        ConnectionError::Tls(TlsError::Io(error))
        | ConnectionError::Io(error)
        | ConnectionError::MqttState(
            StateError::Io(error) | StateError::Deserialization(mqttbytes::Error::Io(error)),
        ) => Some(error),
        _ => None,
    }
}

fn words(error: &Error, tls: &Tls) -> String {
    match error {
        Error::InvalidCertificate(error) => certificate(error, tls),
        Error::AlertReceived(alert) => alerted(*alert, tls),
        Error::InvalidMessage(_) => {
            "answered with something that is no TLS; most likely this port speaks no TLS: check \
                                     `mqtt.port`, usually 8883 with TLS and 1883 without"
                .to_owned()
        }
        Error::PeerIncompatible(why) => {
            format!("offers no TLS that is safe ({why:?}); it must speak TLS 1.2 or 1.3 with a current cipher suite")
        }
        error => format!("TLS failed: {error}"),
    }
}

fn certificate(error: &CertificateError, tls: &Tls) -> String {
    match error {
        CertificateError::ExpiredContext { not_after, .. } => format!(
            "shows a certificate that expired on {}; renew it there, or set this host's clock if it is wrong",
            date(*not_after)
        ),
        CertificateError::NotValidYetContext { not_before, .. } => format!(
            "shows a certificate that is valid only from {} on; most likely this host's clock is behind: set it",
            date(*not_before)
        ),
        CertificateError::UnknownIssuer => match &tls.files().ca {
            Some(path) => format!(
                "shows a certificate that none of the authorities in mqtt.tls.ca_file {} has signed; give the \
                 certificate of the authority that signed the broker's",
                path.display()
            ),
            None => "shows a certificate of an authority that this system does not trust; give the authority's \
                     certificate as mqtt.tls.ca_file"
                .to_owned(),
        },
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "shows a certificate for {}, not for {}; name the broker as its certificate does, in mqtt.host or, if that \
             is not to be changed, in mqtt.tls.server_name",
            if presented.is_empty() { "no name at all".to_owned() } else { names(presented) },
            expected.to_str(),
        ),
        error => format!("shows a certificate that cannot be believed: {error}; have it made anew"),
    }
}

fn alerted(alert: AlertDescription, tls: &Tls) -> String {
    let shows = tls.shows_a_certificate();
    match alert {
        AlertDescription::CertificateRequired | AlertDescription::HandshakeFailure if !shows => {
            "wants a client certificate (mosquitto: require_certificate); give mqtt.tls.cert_file and key_file"
                .to_owned()
        }
        AlertDescription::CertificateExpired => {
            "says that the gateway's certificate (mqtt.tls.cert_file) has expired; \
                                                 have it renewed, or set the broker's clock if it is wrong"
                .to_owned()
        }
        AlertDescription::CertificateRevoked => {
            "says that the gateway's certificate (mqtt.tls.cert_file) was revoked; have a new one made".to_owned()
        }
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::DecryptError
            if shows =>
        {
            format!(
                "does not believe the gateway's certificate (mqtt.tls.cert_file): {alert:?}; it must be signed by an \
                 authority that the broker trusts (mosquitto: cafile)"
            )
        }
        alert => format!("ended the TLS handshake with the alert {alert:?}; its log says why"),
    }
}

fn hung_up(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe)
}

fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| "a date beyond reckoning".to_owned(), |time| time.to_string())
}

/// The names in a certificate, without the library's marks around them.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| {
        let inner = name.split_once('(').map_or(name.as_str(), |(_, inner)| inner.trim_end_matches(')'));
        inner.trim_matches('"').to_owned()
    };
    presented.iter().take(5).map(bare).collect::<Vec<_>>().join(", ")
}
