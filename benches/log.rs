//! Compares the log with plain PostgreSQL: the same rows, the same bytes and the same durability, without the log's
//! guarantees.
//!
//! `make bench` starts a private PostgreSQL and runs this. Each case alternates between Apex and the baseline for several
//! rounds; the medians and their ratio are printed as a table and written to `target/bench/log.json`. `ROUNDS` and
//! `SECONDS_PER_CASE` set the duration; `CASE` selects the cases whose name contains it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark that cannot continue has failed"
)]

use commands::{Commands, CommandsConfig, OutcomeKind, Undecided};
use domain::agent::{Agent, AgentCommand, Profile};
use domain::task::{Task, TaskCommand, TaskError, TaskSpec};
use domain::{AgentId, Aggregate, Labels, Name};
use std::sync::Arc;
use std::time::Instant;
use streams::{Position, ReadFilter};
use testkit::bench::{Bench, Table, best};
use testkit::tenant;
use uuid::Uuid;

/// Events per second, reading the log in pages of 1000.
async fn read_log(bench: &Bench) -> f64 {
    let started = Instant::now();
    let (mut after, mut count) = (Position::ZERO, 0_u64);
    while started.elapsed() < bench.seconds {
        let page = bench.log.read_after(after, &ReadFilter::default(), 1000).await.unwrap();
        count += page.len() as u64;
        after = page.last().map_or(Position::ZERO, |event| event.position);
    }
    count as f64 / started.elapsed().as_secs_f64()
}

/// Rows per second, reading the raw table in pages of 1000.
async fn read_raw(bench: &Bench) -> f64 {
    type Row =
        (i64, String, String, Uuid, i64, Uuid, String, i16, String, String, chrono::DateTime<chrono::Utc>, Vec<u8>);
    let started = Instant::now();
    let (mut after, mut count) = (0_i64, 0_u64);
    while started.elapsed() < bench.seconds {
        let page: Vec<Row> = sqlx::query_as(
            "select position, tenant_id, category, stream_id, version, event_id, type, schema_version,
                    payload::text, metadata::text, recorded_at, content_hash
             from raw_events where position > $1 order by position limit 1000",
        )
        .bind(after)
        .fetch_all(&bench.raw)
        .await
        .unwrap();
        count += page.len() as u64;
        after = page.last().map_or(0, |row| row.0);
    }
    count as f64 / started.elapsed().as_secs_f64()
}

/// Tasks that are running, for commands that report their progress.
struct RunningTasks {
    commands: Commands,
    agent: Uuid,
    tasks: Vec<Uuid>,
}

impl RunningTasks {
    async fn new(bench: &Bench, count: usize) -> Self {
        let commands = Commands::new(bench.log.clone(), CommandsConfig::default());
        let context = || testkit::context(tenant(), "bench", Uuid::now_v7());
        let at = chrono::Utc::now();
        let agent = Uuid::now_v7();
        let name = || Name::new("hot").unwrap();
        let profile = Profile { name: name(), kind: None, model: None, labels: Labels::default() };
        for command in [AgentCommand::Register { profile, at }, AgentCommand::Activate { at }] {
            commands.execute::<Agent>(&context(), agent, command).await.unwrap();
        }
        let tasks: Vec<_> = (0..count).map(|_| Uuid::now_v7()).collect();
        for task in &tasks {
            let spec = TaskSpec { title: name(), agent_id: AgentId(agent), dag_id: None };
            for command in [TaskCommand::Submit { spec, at }, TaskCommand::Start { at }] {
                commands.execute::<Task>(&context(), *task, command).await.unwrap();
            }
        }
        Self { commands, agent, tasks }
    }
}

fn progress() -> TaskCommand {
    TaskCommand::Progress { percent: 50, note: domain::Body::new("x".repeat(250)).ok(), at: chrono::Utc::now() }
}

/// Commands per second that report progress of `hot` tasks each, always the same ones, `in_flight` at a time. Each appends
/// one event to each of the streams.
async fn hot_streams(bench: &Bench, in_flight: usize, hot: usize) -> f64 {
    let running = Arc::new(RunningTasks::new(bench, hot).await);
    bench
        .rate(in_flight, move |_| {
            let running = running.clone();
            async move {
                let context = testkit::context(tenant(), "bench", Uuid::now_v7());
                let command = progress();
                let decided = running.commands.decide::<Task, TaskError>(&context, running.tasks[0], |states| {
                    let tasks: Vec<_> = running.tasks.iter().map(|task| (*task, states.get::<Task>(*task))).collect();
                    for (task, state) in tasks {
                        let events = state?.decide(command.clone()).map_err(Undecided::Rejected)?;
                        states.append::<Task, _>(task, events)?;
                    }
                    Ok(())
                });
                u64::from(decided.await.unwrap().kind == OutcomeKind::Done)
            }
        })
        .await
}

