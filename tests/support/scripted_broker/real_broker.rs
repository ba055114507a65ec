//! A real mosquitto, to be stopped and killed.

use std::{
    fs, io,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A broker process with its own directory and port.
pub struct RealBroker {
    child: Child,
    binary: PathBuf,
    dir: tempfile::TempDir,
    pub port: u16,
}

impl RealBroker {
    /// `None` if this machine has none. `settings` are lines of its configuration.
    pub fn start(settings: &str) -> Option<Self> {
        let candidates = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/opt/homebrew/sbin/mosquitto"];
        let binary = candidates.iter().map(PathBuf::from).find(|path| path.exists())?;
        let dir = tempfile::tempdir().expect("a temporary directory");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let at = dir.path().display();
        let config = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\npersistence_location {at}/\n\
             user root\n{settings}\n"
        );
        fs::write(dir.path().join("mosquitto.conf"), config).expect("the directory is writable");
        let child = launch(&binary, dir.path(), port).expect("mosquitto starts");
        Some(RealBroker { child, binary, dir, port })
    }

    /// SIGSTOP: the kernel still accepts bytes for it, nobody reads them.
    pub fn freeze(&self) {
        let stopped = Command::new("kill").args(["-STOP", &self.child.id().to_string()]).status();
        assert!(stopped.is_ok_and(|status| status.success()));
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it is ours");
    }

    pub fn restart(&mut self) {
        self.child = launch(&self.binary, self.dir.path(), self.port).expect("mosquitto starts again");
    }
}

impl Drop for RealBroker {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn launch(binary: &Path, dir: &Path, port: u16) -> io::Result<Child> {
    let config = dir.join("mosquitto.conf");
    let child = Command::new(binary).arg("-c").arg(config).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let since = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if since.elapsed() > Duration::from_secs(10) {
            return Err(io::Error::other("mosquitto does not listen"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(child)
}
