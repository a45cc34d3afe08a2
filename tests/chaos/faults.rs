//! What strikes, and one trial for each.

use crate::clients::Load;
use crate::dice::Dice;
use crate::history::{Outcome, Part};
use crate::proxy::Mode;
use crate::stage::{BOUND, Stage};
use crate::storage;
use crate::worker::Death;
use rustix::process::Signal;
use sqlx::{Connection, PgConnection};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use testkit::TIMEOUT;
use testkit::cluster::{ClusterConfig, send_signal};

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
}

impl Fault {
    pub(crate) const ALL: [Self; 19] = [
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
    ];

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
        }
    }

    pub(crate) fn load(self) -> Load {
        match self {
            Self::Races => Load::Races,
            Self::Batches => Load::Batches,
            Self::CommitInversion => Load::Apart,
            Self::Guards => Load::Guards,
            _ => Load::Mixed,
        }
    }

    /// The cluster that it takes.
    pub(crate) fn setup(self) -> ClusterConfig {
        match self {
            Self::WalSyncFails | Self::DataSyncFails | Self::ClockSteps => {
                ClusterConfig { has_storage_faults: true, ..ClusterConfig::default() }
            }
            Self::DiskFull => storage::SMALL_DISK,
            _ => ClusterConfig::default(),
        }
    }

    /// By how many events at most the log grows before the next strike.
    pub(crate) fn growth(self) -> u64 {
        if self == Self::Races { 20 } else { 100 }
    }

    /// Whether its sightings say that the server met it, which takes luck: it strikes until there is one.
    pub(crate) fn counts_sightings(self) -> bool {
        matches!(
            self,
            Self::BackendKilled
                | Self::Races
                | Self::WalSyncFails
                | Self::DataSyncFails
                | Self::DiskFull
                | Self::ClockSteps
        )
    }

    /// How often it must strike at least to have done what it says.
    pub(crate) fn least(self) -> u64 {
        if self == Self::ProcessKilledAtStep { STEPS.len() as u64 } else { 1 }
    }

    /// Strikes once, and sets right again what does not recover by itself. Rounds count from 0.
    pub(crate) async fn inject(self, stage: &Stage, round: u64, dice: &mut Dice) {
        match self {
            Self::ProcessKilledAtStep => kill_process_at_step(stage, round, dice).await,
            Self::ProcessKilled | Self::Races => kill_process(stage, dice).await,
            Self::BackendKilled => kill_backend(stage, dice).await,
            Self::BackendKilledInAppend => kill_backend_in_append(stage, dice).await,
            Self::ServerStopped => stop_server(stage, dice).await,
            Self::CutAfterSent => cut(stage, dice).await,
            Self::BlackHole => black_hole(stage, dice).await,
            Self::Delay => delay(stage, dice).await,
            Self::AppenderStopped => stop_appender(stage, dice).await,
            Self::CommitInversion => invert_commits(stage, dice).await,
            Self::IdleTransaction => idle(stage, round, dice).await,
            Self::Batches | Self::Guards => no_deadlock(stage).await,
            Self::Tampering => tamper(stage).await,
            Self::WalSyncFails => storage::fail_wal_sync(stage).await,
            Self::DataSyncFails => storage::fail_data_sync(stage).await,
            Self::DiskFull => storage::fill_disk(stage, dice).await,
            Self::ClockSteps => storage::step_clock(stage, round, dice).await,
        }
    }
}

/// Every step of an append: the failpoint, how long the process still lives at most, and whether the append waits
/// there meanwhile.
const STEPS: [(&str, u64, bool); 6] = [
    ("log_append_queued", 0, true),
    ("log_append_batch_cut", 0, true),
    ("log_append_before_send", 0, true),
    // Somewhere between sending and the answer.
    ("log_append_before_send", 4000, false),
    ("log_append_answered", 0, true),
    // Time for the first to hand on what it got; the others of its batch get nothing.
    ("log_append_handed_out", 20_000, true),
];

async fn kill_process_at_step(stage: &Stage, round: u64, dice: &mut Dice) {
    let slot = &stage.slots[dice.index(stage.slots.len())];
    let (step, delay_us, waits) = STEPS[usize::try_from(round).unwrap() % STEPS.len()];
    let delay_us = if waits { delay_us } else { dice.below(delay_us) };
    slot.die(Death { step: step.to_owned(), spared: dice.below(20), delay_us, waits });
    assert!(slot.died(TIMEOUT).await, "no append passed the step {step}");
    slot.restart();
}

async fn kill_process(stage: &Stage, dice: &mut Dice) {
    let slot = &stage.slots[dice.index(stage.slots.len())];
    slot.signal(Signal::KILL);
    assert!(slot.died(TIMEOUT).await, "SIGKILL kills");
    slot.restart();
}

/// Ends a backend as an administrator would, or the hard way: then the server ends all others too, and recovers.
async fn end_backend(owner: &mut PgConnection, pid: i32, dice: &mut Dice) {
    match dice.below(3) {
        0 => drop(sqlx::query("select pg_cancel_backend($1)").bind(pid).execute(owner).await),
        1 => drop(sqlx::query("select pg_terminate_backend($1)").bind(pid).execute(owner).await),
        _ => send_signal(u32::try_from(pid).unwrap(), Signal::KILL),
    }
}

