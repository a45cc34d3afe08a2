//! Starts and stops the server of a cluster, and determines its state.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::cluster::{Cluster, run};
use super::error::EmbeddedError;
use super::home::remove_if_exists;

/// Longer than the timeout of pg_ctl, because a server may need time for crash recovery.
const READY_TIMEOUT: Duration = Duration::from_secs(300);
const PG_CTL_TIMEOUT_SECONDS: &str = "60";
const POLL: Duration = Duration::from_millis(50);
/// The timeout for the remaining processes of a stopped or killed server to end.
const ORPHANS_TIMEOUT: Duration = Duration::from_secs(15);
/// The maximum number of attempts to start the server, each on another port.
const MAX_LAUNCHES: usize = 5;

/// The state in `postmaster.pid`, if its process is the postmaster of this cluster.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Stopped,
    Starting,
    Ready { port: u16 },
    Stopping,
}

impl Cluster {
    /// Starts the server unless it runs, waits until it accepts connections, and returns its port.
    pub(super) fn ensure_running(&self, control: &File) -> Result<u16, EmbeddedError> {
        let deadline = Instant::now() + READY_TIMEOUT;
        while Instant::now() < deadline {
            match self.state()? {
                State::Ready { port } => return Ok(port),
                State::Stopped => self.launch(control)?,
                // A pg_ctl that timed out, or was run by an administrator, left it in this state.
                State::Starting | State::Stopping => sleep(POLL),
            }
        }
        Err(self.start_failed(0))
    }

    /// Stops the server if it runs.
    pub(super) fn stop(&self, control: &File) -> Result<(), EmbeddedError> {
        if self.state()? == State::Stopped {
            return Ok(());
        }
        let (log, log_start) = self.home.open_log()?;
        let mut command = self.pg_ctl("stop");
        // Not in the terminal's foreground group: a second Ctrl-C must not interrupt the stop.
        command.args(["-m", "fast"]).process_group(0);
        let stopped = run(command, control, log)?;
        if !stopped && self.state()? != State::Stopped {
            return Err(EmbeddedError::StopFailed {
                data: self.data.clone(),
                log: self.home.log_file(),
                tail: self.log_tail(log_start),
            });
        }
        // pg_ctl waits for the removal of the pid file, shortly before the processes end.
        self.lock_log()?;
        tracing::info!(data = %self.data.display(), "embedded PostgreSQL stopped");
        Ok(())
    }

    /// Starts the server, and retries on another port if the chosen one was taken meanwhile.
    fn launch(&self, control: &File) -> Result<(), EmbeddedError> {
        let (log, log_start) = self.lock_log()?;
        let stale = self.read_pid_file()?;
        let mut port = free_port(stale.as_ref().and_then(|file| file.port));
        if let Some(file) = stale {
            self.remove_stale_pid_file(&file)?;
        }
        for _ in 0..MAX_LAUNCHES {
            let chosen = port.map_err(|e| EmbeddedError::command("a server on 127.0.0.1", e))?;
            let mut command = self.pg_ctl("start");
            command.arg("-o").arg(format!("-p {chosen}"));
            let log = log.try_clone().map_err(|e| EmbeddedError::command("pg_ctl", e))?;
            // A server that is not ready in time is launched too: the caller continues to wait.
            if run(command, control, log)? || self.state()? != State::Stopped {
                tracing::info!(data = %self.data.display(), port = chosen, "embedded PostgreSQL started");
                return Ok(());
            }
            port = free_port(Some(chosen));
            if port.as_ref().is_ok_and(|free| *free == chosen) {
                break;
            }
        }
        Err(self.start_failed(log_start))
    }

    /// Locks the log, which shows that no process of a server remains, and returns its length.
    fn lock_log(&self) -> Result<(File, u64), EmbeddedError> {
        let deadline = Instant::now() + ORPHANS_TIMEOUT;
        loop {
            match self.home.lock_log()? {
                Some(log) => return Ok(log),
                None if Instant::now() < deadline => sleep(POLL),
                None => {
                    return Err(EmbeddedError::ServerOutOfReach { log: self.home.log_file() });
                }
            }
        }
    }

    /// `-w` waits on `postmaster.pid`, not on a connection, so it needs no password.
    fn pg_ctl(&self, action: &str) -> Command {
        let mut command = self.user.command(self.binaries.program("pg_ctl"));
        command.arg(action).arg("-D").arg(&self.data);
        command.args(["-s", "-w", "-t", PG_CTL_TIMEOUT_SECONDS]);
        command
    }

