//! What TLS needs, from files to the client library's terms: the broker is believed by its certificate, and the gateway
//! shows its own if it has one. Nothing of a set is used unless all of it can be.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, InconsistentKeys, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem, pem::PemObject},
};
use x509_cert::{Certificate, der::Decode};

use crate::notation::sha256_hex;

/// Where the certificates lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates that the broker's is signed by; without it those that the system trusts.
    pub ca: Option<PathBuf>,
    /// The gateway's own certificate with its chain, and its private key.
    pub own: Option<(PathBuf, PathBuf)>,
    /// The name that the broker's certificate bears, if it is not the host's.
    pub server_name: Option<String>,
}

/// Certificates that can be used together.
#[derive(Clone)]
pub struct Tls {
    files: TlsFiles,
    fingerprint: String,
    config: Arc<ClientConfig>,
    ends: Ends,
    /// The end of the certificate that the broker showed last.
    broker_ends: Arc<Mutex<Option<Timestamp>>>,
}

/// Until when certificates are valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// The last of the authorities in `ca`: while one is valid the broker may be.
    pub ca: Option<Timestamp>,
    /// The first of the gateway's own chain.
    pub own: Option<Timestamp>,
}

/// A file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("mqtt.tls.{key}: {what}")]
pub struct TlsError {
    /// The configuration's key.
    pub key: &'static str,
    /// What was found, what was expected, what to do.
    pub what: String,
}

/// What the files hold.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Texts {
    ca: Option<Vec<u8>>,
    own: Option<(Vec<u8>, Vec<u8>)>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// The first file that cannot be used, by the key that names it.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let texts = Texts::read(&files)?;
        Self::from_texts(files, &texts)
    }

    /// Until when its certificates are valid.
    pub fn ends(&self) -> Ends {
        self.ends
    }

    /// Until when the certificate is valid that the broker showed last, if it has shown one.
    pub fn broker_ends(&self) -> Option<Timestamp> {
        *self.broker_ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn from_texts(files: TlsFiles, texts: &Texts) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let authorities = texts.ca.as_deref().map(|text| certificates("ca_file", &files.ca, text)).transpose()?;
        let roots = match &authorities {
            Some(authorities) => roots(authorities, &files.ca)?,
            None => system_roots()?,
        };
        let broker_ends = Arc::new(Mutex::new(None));
        let verifier = Verifier::new(roots, &files, &provider, Arc::clone(&broker_ends))?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            // Both versions are built in.
            .expect("the provider has suites for TLS 1.2 and 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut ends = Ends { ca: authorities.and_then(|all| all.iter().filter_map(end).max()), own: None };
        let config = match (&texts.own, &files.own) {
            (Some((certificate, key)), Some((certificate_file, key_file))) => {
                let chain = certificates("cert_file", &Some(certificate_file.clone()), certificate)?;
                ends.own = chain.iter().filter_map(end).min();
                let key = private_key(key, key_file)?;
                builder.with_client_auth_cert(chain, key).map_err(|error| unfit(&error, certificate_file, key_file))?
            }
            _ => builder.with_no_client_auth(),
        };
        Ok(Self { files, fingerprint: texts.fingerprint(), config: Arc::new(config), ends, broker_ends })
    }

    pub(super) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    pub(super) fn files(&self) -> &TlsFiles {
        &self.files
    }

    pub(super) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    pub(super) fn shows_a_certificate(&self) -> bool {
        self.files.own.is_some()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Options end up in logs, and a private key is among what the rest holds.
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Texts {
    pub fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let read = |key: &'static str, path: &PathBuf| {
            bounded(path).map_err(|error| TlsError { key, what: format!("{}: {error}", path.display()) })
        };
        let own = match &files.own {
            Some((certificate, key)) => Some((read("cert_file", certificate)?, read("key_file", key)?)),
            None => None,
        };
        Ok(Self { ca: files.ca.as_ref().map(|path| read("ca_file", path)).transpose()?, own })
    }

    pub fn fingerprint(&self) -> String {
        let (certificate, key) = self.own.as_ref().map(|(one, other)| (&one[..], &other[..])).unwrap_or_default();
        let parts = [self.ca.as_deref().unwrap_or_default(), certificate, key];
        sha256_hex(parts.map(sha256_hex).concat().as_bytes())
    }
}

