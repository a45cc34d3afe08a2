//! Jobs: isolation of destinations, one effect over killed runners, timers, dead letters, and what operators can do.

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::BoxFuture;
use policies::{
    BudgetAlerts, DEFAULT_QUEUE_CONCURRENCY, Job, JobHandler, JobOutcome, JobRetention, JobRunner, JobRunnerConfig,
    Jobs, NewJob, Policy as _, RetryConfig,
};
use projections::Batch;
use serde_json::{Value, json};
use sqlx::postgres::PgPool;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};
use streams::{Backoff, Position};
use testkit::{POLL_INTERVAL, TIMEOUT, TestDatabase, tenant, wait_until};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const KIND: &str = "test";

/// A fifth of the default pauses or less. Nothing ends or expires because the machine is busy: a test whose subject is a
/// timeout or a lease sets it.
fn fast() -> JobRunnerConfig {
    JobRunnerConfig {
        poll_interval: Duration::from_millis(100),
        attempt_timeout: TIMEOUT,
        lease_margin: TIMEOUT,
        shutdown_timeout: TIMEOUT,
        release_timeout: TIMEOUT,
        retry: RetryConfig {
            backoff: Backoff { first: Duration::from_millis(20), max: Duration::from_millis(100) },
            max_attempts: 1000,
        },
        ..JobRunnerConfig::default()
    }
}

/// The jobs of a runner that died are taken again soon.
fn short_leases() -> JobRunnerConfig {
    let (attempt_timeout, lease_margin) = (Duration::from_millis(400), Duration::from_millis(200));
    JobRunnerConfig { attempt_timeout, lease_margin, ..fast() }
}

type Behaviour = dyn Fn(Job) -> BoxFuture<'static, JobOutcome> + Send + Sync;

/// A handler of [`KIND`] that behaves as a test says.
struct Scripted {
    behaviour: Box<Behaviour>,
    interval: Option<Duration>,
}

impl Scripted {
    fn new(behaviour: impl Fn(Job) -> BoxFuture<'static, JobOutcome> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { behaviour: Box::new(behaviour), interval: None })
    }
}

impl JobHandler for Scripted {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn interval(&self) -> Option<Duration> {
        self.interval
    }

    fn run<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, JobOutcome> {
        (self.behaviour)(job.clone())
    }
}

fn job(destination: &str, payload: Value) -> NewJob {
    NewJob {
        id: Uuid::now_v7(),
        kind: KIND,
        destination: Some(destination.to_owned()),
        tenant: Some(tenant()),
        payload,
        due_at: None,
    }
}

async fn insert(jobs: &Jobs, pool: &PgPool, new: &[NewJob]) -> u64 {
    let inserted = jobs.insert(&mut pool.acquire().await.unwrap(), new).await.unwrap();
    jobs.wake();
    inserted
}

/// A runner in a task.
struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start(jobs: &Jobs, handler: Arc<dyn JobHandler>, config: JobRunnerConfig) -> Self {
        let stop = CancellationToken::new();
        let runner = JobRunner::new(jobs.clone(), vec![handler], config);
        let task = tokio::spawn(runner.run(stop.clone().cancelled_owned()));
        Self { stop, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    /// Ends the runner as the death of its process would: its jobs stay leased.
    async fn kill(self) {
        self.task.abort();
        drop(self.task.await);
    }
}

/// State, attempts and last error of all jobs, for the message of a failure.
async fn describe(pool: &PgPool) -> String {
    let jobs = "select concat_ws(' ', queue, state, 'attempts', attempts, 'available in',
                    (available_at - clock_timestamp())::text, last_error)
                from apex.jobs order by sequence limit 50";
    sqlx::query_scalar::<_, String>(jobs).fetch_all(pool).await.unwrap().join("\n")
}

/// The number of jobs in a state.
async fn count(pool: &PgPool, queue: &str, state: &str) -> i64 {
    let count = sqlx::query_scalar("select count(*) from apex.jobs where queue = $1 and state = $2");
    count.bind(queue).bind(state).fetch_one(pool).await.unwrap()
}

// --- isolation ---

const WORKING_JOBS: usize = 60;
/// More than run at the same time.
const HANGING_JOBS: i64 = 8;
const WORKING_INTERVAL: Duration = Duration::from_millis(20);
/// How late a job may be while others hang for ever: several hundred times what an idle machine takes.
const MAX_LATENESS: TimeDelta = TimeDelta::seconds(60);
/// The attempts of the jobs whose number of attempts is asserted.
const FEW_ATTEMPTS: RetryConfig = RetryConfig {
    backoff: Backoff { first: Duration::from_millis(20), max: Duration::from_millis(100) },
    max_attempts: 5,
};

/// Five destinations, whose jobs say in their payloads how they behave, and the runner of their jobs.
struct Destinations {
    running: Running,
    jobs: Jobs,
    /// How late each job of those that work was.
    lateness: Arc<Mutex<Vec<TimeDelta>>>,
}

