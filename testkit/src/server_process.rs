//! The server of a benchmark.
#![allow(clippy::print_stdout, reason = "what a server says before it listens is shown")]

use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// `apex serve` of a benchmark, in a process of its own, which is killed when this is dropped.
pub struct ServerProcess {
    /// The process.
    pub child: Child,
    /// Its host and port.
    pub address: String,
}

impl ServerProcess {
    /// Starts the program on the database of a URL with further arguments, and waits until it listens.
    pub async fn start(program: &str, database_url: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .env("APEX_DATABASE_URL", database_url)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next_line().await.unwrap().expect("the server prints its address");
            if let Some(address) = line.strip_prefix("Apex listens on http://") {
                break address.to_owned();
            }
            println!("{line}");
        };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { child, address }
    }
}
