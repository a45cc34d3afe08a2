//! Signals to processes, and ports for them.

use crate::wait_until;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::ops::Range;

/// Sends a signal to a process. It is not an error if the process has ended.
pub fn send_signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id");
    let sent = kill_process(pid, signal);
    assert!(sent.is_ok() || sent == Err(Errno::SRCH), "cannot send a signal: {sent:?}");
}

/// Waits until SIGSTOP has stopped a process.
pub async fn wait_until_stopped(pid: u32) {
    let file = format!("/proc/{pid}/stat");
    // The state follows the name of the program, which is in parentheses.
    let is_stopped = || std::fs::read_to_string(&file).unwrap().rsplit(')').next().unwrap().starts_with(" T");
    wait_until("the process is stopped", async || is_stopped()).await;
}

/// A memory figure of a process from /proc/PID/status, such as `VmRSS`, in kB. `RssAnon` is what the process allocated,
/// without the pages of its program file, which may take more than everything else in a build for tests.
pub fn memory_kb(pid: u32, figure: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(':')).expect("a figure");
    line.trim().trim_end_matches(" kB").parse().expect("a number of kB")
}

/// A port that no other test on this machine gets while this exists, so that a server can be started on it, and again.
#[derive(Debug)]
pub struct ReservedPort {
    number: u16,
    /// Servers of tests use TCP: the UDP port of the same number is the reservation.
    _reservation: UdpSocket,
}

impl ReservedPort {
    /// Reserves a free port of a range, which must be below those that the kernel assigns to clients, from 32768 on by
    /// default: otherwise a client may get the port while its server does not run.
    ///
    /// # Panics
    /// If none of 100 ports is free.
    pub fn of(range: Range<u16>) -> Self {
        let ports = std::iter::repeat_with(|| rand::random_range(range.clone()));
        let reserve = |number| {
            let reservation = UdpSocket::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
            TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
            Some(Self { number, _reservation: reservation })
        };
        ports.take(100).find_map(reserve).expect("a free port")
    }

    /// The number of the port.
    pub fn number(&self) -> u16 {
        self.number
    }
}
