//! Storage and clock that fail under the server: syncs, a full disk, a clock that steps.

use crate::dice::Dice;
use crate::faults::Fault;
use crate::stage::{Goal, Stage, run_on};
use crate::{BRIEF, SEED, brief, runtime};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Connection, PgConnection};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use testkit::TIMEOUT;
use testkit::cluster::ClusterConfig;
use testkit::cluster::{DATA_SYNCS_TO_FAIL, WAL_SYNCS_TO_FAIL};

/// WAL in a room of its own that nothing is removed from: no checkpoints, and no file is used twice.
pub(crate) const SMALL_DISK: ClusterConfig = ClusterConfig {
    settings: &["min_wal_size=2MB", "max_wal_size=10GB", "checkpoint_timeout=1h", "wal_recycle=off"],
    has_storage_faults: true,
    has_wal_volume: true,
    bug: None,
};
/// Flushes for nobody. An appender would not let the server do so by this alone.
pub(crate) const FLUSHES_FOR_NOBODY: &str = "synchronous_commit=off";
/// Answers before what it answers is on the disk.
pub(crate) const ANSWERS_TOO_EARLY: &str = "
    create function apex.plant() returns trigger language plpgsql as $plant$
    begin
        perform set_config('synchronous_commit', 'off', true);
        return new;
    end
    $plant$;
    create trigger plant before update on apex.head for each row execute function apex.plant()";
/// Takes the time as the clock says it.
const TRUSTS_THE_CLOCK: &str = "do $plant$
    declare
        safe constant text := 'greatest(clock_timestamp(), h.recorded_at)';
        definition text := pg_get_functiondef('apex.append'::regproc);
    begin
        if strpos(definition, safe) = 0 then
            raise exception 'apex.append has no % to be replaced', safe;
        end if;
        execute replace(definition, safe, 'clock_timestamp()');
    end
    $plant$";

/// How often a control is run at most until it shows what is planted, where that takes luck.
pub(crate) const CONTROL_RUNS: u64 = 20;

/// Waits until the server has said something once more than before.
async fn wait_until_said(stage: &Stage, what: &str, before: usize) {
    let deadline = Instant::now() + TIMEOUT;
    while stage.cluster.count_in_log(what) == before {
        assert!(Instant::now() < deadline, "the server does not say {what:?}\n{}", stage.cluster.log_tail());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stage.sightings.fetch_add(1, Ordering::SeqCst);
}

/// What the server says when it may no longer trust what it has not synced: it starts anew from what is on the disk.
const PANIC: &str = "PANIC:  could not ";

pub(crate) async fn fail_wal_sync(stage: &Stage) {
    let before = stage.cluster.count_in_log(PANIC);
    stage.cluster.storage_faults().set(WAL_SYNCS_TO_FAIL, 1);
    wait_until_struck(stage, WAL_SYNCS_TO_FAIL, before).await;
}

pub(crate) async fn fail_data_sync(stage: &Stage) {
    let before = stage.cluster.count_in_log(PANIC);
    let mut owner = stage.cluster.owner().await;
    stage.cluster.storage_faults().set(DATA_SYNCS_TO_FAIL, 1);
    // It does not come to its end.
    drop(sqlx::query("checkpoint").execute(&mut owner).await);
    wait_until_struck(stage, DATA_SYNCS_TO_FAIL, before).await;
}

/// Waits until a sync has failed, and for the server to be there again. Where the sync was none that anything depends
/// on, such as that of a file made ahead of need, the server goes on; it counts as seen if it did not.
async fn wait_until_struck(stage: &Stage, order: u64, before: usize) {
    let deadline = Instant::now() + TIMEOUT;
    while stage.cluster.storage_faults().remaining(order) > 0 {
        assert!(Instant::now() < deadline, "nothing was synced\n{}", stage.cluster.log_tail());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let deadline = Instant::now() + Duration::from_secs(1);
    while stage.cluster.count_in_log(PANIC) == before && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let has_panicked = stage.cluster.count_in_log(PANIC) > before;
    stage.sightings.fetch_add(u64::from(has_panicked), Ordering::SeqCst);
    stage.cluster.ensure_running().await;
}

pub(crate) async fn fill_disk(stage: &Stage, dice: &mut Dice) {
    const FULL: &str = "No space left on device";
    let (cluster, before) = (&stage.cluster, stage.cluster.count_in_log(FULL));
    cluster.wal_volume().shrink(cluster.storage_faults(), 1024 + dice.below(1024));
    wait_until_said(stage, FULL, before).await;
    // Long enough for the server to try again in vain, or short enough for it not to have noticed.
    tokio::time::sleep(Duration::from_millis(dice.below(500))).await;
    cluster.wal_volume().enlarge(cluster.storage_faults());
    cluster.ensure_running().await;
}

/// Hours or moments, forth or back; the first time back by an hour or more, which is before any event whatever the dice
/// say later.
pub(crate) async fn step_clock(stage: &Stage, round: u64, dice: &mut Dice) {
    const HOUR_MS: u64 = 3_600_000;
    let longest_ms = dice.pick(&[2, 1000, 3 * HOUR_MS]);
    let mut offset_ms = i64::try_from(dice.below(2 * longest_ms)).unwrap() - i64::try_from(longest_ms).unwrap();
    if round == 0 {
        offset_ms = -i64::try_from(HOUR_MS + dice.below(2 * HOUR_MS)).unwrap();
    }
    stage.cluster.storage_faults().set_clock(TimeDelta::milliseconds(offset_ms));
    tokio::time::sleep(Duration::from_millis(50 + dice.below(100))).await;
    let mut owner = stage.cluster.owner().await;
    let is_behind: bool = sqlx::query_scalar("select clock_timestamp() < recorded_at from apex.head")
        .fetch_one(&mut owner)
        .await
        .unwrap();
    stage.sightings.fetch_add(u64::from(is_behind), Ordering::SeqCst);
    check_position_at(&mut owner, dice).await;
    owner.close().await.unwrap();
}

/// That the search finds what a look at every event finds, at moments of events and just beside them.
async fn check_position_at(owner: &mut PgConnection, dice: &mut Dice) {
    let mut snapshot = owner.begin().await.unwrap();
    sqlx::query("set transaction isolation level repeatable read").execute(&mut *snapshot).await.unwrap();
    // Where time falls, which is told in the end, there is nothing to search for.
    let is_rising = falls(&mut snapshot).await == 0;
    let moments: Vec<DateTime<Utc>> = sqlx::query_scalar("select distinct recorded_at from apex.events order by 1")
        .fetch_all(&mut *snapshot)
        .await
        .unwrap();
    for _ in 0..5 {
        let Some(place) = dice.below(moments.len() as u64 + 1).checked_sub(1) else { continue };
        let beside = TimeDelta::microseconds(dice.pick(&[-1, 0, 1]));
        let moment = moments[usize::try_from(place).unwrap()] + beside;
        let (found, right): (i64, i64) = sqlx::query_as(
            "select apex.position_at($1), coalesce(
                 (select min(position) from apex.events where recorded_at >= $1), (select position + 1 from apex.head))",
        )
        .bind(moment)
        .fetch_one(&mut *snapshot)
        .await
        .unwrap();
        assert!(!is_rising || found == right, "the first position at {moment} is {right}, not {found}");
    }
    snapshot.commit().await.unwrap();
}

/// Events with an earlier time than the one before.
pub(crate) async fn falls(owner: &mut PgConnection) -> u64 {
    let query = "select count(*) from (
                     select recorded_at < lag(recorded_at) over (order by position) as fell from apex.events
                 ) as steps where fell";
    let falls: i64 = sqlx::query_scalar(query).fetch_one(owner).await.unwrap();
    u64::try_from(falls).unwrap()
}

