//! A way to a broker that breaks again and again.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Passes connections on to a broker and cuts each of them after so many bytes from the client.
pub struct BrokenLine {
    pub port: u16,
    cuts: Arc<AtomicUsize>,
}

impl BrokenLine {
    pub fn to(port: u16, bytes: usize) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let own = listener.local_addr().unwrap().port();
        let cuts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&cuts);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let broker = TcpStream::connect(("127.0.0.1", port)).unwrap();
                let back = (broker.try_clone().unwrap(), client.try_clone().unwrap());
                let cuts = Arc::clone(&counted);
                std::thread::spawn(move || {
                    if pass_on(client, broker, bytes) {
                        cuts.fetch_add(1, Ordering::Relaxed);
                    }
                });
                std::thread::spawn(move || pass_on(back.0, back.1, usize::MAX));
            }
        });
        Self { port: own, cuts }
    }

    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// How often it broke so far.
    pub fn cuts(&self) -> usize {
        self.cuts.load(Ordering::Relaxed)
    }
}

/// Whether it was cut here, instead of ending by itself.
fn pass_on(mut from: TcpStream, mut to: TcpStream, mut left: usize) -> bool {
    let mut buffer = [0; 4096];
    while let Ok(length) = from.read(&mut buffer) {
        if length == 0 || to.write_all(&buffer[..length.min(left)]).is_err() {
            break;
        }
        left = left.saturating_sub(length);
        if left == 0 {
            break;
        }
    }
    // The other sides may be gone already.
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    left == 0
}
