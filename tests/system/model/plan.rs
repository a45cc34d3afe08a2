//! The steps of a case. Each is valid whatever the log contains, so that shrinking can remove any of them. Numbers are used
//! modulo the number of choices.

use proptest::prelude::*;
use proptest::sample::subsequence;

/// The number of processes, each with a handle of the log.
pub(super) const PROCESSES: usize = 2;
/// The number of tenants. All have streams with the same categories and ids.
pub(super) const TENANTS: usize = 2;
/// The number of streams of a tenant: few, so that appends conflict.
pub(super) const STREAMS: usize = 6;

/// One step of a case.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Sends one or more appends and decisions concurrently.
    Send(Vec<Sending>),
    /// Sends appends, and crashes a process before all have responses.
    Crash(Crash),
    /// Reads from the log.
    Read { process: usize, what: Reading },
}

/// An append or a decision, and the process that sends it.
#[derive(Debug, Clone)]
pub(super) struct Sending {
    pub(super) process: usize,
    pub(super) what: What,
}

/// What to send.
#[derive(Debug, Clone)]
pub(super) enum What {
    New(Plan),
    /// A retry of an earlier append, whatever its outcome.
    Retry(u8),
    /// Another request with the command id of an earlier append, for the same streams.
    Reuse(u8),
    /// The same append from two processes concurrently.
    Twins(Plan),
    /// A retry of an earlier append with the same target, whatever its outcome, that may change other streams.
    RetryWith(u8, Plan),
    /// A decision of the executor over one to five streams.
    Decide {
        tenant: usize,
        choice: Choice,
    },
    /// A retry of an earlier decision, whatever its outcome, that may be in flight. With a choice, it has the same target,
    /// and mostly rests on other streams.
    DecideAgain {
        which: u8,
        choice: Option<Choice>,
    },
}

/// What is decided.
#[derive(Debug, Clone, Copy)]
pub(super) enum Choice {
    /// The switch that payments read is turned.
    Turn { is_off: bool },
    /// A random payment.
    Pay { seed: u64 },
}

/// A new append.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) tenant: usize,
    pub(super) entries: Vec<Entry>,
    /// Whether the command is one that may change other streams than its target, so that its retries may name others.
    pub(super) may_change_others: bool,
}

/// The change that an append makes to one stream.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) stream: usize,
    pub(super) expected: Expectation,
    /// The text of each event. If empty, only the version is checked.
    pub(super) notes: Vec<String>,
}

/// The expected version of a stream.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expectation {
    Any,
    /// The version that the stream has before the step.
    Right,
    /// That version plus an offset.
    Off(i8),
    /// The stream must not exist.
    New,
}

/// A crash while appends are in flight.
#[derive(Debug, Clone)]
pub(super) struct Crash {
    pub(super) process: usize,
    pub(super) kind: CrashKind,
    pub(super) after_us: u64,
    pub(super) sendings: Vec<Sending>,
    /// Whether another process retries them at once, while the database may still execute the first attempt.
    pub(super) retries_at_once: bool,
}

/// What crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CrashKind {
    /// The process ends, and its connections with it.
    Process,
    /// The handle of the log is dropped with all callers; the appender finishes what it has queued.
    Handle,
    /// The database terminates the connections.
    Connections,
}

/// A read from the log.
#[derive(Debug, Clone)]
pub(super) enum Reading {
    After {
        from: u8,
        filter: Filter,
        limit: usize,
    },
    Before {
        from: u8,
        filter: Filter,
        limit: usize,
    },
    Stream {
        tenant: usize,
        stream: usize,
        after: u8,
        limit: usize,
    },
    /// The first position at or after the time of an event, shifted by a microsecond at most.
    Time {
        event: u8,
        shift_us: i64,
    },
    Receipt {
        command: u8,
    },
    Head,
}

/// A filter of events.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    pub(super) tenant: Option<usize>,
    pub(super) category: Option<usize>,
    pub(super) event_type: Option<u8>,
    pub(super) stream: Option<usize>,
}

