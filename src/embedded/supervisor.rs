//! Starting the server again when it has died under its users.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::cluster::Cluster;
use super::{Embedded, EmbeddedError};

/// How often the server is looked for.
const INTERVAL: Duration = Duration::from_millis(500);
/// How long to wait where it could not be started.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// Starts the server again whenever its postmaster is gone, for as long as this lives.
///
/// Only a user of the server has one, so nobody stops the server meanwhile; several users agree by the control lock on
/// who starts it. It comes back on its port if that is free, so that connections can be made again.
#[derive(Debug)]
pub struct Supervisor {
    /// Dropped to stop the thread.
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Embedded {
    /// Watches over the server.
    ///
    /// # Errors
    /// Where the system has no thread for it.
    pub fn supervise(&self) -> io::Result<Supervisor> {
        let (stop, stopped) = mpsc::channel();
        let (cluster, port) = (self.member.cluster.clone(), self.port);
        let thread = std::thread::Builder::new()
            .name("postgres-supervisor".to_owned())
            .spawn(move || watch(&cluster, port, &stopped))?;
        Ok(Supervisor { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Supervisor {
    /// Waits for a start that is under way.
    fn drop(&mut self) {
        drop(self.stop.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::warn!("the supervisor of the private PostgreSQL panicked");
        }
    }
}

fn watch(cluster: &Arc<Cluster>, port: u16, stopped: &Receiver<()>) {
    let mut pause = INTERVAL;
    while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        pause = INTERVAL;
        if !cluster.is_postmaster_gone() {
            continue;
        }
        let data = cluster.data.display();
        tracing::warn!(%data, "the private PostgreSQL has died; it is started again");
        match restart(cluster) {
            Ok(found) if found == port => tracing::warn!(%data, "the private PostgreSQL runs again"),
            Ok(found) => tracing::error!(
                %data,
                "the private PostgreSQL runs again, but on port {found}, because another program has taken port \
                 {port}: restart apex"
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
    /// Whether the process that `postmaster.pid` names is gone, or there is no such file. A hint that costs little; a
    /// start looks properly.
    fn is_postmaster_gone(&self) -> bool {
        match self.read_pid_file() {
            Ok(Some(file)) => file.pid != 0 && !is_alive(file.pid),
            Ok(None) => true,
            Err(_) => false,
        }
    }
}

/// A process that nobody has reaped is dead, too.
fn is_alive(pid: u32) -> bool {
    if cfg!(target_os = "linux") {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        return stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']));
    }
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    // It may belong to another user.
    pid.is_some_and(|pid| !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH)))
}
