//! The join of the records of one call.
//!
//! What several records say together does not depend on their order, repetition or grouping: the join is commutative,
//! associative and idempotent. Each field is taken whole from one record, and the event names that record, so that the join
//! goes on after the state is loaded:
//!
//! - the usage from the greatest record by [`UsageRank`];
//! - each other field from the record with the lowest [`RecordKey`] of those that have the field;
//! - the start, the source and the record id from the record with the lowest key: they are that key.
//!
//! The record of the gateway has the lowest key, whatever the time of others: it passed the call on itself. Its usage counts, also if
//! it was assumed, and so does what it says of the price, also that there is no service tier: a client that reports the call cannot
//! lower what it is charged.
//!
//! A corrected field is taken from the latest correction, whatever records say. A call that was corrected before it is known that the
//! gateway passed it on is not joined with that of the gateway.

use crate::call::error::CallError;
use crate::call::fields::{CallFacts, Field, JoinField};
use crate::call::names::CallNames;
use crate::meter::Meter;
use crate::text::Name;
use crate::usage::{Quantity, Usage};
use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet};

/// The least time by which a correction is later than the one that it replaces: what PostgreSQL stores.
const CLOCK_STEP: TimeDelta = TimeDelta::microseconds(1);

/// The source of the records that the gateway makes of the calls that it passes on. No client may report under it.
pub const GATEWAY_SOURCE: &str = "gateway";

/// The fields that the price of a call depends on, beside its usage and its start.
const PRICED_BY: [Field; 5] = [Field::Provider, Field::Model, Field::ServiceTier, Field::Speed, Field::Region];

/// Identifies a record of a call, and orders the records of a call: those of the gateway first, then by time, source and id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordKey {
    /// When the call started, as the record states it.
    #[serde(deserialize_with = "crate::timestamp::deserialize")]
    pub at: DateTime<Utc>,
    /// The source of the record.
    pub source: Name,
    /// The id of the record in its source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Name>,
}

impl RecordKey {
    /// Whether the gateway made the record.
    pub(super) fn is_of_gateway(&self) -> bool {
        self.source.as_str() == GATEWAY_SOURCE
    }

    fn rank(&self) -> (bool, DateTime<Utc>, &Name, Option<&Name>) {
        (!self.is_of_gateway(), self.at, &self.source, self.id.as_ref())
    }
}

impl Ord for RecordKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for RecordKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A record, with the fields of a call that were taken from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Origin {
    /// The record.
    #[serde(flatten)]
    pub record: RecordKey,
    /// The fields that were taken from it.
    pub fields: BTreeSet<Field>,
}

/// Where the fields of a call were taken from, if not all from its first record.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Provenance {
    /// The records other than the first one that fields were taken from, ordered by key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<Origin>,
    /// The fields that were corrected, which no record changes any more, each with the time of the correction.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub corrected: BTreeMap<Field, DateTime<Utc>>,
    /// The time of the first record, if the start of the call was corrected.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::timestamp::deserialize_optional"
    )]
    pub first_record_at: Option<DateTime<Utc>>,
}

impl Provenance {
    /// Whether all fields were taken from the first record, and none was corrected.
    #[must_use]
    pub fn is_single_record(&self) -> bool {
        *self == Self::default()
    }

    /// The record other than the first one that a field was taken from.
    fn other_origin(&self, field: Field) -> Option<&RecordKey> {
        self.origins.iter().find(|origin| origin.fields.contains(&field)).map(|origin| &origin.record)
    }
}

/// Joined facts, with the records that they were taken from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Joined {
    pub(super) facts: CallFacts,
    pub(super) provenance: Provenance,
}

impl Joined {
    /// The facts of one record.
    pub(super) fn of_record(facts: CallFacts) -> Self {
        Self { facts, provenance: Provenance::default() }
    }

    /// The key of the first record.
    pub(super) fn first_record(&self) -> RecordKey {
        let at = self.provenance.first_record_at.unwrap_or(self.facts.started_at);
        RecordKey { at, source: self.facts.source.clone(), id: self.facts.record_id.clone() }
    }

    /// Checks that the two may be one call, whatever a record says of their ids.
    ///
    /// # Errors
    /// [`CallError::PassedOnApart`] if the gateway passed the two on one after the other. [`CallError::CorrectedApart`] if it passed on one
    /// of them, and the other one was corrected: who reports a call may correct it before it is known that the gateway passed it on, and
    /// the correction would say what the gateway charges.
    pub(super) fn check_may_join(&self, other: &Self) -> Result<(), CallError> {
        let (one, two) = (self.first_record(), other.first_record());
        let of_client = match (one.is_of_gateway(), two.is_of_gateway()) {
            (true, true) if one != two => return Err(CallError::PassedOnApart),
            (true, true) | (false, false) => return Ok(()),
            (true, false) => other,
            (false, true) => self,
        };
        if of_client.provenance.corrected.is_empty() { Ok(()) } else { Err(CallError::CorrectedApart) }
    }

