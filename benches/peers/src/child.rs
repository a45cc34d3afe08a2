//! Peers that are not written in Rust: child processes that get their task as JSON and return the result as JSON.

use crate::ours::count_rows;
use crate::store::{Load, Outcome, POOLS, Setting, Storage, Store};
use anyhow::{Context, Result, ensure};
use futures::future::{BoxFuture, try_join_all};
use serde::Deserialize;
use serde_json::{Value, json};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

pub(crate) enum Runtime {
    Node(&'static str),
    Python(&'static str),
}

pub(crate) struct Scripted {
    pub(crate) runtime: Runtime,
    /// The query that counts its events.
    pub(crate) count: &'static str,
    /// Environment variables that configure it.
    pub(crate) environment: &'static [(&'static str, &'static str)],
    /// Whether it can read all events in one order.
    pub(crate) reads_all: bool,
}

/// A process that runs one task.
struct Task {
    process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

#[derive(Deserialize)]
struct Rate {
    acknowledged: u64,
    rate: f64,
    retries: u64,
}

#[derive(Deserialize)]
struct Seen {
    seen: u64,
}

fn folder(variable: &str) -> Result<String> {
    std::env::var(variable).with_context(|| format!("{variable} is not set: run `make bench-peers`"))
}

impl Scripted {
    fn command(&self) -> Result<Command> {
        match self.runtime {
            Runtime::Node(script) => {
                let mut command = Command::new("node");
                command.arg(format!("{}/{script}", folder("PEERS_NODE")?));
                Ok(command)
            }
            Runtime::Python(script) => {
                let mut command = Command::new(folder("PEERS_PYTHON")?);
                command.arg(format!("{}/python/{script}", env!("CARGO_MANIFEST_DIR")));
                Ok(command)
            }
        }
    }

    fn start(&self, storage: &Storage, task: &Value) -> Result<Task> {
        let mut process = self
            .command()?
            .arg(task.to_string())
            .env("PEERS_DATABASE_URL", &storage.url)
            .envs(self.environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let input = process.stdin.take().context("standard input")?;
        let output = BufReader::new(process.stdout.take().context("standard output")?).lines();
        Ok(Task { process, input, output })
    }
}

impl Task {
    async fn wait_until_ready(&mut self) -> Result<()> {
        let line = self.output.next_line().await?;
        ensure!(line.as_deref() == Some("ready"), "expected the line `ready`, found {line:?}");
        Ok(())
    }

    async fn signal(&mut self) -> Result<()> {
        Ok(self.input.write_all(b"\n").await?)
    }

    /// Waits until the process has succeeded, and returns the last line of its output.
    async fn result(mut self) -> Result<String> {
        let mut last = String::new();
        while let Some(line) = self.output.next_line().await? {
            last = line;
        }
        let status = self.process.wait().await?;
        ensure!(status.success(), "the process failed: {status}");
        Ok(last)
    }
}

impl Store for Scripted {
    fn create<'a>(&'a self, storage: &'a Storage) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.start(storage, &json!({ "do": "create", "connections": 1 }))?.result().await?;
            Ok(())
        })
    }

    /// Appends in flight and connections are divided among the processes, which start together.
    fn load<'a>(&'a self, storage: &'a Storage, load: Load, setting: Setting) -> BoxFuture<'a, Result<Outcome>> {
        Box::pin(async move {
            let task = json!({
                "do": "load",
                "in_flight": load.in_flight / setting.processes,
                "connections": setting.connections / setting.processes,
                "warm_up_ms": load.warm_up.as_millis() as u64,
                "measured_ms": load.measured.as_millis() as u64,
            });
            let mut tasks = Vec::new();
            for _ in 0..setting.processes {
                tasks.push(self.start(storage, &task)?);
            }
            for task in &mut tasks {
                task.wait_until_ready().await?;
            }
            for task in &mut tasks {
                task.signal().await?;
            }
            let mut outcome = Outcome::default();
            for result in try_join_all(tasks.into_iter().map(Task::result)).await? {
                let result: Rate = serde_json::from_str(&result)?;
                outcome.acknowledged += result.acknowledged;
                outcome.rate += result.rate;
                outcome.retries += result.retries;
            }
            Ok(outcome)
        })
    }

    fn count<'a>(&'a self, storage: &'a Storage) -> BoxFuture<'a, Result<u64>> {
        Box::pin(count_rows(storage, self.count))
    }

    fn follow<'a>(&'a self, storage: &'a Storage, stop: Arc<AtomicBool>) -> BoxFuture<'a, Result<Option<u64>>> {
        Box::pin(async move {
            if !self.reads_all {
                return Ok(None);
            }
            let mut task = self.start(storage, &json!({ "do": "follow", "connections": 1 }))?;
            task.wait_until_ready().await?;
            while !stop.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            task.signal().await?;
            let result: Seen = serde_json::from_str(&task.result().await?)?;
            Ok(Some(result.seen))
        })
    }

    /// A single process may be limited by its runtime instead of the library, so two processes are tried as well.
    fn settings(&self) -> Vec<Setting> {
        let two = [8, 32].map(|pool| Setting { processes: 2, ..Setting::pool(pool) });
        POOLS.into_iter().map(Setting::pool).chain(two).collect()
    }
}
