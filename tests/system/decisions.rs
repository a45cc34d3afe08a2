//! Decisions over several aggregates, by several executors on one database: what is in the log must be what the decisions
//! give one after the other, in the order of positions.

use commands::{Commands, CommandsConfig, Context, Error, OutcomeKind, States, Undecided};
use domain::Aggregate;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use streams::{
    Append, AppendError, Appended, Expected, Log, LogConfig, Metadata, NewEvent, Position, ReadFilter, RecordedEvent,
    StreamAppend, StreamKey, Version,
};
use testkit::decisions::{
    ACCOUNTS, Account, Answer, Attempt, Change, Decision, Entry, FEES, Moved, ReadStates, Refused, SWITCH, Set, Switch,
    Violation, account, check, execute, open_accounts, turn,
};
use testkit::{TestDatabase, context, metadata, tenant};
use uuid::Uuid;

const OPENING_BALANCE: i64 = 100;
/// The commands of one run of a wrong executor.
const WRONG_COMMANDS: usize = 100;

async fn whole_log(log: &Log) -> Vec<RecordedEvent> {
    let (mut events, mut after) = (Vec::new(), Position::ZERO);
    loop {
        let page = log.read_after(after, &ReadFilter::default(), 1000).await.unwrap();
        let Some(last) = page.last() else { return events };
        after = last.position;
        events.extend(page);
    }
}

async fn entries(log: &Log) -> Vec<Entry> {
    whole_log(log).await.iter().filter_map(Entry::of).collect()
}

async fn process(database: &TestDatabase) -> Commands {
    let log = Log::open(database.pool.clone(), LogConfig::default()).await.unwrap();
    Commands::new(log, CommandsConfig { deadline: Duration::from_secs(120), ..CommandsConfig::default() })
}

fn micros(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_micros()).unwrap()
}

/// Makes one attempt of a command, which is cancelled after some time if one is given.
async fn attempt(
    commands: &Commands,
    start: Instant,
    command: Uuid,
    decision: &Decision,
    cancel_after: Option<Duration>,
) -> Attempt {
    let (invoked_us, context) = (micros(start), context(tenant(), "test", command));
    let executed = execute(commands, &context, decision);
    let answer = match cancel_after {
        None => Answer::of(executed.await),
        Some(after) => tokio::time::timeout(after, executed)
            .await
            .map_or_else(|_| Answer::Unknown { cause: "cancelled".to_owned() }, Answer::of),
    };
    Attempt { command, decision: decision.clone(), invoked_us, completed_us: micros(start), answer }
}

/// The first decisions of a run: every account gets money.
async fn deposits(commands: &Commands, start: Instant) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    for number in 0..ACCOUNTS {
        let deposit = Decision::Deposit { to: account(number), amount: OPENING_BALANCE };
        attempts.push(attempt(commands, start, Uuid::new_v4(), &deposit, None).await);
    }
    attempts
}

/// Random decisions by two executors, of which some are cancelled and some are executed again under the same id by the
/// other one, half of them with another set, while a switch that all of them read goes on and off.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn transfers_are_serial_in_the_order_of_positions_despite_cancellations_and_retries() {
    let database = TestDatabase::new().await.unverified();
    let processes = [process(&database).await, process(&database).await];
    let start = Instant::now();
    let mut attempts = deposits(&processes[0], start).await;
    let seed = rand::random();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut clients = Vec::new();
    for n in 0..400_usize {
        let (id, decision) = (Uuid::new_v4(), Decision::random(&mut rng));
        let (first, second) = (processes[n % 2].clone(), processes[(n + 1) % 2].clone());
        let cancel_after = rng.random_bool(0.2).then(|| Duration::from_micros(rng.random_range(0..20_000)));
        let again = cancel_after.is_some() || rng.random_bool(0.2);
        let other = if rng.random_bool(0.5) { decision.with_other_set(&mut rng) } else { decision.clone() };
        clients.push(tokio::spawn(async move {
            let mut attempts = vec![attempt(&first, start, id, &decision, cancel_after).await];
            if again {
                attempts.push(attempt(&second, start, id, &other, None).await);
            }
            attempts
        }));
    }
    for client in clients {
        attempts.extend(client.await.unwrap());
    }
    let log = entries(processes[0].log()).await;
    assert_eq!(check(&log, &attempts), []);
    let count = |is: fn(&Answer) -> bool| attempts.iter().filter(|attempt| is(&attempt.answer)).count();
    assert_eq!(count(|answer| matches!(answer, Answer::Failed { .. })), 0, "{attempts:?}");
    assert!(count(|answer| matches!(answer, Answer::Done { .. })) > 100);
    assert!(count(|answer| matches!(answer, Answer::Duplicate { .. })) > 0);
    assert!(count(|answer| matches!(answer, Answer::Refused { .. })) > 0);
}