    /// Joins the records of two states of one call.
    pub(super) fn join(&self, other: &Self) -> Self {
        let halves = [Half::new(self), Half::new(other)];
        let [one, two] = &halves;
        let first = if one.first <= two.first { one } else { two };
        let mut facts = first.joined.facts.clone();
        let mut join = Join { one, two, origins: BTreeMap::new(), corrected: BTreeMap::new() };
        facts.join_fields(&self.facts, &other.facts, &mut join);
        let usage = join.winner(Field::Usage, Half::usage, Half::usage_rank);
        facts.copy_field(Field::Usage, &usage.joined.facts);
        let start = join.winner(Field::StartedAt, |half| half.joined.facts.started_at, |half| Reverse(&half.first));
        facts.copy_field(Field::StartedAt, &start.joined.facts);
        let Join { mut origins, corrected, .. } = join;
        origins.remove(&first.first);
        let provenance = Provenance {
            origins: origins.into_iter().map(|(record, fields)| Origin { record: record.clone(), fields }).collect(),
            first_record_at: corrected.contains_key(&Field::StartedAt).then_some(first.first.at),
            corrected,
        };
        Self { facts, provenance }
    }

    /// Sets fields to what a record of the call says of them now, whatever it said before. What a record with a lower key says
    /// of them, or a correction, still counts instead.
    pub(super) fn restate(&self, record: &RecordKey, names: &CallNames) -> Self {
        if *record < self.first_record() {
            return self.clone();
        }
        let mut facts = CallFacts::new(self.facts.kind, record.at, record.source.clone());
        facts.record_id.clone_from(&record.id);
        let (unstated, half, mut without) = (facts.clone(), Half::new(self), self.clone());
        for field in names.fields().filter(|field| half.corrected_at(*field).is_none()) {
            if half.origin(field) == record {
                without.facts.copy_field(field, &unstated);
                without.provenance.origins.iter_mut().for_each(|origin| _ = origin.fields.remove(&field));
            }
        }
        without.provenance.origins.retain(|origin| !origin.fields.is_empty());
        names.write(&mut facts);
        without.join(&Self::of_record(facts))
    }

    /// Takes fields from a correction. It counts as later than the corrections that it replaces, also if the clock of another
    /// process was ahead when those were made.
    pub(super) fn correct(&self, fields: &BTreeSet<Field>, values: &CallFacts, at: DateTime<Utc>) -> Self {
        let mut corrected = self.clone();
        let provenance = &mut corrected.provenance;
        if fields.contains(&Field::StartedAt) {
            provenance.first_record_at.get_or_insert(self.facts.started_at);
        }
        for origin in &mut provenance.origins {
            origin.fields.retain(|field| !fields.contains(field));
        }
        provenance.origins.retain(|origin| !origin.fields.is_empty());
        for &field in fields {
            let mut facts = self.facts.clone();
            facts.copy_field(field, values);
            let earliest = match self.provenance.corrected.get(&field) {
                Some(before) if facts != self.facts => *before + CLOCK_STEP,
                Some(before) => *before,
                None => at,
            };
            provenance.corrected.insert(field, at.max(earliest));
            corrected.facts.copy_field(field, values);
        }
        corrected
    }
}

/// One of two states that are joined.
struct Half<'a> {
    joined: &'a Joined,
    first: RecordKey,
}

impl<'a> Half<'a> {
    fn new(joined: &'a Joined) -> Self {
        Self { joined, first: joined.first_record() }
    }

    /// When a field was corrected, if it was.
    fn corrected_at(&self, field: Field) -> Option<DateTime<Utc>> {
        self.joined.provenance.corrected.get(&field).copied()
    }

    /// The record that a field was taken from.
    fn origin(&self, field: Field) -> &RecordKey {
        self.joined.provenance.other_origin(field).unwrap_or(&self.first)
    }

    fn usage(&self) -> ([Quantity; Meter::COUNT], bool) {
        let facts = &self.joined.facts;
        (content(&facts.usage), facts.usage_assumed)
    }

    fn usage_rank(&self) -> UsageRank<'_> {
        let record = self.origin(Field::Usage);
        UsageRank::new(&self.joined.facts, record)
    }
}

/// The join of two states in progress.
struct Join<'a> {
    one: &'a Half<'a>,
    two: &'a Half<'a>,
    origins: BTreeMap<&'a RecordKey, BTreeSet<Field>>,
    corrected: BTreeMap<Field, DateTime<Utc>>,
}

/// What decides between the values of a field, the greatest of which is taken.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum FieldRank<V, R> {
    /// The field was taken from a record.
    Recorded(R),
    /// The field was corrected at this time, to this value: of two corrections at the same time, the value decides.
    Corrected(DateTime<Utc>, V),
}

