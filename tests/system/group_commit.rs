//! Group commit: what appends and commands may rely on when many of them share a transaction.

use commands::{Commands, CommandsConfig, Context, Error, OutcomeKind};
use domain::agent::{Agent, AgentCommand, Profile};
use domain::task::{Task, TaskCommand, TaskSpec};
use domain::{AgentId, Body, Labels};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use sqlx::PgConnection;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use streams::{
    Append, AppendError, Appended, AppenderLimits, Chain, Chains, Expected, Log, LogConfig, Position, ReadFilter,
    RecordedEvent, StreamKey, Version,
};
use testkit::{POLL_INTERVAL, TIMEOUT, TestDatabase, append, append_all, at, name, stream, tenant, wait_until};
use uuid::Uuid;

fn version(version: u64) -> Expected {
    Expected::Exact(Version::from(version))
}

async fn open(database: &TestDatabase) -> Log {
    Log::open(database.pool.clone(), LogConfig::default()).await.unwrap()
}

/// All events of a stream.
async fn of_stream(log: &Log, category: &str, id: Uuid) -> Vec<RecordedEvent> {
    let key = StreamKey { tenant: tenant(), category: category.into(), id };
    log.read_stream(&key, Version::ZERO, 10_000).await.unwrap()
}

/// The number of transactions that wrote the events: all events of a transaction have the same time.
fn transactions(events: &[RecordedEvent]) -> usize {
    events.iter().map(|event| event.recorded_at).collect::<BTreeSet<_>>().len()
}

#[tokio::test]
async fn chained_appends_are_committed_together_and_in_order() {
    let database = TestDatabase::new().await;
    let log = open(&database).await;
    let id = Uuid::new_v4();
    let chain = Chain::default();
    let submitted: Vec<_> =
        (0..50).map(|n| log.submit(append(vec![stream(id, version(n * 2), 2)]), in_chain(&chain)).unwrap()).collect();
    let mut last = 0;
    for submitted in submitted {
        let Appended::New { first, last: end } = submitted.result().await.unwrap() else {
            panic!("the append is a duplicate")
        };
        assert_eq!((first.get(), end.get()), (last + 1, last + 2));
        last = end.get();
    }
    let events = of_stream(&log, "task", id).await;
    assert_eq!(events.len(), 100);
    assert!(transactions(&events) <= 3, "{} transactions", transactions(&events));
    database.verify_log().await;
}

fn in_chain(chain: &Chain) -> Chains {
    Chains { changed: vec![chain.clone()], read: Vec::new() }
}

/// The second append expects version 1, and the stream is at version 1, but not by the append that it was decided on.
#[tokio::test]
async fn an_append_chained_to_a_failed_append_is_not_written() {
    for chained in [true, false] {
        let database = TestDatabase::new().await;
        let (first_log, other_log) = (open(&database).await, open(&database).await);
        let id = Uuid::new_v4();
        other_log.append(append(vec![stream(id, version(0), 1)])).await.unwrap();
        let chain = Chain::default();
        let link = || if chained { in_chain(&chain) } else { Chains::default() };
        let first = first_log.submit(append(vec![stream(id, version(0), 1)]), link()).unwrap();
        let second = first_log.submit(append(vec![stream(id, version(1), 1)]), link()).unwrap();
        let third = first_log.submit(append(vec![stream(Uuid::new_v4(), version(0), 1)]), Chains::default()).unwrap();
        assert!(matches!(first.result().await, Err(AppendError::Conflict { .. })));
        let second = second.result().await;
        if chained {
            assert!(matches!(second, Err(AppendError::ChainAborted)), "{second:?}");
            assert!(chain.is_aborted());
            let late =
                first_log.submit(append(vec![stream(id, version(1), 1)]), in_chain(&chain)).unwrap().result().await;
            assert!(matches!(late, Err(AppendError::ChainAborted)), "{late:?}");
        } else {
            // Control: without a chain, the second append is accepted.
            assert!(matches!(second, Ok(Appended::New { .. })), "{second:?}");
        }
        assert!(matches!(third.result().await, Ok(Appended::New { .. })));
        database.verify_log().await;
    }
}