async fn kill_backend(stage: &Stage, dice: &mut Dice) {
    let mut owner = stage.cluster.owner().await;
    let query = "select pid from pg_stat_activity where datname = 'chaos' and query like '%apex.append(%'
                 and pid <> pg_backend_pid() order by pid";
    let pids: Vec<i32> = sqlx::query_scalar(query).fetch_all(&mut owner).await.unwrap();
    if pids.is_empty() {
        return;
    }
    end_backend(&mut owner, dice.pick(&pids), dice).await;
    stage.sightings.fetch_add(1, Ordering::SeqCst);
    drop(owner);
    drop(stage.cluster.owner().await);
}

/// The backend that waits for a lock of ours.
async fn waits_for(owner: &mut PgConnection) -> i32 {
    let query = "select pid from pg_stat_activity where query like '%apex.append(%'
                 and pg_backend_pid() = any (pg_blocking_pids(pid)) order by pid limit 1";
    let deadline = Instant::now() + TIMEOUT;
    loop {
        // Within a transaction, who is there would be looked up once and remembered.
        sqlx::query("select pg_stat_clear_snapshot()").execute(&mut *owner).await.unwrap();
        let waiting: Option<i32> = sqlx::query_scalar(query).fetch_optional(&mut *owner).await.unwrap();
        if let Some(pid) = waiting {
            return pid;
        }
        assert!(Instant::now() < deadline, "no append waits for the lock");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// It waits for the head, so it has locked its streams and written to them.
async fn kill_backend_in_append(stage: &Stage, dice: &mut Dice) {
    let mut owner = stage.cluster.owner().await;
    sqlx::query("begin").execute(&mut owner).await.unwrap();
    sqlx::query("select position from apex.head for update").execute(&mut owner).await.unwrap();
    let pid = waits_for(&mut owner).await;
    end_backend(&mut owner, pid, dice).await;
    drop(owner);
    drop(stage.cluster.owner().await);
}

async fn stop_server(stage: &Stage, dice: &mut Dice) {
    stage.cluster.stop_immediately().await;
    tokio::time::sleep(Duration::from_millis(dice.below(200))).await;
    stage.cluster.start_server().await;
}

async fn cut(stage: &Stage, dice: &mut Dice) {
    let proxy = &stage.proxies[dice.index(stage.proxies.len())];
    let mode = dice.pick(&[Mode::CutAfterSent, Mode::CutAfterDone]);
    assert!(proxy.cut(mode).await, "no append was sent through the proxy");
}

async fn black_hole(stage: &Stage, dice: &mut Dice) {
    let slot = dice.index(stage.slots.len());
    stage.proxies[slot].set(Mode::BlackHole);
    stage.others_go_on(1 - slot, dice).await;
    tokio::time::sleep(Duration::from_millis(dice.below(1000))).await;
    stage.proxies[slot].set(Mode::Pass);
}

async fn delay(stage: &Stage, dice: &mut Dice) {
    for proxy in &stage.proxies {
        proxy.set(Mode::Delay(Duration::from_millis(dice.below(40))));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    for proxy in &stage.proxies {
        proxy.set(Mode::Pass);
    }
}

async fn stop_appender(stage: &Stage, dice: &mut Dice) {
    let slot = dice.index(stage.slots.len());
    stage.slots[slot].signal(Signal::STOP);
    stage.others_go_on(1 - slot, dice).await;
    tokio::time::sleep(Duration::from_millis(dice.below(1000))).await;
    stage.slots[slot].signal(Signal::CONT);
}

/// An append that began first is made to wait for its stream, and commits after one that began later. Its position must
/// be the later one too, and no reader may have gone past it.
async fn invert_commits(stage: &Stage, dice: &mut Dice) {
    let created = dice.command_on_new_stream();
    stage.probe(0, &created).await;
    let stream = created.parts[0].stream;
    let mut owner = stage.cluster.owner().await;
    sqlx::query("begin").execute(&mut owner).await.unwrap();
    let lock = sqlx::query("select version from apex.streams where stream_id = $1 for update").bind(stream);
    assert_eq!(lock.fetch_all(&mut owner).await.unwrap().len(), 1);
    let part: Part = dice.part(stream, None);
    let (early, late) = (dice.command(vec![part]), dice.command_on_new_stream());
    let overtaking = async {
        waits_for(&mut owner).await;
        let end =
            tokio::time::timeout(BOUND, stage.probe(1, &late)).await.expect("an append that waits hinders others");
        assert!(stage.readers.all_reach(last_of(&end), BOUND).await, "readers wait for an append that waits");
        sqlx::query("commit").execute(&mut owner).await.unwrap();
        end
    };
    let (early, late) = tokio::join!(stage.probe(0, &early), overtaking);
    let Outcome::Ok { first, .. } = early else { panic!("any version is expected: {early:?}") };
    assert!(first > last_of(&late), "who commits later has a later position");
}

fn last_of(end: &Outcome) -> u64 {
    let Outcome::Ok { last, .. } = end else { panic!("not acknowledged: {end:?}") };
    *last
}

/// In this database with a snapshot, a transaction id and everything read; in others with a transaction id.
async fn idle(stage: &Stage, round: u64, dice: &mut Dice) {
    let mut idlers = Vec::new();
    for database in ["chaos", "other", "postgres"] {
        let mut idler = stage.cluster.owner_of(database).await;
        sqlx::query("begin isolation level repeatable read").execute(&mut idler).await.unwrap();
        sqlx::query("select pg_current_xact_id()").execute(&mut idler).await.unwrap();
        if database == "chaos" {
            sqlx::query("select count(*) from apex.events").execute(&mut idler).await.unwrap();
        }
        idlers.push(idler);
    }
    stage.others_go_on(0, dice).await;
    let ahead = i32::try_from(round + 3).unwrap();
    // The application makes 16 at most, and there may be more rounds.
    let mut owner = stage.cluster.owner_of("chaos").await;
    let made = sqlx::query_scalar::<_, i32>("select apex.make_partitions($1)").bind(ahead).fetch_one(&mut owner);
    let made = tokio::time::timeout(BOUND, made).await.expect("a partition is made within the bound").unwrap();
    assert!(made > 0, "a partition more than before");
    stage.others_go_on(1, dice).await;
    for idler in idlers {
        idler.close().await.unwrap();
    }
}

/// That the database never had to break a deadlock; a client that met one would also say so.
async fn no_deadlock(stage: &Stage) {
    tokio::time::sleep(Duration::from_millis(300)).await;
    let query = "select deadlocks from pg_stat_database where datname = 'chaos'";
    let deadlocks: i64 = sqlx::query_scalar(query).fetch_one(&mut stage.cluster.owner().await).await.unwrap();
    assert_eq!(deadlocks, 0, "batches wait for each other in a circle");
}

/// Nobody changes what is written: not the application, and not the owner.
async fn tamper(stage: &Stage) {
    let pool = stage.cluster.application().await;
    let mut owner = stage.cluster.owner().await;
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
    a_process_killed_at_any_step_loses_and_repeats_nothing,
    a_process_killed_at_any_moment_loses_and_repeats_nothing,
    killed_backends_lose_and_repeat_nothing,
    a_backend_killed_inside_an_append_leaves_nothing_behind,
    a_server_that_crashes_again_and_again_keeps_what_it_acknowledged,
    an_answer_that_is_cut_off_is_found_by_the_retry,
    a_black_hole_swallows_one_process_and_not_the_others,
    delays_change_no_order,
    a_stopped_appender_hinders_nobody_and_repeats_nothing,
    positions_follow_commits_that_are_forced_out_of_order,
    idle_transactions_in_any_database_hinder_nobody,
    of_racers_one_wins_whoever_is_killed,
    batches_of_many_streams_never_deadlock,
    nobody_depends_on_the_absence_of_what_was_there,
    nobody_changes_the_log_under_load,
];

fn a_process_killed_at_any_step_loses_and_repeats_nothing() {
    crate::brief(Fault::ProcessKilledAtStep);
}

fn a_process_killed_at_any_moment_loses_and_repeats_nothing() {
    crate::brief(Fault::ProcessKilled);
}

fn killed_backends_lose_and_repeat_nothing() {
    assert!(crate::brief(Fault::BackendKilled).sightings > 0, "no backend was there to be killed");
}

fn a_backend_killed_inside_an_append_leaves_nothing_behind() {
    crate::brief(Fault::BackendKilledInAppend);
}

fn a_server_that_crashes_again_and_again_keeps_what_it_acknowledged() {
    crate::brief(Fault::ServerStopped);
}

fn an_answer_that_is_cut_off_is_found_by_the_retry() {
    crate::brief(Fault::CutAfterSent);
}

fn a_black_hole_swallows_one_process_and_not_the_others() {
    crate::brief(Fault::BlackHole);
}

fn delays_change_no_order() {
    crate::brief(Fault::Delay);
}

fn a_stopped_appender_hinders_nobody_and_repeats_nothing() {
    crate::brief(Fault::AppenderStopped);
}

fn positions_follow_commits_that_are_forced_out_of_order() {
    crate::brief(Fault::CommitInversion);
}

fn idle_transactions_in_any_database_hinder_nobody() {
    crate::brief(Fault::IdleTransaction);
}

/// One event a round, and each round is won once.
fn of_racers_one_wins_whoever_is_killed() {
    let tally = crate::brief(Fault::Races);
    assert!(tally.sightings > 0, "no race was run");
    assert_eq!(tally.report.acknowledged, tally.sightings, "winners and races");
}

fn batches_of_many_streams_never_deadlock() {
    crate::brief(Fault::Batches);
}

fn nobody_changes_the_log_under_load() {
    crate::brief(Fault::Tampering);
}

fn nobody_depends_on_the_absence_of_what_was_there() {
    crate::brief(Fault::Guards);
}
