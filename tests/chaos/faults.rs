//! The faults, each with a test.

use crate::clients::Load;
use crate::deciders::Met;
use crate::history::{Outcome, StreamChange};
use crate::proxy::Mode;
use crate::rng::SeededRng;
use crate::run::{ALL_STREAMS, Fixture, Goal, PROGRESS_TIMEOUT};
use crate::storage;
use crate::worker::KillPoint;
use rustix::process::Signal;
use sqlx::{Connection, PgConnection};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use testkit::TIMEOUT;
use testkit::cluster::ClusterConfig;
use testkit::send_signal;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    ProcessKilledAtStep,
    ProcessKilled,
    BackendKilled,
    BackendKilledInAppend,
    ServerStopped,
    CutAfterSent,
    BlackHole,
    Delay,
    AppenderStopped,
    CommitInversion,
    IdleTransaction,
    Races,
    Batches,
    Guards,
    Tampering,
    WalSyncFails,
    DataSyncFails,
    DiskFull,
    ClockSteps,
    Decisions,
}

/// The faults that are injected while clients send decisions. The first one loses answers, and comes twice.
const WHILE_DECIDING: [Fault; 8] = [
    Fault::ProcessKilledAtStep,
    Fault::ProcessKilled,
    Fault::CutAfterSent,
    Fault::BackendKilled,
    Fault::ProcessKilledAtStep,
    Fault::BackendKilledInAppend,
    Fault::ServerStopped,
    Fault::Delay,
];
/// The step of [`STEPS`] after a commit and before the answers: most processes are killed there, all but one in
/// [`AT_ANY_STEP`].
const AFTER_COMMIT: u64 = 4;
const AT_ANY_STEP: u64 = 3;

impl Fault {
    pub(crate) const ALL: [Self; 20] = [
        Self::ProcessKilledAtStep,
        Self::ProcessKilled,
        Self::BackendKilled,
        Self::BackendKilledInAppend,
        Self::ServerStopped,
        Self::CutAfterSent,
        Self::BlackHole,
        Self::Delay,
        Self::AppenderStopped,
        Self::CommitInversion,
        Self::IdleTransaction,
        Self::Races,
        Self::Batches,
        Self::Guards,
        Self::Tampering,
        Self::WalSyncFails,
        Self::DataSyncFails,
        Self::DiskFull,
        Self::ClockSteps,
        Self::Decisions,
    ];