/// A conflict or a duplicate in a batch may delay the other appends, but fails none of them.
#[tokio::test]
async fn a_refused_append_does_not_fail_other_appends_of_its_batch() {
    let database = TestDatabase::new().await;
    let log = open(&database).await;
    let (known, hot, both) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
    let before = append(vec![stream(known, version(0), 1)]);
    log.append(before.clone()).await.unwrap();
    let submit = |append| log.submit(append, Chains::default()).unwrap();
    let wrong = submit(append(vec![stream(known, version(7), 1)]));
    let again = submit(before);
    let good: Vec<_> = (0..5).map(|n| submit(append(vec![stream(hot, version(n), 1)]))).collect();
    let two = submit(append(vec![stream(hot, version(5), 1), stream(both, version(0), 3)]));
    let any = submit(append(vec![stream(both, Expected::Any, 1)]));
    assert!(matches!(wrong.result().await, Err(AppendError::Conflict { current, .. }) if current.get() == 1));
    assert!(matches!(again.result().await, Ok(Appended::Duplicate { first, .. }) if first.get() == 1));
    for good in good.into_iter().chain([two, any]) {
        assert!(matches!(good.result().await, Ok(Appended::New { .. })));
    }
    assert_eq!((of_stream(&log, "task", hot).await.len(), of_stream(&log, "task", both).await.len()), (6, 4));
    database.verify_log().await;
}

/// A retry that arrives while the original is in the same queue is a duplicate.
#[tokio::test]
async fn a_retry_queued_with_its_original_gets_the_same_positions() {
    let database = TestDatabase::new().await;
    let log = open(&database).await;
    let id = Uuid::new_v4();
    log.append(append(vec![stream(id, version(0), 1)])).await.unwrap();
    let sent = append(vec![stream(id, Expected::Any, 2)]);
    let tries: Vec<_> = (0..4).map(|_| log.submit(sent.clone(), Chains::default()).unwrap()).collect();
    let mut answers = Vec::new();
    for one in tries {
        answers.push(one.result().await.unwrap());
    }
    assert!(matches!(answers[0], Appended::New { first, .. } if first.get() == 2), "{answers:?}");
    assert!(
        answers[1..]
            .iter()
            .all(|answer| matches!(answer, Appended::Duplicate { first, last } if (first.get(), last.get()) == (2, 3)))
    );
    assert_eq!(of_stream(&log, "task", id).await.len(), 3);
}

/// Two processes create the same streams in large batches: each append succeeds or conflicts on its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_processes_creating_the_same_streams_one_wins_each_stream() {
    let database = TestDatabase::new().await;
    let logs = [open(&database).await, open(&database).await];
    let ids: Vec<Uuid> = (0..300).map(|_| Uuid::new_v4()).collect();
    let of = |log: Log| {
        let appends: Vec<_> = ids.iter().map(|id| append(vec![stream(*id, version(0), 1)])).collect();
        tokio::spawn(async move { append_all(&log, appends).await })
    };
    let (one, other) = (of(logs[0].clone()), of(logs[1].clone()));
    let (one, other) = (one.await.unwrap(), other.await.unwrap());
    for (one, other) in one.iter().zip(&other) {
        let won = [one, other].iter().filter(|answer| matches!(answer, Ok(Appended::New { .. }))).count();
        let lost = [one, other].iter().filter(|answer| matches!(answer, Err(AppendError::Conflict { .. }))).count();
        assert_eq!((won, lost), (1, 1), "{one:?} {other:?}");
    }
    assert_eq!(database.head().await, 300);
    database.verify_log().await;
}

/// More appends than the queue holds: each gets its own result, and those refused as busy succeed when they are retried.
#[tokio::test]
async fn many_appends_get_their_own_results_and_share_transactions() {
    let database = TestDatabase::new().await;
    let limits = AppenderLimits { max_waiting: 64, ..AppenderLimits::default() };
    let log = Log::open(database.pool.clone(), LogConfig { appender: limits, ..LogConfig::default() }).await.unwrap();
    let taken = Uuid::new_v4();
    let first = append(vec![stream(taken, version(0), 1)]);
    log.append(first.clone()).await.unwrap();
    let mut appends: Vec<_> = (0..1000).map(|_| append(vec![stream(Uuid::new_v4(), version(0), 1)])).collect();
    appends[10] = append(vec![stream(taken, version(0), 1)]);
    appends[500] = first;
    appends[900] = append(vec![]);
    let answers = append_all(&log, appends).await;
    for (n, answer) in answers.iter().enumerate() {
        let fits = match n {
            10 => matches!(answer, Err(AppendError::Conflict { .. })),
            500 => matches!(answer, Ok(Appended::Duplicate { .. })),
            900 => matches!(answer, Err(AppendError::Invalid(_))),
            _ => matches!(answer, Ok(Appended::New { .. })),
        };
        assert!(fits, "{n}: {answer:?}");
    }
    let events = log.read_after(Position::ZERO, &ReadFilter::default(), 10_000).await.unwrap();
    assert_eq!(events.len(), 998);
    assert!(transactions(&events) < 100, "{} transactions", transactions(&events));
    database.verify_log().await;
}

fn context() -> Context {
    testkit::context(tenant(), "test", Uuid::new_v4())
}

