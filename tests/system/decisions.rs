//! Decisions over several aggregates, by several executors on one database: what is in the log must be what the decisions
//! give one after the other, in the order of positions.

use chrono::Utc;
use commands::{Commands, CommandsConfig, Error, NotLoaded, OutcomeKind, States, Undecided};
use domain::{Aggregate, DecodeError, EncodeError, EventCodec, EventSchema, EventType};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use streams::{Append, Expected, Log, LogConfig, NewEvent, Position, ReadFilter, RecordedEvent, StreamAppend, Version};
use testkit::{TestDatabase, metadata, tenant};
use thiserror::Error as ThisError;
use uuid::Uuid;

const ACCOUNTS: u128 = 6;
const OPENING_BALANCE: i64 = 100;
const SWITCH: Uuid = Uuid::from_u128(1000);
const FEES: Uuid = Uuid::from_u128(2000);

/// An account. Every event carries the balance after it, so that the last event is the state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Account {
    balance: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Moved {
    amount: i64,
    balance: i64,
}

/// A switch that transfers only read: they are refused while it is off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Switch {
    is_off: bool,
    /// How often it was set, so that setting it is always an event.
    times: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Set {
    is_off: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
enum Refused {
    #[error("the switch is off")]
    Off,
    #[error("the balance is too low")]
    TooLow,
    #[error("the balances are of different moments")]
    Torn,
}

macro_rules! test_event {
    ($event:ty, $name:literal) => {
        impl EventCodec for $event {
            const TYPES: &'static [EventType] = &[EventType { name: $name, schema_version: 1 }];
            fn event_type(&self) -> EventType {
                Self::TYPES[0]
            }
            fn encode(&self) -> Result<String, EncodeError> {
                Ok(serde_json::to_string(self).unwrap())
            }
            fn decode(_: &str, _: u16, payload: &str) -> Result<Self, DecodeError> {
                serde_json::from_str(payload).map_err(|source| DecodeError::Payload { name: $name, source })
            }
            fn schemas() -> Vec<EventSchema> {
                Vec::new()
            }
        }
    };
}

test_event!(Moved, "account.moved");
test_event!(Set, "switch.set");

impl Aggregate for Account {
    const CATEGORY: &'static str = "account";
    const RESTORE: Option<fn(&Moved) -> Self> = Some(|moved| Self { balance: moved.balance });
    type Command = i64;
    type Event = Moved;
    type Error = Refused;

    fn decide(&self, amount: i64) -> Result<Vec<Moved>, Refused> {
        let balance = self.balance + amount;
        if balance < 0 { Err(Refused::TooLow) } else { Ok(vec![Moved { amount, balance }]) }
    }

    fn evolve(self, moved: &Moved) -> Self {
        Self { balance: moved.balance }
    }
}

impl Aggregate for Switch {
    const CATEGORY: &'static str = "switch";
    type Command = bool;
    type Event = Set;
    type Error = Refused;

    fn decide(&self, is_off: bool) -> Result<Vec<Set>, Refused> {
        Ok(vec![Set { is_off }])
    }

    fn evolve(self, set: &Set) -> Self {
        Self { is_off: set.is_off, times: self.times + 1 }
    }
}

/// A transfer from one account to one to three others. An odd balance pays a fee, so that the set of accounts depends on
/// the states.
#[derive(Debug, Clone)]
struct Transfer {
    from: Uuid,
    to: Vec<Uuid>,
    amount: i64,
}

/// Where a decision reads its states: the executor, or the checker.
trait Read<E> {
    fn is_off(&mut self) -> Result<bool, E>;
    fn balance(&mut self, id: Uuid) -> Result<i64, E>;
}

/// The changes of all accounts, or why there are none.
fn decide<E>(transfer: &Transfer, states: &mut impl Read<E>) -> Result<Result<Vec<(Uuid, i64)>, Refused>, E> {
    if states.is_off()? {
        return Ok(Err(Refused::Off));
    }
    let balance = states.balance(transfer.from)?;
    let fee = balance % 2;
    let total = transfer.amount * i64::try_from(transfer.to.len()).unwrap() + fee;
    if balance < total {
        return Ok(Err(Refused::TooLow));
    }
    let mut changes = vec![(transfer.from, -total)];
    for to in &transfer.to {
        states.balance(*to)?;
        changes.push((*to, transfer.amount));
    }
    if fee > 0 {
        states.balance(FEES)?;
        changes.push((FEES, fee));
    }
    Ok(Ok(changes))
}

impl Read<NotLoaded> for States<'_> {
    fn is_off(&mut self) -> Result<bool, NotLoaded> {
        Ok(self.get::<Switch>(SWITCH)?.is_off)
    }

    fn balance(&mut self, id: Uuid) -> Result<i64, NotLoaded> {
        Ok(self.get::<Account>(id)?.balance)
    }
}