/// What a wrong executor does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It appends whatever the versions are.
    NoVersion,
    /// It does not compare the version of what it only reads.
    NoVersionOfTheSwitch,
    /// It acknowledges a decision although its append was undone.
    AcknowledgesUndone,
}

/// States that were read one after the other.
struct ReadOnce {
    is_off: bool,
    balances: BTreeMap<Uuid, i64>,
}

impl ReadStates for ReadOnce {
    type Error = Uuid;

    fn is_off(&mut self) -> Result<bool, Uuid> {
        Ok(self.is_off)
    }

    fn balance(&mut self, account: Uuid) -> Result<i64, Uuid> {
        self.balances.get(&account).copied().ok_or(account)
    }
}

/// An executor with a fault in how it writes: it reads, decides and appends, until there is no conflict. Where nothing is to
/// be written, the correct executor answers.
pub(crate) async fn execute_wrongly(
    commands: &Commands,
    fault: Fault,
    context: &Context,
    decision: &Decision,
) -> Answer {
    let (log, tenant) = (commands.log(), context.principal.tenant().clone());
    let target = StreamKey { tenant: tenant.clone(), category: decision.category().into(), id: decision.target() };
    let failed = |error: &dyn std::fmt::Display| Answer::Failed { cause: error.to_string() };
    loop {
        match log.receipt(&target, context.command_id).await {
            Ok(None) => {}
            Ok(Some(receipt)) => return Answer::Duplicate { position: receipt.last.get() },
            Err(error) => return failed(&error),
        }
        let streams = match read_and_decide(commands, fault, context, decision).await {
            Ok(streams) if streams.is_empty() => return Answer::of(execute(commands, context, decision).await),
            Ok(streams) => streams,
            Err(error) => return failed(&error),
        };
        let metadata = Metadata { command_id: context.command_id, ..metadata() };
        let append = Append { tenant: tenant.clone(), metadata, request: None, streams, may_change_others: true };
        match log.append(append).await {
            Ok(Appended::New { last, .. }) => return Answer::Done { position: last.get() },
            Ok(Appended::Duplicate { last, .. }) => return Answer::Duplicate { position: last.get() },
            Err(AppendError::Conflict { .. }) if fault == Fault::AcknowledgesUndone => {
                return log
                    .head()
                    .await
                    .map_or_else(|error| failed(&error), |head| Answer::Done { position: head.get() });
            }
            Err(AppendError::Conflict { .. } | AppendError::Busy { .. }) => tokio::task::yield_now().await,
            Err(error @ AppendError::Indeterminate(_)) => return Answer::Unknown { cause: error.to_string() },
            Err(error) => return failed(&error),
        }
    }
}

/// What a wrong executor appends: nothing if the decision is refused, or there is nothing to do.
async fn read_and_decide(
    commands: &Commands,
    fault: Fault,
    context: &Context,
    decision: &Decision,
) -> Result<Vec<StreamAppend>, Error<Refused>> {
    let switch = commands.load::<Switch>(&context.principal, SWITCH).await?;
    let mut states = ReadOnce { is_off: switch.state.is_off, balances: BTreeMap::new() };
    let mut versions = BTreeMap::from([(SWITCH, switch.version)]);
    loop {
        match decision.decide(&mut states) {
            Ok(Ok(changes)) => return Ok(expected_wrongly(fault, &changes, &versions)),
            Ok(Err(_)) => return Ok(Vec::new()),
            Err(account) => {
                let loaded = commands.load::<Account>(&context.principal, account).await?;
                states.balances.insert(account, loaded.state.balance);
                versions.insert(account, loaded.version);
            }
        }
    }
}

