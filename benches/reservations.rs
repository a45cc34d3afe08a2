//! Reservations: how many a second three hard budgets of all calls take, how long a decision takes at 1,000 a second, and what a reserved
//! call writes.
//!
//! Every reservation is decided over the same three periods, and is durable when it is counted. Where a case says processes, each has a log,
//! a cache and an appender of its own, as `apex serve` has, and shares nothing with the others but PostgreSQL. The baseline is the log
//! without decisions: appends of the events of a reservation, byte for byte, to as many streams, of which three are hot. No other
//! process runs meanwhile.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark that cannot continue has failed"
)]

use apex::config::Secret;
use apex::database::connect;
use chrono::{TimeDelta, Utc};
use commands::{Commands, CommandsConfig};
use domain::budget::{Attributes, BudgetDimension};
use domain::call::{CallFacts, CallKind};
use domain::price_book::PriceBook;
use domain::reservation::{Alternatives, Estimate, Holder, ReservationStatus, Reserve};
use domain::{CallId, Meter, Quantity, ReservationId, Usage};
use futures::StreamExt as _;
use ingest::CallReport;
use serde_json::json;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use streams::{Append, Expected, Log, LogConfig, NewEvent, StreamAppend, Version};
use testkit::bench::{Bench, Table, metadata, percentile};
use testkit::{TestDatabase, context, name, operator, tenant, wait_until};
use tokio::task::JoinSet;
use uuid::Uuid;

const CLIENTS: usize = 64;
/// The budgets that each reservation is decided over.
const BUDGETS: usize = 3;
/// The decisions a second whose latency is measured.
const RATE: u64 = 1_000;
/// The calls over which is averaged what one writes.
const CALLS: usize = 1_000;
/// The connections of a process, beside those of its log.
const CONNECTIONS: u32 = 8;

/// Defines a price and the budgets by a server, which runs until the budgets are counted.
async fn define(bench: &Bench) {
    let database = TestDatabase::at(bench.url()).await;
    let server = database.serve(&[]).await;
    let components = json!([{ "meter": "OUTPUT", "rate": "1" }, { "meter": "INPUT", "rate": "1" }]);
    let price =
        json!({ "provider": "p", "model": "m", "effectiveFrom": "2020-01-01T00:00:00Z", "components": components });
    let set = "mutation ($input: SetPricesInput!) { setPrices(input: $input) { outcome } }";
    server.graphql(set, json!({ "input": { "source": "bench", "prices": [price] } })).await;
    for number in 0..BUDGETS {
        let terms = json!({ "name": number.to_string(), "scope": { "tenant": true }, "limit": "1000000000",
                            "enforcement": "HARD", "period": "TOTAL" });
        let define = "mutation ($input: DefineBudgetInput!) { defineBudget(input: $input) { budget { id } } }";
        let defined = server.graphql(define, json!({ "input": { "terms": terms } })).await;
        let id = defined["defineBudget"]["budget"]["id"].clone();
        let period = "query ($id: ID!) { budgetPeriod(id: $id) { counted } }";
        wait_until("the budget is counted", async || {
            server.graphql(period, json!({ "id": id })).await["budgetPeriod"]["counted"] == true
        })
        .await;
    }
    server.kill().await;
}

fn usage() -> Usage {
    let quantity = |number| Quantity::new(number).unwrap();
    Usage::default().with(Meter::Input, quantity(3_000)).with(Meter::Output, quantity(1_000))
}

/// What a process has of its own.
struct Process {
    commands: Commands,
    log: Log,
    prices: PriceBook,
}

impl Process {
    async fn open(bench: &Bench) -> Self {
        let pool = connect(&Secret::from(bench.url()), CONNECTIONS).await.unwrap();
        let log = Log::open(pool, LogConfig::default()).await.unwrap();
        let commands = Commands::new(log.clone(), CommandsConfig::default());
        let loaded = commands.load::<PriceBook>(&operator().charging(), PriceBook::id()).await.unwrap();
        let prices = PriceBook::clone(&loaded.state);
        Self { commands, log, prices }
    }

    async fn several(bench: &Bench, count: usize) -> Arc<Vec<Self>> {
        let mut processes = Vec::new();
        for _ in 0..count {
            processes.push(Self::open(bench).await);
        }
        Arc::new(processes)
    }

    async fn reserve(&self) -> ReservationId {
        let (reservation_id, at) = (ReservationId(Uuid::now_v7()), Utc::now());
        let command = Reserve {
            reservation_id,
            fixed: Attributes::new(),
            declared: Attributes::from([(BudgetDimension::Provider, name("p")), (BudgetDimension::Model, name("m"))]),
            estimate: Estimate {
                kind: CallKind::Llm,
                usage: usage(),
                min_output: None,
                service_tier: None,
                speed: None,
                region: None,
                alternatives: Alternatives::default(),
            },
            prices: self.prices.clone(),
            expires_at: at + TimeDelta::minutes(15),
            sent: true,
            holder: Holder::default(),
            cheaper: None,
            at,
        };
        let context = context(tenant(), "bench", Uuid::now_v7());
        let reserved = self.commands.reserve_spend(&context, &command).await.unwrap();
        assert_eq!(reserved.aggregate.state.status, Some(ReservationStatus::Held));
        reservation_id
    }

