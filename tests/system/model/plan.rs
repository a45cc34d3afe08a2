//! What the machine is told to do: steps that make sense whatever the log holds, so that any of them can be left out
//! when a failing case is made smaller. Numbers are taken modulo what there is.

use proptest::prelude::*;
use proptest::sample::subsequence;

/// The handles of the log, each in a process of its own.
pub(super) const PROCESSES: usize = 2;
/// Tenants of a case. Both have streams of the same categories and ids.
pub(super) const TENANTS: usize = 2;
/// Streams of a tenant: few, so that appends meet.
pub(super) const STREAMS: usize = 4;

/// One step of a case.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// One or more appends, all on their way at once.
    Send(Vec<Sending>),
    /// The same, and a crash before they are answered.
    Crash(Crash),
    /// Something is read.
    Read { process: usize, what: Reading },
}

/// An append, and the process that it is sent through.
#[derive(Debug, Clone)]
pub(super) struct Sending {
    pub(super) process: usize,
    pub(super) what: What,
}

#[derive(Debug, Clone)]
pub(super) enum What {
    New(Plan),
    /// An earlier append once more, whatever became of it.
    Again(u8),
    /// Another request under the id of an earlier append, for the same streams.
    Reuse(u8),
    /// The same append twice at once, through two processes.
    Twins(Plan),
}

/// An append.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) tenant: usize,
    pub(super) entries: Vec<Entry>,
}

/// What it does to one stream.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) stream: usize,
    pub(super) expected: Expectation,
    /// A note for each event; none makes it a guard.
    pub(super) notes: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Expectation {
    Any,
    /// The version that the stream has before the step.
    Right,
    /// The version that it has, and so many more or fewer.
    Off(i8),
    /// That the stream does not exist.
    New,
}

#[derive(Debug, Clone)]
pub(super) struct Crash {
    pub(super) process: usize,
    pub(super) kind: CrashKind,
    pub(super) after_us: u64,
    pub(super) sendings: Vec<Sending>,
    /// Whether another process sends them again at once, while the database may still be at what it got before.
    pub(super) again_at_once: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CrashKind {
    /// The process is gone, and its connections with it.
    Process,
    /// Whoever waited is gone, and so is the handle of the log; its appender goes on with what it has.
    Handle,
    /// The database ends the connections.
    Connections,
}

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
    /// The first position at the time of an event, or a microsecond before or after it.
    Time {
        event: u8,
        shift_us: i64,
    },
    Receipt {
        command: u8,
    },
    Head,
}

#[derive(Debug, Clone)]
pub(super) struct Filter {
    pub(super) tenant: Option<usize>,
    pub(super) category: Option<usize>,
    pub(super) event_type: Option<u8>,
    pub(super) stream: Option<usize>,
}

/// The steps of a case.
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
        2 => any::<u8>().prop_map(What::Again),
        1 => any::<u8>().prop_map(What::Reuse),
        1 => plan().prop_map(What::Twins),
    ];
    (0..PROCESSES, what).prop_map(|(process, what)| Sending { process, what })
}

fn plan() -> impl Strategy<Value = Plan> {
    let streams = subsequence((0..STREAMS).collect::<Vec<_>>(), 1..=3).prop_shuffle();
    let entries = streams.prop_flat_map(|streams| streams.into_iter().map(entry).collect::<Vec<_>>());
    (0..TENANTS, entries).prop_map(|(tenant, entries)| Plan { tenant, entries })
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
    // An append takes from one to a few thousand.
    let after_us = prop_oneof![0..500_u64, 500..6000_u64];
    let sendings = prop::collection::vec(sending(), 1..=8);
    (0..PROCESSES, kind, after_us, sendings, any::<bool>()).prop_map(
        |(process, kind, after_us, sendings, again_at_once)| Crash { process, kind, after_us, sendings, again_at_once },
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
