//! Rebuilding read models, compared with a raw scan of the same log through the same driver.
//!
//! `EVENTS` sets the size of the log (default: 200 000). The scan reads every column of every event in order and discards
//! it; a rebuild reads the log once, decodes and folds the events, and writes and commits the rows.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark that cannot continue has failed"
)]

use chrono::{DateTime, SecondsFormat, TimeDelta};
use futures::TryStreamExt;
use projections::{InactiveVersion, REBUILD_BATCH_EVENTS, build, drop_version};
use sqlx::Row;
use std::time::Instant;
use streams::{Append, Expected, NewEvent, StreamAppend};
use testkit::bench::{Bench, Table, metadata, setting};
use testkit::{append_all, tenant};
use uuid::Uuid;

/// The payload of a call of one of 100 agents and 5 models. Each agent makes a call every 30 s.
fn call(n: u64) -> String {
    let (agent, model) = (Uuid::from_u128(u128::from(n % 100)), n % 5);
    let at = TimeDelta::milliseconds(i64::try_from(n).unwrap() * 300);
    let at = (DateTime::UNIX_EPOCH + at).to_rfc3339_opts(SecondsFormat::Micros, true);
    format!(
        r#"{{"kind":"llm","agent_id":"{agent}","provider":"openai","model":"model-{model}",
        "usage":{{"input":{n},"output":59}},
        "started_at":"{at}","latency_ms":4210,"source":"otlp",
        "charge":{{"amount":"0.0{n}","book_version":3,"effective_from":"2025-05-22T00:00:00Z","lines":[
        {{"meter":"input","units":{n},"rate":"3","cost":"0.0{n}"}},
        {{"meter":"output","units":59,"rate":"15","cost":"0.000885"}}]}}}}"#,
        n = n % 10_000
    )
}

fn append(category: &'static str, events: Vec<(&'static str, String)>) -> Append {
    let event = |(name, payload)| NewEvent { event_id: Uuid::now_v7(), name, schema_version: 1, payload };
    let events = events.into_iter().map(event).collect();
    let stream = StreamAppend { category: category.into(), id: Uuid::now_v7(), expected: Expected::Any, events };
    Append {
        tenant: tenant(),
        metadata: metadata(Uuid::now_v7()),
        request: None,
        streams: vec![stream],
        may_change_others: false,
    }
}

/// Ten events: six calls, a task that is submitted, started and completed, and a memory.
fn ten_events(n: u64) -> impl Iterator<Item = Append> {
    let at = "2025-11-03T09:30:00Z";
    let agent = Uuid::from_u128(u128::from(n % 100));
    let task = vec![
        ("task.submitted", format!(r#"{{"title":"work","agent_id":"{agent}","at":"{at}"}}"#)),
        ("task.started", format!(r#"{{"at":"{at}"}}"#)),
        ("task.completed", format!(r#"{{"result":"done","at":"{at}"}}"#)),
    ];
    let memory = format!(r#"{{"agent_id":"{agent}","content":"tea at four","tags":["tea"],"at":"{at}"}}"#);
    let calls = (0..6).map(move |c| append("call", vec![("call.recorded", call(n * 6 + c))]));
    calls.chain([append("task", task), append("memory", vec![("memory.stored", memory)])])
}

async fn fill(bench: &Bench, events: u64) {
    println!("filling a log with {events} events");
    for chunk in 0..events.div_ceil(10_000) {
        let appends: Vec<_> = (chunk * 1000..(chunk + 1) * 1000).flat_map(ten_events).collect();
        for answer in append_all(&bench.log, appends).await {
            answer.unwrap();
        }
    }
}

async fn scan(bench: &Bench) -> f64 {
    let started = Instant::now();
    let mut rows = sqlx::query("select * from apex.events order by position").fetch(&bench.pool);
    let (mut events, mut bytes) = (0_u64, 0);
    while let Some(row) = rows.try_next().await.unwrap() {
        bytes += row.get_unchecked::<&str, _>("payload").len() + row.get_unchecked::<&str, _>("metadata").len();
        events += 1;
    }
    assert!(bytes > 0);
    events as f64 / started.elapsed().as_secs_f64()
}

async fn rebuild(bench: &Bench, names: &[&str]) -> f64 {
    let models: Vec<_> = projections::all().into_iter().filter(|model| names.contains(&model.name())).collect();
    for model in &models {
        drop_version(&testkit::access(), &bench.pool, *model, InactiveVersion::Next).await.unwrap();
    }
    let started = Instant::now();
    let position =
        build(&testkit::access(), &bench.pool, &bench.log, &models, REBUILD_BATCH_EVENTS, |_| {}).await.unwrap();
    let rate = position.get() as f64 / started.elapsed().as_secs_f64();
    let parked =
        projections::parked_events(projections::TenantSelection::All(&bench.pool, &testkit::access()), None, 1)
            .await
            .unwrap();
    assert!(parked.is_empty(), "{parked:?}");
    rate
}

#[tokio::main]
async fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let bench = Bench::new().await;
    fill(&bench, setting("EVENTS", 200_000)).await;
    let names: Vec<_> = projections::all().iter().map(|model| model.name()).collect();
    let mut table = Table::new();
    let unit = "events/s";
    table.case(&bench, "rebuild of all read models; raw scan", unit, || rebuild(&bench, &names), || scan(&bench)).await;
    for name in &names {
        let case = format!("rebuild of {name} alone; raw scan");
        table.case(&bench, &case, unit, || rebuild(&bench, std::slice::from_ref(name)), || scan(&bench)).await;
    }
    table.write("projections");
    bench.drop_database().await;
}