type TransferError = Error<Refused>;

async fn execute(commands: &Commands, id: Uuid, transfer: &Transfer) -> Result<(OutcomeKind, Position), TransferError> {
    let context = testkit::context(tenant(), "test", id);
    let outcome = commands
        .decide::<Account, Refused>(&context, transfer.from, |states| {
            let changes = decide(transfer, states)?.map_err(Undecided::Rejected)?;
            for (account, amount) in changes {
                let events = states.get::<Account>(account)?.decide(amount).map_err(Undecided::Rejected)?;
                states.append::<Account, _>(account, events)?;
            }
            Ok(())
        })
        .await?;
    Ok((outcome.kind, outcome.position))
}

/// The states as the log has them up to an event.
#[derive(Default)]
struct Folded {
    is_off: bool,
    balances: HashMap<Uuid, i64>,
}

impl Read<()> for Folded {
    fn is_off(&mut self) -> Result<bool, ()> {
        Ok(self.is_off)
    }

    fn balance(&mut self, id: Uuid) -> Result<i64, ()> {
        Ok(self.balances.get(&id).copied().unwrap_or(0))
    }
}

/// What the clients were told.
#[derive(Default)]
struct History {
    transfers: BTreeMap<Uuid, Transfer>,
    /// The position of each transfer that was acknowledged.
    done: BTreeMap<Uuid, Position>,
    refused: Vec<Uuid>,
}

/// Checks that the log is what the decisions give one after the other, and that it agrees with what clients were told.
fn check(log: &[RecordedEvent], history: &History) -> Result<(), String> {
    let mut folded = Folded::default();
    let mut executed = BTreeMap::new();
    let mut rest = log;
    while let Some(first) = rest.first() {
        let command_id = first.metadata().unwrap().command_id;
        let count = rest.iter().take_while(|event| event.metadata().unwrap().command_id == command_id).count();
        let (events, later) = rest.split_at(count);
        rest = later;
        if let Some(transfer) = history.transfers.get(&command_id) {
            let Ok(Ok(changes)) = decide(transfer, &mut folded) else {
                return Err(format!("{transfer:?} at {} would have been refused there", first.position));
            };
            let mut expected: Vec<_> = changes
                .iter()
                .map(|(id, amount)| (*id, Moved { amount: *amount, balance: folded.balance(*id).unwrap() + amount }))
                .collect();
            let mut found: Vec<_> = events
                .iter()
                .map(|event| (event.stream.id, serde_json::from_str::<Moved>(&event.payload).unwrap()))
                .collect();
            expected.sort_by_key(|(id, _)| *id);
            found.sort_by_key(|(id, _)| *id);
            if expected != found {
                return Err(format!("{transfer:?} at {}: {found:?}, not {expected:?}", first.position));
            }
            if executed.insert(command_id, events[count - 1].position).is_some() {
                return Err(format!("{command_id} was executed twice"));
            }
        }
        for event in events {
            match &*event.stream.category {
                "switch" => folded.is_off = serde_json::from_str::<Set>(&event.payload).unwrap().is_off,
                _ => {
                    let moved: Moved = serde_json::from_str(&event.payload).unwrap();
                    folded.balances.insert(event.stream.id, moved.balance);
                }
            }
        }
    }
    for (id, position) in &history.done {
        if executed.get(id) != Some(position) {
            return Err(format!("{id} was acknowledged at {position}, and is at {:?}", executed.get(id)));
        }
    }
    if let Some(id) = history.refused.iter().find(|id| executed.contains_key(id)) {
        return Err(format!("{id} was refused and executed"));
    }
    Ok(())
}

async fn whole_log(log: &Log) -> Vec<RecordedEvent> {
    let (mut events, mut after) = (Vec::new(), Position::ZERO);
    loop {
        let page = log.read_after(after, &ReadFilter::default(), 1000).await.unwrap();
        let Some(last) = page.last() else { return events };
        after = last.position;
        events.extend(page);
    }
}

async fn process(database: &TestDatabase) -> Commands {
    let log = Log::open(database.pool.clone(), LogConfig::default()).await.unwrap();
    Commands::new(log, CommandsConfig { deadline: Duration::from_secs(120), ..CommandsConfig::default() })
}

async fn open_accounts(commands: &Commands) {
    for id in 0..ACCOUNTS {
        let context = testkit::context(tenant(), "test", Uuid::new_v4());
        commands.execute::<Account>(&context, Uuid::from_u128(id), OPENING_BALANCE).await.unwrap();
    }
}