/// What a wrong executor appends to each stream.
fn expected_wrongly(fault: Fault, changes: &[Change], versions: &BTreeMap<Uuid, Version>) -> Vec<StreamAppend> {
    let expected = |version: Version| match fault {
        Fault::NoVersion => Expected::Any,
        Fault::NoVersionOfTheSwitch | Fault::AcknowledgesUndone => Expected::Exact(version),
    };
    let stream = |category: &str, id: Uuid, events| StreamAppend {
        category: category.into(),
        id,
        expected: expected(versions[&id]),
        events,
    };
    let mut streams: Vec<_> = changes
        .iter()
        .map(|change| match change {
            Change::Set { is_off } => {
                let set = NewEvent::encode(Uuid::new_v4(), &Set { is_off: *is_off }).unwrap();
                stream(Switch::CATEGORY, SWITCH, vec![set])
            }
            Change::Moved { account, amount, balance } => {
                let moved = Moved { amount: *amount, balance: *balance };
                stream(Account::CATEGORY, *account, vec![NewEvent::encode(Uuid::new_v4(), &moved).unwrap()])
            }
        })
        .collect();
    let is_payment = changes.iter().any(|change| matches!(change, Change::Moved { .. }));
    if is_payment && fault != Fault::NoVersionOfTheSwitch {
        streams.push(stream(Switch::CATEGORY, SWITCH, Vec::new()));
    }
    streams
}

type IsFound = fn(&Violation) -> bool;

/// Random decisions by two executors with a fault, while the switch goes off and on. Returns what the checker finds, and
/// the attempts.
async fn decide_wrongly(fault: Fault) -> (Vec<Violation>, Vec<Attempt>) {
    let database = TestDatabase::new().await.unverified();
    let processes = [process(&database).await, process(&database).await];
    let (mut rng, start) = (StdRng::seed_from_u64(rand::random()), Instant::now());
    let mut attempts = deposits(&processes[0], start).await;
    let clients: Vec<_> = (0..WRONG_COMMANDS)
        .map(|n| {
            let turn = Decision::Turn { is_off: n % 20 == 0 };
            let decision = if n % 10 == 0 { turn } else { Decision::random(&mut rng) };
            let (command, commands) = (Uuid::new_v4(), processes[n % 2].clone());
            tokio::spawn(async move {
                let invoked_us = micros(start);
                let context = context(tenant(), "test", command);
                let answer = execute_wrongly(&commands, fault, &context, &decision).await;
                Attempt { command, decision, invoked_us, completed_us: micros(start), answer }
            })
        })
        .collect();
    for client in clients {
        attempts.push(client.await.unwrap());
    }
    (check(&entries(processes[0].log()).await, &attempts), attempts)
}

/// The checker finds each fault, so that its silence about the executor means something. A fault may have no effect in a
/// trial.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_checker_finds_executors_that_compare_no_versions_or_acknowledge_what_was_undone() {
    const TRIALS: usize = 30;
    let not_justified = |violation: &Violation| matches!(violation, Violation::NotJustified { .. });
    let lost = |violation: &Violation| matches!(violation, Violation::Lost { .. });
    let faults: [(Fault, IsFound); 3] = [
        (Fault::NoVersion, not_justified),
        (Fault::NoVersionOfTheSwitch, not_justified),
        (Fault::AcknowledgesUndone, lost),
    ];
    for (fault, is_found) in faults {
        let mut trial = 1;
        loop {
            let (violations, attempts) = decide_wrongly(fault).await;
            if violations.iter().any(is_found) {
                break println!("{fault:?} was found in trial {trial}");
            }
            assert!(trial < TRIALS, "{fault:?} was not found in {TRIALS} trials: {violations:#?}, {attempts:#?}");
            trial += 1;
        }
    }
}