    fn report(&self) -> CallReport {
        let facts = CallFacts {
            provider: Some(name("p")),
            model: Some(name("m")),
            usage: usage(),
            ..CallFacts::new(CallKind::Llm, Utc::now(), name("bench"))
        };
        CallReport::new(CallId(Uuid::now_v7()), facts, &self.prices)
    }

    /// A call that is reserved and settled.
    async fn reserved_call(&self) {
        let reservation = self.reserve().await;
        let context = context(tenant(), "bench", Uuid::now_v7());
        ingest::settle_call(&self.commands, &context, &self.report(), (reservation, Holder::Client), Utc::now())
            .await
            .unwrap();
    }

    /// A call that is reported only.
    async fn reported_call(&self) {
        let context = context(tenant(), "bench", Uuid::now_v7());
        ingest::report_call(&self.commands, &context, &self.report()).await.unwrap();
    }

    /// Appends the events of a reservation, without a decision.
    async fn append(&self, events: &Events) {
        self.log.append(events.append()).await.unwrap();
    }
}

/// The events of a reservation, as they are in the log.
struct Events {
    granted: (u16, String),
    /// Those of the periods, each with a stream of its own.
    reserved: Vec<(Uuid, u16, String)>,
}

impl Events {
    /// Reads those of the last of two reservations: the first one also opens the periods.
    async fn read(bench: &Bench, process: &Process) -> Self {
        process.reserve().await;
        let before = head(bench).await;
        process.reserve().await;
        let query = "select type, schema_version, payload::text from apex.events where position > $1 order by position";
        let rows: Vec<(String, i16, String)> = sqlx::query_as(query).bind(before).fetch_all(&bench.raw).await.unwrap();
        assert_eq!(rows.len(), 1 + BUDGETS, "the reservation, and an event of each budget");
        let of = |wanted: &str| {
            let found = rows.iter().filter(|(name, ..)| name == wanted);
            let found = found.map(|(_, version, payload)| (u16::try_from(*version).unwrap(), payload.clone()));
            found.collect::<Vec<_>>()
        };
        let granted = of("reservation.granted").pop().expect("an event of the reservation");
        let reserved = of("budget_balance.reserved").into_iter();
        let reserved: Vec<_> = reserved.map(|(version, payload)| (Uuid::now_v7(), version, payload)).collect();
        assert_eq!(reserved.len(), BUDGETS);
        Self { granted, reserved }
    }

    fn append(&self) -> Append {
        let event = |name, schema_version, payload: &str| {
            vec![NewEvent { event_id: Uuid::now_v7(), name, schema_version, payload: payload.to_owned() }]
        };
        let (version, payload) = &self.granted;
        let mut streams = vec![StreamAppend {
            category: "reservation".into(),
            id: Uuid::now_v7(),
            expected: Expected::Exact(Version::ZERO),
            events: event("reservation.granted", *version, payload),
        }];
        streams.extend(self.reserved.iter().map(|(id, version, payload)| StreamAppend {
            category: "budget_balance".into(),
            id: *id,
            expected: Expected::Any,
            events: event("budget_balance.reserved", *version, payload),
        }));
        // With a receipt, as a decision over several streams has.
        Append { tenant: tenant(), metadata: metadata(Uuid::now_v7()), request: None, streams, may_change_others: true }
    }
}

async fn head(bench: &Bench) -> i64 {
    sqlx::query_scalar("select position from apex.head").fetch_one(&bench.raw).await.unwrap()
}

/// Reservations a second of clients that are spread over processes.
async fn reservations(bench: &Bench, processes: &Arc<Vec<Process>>) -> f64 {
    let processes = processes.clone();
    bench
        .rate(CLIENTS, move |client| {
            let processes = processes.clone();
            async move {
                processes[client % processes.len()].reserve().await;
                1
            }
        })
        .await
}

/// Appends a second of the events of a reservation, by clients that are spread over processes.
async fn appends(bench: &Bench, processes: &Arc<Vec<Process>>, events: &Arc<Events>) -> f64 {
    let (processes, events) = (processes.clone(), events.clone());
    bench
        .rate(CLIENTS, move |client| {
            let (processes, events) = (processes.clone(), events.clone());
            async move {
                processes[client % processes.len()].append(&events).await;
                1
            }
        })
        .await
}