fn random_transfer(rng: &mut StdRng) -> Transfer {
    let from = rng.random_range(0..ACCOUNTS);
    let count = rng.random_range(1..=3);
    let to = (1..=count).map(|n| Uuid::from_u128((from + n) % ACCOUNTS)).collect();
    Transfer { from: Uuid::from_u128(from), to, amount: rng.random_range(1..20) }
}

async fn set_switch(commands: &Commands, is_off: bool) {
    let context = testkit::context(tenant(), "test", Uuid::new_v4());
    commands.execute::<Switch>(&context, SWITCH, is_off).await.unwrap();
}

/// Random transfers by two executors, of which a part is cancelled and executed again under the same id by the other one,
/// while a switch that all of them read goes on and off.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn transfers_are_serial_in_the_order_of_positions_despite_cancellations_and_retries() {
    let database = TestDatabase::new().await.unverified();
    let processes = [process(&database).await, process(&database).await];
    open_accounts(&processes[0]).await;
    let seed = rand::random();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut history = History::default();
    let mut clients = Vec::new();
    for n in 0..400_usize {
        let (id, transfer) = (Uuid::new_v4(), random_transfer(&mut rng));
        history.transfers.insert(id, transfer.clone());
        let (first, second) = (processes[n % 2].clone(), processes[(n + 1) % 2].clone());
        let cancel_after = rng.random_bool(0.2).then(|| Duration::from_micros(rng.random_range(0..20_000)));
        let again = rng.random_bool(0.2);
        clients.push(tokio::spawn(async move {
            let attempt = execute(&first, id, &transfer);
            let result = match cancel_after {
                None => attempt.await,
                Some(after) => match tokio::time::timeout(after, attempt).await {
                    Ok(result) => result,
                    Err(_) => execute(&second, id, &transfer).await,
                },
            };
            if let (Ok((_, position)), true) = (&result, again) {
                // What it rests on has changed meanwhile; the retry finds the first execution all the same.
                let retried = execute(&second, id, &transfer).await.unwrap();
                assert_eq!(retried, (OutcomeKind::Duplicate, *position));
            }
            (id, result)
        }));
        if n % 40 == 0 {
            set_switch(&processes[n / 40 % 2], true).await;
            set_switch(&processes[n / 40 % 2], false).await;
        }
    }
    for client in clients {
        match client.await.unwrap() {
            (id, Ok((_, position))) => drop(history.done.insert(id, position)),
            (id, Err(Error::Rejected(_))) => history.refused.push(id),
            (id, Err(error)) => panic!("{id}: {error}"),
        }
    }
    let log = whole_log(processes[0].log()).await;
    check(&log, &history).unwrap();
    assert!(history.done.len() > 100 && !history.refused.is_empty(), "{} done", history.done.len());
    let total: i64 = {
        let mut total = processes[1].load::<Account>(&testkit::operator(), FEES).await.unwrap().state.balance;
        for id in 0..ACCOUNTS {
            total +=
                processes[1].load::<Account>(&testkit::operator(), Uuid::from_u128(id)).await.unwrap().state.balance;
        }
        total
    };
    assert_eq!(total, OPENING_BALANCE * i64::try_from(ACCOUNTS).unwrap());
}

/// What a wrong executor does.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// It appends whatever the versions are.
    NoVersion,
    /// It does not compare the version of what it only reads.
    NoVersionOfTheSwitch,
    /// It acknowledges before the append is written.
    AcknowledgesEarly,
}

/// An executor with a fault: it reads, decides and appends, once.
async fn execute_wrongly(commands: &Commands, fault: Fault, id: Uuid, transfer: &Transfer) -> Option<Position> {
    let mut states = Folded::default();
    let switch = commands.load::<Switch>(&testkit::operator(), SWITCH).await.unwrap();
    states.is_off = switch.state.is_off;
    let mut versions = HashMap::new();
    for account in transfer.to.iter().chain([&transfer.from, &FEES]) {
        let loaded = commands.load::<Account>(&testkit::operator(), *account).await.unwrap();
        states.balances.insert(*account, loaded.state.balance);
        versions.insert(*account, loaded.version);
    }
    let changes = decide(transfer, &mut states).unwrap().ok()?;
    let expected = |version: Version| match fault {
        Fault::NoVersion => Expected::Any,
        Fault::NoVersionOfTheSwitch | Fault::AcknowledgesEarly => Expected::Exact(version),
    };
    let mut streams: Vec<_> = changes
        .iter()
        .map(|(account, amount)| {
            let moved = Moved { amount: *amount, balance: states.balances[account] + amount };
            let events = vec![NewEvent::encode(Uuid::new_v4(), &moved).unwrap()];
            StreamAppend { category: "account".into(), id: *account, expected: expected(versions[account]), events }
        })
        .collect();
    if !matches!(fault, Fault::NoVersionOfTheSwitch) {
        let (id, expected) = (SWITCH, expected(switch.version));
        streams.push(StreamAppend { category: "switch".into(), id, expected, events: Vec::new() });
    }
    let metadata = streams::Metadata { command_id: id, ..metadata() };
    let append = Append { tenant: tenant(), metadata, request: None, streams, may_change_others: true };
    let appended = commands.log().append(append).await;
    match (appended, fault) {
        (Ok(appended), _) => Some(appended.last()),
        (Err(_), Fault::AcknowledgesEarly) => Some(commands.log().head().await.unwrap()),
        (Err(_), _) => None,
    }
}