    fn state(&self) -> Result<State, EmbeddedError> {
        let Some(file) = self.read_pid_file()? else {
            return Ok(State::Stopped);
        };
        if self.examine_process(file.pid)? != Process::Postmaster {
            return Ok(State::Stopped);
        }
        Ok(match (file.status.as_str(), file.port) {
            ("ready", Some(port)) => State::Ready { port },
            ("stopping", _) => State::Stopping,
            _ => State::Starting,
        })
    }

    fn pid_file(&self) -> PathBuf {
        self.data.join("postmaster.pid")
    }

    pub(super) fn read_pid_file(&self) -> Result<Option<PidFile>, EmbeddedError> {
        match fs::read_to_string(self.pid_file()) {
            Ok(text) => Ok(Some(PidFile::parse(&text))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(EmbeddedError::io("read", self.pid_file(), e)),
        }
    }

    /// Whether a process is the postmaster of this data directory, which is its working directory, or another process
    /// that was given the id of a crashed one, as happens after a restart of the machine.
    fn examine_process(&self, pid: u32) -> Result<Process, EmbeddedError> {
        if !cfg!(target_os = "linux") {
            let mut command = self.user.command("ps");
            command.args(["-o", "comm=", "-p", &pid.to_string()]).stdin(Stdio::null());
            let output = command.output().map_err(|e| EmbeddedError::command("ps", e))?;
            return Ok(match (output.status.success(), output.stdout.trim_ascii_end()) {
                (false, _) => Process::Gone,
                (true, name) if name.ends_with(b"postgres") => Process::Postmaster,
                (true, _) => Process::Other,
            });
        }
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The state follows the name, which is in parentheses and may contain parentheses. Without an init
        // process that reaps them, as in some containers, dead processes remain listed as Z.
        if stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X'])) {
            return Ok(Process::Other);
        }
        // As the server's user, because root in a container may not be permitted to.
        let mut command = self.user.command("sh");
        command.args(["-c", r#"[ -e "$0" ] || exit 2; [ "$0" -ef "$1" ]"#]);
        command.arg(format!("/proc/{pid}/cwd")).arg(&self.data).stdin(Stdio::null());
        let status = command.status().map_err(|e| EmbeddedError::command("sh", e))?;
        Ok(match status.code() {
            Some(0) => Process::Postmaster,
            Some(1) => Process::Other,
            _ => Process::Gone,
        })
    }

    /// Removes a stale pid file that would prevent a start: an empty one, or one whose id was given to another process
    /// of the same user. PostgreSQL itself ignores one whose process is gone. Requires the lock on the log.
    fn remove_stale_pid_file(&self, file: &PidFile) -> Result<(), EmbeddedError> {
        match file.pid == 0 || self.examine_process(file.pid)? == Process::Other {
            true => remove_if_exists(&self.pid_file()),
            false => Ok(()),
        }
    }

    fn start_failed(&self, log_start: u64) -> EmbeddedError {
        let tail = self.log_tail(log_start);
        EmbeddedError::StartFailed { log: self.home.log_file(), tail }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Process {
    Postmaster,
    Other,
    /// It does not exist, or is invisible to this process.
    Gone,
}

/// The lines of `postmaster.pid` that are used here.
pub(super) struct PidFile {
    pub(super) pid: u32,
    port: Option<u16>,
    status: String,
}

impl PidFile {
    /// A file that is being written lacks its last lines. Process id 0 stands for none. A negative id
    /// is that of a server in single-user mode.
    fn parse(text: &str) -> Self {
        let line = |number: usize| text.lines().nth(number - 1).unwrap_or_default().trim();
        Self {
            pid: line(1).trim_start_matches('-').parse().unwrap_or(0),
            port: line(4).parse().ok(),
            status: line(8).to_owned(),
        }
    }
}

/// The preferred port if it is free, else any free port.
fn free_port(preferred: Option<u16>) -> io::Result<u16> {
    let bound = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let listener = match preferred.map(bound) {
        Some(Ok(listener)) => listener,
        Some(Err(_)) | None => bound(0)?,
    };
    listener.local_addr().map(|address| address.port())
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn complete_and_incomplete_pid_files_are_read() {
        let whole = "4242\n/x/data\n1700000000\n5433\n\n127.0.0.1\n  65538   3\nready   \n";
        let file = PidFile::parse(whole);
        assert_eq!((file.pid, file.port, file.status.as_str()), (4242, Some(5433), "ready"));
        let file = PidFile::parse("4242\n/x/data\n17000");
        assert_eq!((file.pid, file.port, file.status.as_str()), (4242, None, ""));
        assert_eq!(PidFile::parse("").pid, 0);
    }

    #[test]
    fn a_taken_port_is_not_chosen() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
        let taken = listener.local_addr().expect("address").port();
        assert_ne!(free_port(Some(taken)).expect("port"), taken);
        drop(listener);
        assert_eq!(free_port(Some(taken)).expect("port"), taken);
    }
}