async fn running_task(commands: &Commands) -> (Uuid, Uuid) {
    let (agent, task) = (Uuid::new_v4(), Uuid::new_v4());
    let profile = Profile { name: name("hot"), kind: None, model: None, labels: Labels::default() };
    for command in [AgentCommand::Register { profile, at: at(0) }, AgentCommand::Activate { at: at(1) }] {
        commands.execute::<Agent>(&context(), agent, command).await.unwrap();
    }
    let spec = TaskSpec { title: name("hot"), agent_id: AgentId(agent), dag_id: None };
    for command in [TaskCommand::Submit { spec, at: at(2) }, TaskCommand::Start { at: at(3) }] {
        commands.execute::<Task>(&context(), task, command).await.unwrap();
    }
    (agent, task)
}

/// No conflicts: each command is decided on the state after the one before it, and few transactions hold them all.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_commands_to_one_aggregate_are_committed_together() {
    let database = TestDatabase::new().await;
    let commands =
        Commands::new(open(&database).await, CommandsConfig { deadline: Duration::ZERO, ..CommandsConfig::default() });
    let (_, task) = running_task(&commands).await;
    let progress = (0..500).map(|n| {
        let commands = commands.clone();
        async move {
            // The note makes each command an event.
            let note = Body::new(format!("step {n}")).ok();
            let command = TaskCommand::Progress { percent: 50, note, at: at(10) };
            commands.execute::<Task>(&context(), task, command).await
        }
    });
    let outcomes: Vec<_> = futures::future::join_all(progress.map(tokio::spawn)).await;
    let versions: BTreeSet<u64> =
        outcomes.into_iter().map(|outcome| outcome.unwrap().unwrap().aggregate.version.get()).collect();
    assert_eq!(versions, (3..503).collect());
    let events = of_stream(commands.log(), "task", task).await;
    assert_eq!(events.len(), 502);
    assert!(transactions(&events) < 100, "{} transactions", transactions(&events));
    database.verify_log().await;
}

/// Two processes on one aggregate: every result follows from the committed state, so the events alternate.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commands_of_two_processes_to_one_aggregate_are_based_on_committed_state() {
    let database = TestDatabase::new().await;
    let config = CommandsConfig { deadline: Duration::from_secs(60), ..CommandsConfig::default() };
    let both = [Commands::new(open(&database).await, config), Commands::new(open(&database).await, config)];
    let (agent, _) = running_task(&both[0]).await;
    let tasks: FuturesUnordered<_> = (0..200)
        .map(|n: usize| {
            let commands = both[n % 2].clone();
            tokio::spawn(async move {
                let command = if n % 4 < 2 {
                    AgentCommand::Pause { reason: None, at: at(5) }
                } else {
                    AgentCommand::Resume { at: at(5) }
                };
                commands.execute::<Agent>(&context(), agent, command).await.unwrap().kind
            })
        })
        .collect();
    let kinds: Vec<_> = tasks.map(Result::unwrap).collect().await;
    let events = of_stream(both[0].log(), "agent", agent).await;
    let done = kinds.iter().filter(|kind| **kind == OutcomeKind::Done).count();
    assert_eq!(events.len(), 2 + done);
    for pair in events[1..].windows(2) {
        assert_ne!(pair[0].name, pair[1].name, "an agent is never paused or resumed twice in a row");
    }
    database.verify_log().await;
}

/// Locks a stream in another session, so that appends to it wait.
async fn lock_stream(database: &TestDatabase, stream: Uuid) -> sqlx::PgConnection {
    let mut owner = database.owner().await;
    sqlx::query("begin").execute(&mut owner).await.unwrap();
    let lock = "select from apex.streams where stream_id = $1 for update";
    sqlx::query(lock).bind(stream).execute(&mut owner).await.unwrap();
    owner
}