    /// Its name in the table of a long run.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ProcessKilledAtStep => "process killed at a step of an append",
            Self::ProcessKilled => "process killed at any moment",
            Self::BackendKilled => "backend killed",
            Self::BackendKilledInAppend => "backend killed inside apex.append",
            Self::ServerStopped => "pg_ctl stop -m immediate",
            Self::CutAfterSent => "connection cut after an append was sent",
            Self::BlackHole => "connections into a black hole",
            Self::Delay => "connections delayed",
            Self::AppenderStopped => "one of two appenders stopped",
            Self::CommitInversion => "commits forced out of their order",
            Self::IdleTransaction => "idle transactions",
            Self::Races => "races for one version, processes killed",
            Self::Guards => "guards on streams that are not there",
            Self::Batches => "batches of many streams in any order",
            Self::Tampering => "update, delete, truncate",
            Self::WalSyncFails => "fsync of WAL fails",
            Self::DataSyncFails => "fsync of tables fails",
            Self::DiskFull => "disk of WAL full",
            Self::ClockSteps => "clock of the server steps",
            Self::Decisions => "decisions over several streams, several faults",
        }
    }

    /// The commands that clients send meanwhile.
    pub(crate) fn load(self) -> Load {
        match self {
            Self::Races => Load::Races,
            Self::Batches => Load::Batches,
            Self::CommitInversion => Load::Disjoint,
            Self::Guards => Load::Guards,
            Self::Decisions => Load::Decisions,
            _ => Load::Mixed,
        }
    }

    /// The configuration of the cluster that it needs.
    pub(crate) fn config(self) -> ClusterConfig {
        match self {
            Self::WalSyncFails | Self::DataSyncFails | Self::ClockSteps => {
                ClusterConfig { has_storage_faults: true, ..ClusterConfig::default() }
            }
            Self::DiskFull => storage::SMALL_DISK,
            _ => ClusterConfig::default(),
        }
    }

    /// The highest number of events by which the log grows before the next injection.
    pub(crate) fn max_growth(self) -> u64 {
        if self == Self::Races { 20 } else { 100 }
    }

    /// When a run may end. An injection may have no effect, and is repeated until one is observed.
    pub(crate) fn goal(self) -> Goal {
        match self {
            Self::BackendKilled
            | Self::Races
            | Self::WalSyncFails
            | Self::DataSyncFails
            | Self::DiskFull
            | Self::ClockSteps => Goal::Observed,
            Self::Decisions => Goal::Met,
            _ => Goal::Injected,
        }
    }

    /// The lowest number of injections of a run.
    pub(crate) fn min_injections(self) -> u64 {
        match self {
            Self::ProcessKilledAtStep => STEPS.len() as u64,
            Self::Decisions => WHILE_DECIDING.len() as u64,
            _ => 1,
        }
    }

    /// Injects the fault once, and restores what does not recover by itself. Rounds count from 0.
    pub(crate) async fn inject(self, fixture: &Fixture, round: u64, rng: &mut SeededRng) {
        match self {
            Self::ProcessKilledAtStep => kill_process_at_step(fixture, round, rng).await,
            Self::ProcessKilled | Self::Races => kill_process(fixture, rng).await,
            Self::BackendKilled => kill_backend(fixture, rng).await,
            Self::BackendKilledInAppend => kill_backend_in_append(fixture, rng).await,
            Self::ServerStopped => stop_server(fixture, rng).await,
            Self::CutAfterSent => cut(fixture, rng).await,
            Self::BlackHole => black_hole(fixture, rng).await,
            Self::Delay => delay(fixture, rng).await,
            Self::AppenderStopped => stop_appender(fixture, rng).await,
            Self::CommitInversion => invert_commits(fixture, rng).await,
            Self::IdleTransaction => idle(fixture, round, rng).await,
            Self::Batches | Self::Guards => assert_no_deadlock(fixture).await,
            Self::Tampering => tamper(fixture).await,
            Self::WalSyncFails => storage::fail_wal_sync(fixture).await,
            Self::DataSyncFails => storage::fail_data_sync(fixture).await,
            Self::DiskFull => storage::fill_disk(fixture, rng).await,
            Self::ClockSteps => storage::step_clock(fixture, round, rng).await,
            Self::Decisions => {
                let fault = WHILE_DECIDING[usize::try_from(round).unwrap() % WHILE_DECIDING.len()];
                let is_other = round > 0 && rng.one_in(AT_ANY_STEP);
                let step = if is_other { rng.below(STEPS.len() as u64) } else { AFTER_COMMIT };
                Box::pin(fault.inject(fixture, step, rng)).await;
            }
        }
    }
}

/// Every step of an append: the failpoint, the longest time in microseconds for which the process continues to run, and
/// whether the append waits there meanwhile.
const STEPS: [(&str, u64, bool); 6] = [
    ("log_append_queued", 0, true),
    ("log_append_batch_cut", 0, true),
    ("log_append_before_send", 0, true),
    // At some moment between sending and the response.
    ("log_append_before_send", 4000, false),
    ("log_append_answered", 0, true),
    // The first append of the batch has time to pass its result on; the others get none.
    ("log_append_handed_out", 20_000, true),
];

async fn kill_process_at_step(fixture: &Fixture, round: u64, rng: &mut SeededRng) {
    let process = &fixture.processes[rng.index(fixture.processes.len())];
    let (failpoint, delay_us, waits) = STEPS[usize::try_from(round).unwrap() % STEPS.len()];
    let delay_us = if waits { delay_us } else { rng.below(delay_us) };
    process.kill_at(KillPoint { failpoint: failpoint.to_owned(), hits_before: rng.below(20), delay_us, waits });
    assert!(process.wait_for_exit(TIMEOUT).await, "no append passed the failpoint {failpoint}");
    process.restart();
}

async fn kill_process(fixture: &Fixture, rng: &mut SeededRng) {
    let process = &fixture.processes[rng.index(fixture.processes.len())];
    process.signal(Signal::KILL);
    assert!(process.wait_for_exit(TIMEOUT).await, "the process survived SIGKILL");
    process.restart();
}

