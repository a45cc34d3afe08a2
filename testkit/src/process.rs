//! Signals to processes, and ports for them.

use crate::wait_until;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use std::net::{Ipv4Addr, TcpListener};
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

/// A free port of a range. A range below those that the kernel assigns to clients, from 32768 on by default, keeps the
/// port free while its server restarts.
pub fn free_port(range: Range<u16>) -> u16 {
    let ports = std::iter::repeat_with(|| rand::random_range(range.clone()));
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    ports.take(100).find(is_free).expect("a free port")
}