/// Believes the broker as the library would, under the name that it is expected to bear, and keeps the end of what it
/// showed.
#[derive(Debug)]
struct Verifier {
    library: Arc<WebPkiServerVerifier>,
    expected: Option<ServerName<'static>>,
    seen: Arc<Mutex<Option<Timestamp>>>,
}

impl Verifier {
    fn new(
        roots: RootCertStore,
        files: &TlsFiles,
        provider: &Arc<CryptoProvider>,
        seen: Arc<Mutex<Option<Timestamp>>>,
    ) -> Result<Self, TlsError> {
        let wrong = |key, what: &dyn fmt::Display| TlsError { key, what: what.to_string() };
        let library = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        let expected = files.server_name.clone().map(ServerName::try_from).transpose();
        Ok(Self {
            library: library.build().map_err(|error| wrong("ca_file", &error))?,
            expected: expected.map_err(|error| wrong("server_name", &error))?,
            seen,
        })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = end(end_entity);
        let name = self.expected.as_ref().unwrap_or(server_name);
        self.library.verify_server_cert(end_entity, intermediates, name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.library.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.library.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.library.supported_verify_schemes()
    }
}

fn certificates(
    key: &'static str,
    path: &Option<PathBuf>,
    text: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |what: &str| TlsError { key, what: format!("{}: {what}", shown(path.as_deref())) };
    let all = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, pem::Error>>();
    let all = all.map_err(|error| wrong(&format!("is damaged PEM: {error}; copy the file anew")))?;
    if all.is_empty() {
        return Err(wrong("holds no certificate; expected PEM with -----BEGIN CERTIFICATE-----"));
    }
    if let Some(nth) = all.iter().position(|certificate| Certificate::from_der(certificate).is_err()) {
        return Err(wrong(&format!("its certificate {} is no X.509; copy the file anew", nth + 1)));
    }
    Ok(all)
}

fn roots(authorities: &[CertificateDer<'static>], path: &Option<PathBuf>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.clone()).map_err(|error| TlsError {
            key: "ca_file",
            what: format!("{}: a certificate cannot be trusted: {error}", shown(path.as_deref())),
        })?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        let what = format!(
            "is not set, and this system trusts nobody{why}; give the certificate of the authority that signed the \
             broker's, e.g. ca_file = \"/etc/wheeltapper/tls/ca.pem\""
        );
        return Err(TlsError { key: "ca_file", what });
    }
    Ok(roots)
}

fn private_key(text: &[u8], path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(text).map_err(|error| {
        let encrypted = text.windows(ENCRYPTED.len()).any(|part| part == ENCRYPTED);
        let what = match error {
            pem::Error::NoItemsFound if encrypted => {
                "is encrypted, and nobody is there to type its password; take `openssl pkey -in … -out …` and protect \
                 the file by its permissions"
                    .to_owned()
            }
            pem::Error::NoItemsFound => {
                "holds no private key; expected PEM with -----BEGIN PRIVATE KEY-----".to_owned()
            }
            error => format!("is damaged PEM: {error}; copy the file anew"),
        };
        TlsError { key: "key_file", what: format!("{}: {what}", path.display()) }
    })
}