/// Cancels or terminates a backend, or kills it, after which the server ends all backends and recovers.
async fn end_backend(owner: &mut PgConnection, pid: i32, rng: &mut SeededRng) {
    match rng.below(3) {
        0 => drop(sqlx::query("select pg_cancel_backend($1)").bind(pid).execute(owner).await),
        1 => drop(sqlx::query("select pg_terminate_backend($1)").bind(pid).execute(owner).await),
        _ => send_signal(u32::try_from(pid).unwrap(), Signal::KILL),
    }
}

async fn kill_backend(fixture: &Fixture, rng: &mut SeededRng) {
    let mut owner = fixture.cluster.owner().await;
    let query = "select pid from pg_stat_activity where datname = 'chaos' and query like '%apex.append(%'
                 and pid <> pg_backend_pid() order by pid";
    let pids: Vec<i32> = sqlx::query_scalar(query).fetch_all(&mut owner).await.unwrap();
    if pids.is_empty() {
        return;
    }
    end_backend(&mut owner, rng.pick(&pids), rng).await;
    fixture.observations.fetch_add(1, Ordering::SeqCst);
    drop(owner);
    drop(fixture.cluster.owner().await);
}

/// Waits until an append waits for a lock of this connection. Returns the process id of its backend.
async fn blocked_append(owner: &mut PgConnection) -> i32 {
    let query = "select pid from pg_stat_activity where query like '%apex.append(%'
                 and pg_backend_pid() = any (pg_blocking_pids(pid)) order by pid limit 1";
    let deadline = Instant::now() + TIMEOUT;
    loop {
        // Within a transaction, pg_stat_activity would be cached otherwise.
        sqlx::query("select pg_stat_clear_snapshot()").execute(&mut *owner).await.unwrap();
        let waiting: Option<i32> = sqlx::query_scalar(query).fetch_optional(&mut *owner).await.unwrap();
        if let Some(pid) = waiting {
            return pid;
        }
        assert!(Instant::now() < deadline, "no append waits for the lock");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Kills a backend that waits for the head, and so has locked its streams and written to them.
async fn kill_backend_in_append(fixture: &Fixture, rng: &mut SeededRng) {
    let mut owner = fixture.cluster.owner().await;
    sqlx::query("begin").execute(&mut owner).await.unwrap();
    sqlx::query("select position from apex.head for update").execute(&mut owner).await.unwrap();
    let pid = blocked_append(&mut owner).await;
    end_backend(&mut owner, pid, rng).await;
    drop(owner);
    drop(fixture.cluster.owner().await);
}

async fn stop_server(fixture: &Fixture, rng: &mut SeededRng) {
    fixture.cluster.stop_immediately().await;
    tokio::time::sleep(Duration::from_millis(rng.below(200))).await;
    fixture.cluster.start_server().await;
}

async fn cut(fixture: &Fixture, rng: &mut SeededRng) {
    let proxy = &fixture.proxies[rng.index(fixture.proxies.len())];
    let mode = rng.pick(&[Mode::CutAfterSent, Mode::CutAfterCommit]);
    assert!(proxy.cut(mode).await, "no append was sent through the proxy");
}

async fn black_hole(fixture: &Fixture, rng: &mut SeededRng) {
    let process = rng.index(fixture.processes.len());
    fixture.proxies[process].set(Mode::BlackHole);
    fixture.assert_others_progress(1 - process, rng).await;
    tokio::time::sleep(Duration::from_millis(rng.below(1000))).await;
    fixture.proxies[process].set(Mode::Forward);
}

async fn delay(fixture: &Fixture, rng: &mut SeededRng) {
    for proxy in &fixture.proxies {
        proxy.set(Mode::Delay(Duration::from_millis(rng.below(40))));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    for proxy in &fixture.proxies {
        proxy.set(Mode::Forward);
    }
}

async fn stop_appender(fixture: &Fixture, rng: &mut SeededRng) {
    let process = rng.index(fixture.processes.len());
    fixture.processes[process].signal(Signal::STOP);
    fixture.assert_others_progress(1 - process, rng).await;
    tokio::time::sleep(Duration::from_millis(rng.below(1000))).await;
    fixture.processes[process].signal(Signal::CONT);
}

/// Makes an append wait for its stream, so that it commits after one that began later. Its position must be the higher
/// one, and no reader may have skipped it.
async fn invert_commits(fixture: &Fixture, rng: &mut SeededRng) {
    let created = rng.command_on_new_stream();
    fixture.probe(0, &created).await;
    let stream = created.changes[0].stream;
    let mut owner = fixture.cluster.owner().await;
    sqlx::query("begin").execute(&mut owner).await.unwrap();
    let lock = sqlx::query("select version from apex.streams where stream_id = $1 for update").bind(stream);
    assert_eq!(lock.fetch_all(&mut owner).await.unwrap().len(), 1);
    let change: StreamChange = rng.change(stream, None);
    let (early, late) = (rng.command(vec![change]), rng.command_on_new_stream());
    let overtaking = async {
        blocked_append(&mut owner).await;
        let end = tokio::time::timeout(PROGRESS_TIMEOUT, fixture.probe(1, &late))
            .await
            .expect("a waiting append delays others");
        assert!(
            fixture.readers.all_reach(last_position(&end), PROGRESS_TIMEOUT).await,
            "readers wait for a waiting append"
        );
        sqlx::query("commit").execute(&mut owner).await.unwrap();
        end
    };
    let (early, late) = tokio::join!(fixture.probe(0, &early), overtaking);
    let Outcome::Ok { first, .. } = early else { panic!("an append that accepts any version failed: {early:?}") };
    assert!(first > last_position(&late), "the later commit has the lower position");
}

fn last_position(outcome: &Outcome) -> u64 {
    let Outcome::Ok { last, .. } = outcome else { panic!("not acknowledged: {outcome:?}") };
    *last
}

/// Leaves transactions idle in all databases, each with a snapshot and a transaction id. In the log's database it has
/// also read all events.
async fn idle(fixture: &Fixture, round: u64, rng: &mut SeededRng) {
    let mut idlers = Vec::new();
    for database in ["chaos", "other", "postgres"] {
        let mut idler = fixture.cluster.owner_of(database).await;
        sqlx::query("begin isolation level repeatable read").execute(&mut idler).await.unwrap();
        sqlx::query("select pg_current_xact_id()").execute(&mut idler).await.unwrap();
        if database == "chaos" {
            sqlx::query("select count(*) from apex.events").execute(&mut idler).await.unwrap();
        }
        idlers.push(idler);
    }
    fixture.assert_others_progress(0, rng).await;
    let ahead = i32::try_from(round + 3).unwrap();
    // As the owner: the application may create 16 partitions ahead at most, and there may be more rounds.
    let mut owner = fixture.cluster.owner_of("chaos").await;
    let made = sqlx::query_scalar::<_, i32>("select apex.make_partitions($1)").bind(ahead).fetch_one(&mut owner);
    let made = tokio::time::timeout(PROGRESS_TIMEOUT, made).await.expect("no partition was created in time").unwrap();
    assert!(made > 0, "no further partition was created");
    fixture.assert_others_progress(1, rng).await;
    for idler in idlers {
        idler.close().await.unwrap();
    }
}

/// Asserts that the database resolved no deadlock. The checker also finds one in the histories of clients.
async fn assert_no_deadlock(fixture: &Fixture) {
    tokio::time::sleep(Duration::from_millis(300)).await;
    let query = "select deadlocks from pg_stat_database where datname = 'chaos'";
    let deadlocks: i64 = sqlx::query_scalar(query).fetch_one(&mut fixture.cluster.owner().await).await.unwrap();
    assert_eq!(deadlocks, 0, "deadlocks");
}

/// Attempts to change events, as the application and as the owner. All attempts must be refused.
async fn tamper(fixture: &Fixture) {
    let pool = fixture.cluster.application().await;
    let mut owner = fixture.cluster.owner().await;
    for table in ["apex.events", "apex.events_000000"] {
        for attempt in [
            format!("update {table} set type = 'x'"),
            format!("update {table} set position = position + 1000000 where position = 1"),
            format!("delete from {table} where position = 1"),
            format!("truncate {table}"),
            format!("merge into {table} using (values (1)) as one (n) on position = n when matched then delete"),
        ] {
            let sql = || sqlx::query(sqlx::AssertSqlSafe(attempt.clone()));
            for refused in [sql().execute(&mut owner).await, sql().execute(&pool).await] {
                let error = refused.expect_err(&attempt);
                let code = error.as_database_error().and_then(|error| error.code());
                assert_eq!(code.as_deref(), Some("42501"), "{attempt}: {error}");
            }
        }
    }
    owner.close().await.unwrap();
}

pub(crate) const TRIALS: testkit::Trials = testkit::trials![
    a_process_killed_at_any_step_loses_and_duplicates_nothing,
    a_process_killed_at_any_moment_loses_and_duplicates_nothing,
    killed_backends_lose_and_duplicate_nothing,
    a_backend_killed_inside_an_append_leaves_nothing_behind,
    a_server_that_crashes_again_and_again_keeps_what_it_acknowledged,
    a_retry_finds_the_outcome_of_an_append_whose_response_was_lost,
    a_blocked_connection_of_one_process_delays_no_other,
    delayed_connections_keep_the_order_of_commits,
    a_stopped_appender_delays_no_other_and_duplicates_nothing,
    positions_follow_commits_that_are_forced_out_of_order,
    idle_transactions_in_any_database_delay_no_append,
    one_of_several_competing_appends_wins_when_processes_are_killed,
    batches_of_many_streams_never_deadlock,
    an_append_that_requires_an_absent_stream_fails_once_it_exists,
    events_cannot_be_changed_under_load,
    decisions_are_serial_while_processes_are_killed_and_answers_are_lost,
];

fn a_process_killed_at_any_step_loses_and_duplicates_nothing() {
    crate::run_briefly(Fault::ProcessKilledAtStep);
}

fn a_process_killed_at_any_moment_loses_and_duplicates_nothing() {
    crate::run_briefly(Fault::ProcessKilled);
}

fn killed_backends_lose_and_duplicate_nothing() {
    assert!(crate::run_briefly(Fault::BackendKilled).observations > 0, "no backend was killed");
}

fn a_backend_killed_inside_an_append_leaves_nothing_behind() {
    crate::run_briefly(Fault::BackendKilledInAppend);
}

fn a_server_that_crashes_again_and_again_keeps_what_it_acknowledged() {
    crate::run_briefly(Fault::ServerStopped);
}

fn a_retry_finds_the_outcome_of_an_append_whose_response_was_lost() {
    crate::run_briefly(Fault::CutAfterSent);
}

fn a_blocked_connection_of_one_process_delays_no_other() {
    crate::run_briefly(Fault::BlackHole);
}

fn delayed_connections_keep_the_order_of_commits() {
    crate::run_briefly(Fault::Delay);
}

fn a_stopped_appender_delays_no_other_and_duplicates_nothing() {
    crate::run_briefly(Fault::AppenderStopped);
}

fn positions_follow_commits_that_are_forced_out_of_order() {
    crate::run_briefly(Fault::CommitInversion);
}

fn idle_transactions_in_any_database_delay_no_append() {
    crate::run_briefly(Fault::IdleTransaction);
}

/// Each round appends one event, and exactly one client wins it.
fn one_of_several_competing_appends_wins_when_processes_are_killed() {
    let summary = crate::run_briefly(Fault::Races);
    assert!(summary.observations > 0, "no round was run");
    assert_eq!(summary.report.acknowledged, summary.observations, "acknowledged events and rounds");
}

fn batches_of_many_streams_never_deadlock() {
    crate::run_briefly(Fault::Batches);
}

fn events_cannot_be_changed_under_load() {
    crate::run_briefly(Fault::Tampering);
}

fn an_append_that_requires_an_absent_stream_fails_once_it_exists() {
    crate::run_briefly(Fault::Guards);
}

/// Processes, backends and the server are killed, and connections are cut, while decisions over one to five streams are
/// retried in other processes.
fn decisions_are_serial_while_processes_are_killed_and_answers_are_lost() {
    let summary = crate::run_briefly(Fault::Decisions);
    assert_eq!(summary.met, Met::ALL.into(), "what depends on luck was not met");
    assert_eq!(summary.report.decided_streams, ALL_STREAMS.into(), "on how many streams decisions rested");
}
