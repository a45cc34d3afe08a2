//! Whole systems with a planted bug, on a real PostgreSQL. The checker of the log must find each, or what it says of
//! the log proves nothing.

use crate::checker::{Report, check};
use crate::dice::Dice;
use crate::faults::Fault;
use crate::history::{Command, History, LogEvent, Outcome, Page, PageRecorder, ReaderHistory, Recorder};
use crate::stage::{self, Goal};
use crate::storage::{ANSWERS_TOO_EARLY, CONTROL_RUNS, FLUSHES_FOR_NOBODY};
use sqlx::{PgConnection, Row};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use testkit::cluster::{Cluster, ClusterConfig};
use uuid::Uuid;

/// A system that is wrong on purpose.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Plant {
    /// Positions from a sequence: they are handed out before the commit, and not given back.
    PlainSequence,
    /// A retry is written again.
    NoCommandIds,
    /// The client is told before the transaction is committed.
    AnswerBeforeCommit,
    /// The log itself, on a server that answers a commit before it is on disk.
    NoFlush,
}

impl Plant {
    pub(crate) const ALL: [Self; 4] =
        [Self::PlainSequence, Self::NoCommandIds, Self::AnswerBeforeCommit, Self::NoFlush];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PlainSequence => "positions from a plain sequence",
            Self::NoCommandIds => "retries without a command id",
            Self::AnswerBeforeCommit => "an answer before the commit",
            Self::NoFlush => "the log without a flush at commit",
        }
    }

    /// Runs it until the checker finds what is wrong, within a bound: some take luck, such as a strike that does not come
    /// right behind a flush that something else asked for. What the checker finds.
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
            Self::AnswerBeforeCommit => answer_before_commit(seed).await,
            Self::NoFlush => {
                // Whatever is younger than the writer's delay is not on disk.
                let (settings, bug) = (&[FLUSHES_FOR_NOBODY, "wal_writer_delay=10s"], Some(ANSWERS_TOO_EARLY));
                let setup = ClusterConfig { settings, bug, ..ClusterConfig::default() };
                let duration = Duration::from_secs(1);
                stage::run_on(setup, Fault::ServerStopped, Goal::Injected, duration, seed).await.report
            }
        }
    }

    pub(crate) fn is_found(self, report: &Report) -> bool {
        match self {
            Self::PlainSequence => report.skipped > 0,
            Self::NoCommandIds => report.duplicated > 0,
            Self::AnswerBeforeCommit | Self::NoFlush => report.lost > 0,
        }
    }
}

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

async fn end(connection: &mut PgConnection, how: &'static str) {
    sqlx::query(how).execute(connection).await.unwrap();
}

/// Writes the one event of a command into the open transaction.
async fn write(connection: &mut PgConnection, command: &Command) -> Outcome {
    let part = &command.parts[0];
    let insert = "insert into naive (stream, version, event_id, command_id)
                  select $1, count(*) + 1, $2, $3 from naive where stream = $1 returning position";
    let position: i64 = sqlx::query_scalar(insert)
        .bind(part.stream)
        .bind(part.events[0])
        .bind(command.id)
        .fetch_one(connection)
        .await
        .unwrap();
    let position = u64::try_from(position).unwrap();
    Outcome::Ok { first: position, last: position, duplicate: false }
}

fn one_event(dice: &mut Dice, stream: Uuid) -> Command {
    let event = dice.id();
    dice.command(vec![crate::history::Part { stream, expected: None, events: vec![event] }])
}

/// Two writers, one of them slow to commit, and a reader that pages by position.
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
        let (mut recorder, mut dice) = (naive.recorder(client), Dice::new(seed, &format!("naive {client}")));
        let connection = naive.cluster.owner();
        async move {
            let (mut connection, stream) = (connection.await, dice.id());
            for _ in 0..40 {
                let command = one_event(&mut dice, stream);
                let number = recorder.invoke(&command);
                begin(&mut connection).await;
                let outcome = write(&mut connection, &command).await;
                tokio::time::sleep(Duration::from_millis(if client == 0 { dice.below(30) } else { 0 })).await;
                end(&mut connection, "commit").await;
                recorder.end(number, &outcome);
            }
        }
    });
    futures::future::join_all(writers).await;
    done.store(true, Ordering::SeqCst);
    reader.await.unwrap();
    naive.report(2).await
}

/// An answer that did not come back, and the same command again.
async fn no_command_ids(seed: u64) -> Report {
    let naive = Naive::new().await;
    let (mut recorder, mut dice) = (naive.recorder(0), Dice::new(seed, "naive"));
    let (mut connection, stream) = (naive.cluster.owner().await, dice.id());
    for round in 0..10 {
        let command = one_event(&mut dice, stream);
        for is_lost in [round % 3 == 0, false] {
            let number = recorder.invoke(&command);
            begin(&mut connection).await;
            let outcome = write(&mut connection, &command).await;
            end(&mut connection, "commit").await;
            if is_lost {
                recorder.end(number, &Outcome::Unknown { cause: "the answer was lost".to_owned() });
                continue;
            }
            recorder.end(number, &outcome);
            break;
        }
    }
    naive.report(1).await
}

/// The crash comes between the answer and the commit.
async fn answer_before_commit(seed: u64) -> Report {
    let naive = Naive::new().await;
    let (mut recorder, mut dice) = (naive.recorder(0), Dice::new(seed, "naive"));
    let (mut connection, stream) = (naive.cluster.owner().await, dice.id());
    for round in 0..10 {
        let command = one_event(&mut dice, stream);
        let number = recorder.invoke(&command);
        begin(&mut connection).await;
        let outcome = write(&mut connection, &command).await;
        recorder.end(number, &outcome);
        if round == 9 {
            naive.cluster.stop_immediately().await;
            naive.cluster.start_server().await;
        } else {
            end(&mut connection, "commit").await;
        }
    }
    naive.report(1).await
}

pub(crate) const TRIALS: testkit::Trials = testkit::trials![
    a_plain_sequence_is_caught,
    a_retry_without_a_command_id_is_caught,
    an_answer_before_the_commit_is_caught,
    a_log_that_does_not_flush_is_caught,
];

fn catch(plant: Plant) {
    let report = crate::runtime().block_on(plant.run(*crate::SEED));
    assert!(plant.is_found(&report), "{} was not found: {report:?}", plant.name());
}

fn a_plain_sequence_is_caught() {
    catch(Plant::PlainSequence);
}

fn a_retry_without_a_command_id_is_caught() {
    catch(Plant::NoCommandIds);
}

fn an_answer_before_the_commit_is_caught() {
    catch(Plant::AnswerBeforeCommit);
}

fn a_log_that_does_not_flush_is_caught() {
    catch(Plant::NoFlush);
}