pub(crate) const TRIALS: testkit::Trials = testkit::trials![
    what_was_acknowledged_survives_a_failed_sync_of_wal,
    what_was_acknowledged_survives_a_failed_sync_of_tables,
    what_was_acknowledged_survives_a_full_disk,
    time_does_not_fall_though_the_clock_does,
    planted_answers_before_the_sync_are_lost_when_it_fails,
    planted_answers_before_the_sync_are_lost_when_the_disk_is_full,
    planted_trust_in_the_clock_lets_time_fall,
];

fn seen(fault: Fault) {
    let tally = brief(fault);
    assert!(tally.sightings > 0, "the server met nothing of it: it proves nothing");
}

fn what_was_acknowledged_survives_a_failed_sync_of_wal() {
    seen(Fault::WalSyncFails);
}

fn what_was_acknowledged_survives_a_failed_sync_of_tables() {
    seen(Fault::DataSyncFails);
}

fn what_was_acknowledged_survives_a_full_disk() {
    seen(Fault::DiskFull);
}

fn time_does_not_fall_though_the_clock_does() {
    seen(Fault::ClockSteps);
}

/// The controls: a server that answers too early loses something each time that its storage fails.
fn loses_when_it_answers_too_early(fault: Fault, setup: ClusterConfig) {
    // The strike may come right behind a flush that something else asked for.
    let run = |again| runtime().block_on(run_on(setup, fault, Goal::Seen, BRIEF, SEED.wrapping_add(again)));
    assert!((0..CONTROL_RUNS).any(|again| run(again).report.lost > 0), "seed {}: nothing was lost", *SEED);
}

fn planted_answers_before_the_sync_are_lost_when_it_fails() {
    let settings = &[FLUSHES_FOR_NOBODY];
    let setup = ClusterConfig { settings, bug: Some(ANSWERS_TOO_EARLY), ..Fault::WalSyncFails.setup() };
    loses_when_it_answers_too_early(Fault::WalSyncFails, setup);
}

fn planted_answers_before_the_sync_are_lost_when_the_disk_is_full() {
    const SETTINGS: &[&str] = &[
        SMALL_DISK.settings[0],
        SMALL_DISK.settings[1],
        SMALL_DISK.settings[2],
        SMALL_DISK.settings[3],
        FLUSHES_FOR_NOBODY,
    ];
    let setup = ClusterConfig { settings: SETTINGS, bug: Some(ANSWERS_TOO_EARLY), ..SMALL_DISK };
    loses_when_it_answers_too_early(Fault::DiskFull, setup);
}

/// Appends that trust the clock, and the one that is struck: time falls, and that is found.
fn planted_trust_in_the_clock_lets_time_fall() {
    let setup = ClusterConfig { bug: Some(TRUSTS_THE_CLOCK), ..Fault::ClockSteps.setup() };
    let tally = runtime().block_on(run_on(setup, Fault::ClockSteps, Goal::TimeFell, BRIEF, *SEED));
    assert!(tally.falls > 0, "seed {}: time did not fall", *SEED);
}