/// The checker finds each fault, so that its silence about the executor means something.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_checker_finds_executors_that_compare_no_versions_or_acknowledge_early() {
    for fault in [Fault::NoVersion, Fault::NoVersionOfTheSwitch, Fault::AcknowledgesEarly] {
        let started = Utc::now();
        loop {
            let database = TestDatabase::new().await.unverified();
            let processes = [process(&database).await, process(&database).await];
            open_accounts(&processes[0]).await;
            let (mut rng, mut history) = (StdRng::seed_from_u64(rand::random()), History::default());
            let mut clients = Vec::new();
            for n in 0..100_usize {
                let (id, transfer) = (Uuid::new_v4(), random_transfer(&mut rng));
                history.transfers.insert(id, transfer.clone());
                let commands = processes[n % 2].clone();
                clients.push(tokio::spawn(async move { (id, execute_wrongly(&commands, fault, id, &transfer).await) }));
                if n % 10 == 0 {
                    set_switch(&processes[0], true).await;
                    set_switch(&processes[0], false).await;
                }
            }
            for client in clients {
                if let (id, Some(position)) = client.await.unwrap() {
                    history.done.insert(id, position);
                }
            }
            if check(&whole_log(processes[0].log()).await, &history).is_err() {
                break;
            }
            assert!((Utc::now() - started).num_seconds() < 90, "{fault:?} was not found");
        }
    }
}

/// Another process changes a stream that is only read and was read before: the next attempt reads it again.
#[tokio::test]
async fn a_stream_that_is_only_read_is_read_again_after_a_conflict() {
    let database = TestDatabase::new().await.unverified();
    let processes = [process(&database).await, process(&database).await];
    open_accounts(&processes[0]).await;
    let transfer = Transfer { from: Uuid::from_u128(0), to: vec![Uuid::from_u128(1)], amount: 2 };
    for _ in 0..3 {
        set_switch(&processes[1], false).await;
        let executed = tokio::time::timeout(testkit::TIMEOUT, execute(&processes[0], Uuid::new_v4(), &transfer)).await;
        assert_eq!(executed.expect("the transfer does not end").unwrap().0, OutcomeKind::Done);
    }
}

/// A decision may rest on other aggregates in each attempt, as long as none rests on too many.
#[tokio::test]
async fn only_the_aggregates_of_the_last_attempt_count() {
    let database = TestDatabase::new().await.unverified();
    let commands = process(&database).await;
    let calls = std::sync::atomic::AtomicU64::new(0);
    let context = testkit::context(tenant(), "test", Uuid::new_v4());
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
    open_accounts(&mover).await;
    set_switch(&mover, false).await;
    let movers: Vec<_> = (0..4)
        .map(|_| {
            let mover = mover.clone();
            tokio::spawn(async move {
                let mut rng = StdRng::seed_from_u64(rand::random());
                loop {
                    drop(execute(&mover, Uuid::new_v4(), &random_transfer(&mut rng)).await);
                }
            })
        })
        .collect();
    let audit = |states: &mut States| {
        let accounts = (0..ACCOUNTS).map(Uuid::from_u128).chain([FEES]);
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
        let context = testkit::context(tenant(), "test", Uuid::new_v4());
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
    let context = testkit::context(tenant(), "test", id);
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
    let context = testkit::context(tenant(), "test", Uuid::new_v4());
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
    let context = testkit::context(tenant(), "test", Uuid::new_v4());
    let outcome = commands.execute::<Account>(&context, id, -30_000).await.unwrap();
    assert_eq!((outcome.aggregate.version.get(), outcome.aggregate.state.balance), (3001, 0));
    let snapshots: i64 =
        sqlx::query_scalar("select count(*) from apex.snapshots").fetch_one(&database.pool).await.unwrap();
    assert_eq!(snapshots, 0);
}
