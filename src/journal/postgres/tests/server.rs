//! A PostgreSQL server on a free port of 127.0.0.1, which ends with its test.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A server with a database `events`, whose owner is `boss`.
pub(super) struct Server {
    child: Child,
    port: u16,
    bin: PathBuf,
    root: tempfile::TempDir,
}

impl Server {
    /// Starts a server. `None`: this machine has no PostgreSQL, which only CI must have.
    pub(super) fn start() -> Option<Self> {
        let Some(bin) = programs() else {
            let is_needed = std::env::var_os("NEEDS_POSTGRES").is_some();
            assert!(!is_needed, "PostgreSQL is missing: node scripts/postgres-server.mjs");
            eprintln!("skipped: PostgreSQL is missing (node scripts/postgres-server.mjs)");
            return None;
        };
        let root = tempfile::tempdir().unwrap();
        give(root.path());
        let data = root.path().join("data");
        let login = ["-U", "boss", "-A", "trust", "-E", "UTF8", "-N"];
        let mut made = command(&bin.join("initdb"), root.path());
        made.arg("-D").arg(&data).args(login).stdout(Stdio::null());
        assert!(made.status().unwrap().success());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = run(&bin, root.path(), port);
        let server = Self { child, port, bin, root };
        server.psql("postgres", "CREATE DATABASE events");
        Some(server)
    }

    /// Returns its port.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Returns the URL of the database for a user.
    pub(super) fn url(&self, user: &str) -> String {
        format!("postgres://{user}@127.0.0.1:{}/events", self.port)
    }

    /// Runs statements as the owner. Returns what they print.
    pub(super) fn sql(&self, sql: &str) -> String {
        self.psql("events", sql)
    }

    fn psql(&self, database: &str, sql: &str) -> String {
        let port = self.port.to_string();
        let output = Command::new(self.bin.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"])
            .args(["-p", &port, "-U", "boss", "-d", database, "-c", sql])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Ends the server at once, as if the machine had gone away, and starts it again.
    pub(super) fn restart(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.stop();
        }
        self.child = run(&self.bin, self.root.path(), self.port);
    }

    /// Ends the server at once.
    pub(super) fn stop(&mut self) {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-QUIT", &pid]).status();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(bin: &Path, root: &Path, port: u16) -> Child {
    let settings = [
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "fsync=off",
        "max_connections=200",
    ];
    let mut command = command(&bin.join("postgres"), root);
    command.arg("-D").arg(root.join("data")).args(["-c", &format!("port={port}")]);
    for setting in settings {
        command.args(["-c", setting]);
    }
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let is_ready = |line: std::io::Result<String>| {
        line.is_ok_and(|line| line.contains("ready to accept connections"))
    };
    assert!(lines.any(is_ready), "PostgreSQL ended");
    // It would block once the pipe is full.
    std::thread::spawn(move || lines.for_each(drop));
    child
}

fn programs() -> Option<PathBuf> {
    if let Some(bin) = std::env::var_os("POSTGRES_BIN") {
        return Some(bin.into());
    }
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let found = versions.map(|version| version.path().join("bin"));
    found.filter(|bin| bin.join("postgres").exists()).max()
}

/// PostgreSQL refuses to be root's.
#[cfg(unix)]
fn owner() -> Option<u32> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let output = Command::new("id").args(["-u", "postgres"]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

#[cfg(unix)]
fn give(root: &Path) {
    if let Some(owner) = owner() {
        std::os::unix::fs::chown(root, Some(owner), Some(owner)).unwrap();
    }
}

#[cfg(unix)]
fn command(program: &Path, root: &Path) -> Command {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new(program);
    command.current_dir(root);
    if let Some(owner) = owner() {
        command.uid(owner).gid(owner);
    }
    command
}

#[cfg(not(unix))]
fn give(_root: &Path) {}

#[cfg(not(unix))]
fn command(program: &Path, root: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root);
    command
}
