//! Controls of the checker: whole systems with a planted bug, on a real PostgreSQL. It must find each of the bugs.

use crate::checker::{Report, Violation, check};
use crate::clients::Load;
use crate::faults::Fault;
use crate::history::{Command, History, LogEvent, Outcome, Page, PageRecorder, ReaderHistory, Recorder};
use crate::rng::SeededRng;
use crate::run::{self, RunConfig};
use crate::storage::{CONTROL_RUNS, EARLY_ACKNOWLEDGEMENT, NO_FLUSH};
use crate::worker::Executor;
use sqlx::{PgConnection, Row};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use testkit::cluster::{Cluster, ClusterConfig};
use testkit::decisions;
use uuid::Uuid;

/// A system with a planted bug.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BrokenSystem {
    /// Positions are from a sequence, which assigns them before the commit and leaves gaps.
    PlainSequence,
    /// A retry is written a second time.
    NoCommandIds,
    /// The client gets the acknowledgement before the commit.
    AcknowledgedBeforeCommit,
    /// Apex's log, on a server that acknowledges a commit before it is on disk.
    NoFlush,
    /// Apex's log and executor, and the versions of streams that a decision only reads are not compared.
    UncomparedReads,
    /// They are compared, but not again once the head is locked.
    UncomparedUnderLock,
    /// An executor that acknowledges a decision that was undone.
    AcknowledgesUndone,
}

impl BrokenSystem {
    pub(crate) const ALL: [Self; 7] = [
        Self::PlainSequence,
        Self::NoCommandIds,
        Self::AcknowledgedBeforeCommit,
        Self::NoFlush,
        Self::UncomparedReads,
        Self::UncomparedUnderLock,
        Self::AcknowledgesUndone,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PlainSequence => "positions from a plain sequence",
            Self::NoCommandIds => "retries without a command id",
            Self::AcknowledgedBeforeCommit => "acknowledgement before the commit",
            Self::NoFlush => "the log without a flush at commit",
            Self::UncomparedReads => "versions of read streams are not compared",
            Self::UncomparedUnderLock => "versions of read streams are not compared under the lock",
            Self::AcknowledgesUndone => "undone decisions are acknowledged",
        }
    }

    /// Runs it up to [`CONTROL_RUNS`] times, until the checker finds the bug: it may have no effect in a run. Returns the
    /// checker's last report.
    pub(crate) async fn run(self, seed: u64) -> Report {
        let mut report = Report::default();
        for seed in (0..CONTROL_RUNS).map(|again| seed.wrapping_add(again)) {
            report = self.run_once(seed).await;
            if self.is_found(&report) {
                break;
            }
        }
        report
    }

    async fn run_once(self, seed: u64) -> Report {
        match self {
            Self::PlainSequence => plain_sequence(seed).await,
            Self::NoCommandIds => no_command_ids(seed).await,
            Self::AcknowledgedBeforeCommit => acknowledged_before_commit(seed).await,
            Self::NoFlush => {
                // Commits that are younger than the WAL writer's delay are not on disk.
                let (settings, bug) = (&[NO_FLUSH, "wal_writer_delay=10s"], Some(EARLY_ACKNOWLEDGEMENT));
                let cluster = ClusterConfig { settings, bug, ..ClusterConfig::default() };
                let duration = Duration::from_secs(1);
                run::run(&RunConfig { cluster, ..RunConfig::of(Fault::ServerStopped, duration) }, seed).await.report
            }
            Self::UncomparedReads => decide(Some(UNCOMPARED_READS), Executor::Correct, seed).await,
            Self::UncomparedUnderLock => decide(Some(UNCOMPARED_UNDER_LOCK), Executor::Correct, seed).await,
            Self::AcknowledgesUndone => decide(None, Executor::AcknowledgesUndone, seed).await,
        }
    }

    /// Whether the report has the violation that the bug causes.
    pub(crate) fn is_found(self, report: &Report) -> bool {
        match self {
            Self::PlainSequence => report.skipped > 0,
            Self::NoCommandIds => report.duplicated > 0,
            Self::AcknowledgedBeforeCommit | Self::NoFlush => report.lost > 0,
            Self::UncomparedReads | Self::UncomparedUnderLock => {
                has_violation(report, |v| matches!(v, decisions::Violation::NotJustified { .. }))
            }
            Self::AcknowledgesUndone => has_violation(report, |v| matches!(v, decisions::Violation::Lost { .. })),
        }
    }
}

fn has_violation(report: &Report, is: fn(&decisions::Violation) -> bool) -> bool {
    report.violations.iter().any(|violation| matches!(violation, Violation::Decision(decision) if is(decision)))
}