impl<'a> Join<'a> {
    /// The state that a field is taken from: the one where it was corrected last, else the one with the greater rank.
    fn winner<V: Ord, R: Ord>(
        &mut self,
        field: Field,
        value: impl Fn(&'a Half<'a>) -> V,
        rank: impl Fn(&'a Half<'a>) -> R,
    ) -> &'a Half<'a> {
        let full_rank = |half: &'a Half<'a>| match half.corrected_at(field) {
            Some(at) => FieldRank::Corrected(at, value(half)),
            None => FieldRank::Recorded(rank(half)),
        };
        let winner = if full_rank(self.one) >= full_rank(self.two) { self.one } else { self.two };
        if let Some(at) = winner.corrected_at(field) {
            self.corrected.insert(field, at);
        } else if field != Field::StartedAt {
            self.origins.entry(winner.origin(field)).or_default().insert(field);
        }
        winner
    }
}

impl<'a> JoinField for Join<'a> {
    fn join<T: Ord + Clone>(&mut self, field: Field, one: &Option<T>, other: &Option<T>, joined: &mut Option<T>) {
        let is_corrected = [self.one, self.two].iter().any(|half| half.corrected_at(field).is_some());
        if one.is_none() && other.is_none() && !is_corrected {
            return;
        }
        let of_one = self.one;
        let value = |half: &Half<'_>| if std::ptr::eq(half, of_one) { one } else { other };
        // What the gateway does not say of the price is not said by others either.
        let of_gateway = |half: &'a Half<'a>| {
            let decides = PRICED_BY.contains(&field) && half.first.is_of_gateway();
            decides.then(|| Reverse((&half.first, value(half))))
        };
        // Records of one key may differ, perhaps because their source has no ids: then the value decides.
        let rank =
            |half: &'a Half<'a>| (of_gateway(half), value(half).is_some(), Reverse((half.origin(field), value(half))));
        let winner = self.winner(field, value, rank);
        joined.clone_from(value(winner));
    }
}

/// Sources by how well they know the usage, the best one first. Sources that are not listed come last.
///
/// A provider's own response, or a log of it, has the counts as they were billed. Spans pass through the code of an
/// instrumentation, which may add cached tokens to the input or leave them out. Sources in one place state what the same program
/// counted: of these, the first one says more if both state the same total.
const SOURCES_BY_USAGE: [&[&str]; 9] = [
    &["responses", "gateway"],
    &["claude-code", "claude-code-telemetry"],
    &["codex"],
    &["autogpt"],
    &["litellm"],
    &["openhands"],
    &["inspect"],
    &["langfuse"],
    &["otlp"],
];

/// What the usages of two records of one call are compared by; the greatest is the usage of the call.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct UsageRank<'a> {
    /// Whether it is that of the gateway, stated or assumed.
    is_of_gateway: bool,
    basis: UsageBasis,
    place: Reverse<usize>,
    /// The sum of the meters that are not parts of others. Counts grow while a response is streamed.
    total: u64,
    /// The source among those in its place.
    source: Reverse<usize>,
    /// The number of meters: of two records with one total, the one that divides it further.
    meters: usize,
    content: [Quantity; Meter::COUNT],
    record: Reverse<&'a RecordKey>,
}

/// Whether a record states the usage.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum UsageBasis {
    /// The record has no usage.
    Absent,
    /// The reader of the record derived the usage.
    Assumed,
    /// The record states the usage.
    Stated,
}

impl<'a> UsageRank<'a> {
    fn new(facts: &CallFacts, record: &'a RecordKey) -> Self {
        let usage: &Usage = &facts.usage;
        let basis = match (usage.is_empty(), facts.usage_assumed) {
            (true, _) => UsageBasis::Absent,
            (false, true) => UsageBasis::Assumed,
            (false, false) => UsageBasis::Stated,
        };
        let source = record.source.as_str();
        let found = SOURCES_BY_USAGE
            .iter()
            .enumerate()
            .find_map(|(place, sources)| Some((place, sources.iter().position(|known| *known == source)?)));
        let (place, source) = found.unwrap_or((SOURCES_BY_USAGE.len(), 0));
        let wholes = Meter::ALL.iter().filter(|meter| meter.part_of().is_none());
        Self {
            is_of_gateway: record.is_of_gateway() && basis > UsageBasis::Absent,
            basis,
            place: Reverse(place),
            source: Reverse(source),
            // Fewer than 2^11 quantities below 2^53: the sum does not overflow.
            total: wholes.map(|meter| usage.get(*meter).get()).sum(),
            meters: usage.iter().count(),
            content: content(usage),
            record: Reverse(record),
        }
    }
}

fn content(usage: &Usage) -> [Quantity; Meter::COUNT] {
    std::array::from_fn(|at| usage.get(Meter::ALL[at]))
}
