//! Restarts the server if it dies while members use it.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::cluster::Cluster;
use super::error::EmbeddedError;

/// The interval between checks of the server.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// The pause after a failed restart.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// Restarts the server whenever its postmaster is gone, until this is dropped.
///
/// Only a member of the cluster has a supervisor, so that no other process stops the server meanwhile. The control lock
/// serializes the restarts of several members. The server gets its previous port if that is free, so that members can
/// reconnect.
#[derive(Debug)]
pub struct Supervisor {
    /// Dropped to stop the thread.
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Supervisor {
    pub(super) fn start(cluster: Arc<Cluster>, port: u16) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("postgres-supervisor".to_owned())
            .spawn(move || watch(&cluster, port, &stopped))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Supervisor {
    /// Waits for a running restart.
    fn drop(&mut self) {
        drop(self.stop.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::warn!("the supervisor of the private PostgreSQL panicked");
        }
    }
}

fn watch(cluster: &Arc<Cluster>, port: u16, stopped: &Receiver<()>) {
    let mut pause = CHECK_INTERVAL;
    while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        pause = CHECK_INTERVAL;
        if !cluster.is_postmaster_gone() {
            continue;
        }
        let data = cluster.data.display();
        tracing::warn!(%data, "the private PostgreSQL has died; restarting it");
        match restart(cluster) {
            Ok(found) if found == port => tracing::warn!(%data, "the private PostgreSQL was restarted"),
            Ok(found) => tracing::error!(
                %data,
                "the private PostgreSQL was restarted on port {found}, because another program uses port {port}: \
                 restart apex"
            ),
            Err(error) => {
                pause = RETRY_PAUSE;
                tracing::error!(error = &error as &dyn std::error::Error, "the private PostgreSQL cannot be started");
            }
        }
    }
}

fn restart(cluster: &Cluster) -> Result<u16, EmbeddedError> {
    let control = cluster.home.lock_control()?;
    cluster.ensure_running(&control)
}

impl Cluster {
    /// Whether the process in `postmaster.pid` is gone, or the file does not exist. A cheap check; a restart checks
    /// thoroughly.
    fn is_postmaster_gone(&self) -> bool {
        match self.read_pid_file() {
            Ok(Some(file)) => file.pid != 0 && !is_alive(file.pid),
            Ok(None) => true,
            Err(_) => false,
        }
    }
}

/// A process that has ended and was not reaped is not alive.
fn is_alive(pid: u32) -> bool {
    if cfg!(target_os = "linux") {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        return stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']));
    }
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    // It may belong to another user.
    pid.is_some_and(|pid| !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH)))
}