/// Clients that send decisions, without a fault that ends anything.
async fn decide(bug: Option<&'static str>, executor: Executor, seed: u64) -> Report {
    let cluster = ClusterConfig { bug, ..ClusterConfig::default() };
    let duration = Duration::from_secs(2);
    let config = RunConfig { cluster, executor, load: Load::Decisions, ..RunConfig::of(Fault::Delay, duration) };
    run::run(&config, seed).await.report
}

/// Makes `apex.append` not compare the versions of streams that a batch does not change.
const UNCOMPARED_READS: &str = "do $plant$
    declare
        definition text := pg_get_functiondef('apex.append'::regproc);
        compared constant text := 's_expected[s] >= 0 and ';
        compared_again constant text := 'if k_read <> ''{}'' and exists (';
    begin
        if strpos(definition, compared) = 0 or strpos(definition, compared_again) = 0 then
            raise exception 'apex.append does not compare versions as the planted bug assumes';
        end if;
        definition := replace(definition, compared, 'k_changed[s_key[s]] and s_expected[s] >= 0 and ');
        execute replace(definition, compared_again, 'if false and exists (');
    end
    $plant$";
/// Makes `apex.append` compare those versions only before it locks the head.
const UNCOMPARED_UNDER_LOCK: &str = "do $plant$
    declare
        definition text := pg_get_functiondef('apex.append'::regproc);
        compared_again constant text := 'if k_read <> ''{}'' and exists (';
    begin
        if strpos(definition, compared_again) = 0 then
            raise exception 'apex.append does not contain %', compared_again;
        end if;
        execute replace(definition, compared_again, 'if false and exists (');
    end
    $plant$";

/// A cluster with a table in place of a log.
struct Naive {
    cluster: Cluster,
    start: Instant,
}

impl Naive {
    async fn new() -> Self {
        let cluster = Cluster::start(ClusterConfig::default()).await;
        let create =
            "create table naive (position bigserial primary key, stream uuid not null, version bigint not null,
                      event_id uuid not null, command_id uuid not null)";
        sqlx::query(create).execute(&mut cluster.owner().await).await.unwrap();
        Self { cluster, start: Instant::now() }
    }

    fn recorder(&self, client: u32) -> Recorder {
        Recorder::create(&self.cluster.file(&format!("client-{client}.ndjson")), client, self.start)
    }

    async fn report(&self, clients: u32) -> Report {
        let files = (0..clients).map(|client| self.cluster.file(&format!("client-{client}.ndjson")));
        let histories: Vec<_> = files.map(|file| History::read(&file)).collect();
        let query = "select position, stream, version, event_id, command_id from naive order by position";
        let rows = sqlx::query(query).fetch_all(&mut self.cluster.owner().await).await.unwrap();
        let number = |row: &sqlx::postgres::PgRow, column| u64::try_from(row.get::<i64, _>(column)).unwrap();
        let log: Vec<_> = rows
            .iter()
            .map(|row| LogEvent {
                position: number(row, "position"),
                stream: row.get("stream"),
                version: number(row, "version"),
                event_id: row.get("event_id"),
                command_id: row.get("command_id"),
            })
            .collect();
        let pages = self.cluster.file("reader.ndjson");
        let readers: Vec<_> = pages.exists().then(|| ReaderHistory::read(&pages)).into_iter().collect();
        check(&histories, &log, &readers)
    }
}

async fn begin(connection: &mut PgConnection) {
    sqlx::query("begin").execute(connection).await.unwrap();
}

async fn commit(connection: &mut PgConnection) {
    sqlx::query("commit").execute(connection).await.unwrap();
}

/// Inserts the one event of a command in the open transaction.
async fn write(connection: &mut PgConnection, command: &Command) -> Outcome {
    let change = &command.changes[0];
    let insert = "insert into naive (stream, version, event_id, command_id)
                  select $1, count(*) + 1, $2, $3 from naive where stream = $1 returning position";
    let position: i64 = sqlx::query_scalar(insert)
        .bind(change.stream)
        .bind(change.events[0])
        .bind(command.id)
        .fetch_one(connection)
        .await
        .unwrap();
    let position = u64::try_from(position).unwrap();
    Outcome::Ok { first: position, last: position, duplicate: false }
}

fn one_event(rng: &mut SeededRng, stream: Uuid) -> Command {
    let event = rng.id();
    rng.command(vec![crate::history::StreamChange { stream, expected: None, events: vec![event] }])
}

