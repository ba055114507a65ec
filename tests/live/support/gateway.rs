//! A running `wheeltapper run`, with its own state folder.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub struct Gateway {
    process: Child,
}

pub struct Setup {
    pub folder: tempfile::TempDir,
    pub config: PathBuf,
}

impl Setup {
    /// A configuration for a broker on this port, with more keys at its end.
    pub fn new(port: u16, more: &str) -> Self {
        Self::with_mqtt(port, "", more)
    }

    /// The same with more keys of the broker's table.
    pub fn with_mqtt(port: u16, mqtt: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("wheeltapper.toml");
        let text = format!(
            "gateway = \"g1\"\nstate_dir = {:?}\nmodels = {:?}\n[mqtt]\nhost = \"127.0.0.1\"\nport = {port}\n{mqtt}\
             [[input]]\ntopic = \"plant/{{machine}}/telemetry\"\n\
             [[input]]\ntopic = \"values/{{machine}}/{{channel}}\"\nformat = \"value\"\n{more}",
            folder.path().join("state"),
            Path::new(env!("CARGO_MANIFEST_DIR")).join("models"),
        );
        std::fs::write(&config, text).unwrap();
        Self { folder, config }
    }

    pub fn run(&self) -> Gateway {
        self.run_with(&[])
    }

    /// The same in another environment.
    pub fn run_with(&self, environment: &[(&str, &str)]) -> Gateway {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log()).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_wheeltapper"))
            .args(["run", "--config", self.config.to_str().unwrap()])
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Gateway { process }
    }

    pub fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Gateway {
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// As a power cut would.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// As systemd would; tells the exit code.
    pub fn stop(mut self) -> Option<i32> {
        self.signal("-TERM");
        self.process.wait().unwrap().code()
    }

    /// Makes it look at its configuration again.
    pub fn reload(&self) {
        self.signal("-HUP");
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.id().to_string()]).status().unwrap().success());
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
