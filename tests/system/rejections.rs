//! What a rejection over several aggregates rests on and costs, and what a retry that fails finds.

use crate::statements::Counter;
use commands::{Commands, CommandsConfig, Error, OutcomeKind, States, Undecided};
use domain::{Aggregate, EncodeError};
use std::time::Duration;
use streams::{AppendError, Expected, Log, LogConfig, NewEvent, StreamAppend};
use testkit::decisions::{Account, Moved, Refused, SWITCH, Set, Switch};
use testkit::{TIMEOUT, TestDatabase, tenant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use uuid::Uuid;

async fn process(database: &TestDatabase) -> Commands {
    let log = Log::open(database.pool.clone(), LogConfig::default()).await.unwrap();
    Commands::new(log, CommandsConfig::default())
}

async fn open_accounts(commands: &Commands) {
    for id in 0..3 {
        let context = testkit::context(tenant(), "test", Uuid::new_v4());
        commands.execute::<Account>(&context, Uuid::from_u128(id), 100).await.unwrap();
    }
}

/// Sets the switch in a number of events, whatever it is.
async fn set_switch(log: &Log, is_off: bool, times: usize) {
    let events = (0..times).map(|_| NewEvent::encode(Uuid::new_v4(), &Set { is_off }).unwrap()).collect();
    let stream = StreamAppend { category: "switch".into(), id: SWITCH, expected: Expected::Any, events };
    log.append(testkit::append(vec![stream])).await.unwrap();
}

/// Why an amount cannot be paid from the first account to the others, while the switch is not off.
async fn rejected_payment(commands: &Commands, amount: i64) -> Error<Refused> {
    let context = testkit::context(tenant(), "test", Uuid::new_v4());
    let decide = |states: &mut States| {
        let ids = (0..3).map(Uuid::from_u128);
        let accounts: Vec<_> = ids.map(|id| states.get::<Account>(id)).collect();
        if states.get::<Switch>(SWITCH)?.is_off {
            return Err(Undecided::Rejected(Refused::Off));
        }
        for account in accounts {
            account?;
        }
        let events = states.get::<Account>(Uuid::nil())?.decide(-amount).map_err(Undecided::Rejected)?;
        states.append::<Account, Refused>(Uuid::nil(), events)
    };
    commands.decide::<Account, Refused>(&context, Uuid::nil(), decide).await.unwrap_err()
}

/// How many events the other process appends at a time: more than a page.
const EVENTS_PER_APPEND: usize = 150;

/// A process that is slower than another one: what it sends to the database arrives after the other one has appended twice
/// more, of which it counts the events.
async fn overtaken(database: &TestDatabase, appended: watch::Receiver<u64>) -> Commands {
    let (start, rest) = database.url.rsplit_once('@').unwrap();
    let (target, name) = rest.split_once('/').unwrap();
    let (listener, target) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), target.to_owned());
    let url = format!("{start}@{}/{name}?sslmode=disable", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&target).await.unwrap();
            client.set_nodelay(true).unwrap();
            server.set_nodelay(true).unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            let mut appended = appended.clone();
            tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
            tokio::spawn(async move {
                let mut sent = vec![0; 65_536];
                while let Ok(count @ 1..) = from_client.read(&mut sent).await {
                    // The first append may have been committed before.
                    let wanted = *appended.borrow() + 2 * EVENTS_PER_APPEND as u64;
                    if appended.wait_for(|events| *events >= wanted).await.is_err() {
                        return;
                    }
                    to_server.write_all(&sent[..count]).await.unwrap();
                }
            });
        }
    });
    let pool = apex::database::connect(&url.into(), 8).await.unwrap();
    let log = Log::open(pool, LogConfig::default()).await.unwrap();
    Commands::new(log, CommandsConfig { deadline: TIMEOUT, ..CommandsConfig::default() })
}