impl Destinations {
    /// Starts the runner with jobs of the broken destinations, and waits until as many attempts hang as run at the same
    /// time. They hang until the runner is stopped. `queue` names the destination of each behaviour.
    async fn start(pool: &PgPool, queue: impl Fn(&str) -> String) -> Self {
        let (jobs, lateness) = (Jobs::new(pool.clone()), Arc::new(Mutex::new(Vec::new())));
        let (late, has_hung) = (lateness.clone(), Arc::new(AtomicU32::new(0)));
        let hanging = has_hung.clone();
        let handler = Scripted::new(move |job| {
            let (late, hanging) = (late.clone(), hanging.clone());
            Box::pin(async move {
                match job.payload.as_str().unwrap() {
                    "hangs" => {
                        hanging.fetch_add(1, Ordering::SeqCst);
                        std::future::pending().await
                    }
                    "recovers" if job.attempt < 3 => JobOutcome::Retry("unavailable".into()),
                    "refuses" => JobOutcome::Retry("refused".into()),
                    "gone" => JobOutcome::DeadLetter("gone".into()),
                    "works" => {
                        late.lock().unwrap().push(Utc::now() - job.scheduled_at);
                        JobOutcome::Done
                    }
                    _ => JobOutcome::Done,
                }
            })
        });
        let (attempt_timeout, shutdown_timeout) = (Duration::from_hours(1), Duration::from_millis(200));
        let config = JobRunnerConfig { attempt_timeout, shutdown_timeout, retry: FEW_ATTEMPTS, ..fast() };
        let running = Running::start(&jobs, handler, config);
        for (behaviour, count) in [("hangs", HANGING_JOBS), ("recovers", 8), ("refuses", 8), ("gone", 8)] {
            let broken: Vec<_> = (0..count).map(|_| job(&queue(behaviour), json!(behaviour))).collect();
            insert(&jobs, pool, &broken).await;
        }
        wait_until("jobs hang", async || has_hung.load(Ordering::SeqCst) >= DEFAULT_QUEUE_CONCURRENCY).await;
        Self { running, jobs, lateness }
    }

    /// Inserts jobs that are done at once, if they are run.
    async fn insert_working(&self, pool: &PgPool, destination: &str) {
        for _ in 0..WORKING_JOBS {
            insert(&self.jobs, pool, &[job(destination, json!("works"))]).await;
            // The times at which jobs become due are the subject of the test.
            tokio::time::sleep(WORKING_INTERVAL).await;
        }
    }