/// Why a certificate and a key do not go together.
fn unfit(error: &Error, certificate: &Path, key: &Path) -> TlsError {
    match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError {
            key: "key_file",
            what: format!(
                "{} is not the key of the certificate {}; give the pair that was made together",
                key.display(),
                certificate.display()
            ),
        },
        Error::InvalidCertificate(CertificateError::Other(_) | CertificateError::BadEncoding) => TlsError {
            key: "cert_file",
            what: format!("{}: {error}; expected an X.509 certificate of version 3", certificate.display()),
        },
        error => TlsError {
            key: "key_file",
            what: format!("{}: {error}; expected an RSA, ECDSA P-256, P-384 or Ed25519 key", key.display()),
        },
    }
}

/// The end of a certificate's validity.
fn end(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let since_1970 = certificate.tbs_certificate().validity().not_after.to_unix_duration();
    Timestamp::from_second(i64::try_from(since_1970.as_secs()).ok()?).ok()
}

/// No more of a file than a certificate can need.
fn bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(LARGEST_FILE + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LARGEST_FILE {
        return Err(io::Error::other("has more than 1 MiB; that is no certificate"));
    }
    Ok(text)
}

fn shown(path: Option<&Path>) -> String {
    path.map(|path| path.display().to_string()).unwrap_or_default()
}

const LARGEST_FILE: u64 = 1 << 20;
const ENCRYPTED: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::certificates::{Authority, Pair};

    /// Loads a set of which every part is as given.
    fn load(ca: &str, certificate: &str, key: &str) -> Result<Tls, TlsError> {
        let folder = tempfile::tempdir().unwrap();
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, ca).unwrap();
        let pair = Pair { certificate: certificate.to_owned(), key: key.to_owned() };
        let own = pair.write(folder.path(), "g1");
        Tls::load(TlsFiles { ca: Some(ca_file), own: Some(own), server_name: None })
    }

    #[test]
    fn each_file_that_cannot_be_used_is_named_with_what_is_wrong_and_what_to_do() {
        let authority = Authority::new("plant");
        let Pair { certificate, key } = authority.sign("g1", &["g1"]);
        let ca = authority.pem();
        let other = authority.sign("g2", &["g2"]);
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let no_x509 = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let cut = &certificate[..certificate.len() / 2];
        for (ca, certificate, key, name, expected) in [
            ("", &certificate[..], &key[..], "ca_file", "holds no certificate"),
            (no_x509, &certificate, &key, "ca_file", "certificate 1 is no X.509"),
            (&ca, "garbage", &key, "cert_file", "holds no certificate"),
            (&ca, cut, &key, "cert_file", "is damaged PEM"),
            (&ca, no_x509, &key, "cert_file", "certificate 1 is no X.509"),
            (&ca, &certificate, &certificate, "key_file", "holds no private key"),
            (&ca, &certificate, encrypted, "key_file", "openssl pkey"),
            (&ca, &certificate, &other.key, "key_file", "give the pair that was made together"),
        ] {
            let error = load(ca, certificate, key).unwrap_err();
            assert_eq!(error.key, name, "{error}");
            assert!(error.what.contains(expected), "{error}");
        }
        assert!(load(&ca, &certificate, &key).is_ok());
        let missing = TlsFiles { ca: Some("/no/such/ca.pem".into()), ..TlsFiles::default() };
        assert_eq!(Tls::load(missing).unwrap_err().key, "ca_file");
    }

    #[test]
    fn the_ends_are_those_of_the_certificates() {
        let authority = Authority::new("plant");
        let pair = authority.sign_until("g1", &["g1"], 2031);
        let ends = load(&authority.pem(), &pair.certificate, &pair.key).unwrap().ends();
        assert_eq!(ends.own, Some("2031-01-01T00:00:00Z".parse().unwrap()));
        assert!(ends.ca > ends.own);
    }

    #[test]
    fn a_private_key_is_not_printed() {
        let authority = Authority::new("plant");
        let pair = authority.sign("g1", &["g1"]);
        let printed = format!("{:?}", load(&authority.pem(), &pair.certificate, &pair.key).unwrap());
        assert!(printed.contains("g1.key") && !printed.contains("PRIVATE"), "{printed}");
    }
}