/// Commands per second that report progress, each of `in_flight` clients of a task of its own. All of them read the agent
/// of the tasks, or none does.
async fn common_stream(bench: &Bench, in_flight: usize, is_read: bool) -> f64 {
    let running = Arc::new(RunningTasks::new(bench, in_flight).await);
    bench
        .rate(in_flight, move |client| {
            let running = running.clone();
            async move {
                let context = testkit::context(tenant(), "bench", Uuid::now_v7());
                let command = progress();
                let task = running.tasks[client];
                let decided = running.commands.decide_on::<Task, TaskError>(&context, task, |task, mut others| {
                    if is_read {
                        others.get::<Agent>(running.agent)?;
                    }
                    task.decide(command.clone()).map_err(Undecided::Rejected)
                });
                u64::from(decided.await.unwrap().kind == OutcomeKind::Done)
            }
        })
        .await
}

#[tokio::main]
async fn main() {
    // `cargo test --benches` passes --test, and there is nothing to test.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let bench = Bench::new().await;
    let mut table = Table::new();
    let many = [8, 32, 64];
    let few = [1, 4, 8];
    for in_flight in [1, 8, 64, 256] {
        let connections = in_flight.min(64);
        let case = format!("{in_flight} in flight, 1 event each; single INSERTs, {connections} at a time");
        table.case(&bench, &case, "events/s", || bench.ours(in_flight, 1), || bench.raw(connections, 1, 1)).await;
    }
    let case = "64 in flight, 1 event each; best rate of single INSERTs";
    table.case(&bench, case, "events/s", || bench.ours(64, 1), || bench.best_raw(&many, 1, 1)).await;
    let case = "64 in flight, 1 event each; best rate of UNNEST of 64";
    table.case(&bench, case, "events/s", || bench.ours(64, 1), || bench.best_raw(&few, 64, 1)).await;
    let case = "64 in flight, 1 event each; UNNEST of 64, one connection";
    table.case(&bench, case, "events/s", || bench.ours(64, 1), || bench.raw(1, 64, 1)).await;
    let case = "64 in flight, 1 event each; UNNEST of 64 events and streams, one connection";
    table.case(&bench, case, "events/s", || bench.ours(64, 1), || bench.raw_with_streams(1, 64)).await;
    let case = "64 in flight, 1 event each; best rate of UNNEST of 64 events and streams";
    table
        .case(
            &bench,
            case,
            "events/s",
            || bench.ours(64, 1),
            || best(&few, async |connections| bench.raw_with_streams(connections, 64).await),
        )
        .await;
    let case = "256 in flight, 1 event each; UNNEST of 64, four connections";
    table.case(&bench, case, "events/s", || bench.ours(256, 1), || bench.raw(4, 64, 1)).await;
    let case = "256 in flight, 1 event each; best rate of UNNEST of 256";
    table.case(&bench, case, "events/s", || bench.ours(256, 1), || bench.best_raw(&few, 256, 1)).await;
    for (in_flight, events) in [(64, 10), (64, 100), (8, 1000)] {
        let case = format!("{in_flight} in flight, {events} events each; best rate of UNNEST of {events}");
        table
            .case(&bench, &case, "events/s", || bench.ours(in_flight, events), || bench.best_raw(&few, events, events))
            .await;
    }
    let case = "2000 appends of 1 event submitted at once; best rate of UNNEST of 1000";
    table.case(&bench, case, "events/s", || bench.bulk(2000), || bench.best_raw(&few, 1000, 1)).await;
    let case = "reading in pages of 1000; the same scan of the raw table";
    table.case(&bench, case, "events/s", || read_log(&bench), || read_raw(&bench)).await;
    let case = "one hot stream, 64 commands in flight; best rate of single INSERTs";
    table.case(&bench, case, "commands/s", || hot_streams(&bench, 64, 1), || bench.best_raw(&many, 1, 1)).await;
    let case = "three hot streams a command, 64 in flight; one hot stream a command";
    table.case(&bench, case, "commands/s", || hot_streams(&bench, 64, 3), || hot_streams(&bench, 64, 1)).await;
    let case = "64 streams whose commands read one common stream; without reading it";
    table
        .case(&bench, case, "commands/s", || common_stream(&bench, 64, true), || common_stream(&bench, 64, false))
        .await;
    table.write("log");
}