/// Two writers, one of which commits slowly, and a reader that pages by position.
async fn plain_sequence(seed: u64) -> Report {
    let naive = Naive::new().await;
    let done = Arc::new(AtomicBool::new(false));
    let mut pages = PageRecorder::create(&naive.cluster.file("reader.ndjson"), naive.start);
    let (mut connection, finished) = (naive.cluster.owner().await, done.clone());
    let reader = tokio::spawn(async move {
        let mut after = 0;
        while !finished.load(Ordering::SeqCst) {
            let asked_us = pages.now_us();
            let query = "select position, event_id from naive where position > $1 order by position limit 100";
            let rows: Vec<(i64, Uuid)> = sqlx::query_as(query).bind(after).fetch_all(&mut connection).await.unwrap();
            let events = rows.iter().map(|(position, event)| (u64::try_from(*position).unwrap(), *event)).collect();
            pages.page(&Page { asked_us, after: u64::try_from(after).unwrap(), limit: 100, fresh: true, events });
            after = rows.last().map_or(after, |(position, _)| *position);
        }
    });
    let writers = (0..2).map(|client| {
        let (mut recorder, mut rng) = (naive.recorder(client), SeededRng::new(seed, &format!("naive {client}")));
        let connection = naive.cluster.owner();
        async move {
            let (mut connection, stream) = (connection.await, rng.id());
            for _ in 0..40 {
                let command = one_event(&mut rng, stream);
                let number = recorder.invoke(&command);
                begin(&mut connection).await;
                let outcome = write(&mut connection, &command).await;
                tokio::time::sleep(Duration::from_millis(if client == 0 { rng.below(30) } else { 0 })).await;
                commit(&mut connection).await;
                recorder.complete(number, &outcome);
            }
        }
    });
    futures::future::join_all(writers).await;
    done.store(true, Ordering::SeqCst);
    reader.await.unwrap();
    naive.report(2).await
}

/// The response to an insert is lost, and the command is sent again.
async fn no_command_ids(seed: u64) -> Report {
    let naive = Naive::new().await;
    let (mut recorder, mut rng) = (naive.recorder(0), SeededRng::new(seed, "naive"));
    let (mut connection, stream) = (naive.cluster.owner().await, rng.id());
    for round in 0..10 {
        let command = one_event(&mut rng, stream);
        for is_lost in [round % 3 == 0, false] {
            let number = recorder.invoke(&command);
            begin(&mut connection).await;
            let outcome = write(&mut connection, &command).await;
            commit(&mut connection).await;
            if is_lost {
                recorder.complete(number, &Outcome::Unknown { cause: "the response was lost".to_owned() });
                continue;
            }
            recorder.complete(number, &outcome);
            break;
        }
    }
    naive.report(1).await
}

/// The server crashes between the acknowledgement and the commit.
async fn acknowledged_before_commit(seed: u64) -> Report {
    let naive = Naive::new().await;
    let (mut recorder, mut rng) = (naive.recorder(0), SeededRng::new(seed, "naive"));
    let (mut connection, stream) = (naive.cluster.owner().await, rng.id());
    for round in 0..10 {
        let command = one_event(&mut rng, stream);
        let number = recorder.invoke(&command);
        begin(&mut connection).await;
        let outcome = write(&mut connection, &command).await;
        recorder.complete(number, &outcome);
        if round == 9 {
            naive.cluster.stop_immediately().await;
            naive.cluster.start_server().await;
        } else {
            commit(&mut connection).await;
        }
    }
    naive.report(1).await
}

pub(crate) const TRIALS: testkit::Trials = testkit::trials![
    a_plain_sequence_is_detected,
    a_retry_without_a_command_id_is_detected,
    an_acknowledgement_before_the_commit_is_detected,
    a_log_without_flush_at_commit_is_detected,
    planted_reads_whose_versions_are_not_compared_are_detected,
    planted_reads_that_are_not_compared_under_the_lock_are_detected,
    planted_acknowledgements_of_undone_decisions_are_detected,
];

fn assert_found(system: BrokenSystem) {
    let report = crate::runtime().block_on(system.run(*crate::SEED));
    assert!(system.is_found(&report), "{} was not found: {report:?}", system.name());
}

fn a_plain_sequence_is_detected() {
    assert_found(BrokenSystem::PlainSequence);
}

fn a_retry_without_a_command_id_is_detected() {
    assert_found(BrokenSystem::NoCommandIds);
}

fn an_acknowledgement_before_the_commit_is_detected() {
    assert_found(BrokenSystem::AcknowledgedBeforeCommit);
}

fn a_log_without_flush_at_commit_is_detected() {
    assert_found(BrokenSystem::NoFlush);
}

fn planted_reads_whose_versions_are_not_compared_are_detected() {
    assert_found(BrokenSystem::UncomparedReads);
}

fn planted_reads_that_are_not_compared_under_the_lock_are_detected() {
    assert_found(BrokenSystem::UncomparedUnderLock);
}

fn planted_acknowledgements_of_undone_decisions_are_detected() {
    assert_found(BrokenSystem::AcknowledgesUndone);
}
