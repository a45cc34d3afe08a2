//! Faults of the server's storage and clock: failed syncs, a full disk, a clock that steps.

use crate::faults::Fault;
use crate::rng::SeededRng;
use crate::run::{self, Fixture, Goal, RunConfig};
use crate::{SEED, SHORT_RUN, run_briefly, runtime};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Connection, PgConnection};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use testkit::TIMEOUT;
use testkit::cluster::ClusterConfig;
use testkit::cluster::{DATA_SYNCS_TO_FAIL, WAL_SYNCS_TO_FAIL};

/// WAL on a volume of its own, from which no segment is removed or recycled, without checkpoints.
pub(crate) const SMALL_DISK: ClusterConfig = ClusterConfig {
    settings: &["min_wal_size=2MB", "max_wal_size=10GB", "checkpoint_timeout=1h", "wal_recycle=off"],
    has_storage_faults: true,
    has_wal_volume: true,
    bug: None,
};
/// A server that does not flush at commit. That alone has no effect on an appender, which sets it for its transactions.
pub(crate) const NO_FLUSH: &str = "synchronous_commit=off";
/// Makes the server acknowledge appends before they are on disk.
pub(crate) const EARLY_ACKNOWLEDGEMENT: &str = "
    create function apex.plant() returns trigger language plpgsql as $plant$
    begin
        perform set_config('synchronous_commit', 'off', true);
        return new;
    end
    $plant$;
    create trigger plant before update on apex.head for each row execute function apex.plant()";
/// Makes `apex.append` use the clock's time even if it is before that of the last event.
const RAW_CLOCK: &str = "do $plant$
    declare
        safe constant text := 'greatest(clock_timestamp(), h.recorded_at)';
        definition text := pg_get_functiondef('apex.append'::regproc);
    begin
        if strpos(definition, safe) = 0 then
            raise exception 'apex.append does not contain %', safe;
        end if;
        execute replace(definition, safe, 'clock_timestamp()');
    end
    $plant$";

/// How often a control is run until its planted bug has an effect, which it may not have in every run.
pub(crate) const CONTROL_RUNS: u64 = 20;

