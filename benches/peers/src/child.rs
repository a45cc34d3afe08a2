//! The peers that are no Rust: processes that are told in JSON what to do, and answer in JSON.

use crate::ours::count_rows;
use crate::store::{Load, Outcome, POOLS, Place, Setting, Store};
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
    /// Counts its rows.
    pub(crate) count: &'static str,
    /// How it is to go about it.
    pub(crate) environment: &'static [(&'static str, &'static str)],
    /// Whether it can read all that is written.
    pub(crate) reads_all: bool,
}

/// A process that does one thing.
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

    fn start(&self, place: &Place, task: &Value) -> Result<Task> {
        let mut process = self
            .command()?
            .arg(task.to_string())
            .env("PEERS_DATABASE_URL", &place.url)
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
    async fn ready(&mut self) -> Result<()> {
        let line = self.output.next_line().await?;
        ensure!(line.as_deref() == Some("ready"), "it said {line:?} where it should be ready");
        Ok(())
    }

    async fn go_on(&mut self) -> Result<()> {
        Ok(self.input.write_all(b"\n").await?)
    }

    /// Its last line, once it has ended well.
    async fn answer(mut self) -> Result<String> {
        let mut last = String::new();
        while let Some(line) = self.output.next_line().await? {
            last = line;
        }
        let status = self.process.wait().await?;
        ensure!(status.success(), "it ended with {status}");
        Ok(last)
    }
}

impl Store for Scripted {
    fn create<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.start(place, &json!({ "do": "create", "connections": 1 }))?.answer().await?;
            Ok(())
        })
    }

    /// What is in flight and the connections are shared out among the processes, which begin together.
    fn load<'a>(&'a self, place: &'a Place, load: Load, setting: Setting) -> BoxFuture<'a, Result<Outcome>> {
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
                tasks.push(self.start(place, &task)?);
            }
            for task in &mut tasks {
                task.ready().await?;
            }
            for task in &mut tasks {
                task.go_on().await?;
            }
            let mut outcome = Outcome::default();
            for answer in try_join_all(tasks.into_iter().map(Task::answer)).await? {
                let answer: Rate = serde_json::from_str(&answer)?;
                outcome.acknowledged += answer.acknowledged;
                outcome.rate += answer.rate;
                outcome.retries += answer.retries;
            }
            Ok(outcome)
        })
    }

    fn count<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<u64>> {
        Box::pin(count_rows(place, self.count))
    }

    fn follow<'a>(&'a self, place: &'a Place, stop: Arc<AtomicBool>) -> BoxFuture<'a, Result<Option<u64>>> {
        Box::pin(async move {
            if !self.reads_all {
                return Ok(None);
            }
            let mut task = self.start(place, &json!({ "do": "follow", "connections": 1 }))?;
            task.ready().await?;
            while !stop.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            task.go_on().await?;
            let answer: Seen = serde_json::from_str(&task.answer().await?)?;
            Ok(Some(answer.seen))
        })
    }

    /// One process of such a runtime may be what is too slow, and not the library: two may do better.
    fn settings(&self) -> Vec<Setting> {
        let two = [8, 32].map(|pool| Setting { processes: 2, ..Setting::pool(pool) });
        POOLS.into_iter().map(Setting::pool).chain(two).collect()
    }
}