/// The durations of steps of which [`RATE`] a second are started, however long they take: from the time at which each was due, so that up
/// to a millisecond of it is that of the timer.
async fn latencies<F>(bench: &Bench, step: impl Fn(usize) -> F) -> Vec<Duration>
where
    F: Future<Output = ()> + Send + 'static,
{
    let (start, mut steps) = (Instant::now(), JoinSet::new());
    for number in 0..bench.seconds.as_secs() * RATE {
        let due = start + Duration::from_micros(number * 1_000_000 / RATE);
        tokio::time::sleep_until(due.into()).await;
        let step = step(usize::try_from(number).unwrap());
        steps.spawn(async move {
            step.await;
            due.elapsed()
        });
    }
    steps.join_all().await
}

async fn latency_cases(bench: &Bench, table: &mut Table, count: usize, events: &Arc<Events>) {
    let case = |percent: usize| format!("p{percent} of a decision at {RATE}/s, {count} processes; of an append");
    if ![50, 99].into_iter().any(|percent| Table::wants(&case(percent))) {
        return;
    }
    let processes = Process::several(bench, count).await;
    let mut decided = latencies(bench, |number| {
        let processes = processes.clone();
        async move {
            processes[number % processes.len()].reserve().await;
        }
    })
    .await;
    let mut appended = latencies(bench, |number| {
        let (processes, events) = (processes.clone(), events.clone());
        async move { processes[number % processes.len()].append(&events).await }
    })
    .await;
    for percent in [50, 99] {
        let us = |times: &mut [Duration]| percentile(times, percent).as_secs_f64() * 1e6;
        table.figure(&case(percent), "µs", us(&mut decided), us(&mut appended));
    }
}

/// What a call writes.
struct Written {
    events: f64,
    /// The bytes of payloads and metadata.
    content_bytes: f64,
    /// The bytes of the WAL.
    wal_bytes: f64,
}

async fn wal_bytes(bench: &Bench) -> i64 {
    let query = "select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint";
    sqlx::query_scalar(query).fetch_one(&bench.raw).await.unwrap()
}

/// What one of [`CALLS`] calls writes on average, [`CLIENTS`] at a time.
async fn written(bench: &Bench, call: impl AsyncFn()) -> Written {
    // The first change of a page after a checkpoint writes the whole page: the first calls are not counted.
    sqlx::query("checkpoint").execute(&bench.raw).await.unwrap();
    futures::stream::iter(0..CALLS).for_each_concurrent(CLIENTS, |_| call()).await;
    let (position, wal) = (head(bench).await, wal_bytes(bench).await);
    futures::stream::iter(0..CALLS).for_each_concurrent(CLIENTS, |_| call()).await;
    let wal = wal_bytes(bench).await - wal;
    let query = "select count(*), sum(octet_length(payload::text) + octet_length(metadata::text))::bigint
        from apex.events where position > $1";
    let (events, content): (i64, i64) = sqlx::query_as(query).bind(position).fetch_one(&bench.raw).await.unwrap();
    let of_call = |sum: i64| sum as f64 / CALLS as f64;
    Written { events: of_call(events), content_bytes: of_call(content), wal_bytes: of_call(wal) }
}

/// The baseline is a call that is reported only, without what the charging policy appends for a batch of such calls.
async fn written_cases(bench: &Bench, table: &mut Table) {
    let process = Process::open(bench).await;
    let reserved = written(bench, async || process.reserved_call().await).await;
    let reported = written(bench, async || process.reported_call().await).await;
    let case = |what: &str| format!("{what} of a call, reserved and settled; reported only");
    table.figure(&case("events"), "events", reserved.events, reported.events);
    table.figure(&case("payloads and metadata"), "bytes", reserved.content_bytes, reported.content_bytes);
    table.figure(&case("WAL"), "bytes", reserved.wal_bytes, reported.wal_bytes);
}

#[tokio::main]
async fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let bench = Bench::new().await;
    define(&bench).await;
    let events = Arc::new(Events::read(&bench, &Process::open(&bench).await).await);
    let mut table = Table::new();
    for count in [1, 2, 4] {
        let processes = Process::several(&bench, count).await;
        let case = format!("{CLIENTS} in flight, {count} processes; appends of the same events");
        let ours = || reservations(&bench, &processes);
        table.case(&bench, &case, "reservations/s", ours, || appends(&bench, &processes, &events)).await;
    }
    let one = Process::several(&bench, 1).await;
    let case = format!("{CLIENTS} in flight, 1 process; appends of one event");
    table.case(&bench, &case, "reservations/s", || reservations(&bench, &one), || bench.ours(CLIENTS, 1)).await;
    for count in [1, 2] {
        latency_cases(&bench, &mut table, count, &events).await;
    }
    if Table::wants("of a call, reserved and settled") {
        written_cases(&bench, &mut table).await;
    }
    table.write("reservations");
    bench.drop_database().await;
}