/// Waits until a text is in the server's log more often than before.
async fn wait_until_logged(fixture: &Fixture, what: &str, before: usize) {
    let deadline = Instant::now() + TIMEOUT;
    while fixture.cluster.count_in_log(what) == before {
        assert!(Instant::now() < deadline, "the server does not log {what:?}\n{}", fixture.cluster.log_tail());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    fixture.observations.fetch_add(1, Ordering::SeqCst);
}

/// What the server logs when a sync failed. It restarts and recovers from what is on disk.
const PANIC: &str = "PANIC:  could not ";

pub(crate) async fn fail_wal_sync(fixture: &Fixture) {
    let before = fixture.cluster.count_in_log(PANIC);
    fixture.cluster.storage_faults().set(WAL_SYNCS_TO_FAIL, 1);
    wait_until_sync_failed(fixture, WAL_SYNCS_TO_FAIL, before).await;
}

pub(crate) async fn fail_data_sync(fixture: &Fixture) {
    let before = fixture.cluster.count_in_log(PANIC);
    let mut owner = fixture.cluster.owner().await;
    fixture.cluster.storage_faults().set(DATA_SYNCS_TO_FAIL, 1);
    // It fails.
    drop(sqlx::query("checkpoint").execute(&mut owner).await);
    wait_until_sync_failed(fixture, DATA_SYNCS_TO_FAIL, before).await;
}

/// Waits until a sync has failed and the server runs again. The server does not panic if nothing depends on the sync,
/// such as that of a segment created ahead of need; only a panic counts as an observation.
async fn wait_until_sync_failed(fixture: &Fixture, instruction: u64, before: usize) {
    let deadline = Instant::now() + TIMEOUT;
    while fixture.cluster.storage_faults().remaining(instruction) > 0 {
        assert!(Instant::now() < deadline, "nothing was synced\n{}", fixture.cluster.log_tail());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let deadline = Instant::now() + Duration::from_secs(1);
    while fixture.cluster.count_in_log(PANIC) == before && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let has_panicked = fixture.cluster.count_in_log(PANIC) > before;
    fixture.observations.fetch_add(u64::from(has_panicked), Ordering::SeqCst);
    fixture.cluster.ensure_running().await;
}

pub(crate) async fn fill_disk(fixture: &Fixture, rng: &mut SeededRng) {
    const FULL: &str = "No space left on device";
    let (cluster, before) = (&fixture.cluster, fixture.cluster.count_in_log(FULL));
    cluster.wal_volume().shrink(cluster.storage_faults(), 1024 + rng.below(1024));
    wait_until_logged(fixture, FULL, before).await;
    // The server may retry in vain, or not have noticed yet.
    tokio::time::sleep(Duration::from_millis(rng.below(500))).await;
    cluster.wal_volume().enlarge(cluster.storage_faults());
    cluster.ensure_running().await;
}

/// Steps the clock forward or back, by milliseconds or by hours. The first step is back by at least an hour, so that it
/// is before all events in every run.
pub(crate) async fn step_clock(fixture: &Fixture, round: u64, rng: &mut SeededRng) {
    const HOUR_MS: u64 = 3_600_000;
    let longest_ms = rng.pick(&[2, 1000, 3 * HOUR_MS]);
    let mut offset_ms = i64::try_from(rng.below(2 * longest_ms)).unwrap() - i64::try_from(longest_ms).unwrap();
    if round == 0 {
        offset_ms = -i64::try_from(HOUR_MS + rng.below(2 * HOUR_MS)).unwrap();
    }
    fixture.cluster.storage_faults().set_clock(TimeDelta::milliseconds(offset_ms));
    tokio::time::sleep(Duration::from_millis(50 + rng.below(100))).await;
    let mut owner = fixture.cluster.owner().await;
    let is_behind: bool = sqlx::query_scalar("select clock_timestamp() < recorded_at from apex.head")
        .fetch_one(&mut owner)
        .await
        .unwrap();
    fixture.observations.fetch_add(u64::from(is_behind), Ordering::SeqCst);
    check_position_at(&mut owner, rng).await;
    owner.close().await.unwrap();
}

/// Asserts that `apex.position_at` finds the same position as a full scan, at the times of events and a microsecond before
/// and after them.
async fn check_position_at(owner: &mut PgConnection, rng: &mut SeededRng) {
    let mut snapshot = owner.begin().await.unwrap();
    sqlx::query("set transaction isolation level repeatable read").execute(&mut *snapshot).await.unwrap();
    // If time decreases, which the run reports at its end, the binary search is not defined.
    let is_rising = count_time_reversals(&mut snapshot).await == 0;
    let moments: Vec<DateTime<Utc>> = sqlx::query_scalar("select distinct recorded_at from apex.events order by 1")
        .fetch_all(&mut *snapshot)
        .await
        .unwrap();
    for _ in 0..5 {
        let Some(index) = rng.below(moments.len() as u64 + 1).checked_sub(1) else { continue };
        let beside = TimeDelta::microseconds(rng.pick(&[-1, 0, 1]));
        let moment = moments[usize::try_from(index).unwrap()] + beside;
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

/// The number of events with an earlier time than the event before.
pub(crate) async fn count_time_reversals(owner: &mut PgConnection) -> u64 {
    let query = "select count(*) from (
                     select recorded_at < lag(recorded_at) over (order by position) as fell from apex.events
                 ) as steps where fell";
    let count: i64 = sqlx::query_scalar(query).fetch_one(owner).await.unwrap();
    u64::try_from(count).unwrap()
}

pub(crate) const TRIALS: testkit::Trials = testkit::trials![
    acknowledged_events_survive_a_failed_sync_of_wal,
    acknowledged_events_survive_a_failed_sync_of_tables,
    acknowledged_events_survive_a_full_disk,
    recorded_at_does_not_decrease_when_the_clock_steps_back,
    planted_early_acknowledgements_are_lost_when_a_sync_fails,
    planted_early_acknowledgements_are_lost_when_the_disk_is_full,
    planted_use_of_the_raw_clock_makes_recorded_at_decrease,
];

fn run_until_observed(fault: Fault) {
    let summary = run_briefly(fault);
    assert!(summary.observations > 0, "the fault had no effect, so nothing was tested");
}

fn acknowledged_events_survive_a_failed_sync_of_wal() {
    run_until_observed(Fault::WalSyncFails);
}

fn acknowledged_events_survive_a_failed_sync_of_tables() {
    run_until_observed(Fault::DataSyncFails);
}

fn acknowledged_events_survive_a_full_disk() {
    run_until_observed(Fault::DiskFull);
}

fn recorded_at_does_not_decrease_when_the_clock_steps_back() {
    run_until_observed(Fault::ClockSteps);
}

/// The controls: a server that acknowledges too early loses events when its storage fails.
fn assert_early_acknowledgement_loses_events(fault: Fault, cluster: ClusterConfig) {
    // Nothing is lost if the fault follows directly after a flush for another reason.
    let config = RunConfig { cluster, ..RunConfig::of(fault, SHORT_RUN) };
    let run = |again| runtime().block_on(run::run(&config, SEED.wrapping_add(again)));
    assert!((0..CONTROL_RUNS).any(|again| run(again).report.lost > 0), "seed {}: nothing was lost", *SEED);
}

fn planted_early_acknowledgements_are_lost_when_a_sync_fails() {
    let settings = &[NO_FLUSH];
    let config = ClusterConfig { settings, bug: Some(EARLY_ACKNOWLEDGEMENT), ..Fault::WalSyncFails.config() };
    assert_early_acknowledgement_loses_events(Fault::WalSyncFails, config);
}

fn planted_early_acknowledgements_are_lost_when_the_disk_is_full() {
    const SETTINGS: &[&str] =
        &[SMALL_DISK.settings[0], SMALL_DISK.settings[1], SMALL_DISK.settings[2], SMALL_DISK.settings[3], NO_FLUSH];
    let config = ClusterConfig { settings: SETTINGS, bug: Some(EARLY_ACKNOWLEDGEMENT), ..SMALL_DISK };
    assert_early_acknowledgement_loses_events(Fault::DiskFull, config);
}

/// The control: appends that use the raw clock make time decrease, which is detected.
fn planted_use_of_the_raw_clock_makes_recorded_at_decrease() {
    let cluster = ClusterConfig { bug: Some(RAW_CLOCK), ..Fault::ClockSteps.config() };
    let config = RunConfig { cluster, goal: Goal::TimeReversed, ..RunConfig::of(Fault::ClockSteps, SHORT_RUN) };
    let summary = runtime().block_on(run::run(&config, *SEED));
    assert!(summary.time_reversals > 0, "seed {}: recorded_at did not decrease", *SEED);
}