/// Another process changes a stream that is only read and was read before: the next attempt reads it again.
#[tokio::test]
async fn a_stream_that_is_only_read_is_read_again_after_a_conflict() {
    let database = TestDatabase::new().await.unverified();
    let processes = [process(&database).await, process(&database).await];
    open_accounts(&processes[0], OPENING_BALANCE).await;
    let transfer = Decision::Transfer { from: account(0), to: vec![account(1)], amount: 2 };
    for _ in 0..3 {
        turn(&processes[1], true).await;
        turn(&processes[1], false).await;
        let context = context(tenant(), "test", Uuid::new_v4());
        let executed = execute(&processes[0], &context, &transfer);
        let executed = tokio::time::timeout(testkit::TIMEOUT, executed).await;
        assert_eq!(executed.expect("the transfer does not end").unwrap().0, OutcomeKind::Done);
    }
}

/// A decision may rest on other aggregates in each attempt, as long as none rests on too many.
#[tokio::test]
async fn only_the_aggregates_of_the_last_attempt_count() {
    let database = TestDatabase::new().await.unverified();
    let commands = process(&database).await;
    let calls = std::sync::atomic::AtomicU64::new(0);
    let context = context(tenant(), "test", Uuid::new_v4());
    let decide = |states: &mut States| {
        // Each of the first calls asks for forty others.
        let call = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed).min(3);
        let accounts: Vec<_> =
            (0..40).map(|n| states.get::<Account>(Uuid::from_u128(u128::from(call * 100 + n)))).collect();
        for account in accounts {
            account?;
        }
        states.append::<Account, Refused>(Uuid::from_u128(300), vec![Moved { amount: 1, balance: 1 }])
    };
    let outcome = commands.decide::<Account, Refused>(&context, Uuid::from_u128(300), decide).await.unwrap();
    assert_eq!(outcome.kind, OutcomeKind::Done);
}

/// All balances together are the same at every moment. A decision that reads them is refused if they are not, while
/// another executor keeps moving money.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refusal_rests_on_states_of_one_moment() {
    let database = TestDatabase::new().await.unverified();
    let (mover, auditor) = (process(&database).await, process(&database).await);
    open_accounts(&mover, OPENING_BALANCE).await;
    let movers: Vec<_> = (0..4)
        .map(|_| {
            let mover = mover.clone();
            tokio::spawn(async move {
                let mut rng = StdRng::seed_from_u64(rand::random());
                loop {
                    let from = account(rng.random_range(0..ACCOUNTS));
                    let context = context(tenant(), "test", Uuid::new_v4());
                    drop(execute(&mover, &context, &Decision::random_transfer(from, &mut rng)).await);
                }
            })
        })
        .collect();
    let audit = |states: &mut States| {
        let accounts = (0..ACCOUNTS).map(account).chain([FEES]);
        let accounts: Vec<_> = accounts.map(|id| states.get::<Account>(id)).collect();
        let mut total = 0;
        for account in accounts {
            total += account?.balance;
        }
        let is_whole = total == OPENING_BALANCE * i64::try_from(ACCOUNTS).unwrap();
        if is_whole { Ok(()) } else { Err(Undecided::Rejected(Refused::Torn)) }
    };
    let before = mover.log().head().await.unwrap();
    for n in 0..200 {
        let context = context(tenant(), "test", Uuid::new_v4());
        let audited = auditor.decide::<Account, Refused>(&context, FEES, audit).await;
        assert!(audited.is_ok(), "audit {n}: {}", audited.unwrap_err());
    }
    movers.iter().for_each(|mover| mover.abort());
    let moved = mover.log().head().await.unwrap().get() - before.get();
    assert!(moved > 100, "only {moved} events were appended meanwhile");
}