/// Generates the steps of a case.
pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..=30)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => sending().prop_map(|sending| Step::Send(vec![sending])),
        4 => prop::collection::vec(sending(), 2..=8).prop_map(Step::Send),
        2 => crash().prop_map(Step::Crash),
        6 => (0..PROCESSES, reading()).prop_map(|(process, what)| Step::Read { process, what }),
    ]
}

fn sending() -> impl Strategy<Value = Sending> {
    let what = prop_oneof![
        7 => plan().prop_map(What::New),
        2 => any::<u8>().prop_map(What::Retry),
        1 => any::<u8>().prop_map(What::Reuse),
        1 => plan().prop_map(What::Twins),
        1 => (any::<u8>(), plan()).prop_map(|(which, plan)| What::RetryWith(which, plan)),
        5 => (0..TENANTS, choice()).prop_map(|(tenant, choice)| What::Decide { tenant, choice }),
        2 => (any::<u8>(), prop::option::of(choice()))
            .prop_map(|(which, choice)| What::DecideAgain { which, choice }),
    ];
    (0..PROCESSES, what).prop_map(|(process, what)| Sending { process, what })
}

fn choice() -> impl Strategy<Value = Choice> {
    prop_oneof![
        1 => any::<bool>().prop_map(|is_off| Choice::Turn { is_off }),
        3 => any::<u64>().prop_map(|seed| Choice::Pay { seed }),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let count = prop_oneof![4 => 1..=3_usize, 1 => 4..=5_usize];
    let streams = count.prop_flat_map(|count| subsequence((0..STREAMS).collect::<Vec<_>>(), count)).prop_shuffle();
    let entries = streams.prop_flat_map(|streams| streams.into_iter().map(entry).collect::<Vec<_>>());
    (0..TENANTS, entries, any::<bool>()).prop_map(|(tenant, entries, may_change_others)| Plan {
        tenant,
        entries,
        may_change_others,
    })
}

fn entry(stream: usize) -> impl Strategy<Value = Entry> {
    let expected = prop_oneof![
        3 => Just(Expectation::Any),
        6 => Just(Expectation::Right),
        2 => (-2_i8..=3).prop_map(Expectation::Off),
        1 => Just(Expectation::New),
    ];
    let count = prop_oneof![2 => Just(0), 6 => Just(1), 2 => 2..=4_usize];
    let notes = count.prop_flat_map(|count| prop::collection::vec("[a-z\"\\\\ \n\tä✓😀]{0,6}", count));
    (expected, notes).prop_map(move |(expected, notes)| Entry { stream, expected, notes })
}

fn crash() -> impl Strategy<Value = Crash> {
    let kind = prop_oneof![Just(CrashKind::Process), Just(CrashKind::Handle), Just(CrashKind::Connections)];
    // An append takes from one to a few milliseconds.
    let after_us = prop_oneof![0..500_u64, 500..6000_u64];
    let sendings = prop::collection::vec(sending(), 1..=8);
    (0..PROCESSES, kind, after_us, sendings, any::<bool>()).prop_map(
        |(process, kind, after_us, sendings, retries_at_once)| Crash {
            process,
            kind,
            after_us,
            sendings,
            retries_at_once,
        },
    )
}

fn reading() -> impl Strategy<Value = Reading> {
    prop_oneof![
        (any::<u8>(), filter(), 1..40_usize).prop_map(|(from, filter, limit)| Reading::After { from, filter, limit }),
        (any::<u8>(), filter(), 1..40_usize).prop_map(|(from, filter, limit)| Reading::Before { from, filter, limit }),
        (0..TENANTS, 0..STREAMS, any::<u8>(), 1..10_usize).prop_map(|(tenant, stream, after, limit)| Reading::Stream {
            tenant,
            stream,
            after,
            limit
        }),
        (any::<u8>(), -1..=1_i64).prop_map(|(event, shift_us)| Reading::Time { event, shift_us }),
        any::<u8>().prop_map(|command| Reading::Receipt { command }),
        Just(Reading::Head),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    (
        prop::option::weighted(0.3, 0..TENANTS),
        prop::option::weighted(0.3, 0..2_usize),
        prop::option::weighted(0.3, any::<u8>()),
        prop::option::weighted(0.2, 0..STREAMS),
    )
        .prop_map(|(tenant, category, event_type, stream)| Filter { tenant, category, event_type, stream })
}