/// Waits until an append is blocked by the transaction.
async fn until_append_is_blocked(holder: &mut PgConnection) {
    let deadline = Instant::now() + TIMEOUT;
    let held = "select exists (select from pg_stat_activity where pg_backend_pid() = any (pg_blocking_pids(pid)))";
    loop {
        // Within a transaction, pg_stat_activity is cached.
        sqlx::query("select pg_stat_clear_snapshot()").execute(&mut *holder).await.unwrap();
        if sqlx::query_scalar(held).fetch_one(&mut *holder).await.unwrap() {
            return;
        }
        assert!(Instant::now() < deadline, "no append is blocked");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// A batch that does not finish in time is abandoned and later appends continue. A retry finds out its outcome.
#[tokio::test]
async fn a_batch_that_times_out_is_indeterminate_and_blocks_nobody() {
    let database = TestDatabase::new().await;
    let batch_timeout = std::time::Duration::from_secs(5);
    let limits = AppenderLimits { batch_timeout, ..AppenderLimits::default() };
    let log = Log::open(database.pool.clone(), LogConfig { appender: limits, ..LogConfig::default() }).await.unwrap();
    let id = Uuid::new_v4();
    // On a busy machine, a commit may take as long as the timeout.
    let appended = async |append: Append| {
        wait_until("an append that nothing blocks is in the log", async || log.append(append.clone()).await.is_ok())
            .await;
    };
    appended(append(vec![stream(id, version(0), 1)])).await;
    let mut holder = lock_stream(&database, id).await;
    let stuck = append(vec![stream(id, version(1), 1)]);
    let answer = log.append(stuck.clone()).await;
    assert!(matches!(answer, Err(AppendError::Indeterminate(_))), "{answer:?}");
    appended(append(vec![stream(Uuid::new_v4(), version(0), 1)])).await;
    sqlx::query("rollback").execute(&mut holder).await.unwrap();
    appended(stuck).await;
    assert_eq!(of_stream(&log, "task", id).await.len(), 2);
    database.verify_log().await;
}

/// The limit counts appends in the queue and in the appender; one more gets a retryable error.
#[tokio::test]
async fn the_queue_limit_counts_every_waiting_append() {
    let database = TestDatabase::new().await;
    let limits = AppenderLimits { max_waiting: 20, connections: 1, ..AppenderLimits::default() };
    let log = Log::open(database.pool.clone(), LogConfig { appender: limits, ..LogConfig::default() }).await.unwrap();
    let id = Uuid::new_v4();
    log.append(append(vec![stream(id, version(0), 1)])).await.unwrap();
    let mut holder = lock_stream(&database, id).await;
    let first = log.submit(append(vec![stream(id, version(1), 1)]), Chains::default()).unwrap();
    until_append_is_blocked(&mut holder).await;
    let submit = |_| log.submit(append(vec![stream(Uuid::new_v4(), version(0), 1)]), Chains::default());
    let mut waiting: Vec<_> = (0..10).map(submit).collect::<Result<_, _>>().unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    waiting.extend((0..10).map(submit).collect::<Result<Vec<_>, _>>().unwrap());
    assert!(matches!(submit(0), Err(AppendError::Busy { .. })));
    sqlx::query("rollback").execute(&mut holder).await.unwrap();
    assert!(matches!(first.result().await, Ok(Appended::New { .. })));
    for one in waiting {
        assert!(matches!(one.result().await, Ok(Appended::New { .. })));
    }
    assert!(submit(0).unwrap().result().await.is_ok());
}

/// The caller of a command goes away while it waits: commands that were decided on its result still wait for it.
#[tokio::test]
async fn a_cancelled_command_does_not_affect_later_commands() {
    let database = TestDatabase::new().await;
    let commands = Commands::new(open(&database).await, CommandsConfig::default());
    let (_, task) = running_task(&commands).await;
    let mut holder = lock_stream(&database, task).await;
    let run = |command: TaskCommand| {
        let commands = commands.clone();
        tokio::spawn(async move { commands.execute::<Task>(&context(), task, command).await })
    };
    let left = run(TaskCommand::Complete { result: None, at: at(20) });
    until_append_is_blocked(&mut holder).await;
    left.abort();
    let later = run(TaskCommand::Complete { result: None, at: at(20) });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(!later.is_finished(), "a command waits for the commit of the state it was decided on");
    sqlx::query("rollback").execute(&mut holder).await.unwrap();
    assert_eq!(later.await.unwrap().unwrap().kind, OutcomeKind::AlreadyDone);
}

/// A command that was decided on an uncommitted state is refused only after that state is committed.
#[tokio::test]
async fn a_refusal_is_based_on_committed_state() {
    let database = TestDatabase::new().await;
    let commands = Commands::new(open(&database).await, CommandsConfig::default());
    let (agent, task) = running_task(&commands).await;
    let mut holder = lock_stream(&database, task).await;
    let run = |command: TaskCommand| {
        let commands = commands.clone();
        tokio::spawn(async move { commands.execute::<Task>(&context(), task, command).await })
    };
    let completion = run(TaskCommand::Complete { result: None, at: at(20) });
    until_append_is_blocked(&mut holder).await;
    let progress = run(TaskCommand::Progress { percent: 1, note: None, at: at(21) });
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(!completion.is_finished() && !progress.is_finished(), "no result is returned before the commit");
    sqlx::query("rollback").execute(&mut holder).await.unwrap();
    assert_eq!(completion.await.unwrap().unwrap().kind, OutcomeKind::Done);
    assert!(matches!(progress.await.unwrap(), Err(Error::Rejected(_))));
    assert_eq!(of_stream(commands.log(), "agent", agent).await.len(), 2);
}