    /// Waits until a number of jobs of those that work were run.
    async fn wait_until_run(&self, jobs: usize) {
        wait_until("the working destination has its jobs", async || self.lateness.lock().unwrap().len() >= jobs).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_that_hangs_fails_or_is_gone_delays_no_other() {
    let database = TestDatabase::new().await;
    let destinations = Destinations::start(&database.pool, str::to_owned).await;
    destinations.insert_working(&database.pool, "works").await;
    destinations.wait_until_run(WORKING_JOBS).await;
    let latest = destinations.lateness.lock().unwrap().iter().max().copied().unwrap();
    assert!(latest < MAX_LATENESS, "a job of the working destination was {latest} late");
    wait_until("the jobs of all but the hanging destination are done or dead letters", async || {
        count(&database.pool, "test:works", "done").await == i64::try_from(WORKING_JOBS).unwrap()
            && count(&database.pool, "test:recovers", "done").await == 8
            && count(&database.pool, "test:refuses", "dead").await == 8
            && count(&database.pool, "test:gone", "dead").await == 8
    })
    .await;
    let hanging = count(&database.pool, "test:hangs", "leased").await;
    assert_eq!(hanging, i64::from(DEFAULT_QUEUE_CONCURRENCY), "{}", describe(&database.pool).await);
    destinations.running.stop().await;

    // A runner of another process: an attempt that hangs ends, and counts as one.
    let hangs = Scripted::new(|_| Box::pin(std::future::pending()));
    let attempt_timeout = Duration::from_millis(400);
    let config = JobRunnerConfig { attempt_timeout, retry: FEW_ATTEMPTS, ..fast() };
    let running = Running::start(&Jobs::new(database.pool.clone()), hangs, config);
    wait_until("the hanging jobs are dead letters", async || {
        count(&database.pool, "test:hangs", "dead").await == HANGING_JOBS
    })
    .await;
    running.stop().await;
    let ended: Vec<(String, i32, Option<String>, i64)> = sqlx::query_as(
        "select queue, attempts, last_error, count(*) from apex.jobs where state = 'dead' group by 1, 2, 3 order by 1",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    let of = |destination: &str, attempts: i32, error: &str, count: i64| {
        (format!("test:{destination}"), attempts, Some(error.to_owned()), count)
    };
    let expected = [
        of("gone", 1, "gone", 8),
        of("hangs", 5, "the attempt took longer than 400 ms", HANGING_JOBS),
        of("refuses", 5, "refused", 8),
    ];
    assert_eq!(ended, expected, "what is gone is not tried again, and other dead letters have used up their attempts");
}

/// The control: with one queue for all destinations, those that hang hold up the others for as long as they hang.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planted_shared_queues_delay_a_working_destination() {
    let database = TestDatabase::new().await;
    let destinations = Destinations::start(&database.pool, |_| "shared".to_owned()).await;
    destinations.insert_working(&database.pool, "shared").await;
    // The runner has looked for due jobs since then.
    insert(&destinations.jobs, &database.pool, &[job("alone", json!("works"))]).await;
    wait_until("the job in a queue of its own is done", async || {
        count(&database.pool, "test:alone", "done").await == 1
    })
    .await;
    let run = destinations.lateness.lock().unwrap().len();
    assert_eq!(run, 1, "jobs behind those that hang were run: the test proves nothing");
    destinations.running.stop().await;
}

// --- one effect ---

/// A table of effects by job, and of attempts.
async fn make_effects(database: &TestDatabase) {
    sqlx::raw_sql(
        "create table apex.effects (job_id uuid primary key);
         create table apex.attempts (job_id uuid not null);
         grant select, insert on apex.effects, apex.attempts to apex_app",
    )
    .execute(&mut database.owner().await)
    .await
    .unwrap();
}

async fn count_rows(pool: &PgPool, statement: &'static str) -> i64 {
    sqlx::query_scalar(statement).fetch_one(pool).await.unwrap()
}

/// A handler whose attempts leave a row and a message, and whose effect is idempotent by the id of the job.
fn effect(pool: PgPool, begun: mpsc::Sender<()>) -> Arc<Scripted> {
    Scripted::new(move |job| {
        // Nobody waits for it in a runner that is not killed.
        begun.send(()).ok();
        let pool = pool.clone();
        Box::pin(async move {
            sqlx::query("insert into apex.attempts values ($1)").bind(job.id).execute(&pool).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
            let effect = sqlx::query("insert into apex.effects values ($1) on conflict do nothing");
            effect.bind(job.id).execute(&pool).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
            JobOutcome::Done
        })
    })
}

/// Runs a runner in a runtime and with connections of its own, which ends as by the death of its process, a while after it
/// has begun a job.
fn run_and_kill(url: String, lifetime: Duration) {
    /// There may be no job to begin until the leases of runners that were killed before have ended.
    const LONGEST_WAIT: Duration = Duration::from_secs(3);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (begun, has_begun) = mpsc::channel();
    runtime.spawn(async move {
        let pool = apex::database::connect(&url.into(), 6).await.unwrap();
        let runner = JobRunner::new(Jobs::new(pool.clone()), vec![effect(pool, begun)], short_leases());
        runner.run(std::future::pending()).await;
    });
    has_begun.recv_timeout(LONGEST_WAIT).ok();
    std::thread::sleep(lifetime);
    runtime.shutdown_background();
}

/// Runs a number of new jobs in two processes that are killed again and again, then in two that are not.
async fn run_jobs_over_kills(database: &TestDatabase, count: i64) {
    let jobs = Jobs::new(database.pool.clone());
    let new: Vec<_> = (0..count).map(|n| job(&format!("d{}", n % 6), Value::Null)).collect();
    assert_eq!(insert(&jobs, &database.pool, &new).await, count.unsigned_abs());
    assert_eq!(insert(&jobs, &database.pool, &new).await, 0, "a job is inserted once");
    let processes = [0, 1].map(|process| {
        let url = database.url.clone();
        tokio::task::spawn_blocking(move || {
            for n in 0..5 {
                // Before, between and after the statements of an attempt.
                run_and_kill(url.clone(), Duration::from_millis(12 * n + 6 * process));
            }
        })
    });
    for process in processes {
        process.await.unwrap();
    }
    let running = [0, 1].map(|_| {
        let effect = effect(database.pool.clone(), mpsc::channel().0);
        Running::start(&Jobs::new(database.pool.clone()), effect, fast())
    });
    let unfinished = "select count(*) from apex.jobs where state <> 'done'";
    wait_until("all jobs are done", async || count_rows(&database.pool, unfinished).await == 0).await;
    for running in running {
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_job_takes_effect_once_over_killed_and_restarted_runners() {
    const JOBS: i64 = 300;
    let database = TestDatabase::new().await;
    make_effects(&database).await;
    let repeated = "select count(*) from (select from apex.attempts group by job_id having count(*) > 1) as repeated";
    let started = Instant::now();
    // On a busy machine runners may be killed before the first statement of an attempt.
    for round in 1_i64.. {
        run_jobs_over_kills(&database, JOBS).await;
        assert_eq!(count_rows(&database.pool, "select count(*) from apex.effects").await, JOBS * round);
        if count_rows(&database.pool, repeated).await > 0 {
            return;
        }
        assert!(
            started.elapsed() < 3 * TIMEOUT,
            "no runner was killed in an attempt in {round} rounds: the test proves nothing"
        );
    }
}

/// A runner that hangs until another one has taken its job, and then says that it is done, although it has not taken
/// effect. Returns the number of effects when the job is done. `finish` is what the zombie does to the job itself.
async fn effects_beside_a_zombie(database: &TestDatabase, finish: Option<&'static str>) -> i64 {
    make_effects(database).await;
    let pool = database.pool.clone();
    let zombie_jobs = Jobs::new(pool.clone());
    let [has_hung, is_taken, has_ended] = [(); 3].map(|()| CancellationToken::new());
    let planted: Arc<Mutex<Vec<JoinHandle<()>>>> = Arc::default();
    let zombie = Scripted::new({
        let (pool, has_hung, is_taken, planted) = (pool.clone(), has_hung.clone(), is_taken.clone(), planted.clone());
        move |job| {
            let (pool, has_hung, is_taken, planted) =
                (pool.clone(), has_hung.clone(), is_taken.clone(), planted.clone());
            Box::pin(async move {
                has_hung.cancel();
                // Blocks its thread, so that no timeout ends the attempt.
                block_until(&is_taken);
                if let Some(finish) = finish {
                    let finishing = async move {
                        sqlx::query(finish).bind(job.id).execute(&pool).await.unwrap();
                    };
                    planted.lock().unwrap().push(tokio::spawn(finishing));
                }
                JobOutcome::Done
            })
        }
    });
    let zombie = Running::start(&zombie_jobs, zombie, short_leases());
    insert(&zombie_jobs, &pool, &[job("z", Value::Null)]).await;
    has_hung.cancelled().await;
    zombie.stop.cancel();

    let successor = Scripted::new({
        let (pool, is_taken, has_ended) = (pool.clone(), is_taken.clone(), has_ended.clone());
        move |job| {
            let (pool, is_taken, has_ended) = (pool.clone(), is_taken.clone(), has_ended.clone());
            Box::pin(async move {
                if !is_taken.is_cancelled() {
                    is_taken.cancel();
                    // The zombie writes its result meanwhile.
                    has_ended.cancelled().await;
                    return JobOutcome::Retry("the destination is busy".into());
                }
                sqlx::query("insert into apex.effects values ($1)").bind(job.id).execute(&pool).await.unwrap();
                JobOutcome::Done
            })
        }
    });
    let successor = Running::start(&Jobs::new(pool.clone()), successor, fast());
    // A runner that is stopped waits until the results of its jobs are written.
    zombie.task.await.unwrap();
    let planted = std::mem::take(&mut *planted.lock().unwrap());
    for finishing in planted {
        finishing.await.unwrap();
    }
    has_ended.cancel();
    wait_until("the job is done", async || count(&pool, "test:z", "done").await == 1).await;
    successor.stop().await;
    count_rows(&pool, "select count(*) from apex.effects").await
}

/// Blocks this thread until a token is cancelled.
fn block_until(token: &CancellationToken) {
    let deadline = Instant::now() + TIMEOUT;
    while !token.is_cancelled() {
        assert!(Instant::now() < deadline, "the thread is blocked for ever");
        std::thread::sleep(POLL_INTERVAL);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_runner_whose_lease_expired_cannot_finish_the_job() {
    let database = TestDatabase::new().await;
    assert_eq!(effects_beside_a_zombie(&database, None).await, 1);
}

/// The control: without the comparison of the fencing token, the job of the other runner is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn planted_unfenced_results_lose_a_job() {
    let database = TestDatabase::new().await;
    let unfenced = "update apex.jobs set state = 'done', finished_at = clock_timestamp()
                    where job_id = $1 and state = 'leased'";
    assert_eq!(effects_beside_a_zombie(&database, Some(unfenced)).await, 0, "an unfenced result was not detected");
}

// --- timers ---

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timers_fire_when_they_are_due_over_restarts_and_kills() {
    const TIMERS: i32 = 30;
    let database = TestDatabase::new().await;
    let jobs = Jobs::new(database.pool.clone());
    let start = Utc::now();
    let timers: Vec<_> = (1..=TIMERS)
        .map(|n| NewJob { due_at: Some(start + TimeDelta::milliseconds(100) * n), ..job("timer", Value::Null) })
        .collect();
    insert(&jobs, &database.pool, &timers).await;
    let fired = Arc::new(Mutex::new(Vec::new()));
    let handler = Scripted::new({
        let fired = fired.clone();
        move |job| {
            fired.lock().unwrap().push((job.id, Utc::now() - job.scheduled_at));
            Box::pin(std::future::ready(JobOutcome::Done))
        }
    });
    let config = JobRunnerConfig { poll_interval: JobRunnerConfig::default().poll_interval, ..short_leases() };
    for n in 0.. {
        let before = fired.lock().unwrap().len();
        let running = Running::start(&jobs, handler.clone(), config);
        // Every runner lives until it has run a timer, and then for three more.
        wait_until("a timer fires", async || fired.lock().unwrap().len() > before).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        if n % 2 == 0 {
            running.stop().await;
        } else {
            running.kill().await;
        }
        if count(&database.pool, "test:timer", "done").await == i64::from(TIMERS) {
            break;
        }
        assert!(n < 100, "the timers are not done:\n{}", describe(&database.pool).await);
    }
    let fired = fired.lock().unwrap();
    let ids: BTreeSet<_> = fired.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids.len(), timers.len());
    let mut lateness: Vec<_> = fired.iter().map(|(_, lateness)| *lateness).collect();
    lateness.sort_unstable();
    // Within a second on an idle machine.
    assert!(lateness[0] >= TimeDelta::zero() && lateness[lateness.len() / 2] < TimeDelta::seconds(10), "{lateness:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recurring_job_runs_once_per_interval_in_all_processes_together() {
    const INTERVAL: Duration = Duration::from_millis(200);
    let database = TestDatabase::new().await;
    let runs: Arc<Mutex<Vec<DateTime<Utc>>>> = Arc::default();
    let handler = Arc::new(Scripted {
        behaviour: Box::new({
            let runs = runs.clone();
            move |job| {
                runs.lock().unwrap().push(job.scheduled_at);
                Box::pin(std::future::ready(JobOutcome::Done))
            }
        }),
        interval: Some(INTERVAL),
    });
    let jobs = Jobs::new(database.pool.clone());
    let mut running = [0, 1].map(|_| Running::start(&jobs, handler.clone(), fast()));
    wait_until("it has run several times", async || runs.lock().unwrap().len() >= 5).await;
    // Runs that are missed are made up for by one.
    for running in running {
        running.stop().await;
    }
    tokio::time::sleep(INTERVAL * 5).await;
    let before = runs.lock().unwrap().len();
    running = [0, 1].map(|_| Running::start(&jobs, handler.clone(), fast()));
    wait_until("it runs again", async || runs.lock().unwrap().len() >= before + 3).await;
    for running in running {
        running.stop().await;
    }
    let runs = runs.lock().unwrap();
    for pair in runs.windows(2) {
        let micros = (pair[1] - pair[0]).num_microseconds().unwrap();
        let interval = i64::try_from(INTERVAL.as_micros()).unwrap();
        assert!(micros > 0, "a run was repeated: {runs:?}");
        let off = (micros + interval / 2).rem_euclid(interval) - interval / 2;
        assert!(off.abs() <= 5, "{micros} µs is not a multiple of the interval: {runs:?}");
    }
    let skipped = runs[before + 1] - runs[before];
    assert!(skipped >= TimeDelta::milliseconds(800), "missed runs were made up for one by one: {skipped}, {runs:?}");
}

// --- failures of handlers ---

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_panics_or_kills_its_runner_leaves_a_dead_letter() {
    let database = TestDatabase::new().await;
    let jobs = Jobs::new(database.pool.clone());
    let config = JobRunnerConfig { retry: RetryConfig { max_attempts: 2, ..fast().retry }, ..fast() };
    let panics = Scripted::new(|job| {
        assert!(job.queue.is_empty(), "a planted panic");
        Box::pin(std::future::ready(JobOutcome::Done))
    });
    let running = Running::start(&jobs, panics, config);
    insert(&jobs, &database.pool, &[job("panics", Value::Null)]).await;
    wait_until("the job is a dead letter", async || count(&database.pool, "test:panics", "dead").await == 1).await;
    running.stop().await;

    insert(&jobs, &database.pool, &[job("kills", Value::Null)]).await;
    // As if the time of the lease had passed.
    let end_lease = "update apex.jobs set available_at = clock_timestamp() where queue = 'test:kills'";
    for attempt in 1..=2 {
        let has_begun = CancellationToken::new();
        let begun = has_begun.clone();
        let hangs = Scripted::new(move |_| {
            begun.cancel();
            Box::pin(std::future::pending())
        });
        let running = Running::start(&jobs, hangs, config);
        has_begun.cancelled().await;
        running.kill().await;
        let attempts = "select attempts::bigint from apex.jobs where queue = 'test:kills' and state = 'leased'";
        assert_eq!(count_rows(&database.pool, attempts).await, attempt);
        sqlx::query(end_lease).execute(&database.pool).await.unwrap();
    }
    let never = Scripted::new(|job| panic!("attempt {} of a job with 2 attempts", job.attempt));
    let running = Running::start(&jobs, never, config);
    wait_until("the job is a dead letter", async || count(&database.pool, "test:kills", "dead").await == 1).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_that_is_stopped_gives_its_jobs_back() {
    let database = TestDatabase::new().await;
    let jobs = Jobs::new(database.pool.clone());
    let has_begun = CancellationToken::new();
    let begun = has_begun.clone();
    let hangs = Scripted::new(move |_| {
        begun.cancel();
        Box::pin(std::future::pending())
    });
    let config = JobRunnerConfig { shutdown_timeout: Duration::from_millis(200), ..fast() };
    let running = Running::start(&jobs, hangs, config);
    insert(&jobs, &database.pool, &[job("slow", Value::Null)]).await;
    has_begun.cancelled().await;
    running.stop().await;
    let row =
        "select count(*) from apex.jobs where state = 'waiting' and attempts = 0 and available_at <= clock_timestamp()";
    assert_eq!(count_rows(&database.pool, row).await, 1, "{}", describe(&database.pool).await);
}

/// A handler whose attempts may take longer than a lease of its runner.
struct Long(Arc<Scripted>);

impl JobHandler for Long {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn attempt_timeout(&self) -> Option<Duration> {
        Some(TIMEOUT)
    }

    fn run<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, JobOutcome> {
        self.0.run(job)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lease_of_a_long_attempt_is_renewed_and_an_attempt_that_loses_it_is_stopped() {
    let database = TestDatabase::new().await;
    let jobs = Jobs::new(database.pool.clone());
    let [may_end, is_stopped] = [(); 2].map(|()| CancellationToken::new());
    let begun = Arc::new(AtomicU32::new(0));
    let waits = Scripted::new({
        let (may_end, is_stopped, begun) = (may_end.clone(), is_stopped.clone(), begun.clone());
        move |_| {
            begun.fetch_add(1, Ordering::SeqCst);
            let (may_end, at_end) = (may_end.clone(), is_stopped.clone().drop_guard());
            Box::pin(async move {
                let _at_end = at_end;
                may_end.cancelled().await;
                JobOutcome::Done
            })
        }
    });
    let (attempt_timeout, lease_margin) = (Duration::from_secs(3), Duration::from_secs(3));
    let config = JobRunnerConfig { attempt_timeout, lease_margin, ..fast() };
    let running = Running::start(&jobs, Arc::new(Long(waits)), config);
    insert(&jobs, &database.pool, &[job("long", Value::Null)]).await;
    let lease = async || {
        let end = "select max(available_at) from apex.jobs where queue = 'test:long' and state = 'leased'";
        sqlx::query_scalar::<_, Option<DateTime<Utc>>>(end).fetch_one(&database.pool).await.unwrap()
    };
    wait_until("the attempt has begun", async || begun.load(Ordering::SeqCst) == 1).await;
    let first = lease().await.unwrap();
    // Beyond the timeout of the runner, which is that of other handlers.
    let is_renewed = |end: DateTime<Utc>| end > first + TimeDelta::seconds(3);
    wait_until("the lease is renewed", async || lease().await.is_some_and(is_renewed)).await;
    assert!(begun.load(Ordering::SeqCst) == 1 && !is_stopped.is_cancelled());
    // As if another runner had taken the job while this one could not renew its lease.
    let take = "update apex.jobs set fencing_token = fencing_token + 1 where queue = 'test:long'";
    sqlx::query(take).execute(&database.pool).await.unwrap();
    wait_until("the attempt is stopped", async || is_stopped.is_cancelled()).await;
    assert_eq!(count(&database.pool, "test:long", "leased").await, 1, "{}", describe(&database.pool).await);
    may_end.cancel();
    wait_until("the job is done", async || count(&database.pool, "test:long", "done").await == 1).await;
    assert_eq!(begun.load(Ordering::SeqCst), 2);
    running.stop().await;
}

/// A handler may block its thread: the runner neither waits for it nor for a database that does not respond.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_runner_whose_jobs_cannot_be_given_back_stops_nevertheless() {
    let database = TestDatabase::new().await;
    let jobs = Jobs::new(database.pool.clone());
    let [has_begun, has_stopped] = [(); 2].map(|()| CancellationToken::new());
    let (begun, stopped) = (has_begun.clone(), has_stopped.clone());
    let blocks = Scripted::new(move |_| {
        begun.cancel();
        block_until(&stopped);
        Box::pin(std::future::ready(JobOutcome::Done))
    });
    let (shutdown_timeout, release_timeout) = (Duration::from_millis(200), Duration::from_millis(200));
    let config = JobRunnerConfig { shutdown_timeout, release_timeout, ..fast() };
    let running = Running::start(&jobs, blocks, config);
    insert(&jobs, &database.pool, &[job("blocks", Value::Null)]).await;
    has_begun.cancelled().await;
    let is_stopped = tokio::time::timeout(TIMEOUT / 2, running.stop()).await.is_ok();
    has_stopped.cancel();
    assert!(is_stopped, "the runner waits for a handler that blocks its thread");
    let leased = count(&database.pool, "test:blocks", "leased").await;
    assert_eq!(leased, 1, "it runs again after its lease: {}", describe(&database.pool).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_cannot_be_decoded_is_a_dead_letter_with_the_cause() {
    let database = TestDatabase::new().await;
    let jobs = Jobs::new(database.pool.clone());
    sqlx::query(
        "insert into apex.jobs (job_id, kind, queue, tenant_id, payload, scheduled_at, available_at)
         values (gen_random_uuid(), 'test', 'test:a', 'default', '{\"n\": 1e999}', now(), now()),
                (gen_random_uuid(), 'test', 'test:b', 'no tenant!', '{}', now(), now())",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    let handler = Scripted::new(|job| {
        assert!(job.queue == "test:good", "{job:?} was run");
        Box::pin(std::future::ready(JobOutcome::Done))
    });
    let running = Running::start(&jobs, handler, fast());
    insert(&jobs, &database.pool, &[job("good", Value::Null)]).await;
    wait_until("the jobs are dead letters", async || {
        count(&database.pool, "test:a", "dead").await + count(&database.pool, "test:b", "dead").await == 2
            && count(&database.pool, "test:good", "done").await == 1
    })
    .await;
    running.stop().await;
    let found: Vec<(i32, String)> =
        sqlx::query_as("select attempts, last_error from apex.jobs where state = 'dead' order by queue")
            .fetch_all(&database.pool)
            .await
            .unwrap();
    assert!(found.iter().all(|(attempts, _)| *attempts == 1), "{found:?}");
    assert!(found[0].1.starts_with("the payload of the job cannot be decoded: number out of range"), "{found:?}");
    assert!(found[1].1.starts_with("the tenant of the job cannot be decoded: "), "{found:?}");
}

// --- finding due queues ---

/// Jobs that become due in a week, each in a queue of its own, whose names are before and after the one under test.
async fn insert_future_queues(pool: &PgPool, queues: i32) {
    sqlx::query(
        "insert into apex.jobs (job_id, kind, queue, payload, scheduled_at, available_at)
         select gen_random_uuid(), 'test', 'test:' || case when n % 2 = 0 then 'a' else 'z' end || n, '{}',
                now() + interval '7 days', now() + interval '7 days'
         from generate_series(1, $1) as n",
    )
    .bind(queues)
    .execute(pool)
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queues_with_only_future_jobs_delay_no_due_one() {
    let database = TestDatabase::new().await;
    let jobs = Jobs::new(database.pool.clone());
    insert_future_queues(&database.pool, 50_000).await;
    let lateness = Arc::new(Mutex::new(Vec::new()));
    let handler = Scripted::new({
        let lateness = lateness.clone();
        move |job| {
            lateness.lock().unwrap().push(Utc::now() - job.scheduled_at);
            Box::pin(std::future::ready(JobOutcome::Done))
        }
    });
    // Looking at those queues a thousand at a time would take 25 rounds until the first due one: longer than a job may be late.
    let config = JobRunnerConfig { poll_interval: Duration::from_secs(3), ..fast() };
    let running = Running::start(&jobs, handler, config);
    // A timer, and jobs that are due at once.
    let timer = NewJob { due_at: Some(Utc::now() + TimeDelta::seconds(1)), ..job("timer", Value::Null) };
    insert(&jobs, &database.pool, &[timer, job("b", Value::Null), job("m", Value::Null), job("zz", Value::Null)]).await;
    wait_until("the due jobs are done", async || lateness.lock().unwrap().len() == 4).await;
    running.stop().await;
    let latest = lateness.lock().unwrap().iter().max().copied().unwrap();
    assert!(latest < MAX_LATENESS, "a job was {latest} late");
}

// --- retention and operators ---

/// More jobs than a run can delete: it ends in time, and further ones follow at once, until none is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_retention_of_very_many_jobs_does_not_time_out() {
    const JOBS: i64 = 100_000;
    let database = TestDatabase::new().await;
    sqlx::query(
        "insert into apex.jobs (job_id, kind, queue, payload, state, scheduled_at, available_at, finished_at)
         select gen_random_uuid(), 'test', 'test', '{}', 'done', at, at, at
         from generate_series(1, $1) as n, lateral (select now() - interval '2 days' + n * interval '1 ms') as t (at)",
    )
    .bind(JOBS)
    .execute(&database.pool)
    .await
    .unwrap();
    // Far too short for all of them.
    let retention = Arc::new(JobRetention::new(database.pool.clone(), Duration::from_millis(50)));
    let running = Running::start(&Jobs::new(database.pool.clone()), retention, fast());
    let left = "select count(*) from apex.jobs where kind = 'test'";
    wait_until("no job is left", async || count_rows(&database.pool, left).await == 0).await;
    running.stop().await;
    let several_runs =
        "select count(*) from apex.jobs where kind = 'job-retention' and fencing_token > 2 and last_error is null";
    assert_eq!(count_rows(&database.pool, several_runs).await, 1);
}

/// A recurring job that failed, or that an operator dropped, does not begin anew because a process starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recurring_job_that_is_a_dead_letter_or_dropped_waits_for_an_operator() {
    let database = TestDatabase::new().await;
    let jobs = Jobs::new(database.pool.clone());
    let is_back = Arc::new(AtomicBool::new(false));
    let handler = Arc::new(Scripted {
        behaviour: Box::new({
            let is_back = is_back.clone();
            move |_| {
                let is_back = is_back.load(Ordering::SeqCst);
                let outcome = if is_back { JobOutcome::Done } else { JobOutcome::DeadLetter("broken".into()) };
                Box::pin(std::future::ready(outcome))
            }
        }),
        interval: Some(Duration::from_secs(3600)),
    });
    let running = Running::start(&jobs, handler.clone(), fast());
    wait_until("it is a dead letter", async || count(&database.pool, KIND, "dead").await == 1).await;
    running.stop().await;
    is_back.store(true, Ordering::SeqCst);
    let id: Uuid = sqlx::query_scalar("select job_id from apex.jobs").fetch_one(&database.pool).await.unwrap();
    let decide = async |decision: &str| {
        let arguments = ["jobs", decision, &id.to_string(), "--reason", "x"];
        database.run(&arguments).await.assert_success();
    };
    for state in ["dead", "dropped"] {
        let running = Running::start(&jobs, handler.clone(), fast());
        // A job of the same runner that runs after its start.
        let after = job("after", json!(state));
        insert(&jobs, &database.pool, std::slice::from_ref(&after)).await;
        let run = "select count(*) from apex.jobs where queue = 'test:after' and state = 'waiting'
                   and available_at > clock_timestamp() + interval '1 minute'";
        wait_until("the runner has started", async || count_rows(&database.pool, run).await > 0).await;
        running.stop().await;
        assert_eq!(count(&database.pool, KIND, state).await, 1, "it began anew");
        sqlx::query("delete from apex.jobs where queue = 'test:after'").execute(&database.pool).await.unwrap();
        decide(if state == "dead" { "drop" } else { "retry" }).await;
    }
    let running = Running::start(&jobs, handler, fast());
    let ran = "select count(*) from apex.jobs where available_at > clock_timestamp() + interval '1 minute'";
    wait_until("it ran and waits for its next run", async || count_rows(&database.pool, ran).await == 1).await;
    running.stop().await;
}

/// Nobody runs its kind any more: a leased job can be dropped, but not before its lease has ended.
#[tokio::test]
async fn a_leased_job_without_a_handler_can_be_dropped_once_its_lease_has_ended() {
    let database = TestDatabase::new().await;
    let jobs = Jobs::new(database.pool.clone());
    let new = job("orphan", Value::Null);
    insert(&jobs, &database.pool, std::slice::from_ref(&new)).await;
    jobs.lease("test:orphan", Duration::from_secs(3600), 1).await.unwrap().unwrap();
    let drop = async || database.run(&["jobs", "drop", &new.id.to_string(), "--reason", "x"]).await;
    let refused = drop().await;
    assert!(refused.code == Some(1) && refused.stderr.contains("is leased"), "{}", refused.stderr);
    let end = "update apex.jobs set available_at = clock_timestamp()";
    sqlx::query(end).execute(&database.pool).await.unwrap();
    drop().await.assert_success();
    assert_eq!(count(&database.pool, "test:orphan", "dropped").await, 1);
}

/// The gauge of waiting jobs does not count those that a runner is running.
#[tokio::test]
async fn leased_jobs_are_not_counted_as_waiting() {
    let database = TestDatabase::new().await;
    let jobs = Jobs::new(database.pool.clone());
    insert(&jobs, &database.pool, &["a", "a", "b"].map(|destination| job(destination, Value::Null))).await;
    jobs.lease("test:a", Duration::from_secs(3600), 1).await.unwrap().unwrap();
    let gauges = policies::gauges(&testkit::access(), &database.pool, &[KIND]).await.unwrap();
    assert_eq!((gauges[0].waiting, gauges[0].dead_letters), (2, 0));
}

/// A policy that acts on a read model does not read all pending crossings again for each batch.
#[tokio::test]
async fn the_alert_policy_reads_the_pending_crossings_of_a_batch_only() {
    const CROSSINGS: usize = 300;
    let database = TestDatabase::new().await.unverified();
    let counter = crate::statements::Counter::before(&database).await;
    let pool = apex::database::connect(&counter.url.clone().into(), 4).await.unwrap();
    sqlx::query(
        "insert into apex.budget_crossings (tenant_id, budget_id, month, threshold_percent, terms_version, spent,
             limit_amount, crossed_at_position, crossed_by_event, correlation_id, is_delivered)
         select 'default', gen_random_uuid(), '2023-11', 50, 1, 1, 2, n, gen_random_uuid(), gen_random_uuid(), true
         from generate_series(1, $1) as n",
    )
    .bind(i32::try_from(CROSSINGS).unwrap())
    .execute(&mut database.owner().await)
    .await
    .unwrap();
    let policy = BudgetAlerts::new(pool.clone(), Jobs::new(pool));
    let batch = |through: usize| Batch { events: Vec::new(), through: Position::from(through as u64) };
    let rows_of = async |through: usize| {
        let before = counter.counts().1;
        let reaction = policy.handle(&batch(through)).await.unwrap();
        (reaction.jobs.len(), counter.counts().1 - before)
    };
    assert_eq!(rows_of(CROSSINGS - 1).await, (CROSSINGS - 1, CROSSINGS - 1), "the first batch reads all of them");
    assert_eq!(rows_of(CROSSINGS).await, (1, 1));
    // While no event arrives, all of them are read again: a late one may have been added.
    assert_eq!(policy.tick(Position::from(CROSSINGS as u64)).await.unwrap().jobs.len(), CROSSINGS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn done_jobs_are_deleted_after_their_retention_and_dead_letters_and_dropped_ones_are_kept() {
    let database = TestDatabase::new().await;
    let jobs = Jobs::new(database.pool.clone());
    let names = ["done-old", "done-new", "dropped-old", "dropped-new", "dead-old", "waiting-old"];
    for name in names {
        insert(&jobs, &database.pool, &[job(name, Value::Null)]).await;
    }
    sqlx::query(
        "update apex.jobs set state = split_part(substr(queue, 6), '-', 1),
             finished_at = case when queue not like '%waiting%' then clock_timestamp() - case split_part(queue, '-', 2)
                 when 'old' then interval '91 days' else interval '2 hours' end end",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    let running =
        Running::start(&jobs, Arc::new(JobRetention::new(database.pool.clone(), Duration::from_secs(5))), fast());
    let next = "select count(*) from apex.jobs where kind = 'job-retention' and state = 'waiting'
                and available_at > clock_timestamp() + interval '5 minutes'";
    wait_until("the retention has run and waits for its next run", async || {
        count_rows(&database.pool, next).await == 1
    })
    .await;
    running.stop().await;
    let left: Vec<String> =
        sqlx::query_scalar("select substr(queue, 6) from apex.jobs where kind = 'test' order by queue")
            .fetch_all(&database.pool)
            .await
            .unwrap();
    assert_eq!(left, ["dead-old", "done-new", "dropped-new", "dropped-old", "waiting-old"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_list_retry_and_drop_jobs() {
    let database = TestDatabase::new().await;
    let jobs = Jobs::new(database.pool.clone());
    let is_back = Arc::new(AtomicBool::new(false));
    let handler = Scripted::new({
        let is_back = is_back.clone();
        move |_| {
            let is_back = is_back.load(Ordering::SeqCst);
            let outcome = if is_back { JobOutcome::Done } else { JobOutcome::DeadLetter("410 Gone".into()) };
            Box::pin(std::future::ready(outcome))
        }
    });
    let running = Running::start(&jobs, handler, fast());
    let new = ["a", "b", "c"].map(|destination| job(destination, Value::Null));
    insert(&jobs, &database.pool, &new).await;
    let dead = "select count(*) from apex.jobs where state = 'dead'";
    wait_until("the jobs are dead letters", async || count_rows(&database.pool, dead).await == 3).await;
    is_back.store(true, Ordering::SeqCst);

    let list = async |arguments: &[&str]| {
        let output = database.run(&[&["jobs", "list", "--format", "json"], arguments].concat()).await;
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        serde_json::from_str::<Vec<Value>>(&output.stdout).unwrap()
    };
    let listed = list(&["--state", "dead-letter"]).await;
    let queues: Vec<_> = listed.iter().map(|job| job["queue"].as_str().unwrap()).collect();
    assert_eq!(queues, ["test:c", "test:b", "test:a"]);
    assert_eq!((&listed[0]["last_error"], &listed[0]["tenant"]), (&json!("410 Gone"), &json!("default")));
    let first = list(&["--limit", "1"]).await;
    let rest = list(&["--before", first[0]["sequence"].as_str().unwrap()]).await;
    assert_eq!([first, rest].concat(), listed);
    assert_eq!(list(&["--kind", "other"]).await.len() + list(&["--state", "done"]).await.len(), 0);
    assert_eq!(list(&["--queue", "test:b"]).await, [listed[1].clone()]);
    let csv = database.run(&["jobs", "list", "--format", "csv"]).await;
    assert!(csv.stdout.starts_with("sequence,job_id,queue,") && csv.stdout.lines().count() == 4, "{}", csv.stdout);
    let table = database.run(&["jobs", "list", "--limit", "2"]).await;
    assert!(table.stdout.contains("410 Gone") && table.stderr.contains("--before"), "{}{}", table.stdout, table.stderr);

    let ids = new.map(|job| job.id.to_string());
    let who = ["--reason", "it is back", "--actor", "ada"];
    database.run(&[&["jobs", "retry", &ids[0], &ids[1]], &who[..]].concat()).await.assert_success();
    wait_until("the retried jobs are done", async || list(&["--state", "done"]).await.len() == 2).await;
    let anonymous = database.run(&["jobs", "drop", &ids[2], "--reason", "x", "--actor", " "]).await;
    assert_eq!(anonymous.code, Some(1), "a decision needs an actor: {}", anonymous.stderr);
    assert_eq!(count(&database.pool, "test:c", "dead").await, 1);
    database.run(&[&["jobs", "drop", &ids[2]], &who[..]].concat()).await.assert_success();
    assert_eq!(count(&database.pool, "test:c", "dropped").await, 1);

    let unknown = Uuid::now_v7().to_string();
    for (decision, id, message) in [
        ("retry", &ids[0], "is done: only a dead letter or a dropped job"),
        ("drop", &ids[0], "is done: only a dead letter, a waiting job, or a leased one"),
        ("retry", &unknown, "there is no job"),
    ] {
        let refused = database.run(&[&["jobs", decision, id], &who[..]].concat()).await;
        assert!(refused.code == Some(1) && refused.stderr.contains(message), "{}", refused.stderr);
    }
    let decisions = database.run(&["jobs", "decisions", "--format", "json"]).await;
    let decisions: Vec<Value> = serde_json::from_str(&decisions.stdout).unwrap();
    let made: Vec<_> = decisions.iter().map(|made| (made["decision"].as_str(), made["job_id"].as_str())).collect();
    let expected = [("drop", &ids[2]), ("retry", &ids[1]), ("retry", &ids[0])];
    assert_eq!(made, expected.map(|(decision, id)| (Some(decision), Some(id.as_str()))));
    assert!(decisions.iter().all(|made| made["actor"] == "ada" && made["reason"] == "it is back"));
    running.stop().await;
}