/// Another process appends more than a page between any two statements of the one that refuses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_gets_more_than_a_page_between_two_reads_does_not_prevent_a_refusal() {
    let database = TestDatabase::new().await.unverified();
    let writer = process(&database).await;
    open_accounts(&writer).await;
    set_switch(writer.log(), true, 1).await;
    let (counted, appended) = watch::channel(0);
    let appending = tokio::spawn({
        let log = writer.log().clone();
        async move {
            loop {
                set_switch(&log, true, EVENTS_PER_APPEND).await;
                counted.send_modify(|events| *events += EVENTS_PER_APPEND as u64);
                // Fewer than the slow process can read.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
    let slow = overtaken(&database, appended).await;
    let before = writer.log().head().await.unwrap();
    for n in 0..5 {
        let rejected = rejected_payment(&slow, 2).await;
        assert!(matches!(rejected, Error::Rejected(Refused::Off)), "{n}: {rejected:?}");
    }
    let appended = writer.log().head().await.unwrap().get() - before.get();
    assert!(appended > 5 * 2 * 100, "only {appended} events were appended meanwhile: the test proves nothing");
    appending.abort();
}

/// What was appended since the cached states is read by one statement, and the receipt by another one.
#[tokio::test]
async fn a_refusal_over_several_aggregates_costs_two_statements() {
    let database = TestDatabase::new().await.unverified();
    let (other, counter) = (process(&database).await, Counter::before(&database).await);
    let pool = apex::database::connect(&counter.url.clone().into(), 8).await.unwrap();
    let commands = Commands::new(Log::open(pool, LogConfig::default()).await.unwrap(), CommandsConfig::default());
    open_accounts(&other).await;
    set_switch(other.log(), false, 1).await;
    let reject = async || {
        let rejected = rejected_payment(&commands, 500).await;
        assert!(matches!(rejected, Error::Rejected(Refused::TooLow)), "{rejected:?}");
    };
    reject().await;
    // The next one rests on what another process has appended meanwhile.
    set_switch(other.log(), false, 1).await;
    let before = counter.counts().0;
    reject().await;
    assert_eq!(counter.counts().0 - before, 2);
}

/// A target that is only read is returned with the position of its last event, although that was not committed yet.
#[tokio::test]
async fn a_target_that_another_command_is_changing_has_the_position_of_that_change() {
    let database = TestDatabase::new().await.unverified();
    let commands = process(&database).await;
    open_accounts(&commands).await;
    let (target, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let context = || testkit::context(tenant(), "test", Uuid::new_v4());
    let read_only = |states: &mut States| {
        let balance = states.get::<Account>(target)?.balance;
        let events = states.get::<Account>(other)?.decide(balance).map_err(Undecided::Rejected)?;
        states.append::<Account, Refused>(other, events)
    };
    for _ in 0..20 {
        let (change, read) = (context(), context());
        let (changed, read) = tokio::join!(
            commands.execute::<Account>(&change, target, 1),
            commands.decide::<Account, Refused>(&read, target, read_only),
        );
        let (changed, read) = (changed.unwrap(), read.unwrap());
        assert_eq!(read.aggregate.version, changed.aggregate.version, "the target is not decided on while it changes");
        assert_eq!((changed.aggregate.position, read.aggregate.position), (changed.position, changed.position));
        assert!(read.position > changed.position);
    }
}

/// The reply to a command was lost, and its retry fails before the append: it is answered from the receipt.
#[tokio::test]
async fn a_retry_that_fails_before_its_append_finds_the_first_execution() {
    let database = TestDatabase::new().await.unverified();
    let commands = process(&database).await;
    let target = Uuid::from_u128(1);
    let request = |text: &str| Some(streams::RequestHash::of(text.as_bytes()));
    let first = commands::Context { request: request("a"), ..testkit::context(tenant(), "test", Uuid::new_v4()) };
    let done = commands.execute::<Account>(&first, target, 5).await.unwrap();
    let rests_on_too_many = |states: &mut States| {
        for id in 0..1000 {
            states.get::<Account>(Uuid::from_u128(id)).ok();
        }
        Err(Undecided::from(states.get::<Account>(Uuid::from_u128(1000)).unwrap_err()))
    };
    let adds_too_many = |states: &mut States| {
        let events = vec![Moved { amount: 1, balance: 1 }; 100_000];
        states.append::<Account, Refused>(target, events)
    };
    let cannot_be_encoded = |_: &mut States| {
        let source = serde_json::from_str::<()>("x").unwrap_err();
        Err(Undecided::Encode(EncodeError { name: "account.moved", source }))
    };
    type Decide<'a> = &'a (dyn Fn(&mut States) -> Result<(), Undecided<Refused>> + Send + Sync);
    let decides: [(&str, Decide); 3] = [
        ("too many aggregates", &rests_on_too_many),
        ("too many events", &adds_too_many),
        ("an event that cannot be encoded", &cannot_be_encoded),
    ];
    for (name, decide) in decides {
        let retried = commands.decide::<Account, Refused>(&first, target, decide).await.expect(name);
        let found = (retried.kind, retried.position, retried.aggregate.state.balance);
        assert_eq!(found, (OutcomeKind::Duplicate, done.position, 5), "{name}");
        let reused = commands::Context { request: request("b"), ..first.clone() };
        let reused = commands.decide::<Account, Refused>(&reused, target, decide).await;
        assert!(matches!(reused, Err(Error::CommandIdReused)), "{name}: {reused:?}");
        // Control: a command that was not executed before fails.
        let new = testkit::context(tenant(), "test", Uuid::new_v4());
        let failed = commands.decide::<Account, Refused>(&new, target, decide).await;
        let is_right = matches!(
            failed,
            Err(Error::TooManyAggregates { .. } | Error::Append(AppendError::Invalid(_)) | Error::Encode(_))
        );
        assert!(is_right, "{name}: {failed:?}");
    }
}