/// A retry changes other streams than the first execution did, and finds it.
#[tokio::test]
async fn a_retry_that_rests_on_other_streams_finds_the_first_execution() {
    let database = TestDatabase::new().await.unverified();
    let commands = process(&database).await;
    let (target, other, id) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::new_v4());
    let context = context(tenant(), "test", id);
    let grow = |on: Uuid| {
        let (commands, context) = (commands.clone(), context.clone());
        async move {
            let decide = |states: &mut States| {
                let events = states.get::<Account>(on)?.decide(5).map_err(Undecided::Rejected)?;
                states.append::<Account, Refused>(on, events)
            };
            let outcome = commands.decide::<Account, Refused>(&context, target, decide).await.unwrap();
            (outcome.kind, outcome.position)
        }
    };
    let (kind, position) = grow(other).await;
    assert_eq!(kind, OutcomeKind::Done);
    assert_eq!(grow(target).await, (OutcomeKind::Duplicate, position));
    assert_eq!(grow(Uuid::from_u128(3)).await, (OutcomeKind::Duplicate, position));
    assert_eq!(whole_log(commands.log()).await.len(), 1);
}

#[tokio::test]
async fn a_decision_over_too_many_aggregates_is_refused() {
    let database = TestDatabase::new().await.unverified();
    let commands = process(&database).await;
    let context = context(tenant(), "test", Uuid::new_v4());
    let decide = |states: &mut States| {
        for id in 0..1000 {
            let events = states.get::<Account>(Uuid::from_u128(id))?.decide(1).map_err(Undecided::Rejected)?;
            states.append::<Account, Refused>(Uuid::from_u128(id), events)?;
        }
        Ok(())
    };
    let refused = commands.decide::<Account, Refused>(&context, Uuid::nil(), decide).await;
    assert!(matches!(refused, Err(Error::TooManyAggregates { limit: 64 })), "{refused:?}");
    assert!(whole_log(commands.log()).await.is_empty());
}

/// A stream of any length is restored from its last event, now and as of the past, without a snapshot.
#[tokio::test]
async fn an_aggregate_whose_events_carry_its_state_is_restored_from_the_last_one() {
    let database = TestDatabase::new().await.unverified();
    let commands = process(&database).await;
    let id = Uuid::from_u128(1);
    let moved = |n: i64| NewEvent::encode(Uuid::new_v4(), &Moved { amount: 1, balance: n * 10 }).unwrap();
    for page in 0..3_i64 {
        let events = (page * 1000 + 1..=page * 1000 + 1000).map(moved).collect();
        let stream = StreamAppend { category: "account".into(), id, expected: Expected::Any, events };
        commands.log().append(testkit::append(vec![stream])).await.unwrap();
    }
    // The states in between are not those of a fold from the first event.
    let loaded = commands.load::<Account>(&testkit::operator(), id).await.unwrap();
    assert_eq!((loaded.state.balance, loaded.version, loaded.position), (30_000, 3000.into(), 3000.into()));
    for position in [1, 2, 1500, 2999, 3000, 9999] {
        let as_of = commands::AsOf::Position(Position::from(position));
        let loaded = commands.load_as_of::<Account>(&testkit::operator(), id, as_of).await.unwrap();
        let last = position.min(3000);
        assert_eq!((loaded.version.get(), loaded.state.balance), (last, i64::try_from(last).unwrap() * 10));
    }
    let before = commands::AsOf::Position(Position::ZERO);
    assert_eq!(commands.load_as_of::<Account>(&testkit::operator(), id, before).await.unwrap().version, Version::ZERO);
    let context = context(tenant(), "test", Uuid::new_v4());
    let outcome = commands.execute::<Account>(&context, id, -30_000).await.unwrap();
    assert_eq!((outcome.aggregate.version.get(), outcome.aggregate.state.balance), (3001, 0));
    let snapshots: i64 =
        sqlx::query_scalar("select count(*) from apex.snapshots").fetch_one(&database.pool).await.unwrap();
    assert_eq!(snapshots, 0);
}
