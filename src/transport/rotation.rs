//! When new certificates take over (trap M14): a set that can be used as a whole does at once, one that cannot is told
//! once and leaves the old one in use.

use std::time::Duration;

use jiff::Timestamp;
use tokio::{sync::mpsc, task::spawn_blocking, time::sleep};

use super::tls::{Texts, Tls, TlsError};

/// What the files led to.
#[derive(Debug)]
pub(super) enum News {
    /// To be used from the next connection on.
    Renewed(Tls),
    /// The files cannot be used; why.
    Refused(String),
}

/// Looks at the files for as long as somebody wants to hear of it.
pub(super) fn watch(tls: Tls) -> mpsc::Receiver<News> {
    let (tell, news) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut rotation = Rotation::new(tls.fingerprint().to_owned());
        while !tell.is_closed() {
            sleep(LOOK_EVERY).await;
            let files = tls.files().clone();
            // A disk may take its time; the runtime must not.
            let Ok(found) = spawn_blocking(move || Texts::read(&files)).await else { continue };
            let judge = |texts: &Texts| Tls::from_texts(tls.files().clone(), texts);
            if let Some(news) = rotation.look(&found, Timestamp::now(), judge)
                && tell.send(news).await.is_err()
            {
                return;
            }
        }
    });
    news
}

/// Which set is in use and which one was found wanting.
#[derive(Debug)]
struct Rotation {
    in_use: String,
    doubted: Option<Doubted>,
}

/// Files that cannot be used. Files are rarely changed at one blow, so they are told of only when they stay so.
#[derive(Debug, PartialEq, Eq)]
struct Doubted {
    fingerprint: String,
    told: bool,
}

impl Rotation {
    fn new(in_use: String) -> Self {
        Self { in_use, doubted: None }
    }

    /// Decides about what was found in the files.
    fn look(
        &mut self,
        found: &Result<Texts, TlsError>,
        now: Timestamp,
        judge: impl FnOnce(&Texts) -> Result<Tls, TlsError>,
    ) -> Option<News> {
        let fingerprint = match found {
            Ok(texts) => texts.fingerprint(),
            Err(error) => error.to_string(),
        };
        if fingerprint == self.in_use {
            self.doubted = None;
            return None;
        }
        let before = self.doubted.take().filter(|doubted| doubted.fingerprint == fingerprint);
        if before.as_ref().is_some_and(|doubted| doubted.told) {
            self.doubted = before;
            return None;
        }
        let judged = found.as_ref().map_err(Clone::clone).and_then(judge).and_then(|tls| current(tls, now));
        match judged {
            Ok(tls) => {
                self.in_use = fingerprint;
                Some(News::Renewed(tls))
            }
            Err(error) => {
                let told = before.is_some();
                self.doubted = Some(Doubted { fingerprint, told });
                told.then(|| News::Refused(error.to_string()))
            }
        }
    }
}

/// Nobody gains by an expired certificate in the place of one that works.
fn current(tls: Tls, now: Timestamp) -> Result<Tls, TlsError> {
    let ends = tls.ends();
    for (key, end) in [("ca_file", ends.ca), ("cert_file", ends.own)] {
        if let Some(end) = end.filter(|end| *end <= now) {
            return Err(TlsError { key, what: format!("expired on {end}; have it renewed") });
        }
    }
    Ok(tls)
}

/// With the reconnect after it, well within the 10 s that a new certificate may take.
const LOOK_EVERY: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{
        TlsFiles,
        certificates::{Authority, Pair},
    };

    struct Desk {
        folder: tempfile::TempDir,
        files: TlsFiles,
        rotation: Rotation,
    }

    impl Desk {
        fn new(authority: &Authority, pair: &Pair) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let ca = folder.path().join("ca.pem");
            std::fs::write(&ca, authority.pem()).unwrap();
            let own = pair.write(folder.path(), "g1");
            let files = TlsFiles { ca: Some(ca), own: Some(own), server_name: None };
            let rotation = Rotation::new(Tls::load(files.clone()).unwrap().fingerprint().to_owned());
            Self { folder, files, rotation }
        }

        fn put(&self, pair: &Pair) {
            pair.write(self.folder.path(), "g1");
        }

        fn look(&mut self) -> Option<News> {
            let judge = |texts: &Texts| Tls::from_texts(self.files.clone(), texts);
            self.rotation.look(&Texts::read(&self.files), Timestamp::now(), judge)
        }
    }

    #[test]
    fn a_new_pair_is_used_once_and_an_untouched_one_never() {
        let authority = Authority::new("plant");
        let mut desk = Desk::new(&authority, &authority.sign("g1", &["g1"]));
        assert!(desk.look().is_none());
        desk.put(&authority.sign("g1", &["g1"]));
        assert!(matches!(desk.look(), Some(News::Renewed(_))));
        assert!(desk.look().is_none());
    }

    #[test]
    fn a_wrong_pair_is_told_of_once_and_the_old_one_needs_no_renewal_when_it_is_back() {
        let authority = Authority::new("plant");
        let good = authority.sign("g1", &["g1"]);
        let wrong = [
            Pair { certificate: good.certificate.clone(), key: authority.sign("g1", &["g1"]).key },
            Pair { certificate: "garbage".to_owned(), key: good.key.clone() },
            authority.sign_until("g1", &["g1"], 2020),
        ];
        let mut desk = Desk::new(&authority, &good);
        for (wrong, key) in wrong.iter().zip(["key_file", "cert_file", "cert_file"]) {
            desk.put(wrong);
            assert!(desk.look().is_none(), "files are rarely changed at one blow");
            let Some(News::Refused(why)) = desk.look() else { panic!("it was not told") };
            assert!(why.starts_with(&format!("mqtt.tls.{key}: ")), "{why}");
            assert!(desk.look().is_none() && desk.look().is_none(), "told once");
            desk.put(&good);
            assert!(desk.look().is_none());
        }
        std::fs::remove_file(desk.folder.path().join("g1.key")).unwrap();
        assert!(desk.look().is_none());
        assert!(matches!(desk.look(), Some(News::Refused(_))));
    }

    #[test]
    fn a_pair_that_is_put_there_file_by_file_is_used_when_it_is_whole() {
        let authority = Authority::new("plant");
        let (old, new) = (authority.sign("g1", &["g1"]), authority.sign("g1", &["g1"]));
        let mut desk = Desk::new(&authority, &old);
        desk.put(&Pair { certificate: new.certificate.clone(), key: old.key.clone() });
        assert!(desk.look().is_none());
        desk.put(&new);
        assert!(matches!(desk.look(), Some(News::Renewed(_))));
    }
}
