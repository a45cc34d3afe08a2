//! The report as it was known at an earlier time: summed up from the events of calls in the log up to it.
//!
//! No sums are kept of earlier times. Each event of a call has the call before and after, so that what was known at a position
//! is the sum over the events up to it, without amendments, corrections and repricings that were recorded later.

use super::comparison::TimeRange;
use super::dimension::{Dimension, Values};
use super::known_order::{SortKey, sorted, with_rest};
use super::query::Selection;
use super::zone::Zone;
use super::{Report, ReportError, ReportPage, ReportQuery, ReportRow, Totals, sum_of};
use crate::calls::rollup::{Counted, Sign, Sums, dollars};
use chrono::{DateTime, Utc};
use domain::call::{Call, CallEvent, ChargedCall, Tags};
use domain::permissions::{Access, ReadReports};
use domain::{Aggregate, Event, Meter, Name, Sum, TagKey};
use sqlx::AssertSqlSafe;
use std::cmp::Ordering;
use std::collections::HashMap;
use streams::{Log, Position, RecordedEvent, TenantFilter, TenantLog, TenantReads};
use uuid::Uuid;

/// The number of events read at a time.
const PAGE_EVENTS: usize = 1_000;
/// The memory of a row without its keys, in bytes: itself, and the digits of its four sums of money, and of those of the base.
const ROW_BYTES: usize = size_of::<ReportRow>() + 2 * 4 * 32;
/// The memory of a key without its text, and of the name beside it, in bytes.
const CELL_BYTES: usize = 2 * size_of::<Option<String>>();

/// A point of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownAt {
    /// Includes every event up to and including this position.
    Position(Position),
    /// Includes every event that was recorded at or before this time.
    Time(DateTime<Utc>),
}

/// How much a report as known at an earlier time reads and keeps in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownLimits {
    /// The most events of calls that it reads; any number if none.
    pub max_events: Option<usize>,
    /// The most rows that it keeps in memory.
    pub max_rows: usize,
}

impl KnownLimits {
    /// Of a request to a server, which makes many reports at a time.
    pub const OF_REQUEST: Self = Self { max_events: Some(100_000), max_rows: 50_000 };
    /// Of a program that makes one report.
    pub const OF_PROGRAM: Self = Self { max_events: None, max_rows: 1_000_000 };
}

/// A report as it was known at an earlier time.
#[derive(Debug)]
pub struct KnownReport {
    /// The sums over all rows.
    pub total: Totals,
    /// The sums over all rows in the period that the report is compared with.
    pub base_total: Option<Totals>,
    /// The period that the report is compared with.
    pub base_range: Option<TimeRange>,
    /// The report contains every event up to this position, and no later one.
    pub position: Position,
    by: Vec<Dimension>,
    /// In the order of [`Report::rows`], without names.
    pub(super) rows: Vec<ReportRow>,
}

impl KnownReport {
    /// Sums up the events of calls up to a point of the log.
    ///
    /// # Errors
    /// [`ReportError`] if the query is invalid, there are more events or rows than the limits allow, or the log cannot be read.
    pub async fn read(
        log: &Log,
        events: &TenantLog,
        query: &ReportQuery,
        known_at: KnownAt,
        limits: KnownLimits,
    ) -> Result<Self, ReportError> {
        let selection = query.select()?;
        Self::sum_up(events, query, selection, end(log, known_at).await?, limits).await
    }

    /// Sums up the events of calls up to a position.
    pub(super) async fn sum_up(
        events: &TenantLog,
        query: &ReportQuery,
        selection: Selection,
        end: Position,
        limits: KnownLimits,
    ) -> Result<Self, ReportError> {
        let filter = TenantFilter::new(&query.access, Some(Call::CATEGORY.to_owned()), Vec::new(), None);
        let mut pages = events.pages(Position::ZERO, filter, PAGE_EVENTS);
        let (mut known, mut seen) = (KnownSums::new(&selection), 0);
        'pages: while let Some(page) = pages.next_page().await? {
            for event in &page {
                if event.position > end {
                    break 'pages;
                }
                seen += 1;
                if limits.max_events.is_some_and(|limit| seen > limit) {
                    return Err(ReportError::TooManyEvents { position: end, limit: limits.max_events.unwrap_or(seen) });
                }
                known.add_recorded(event)?;
            }
            if known.rows.len() > limits.max_rows {
                return Err(ReportError::TooManyRows { limit: limits.max_rows });
            }
        }
        let (total, rows) = known.finish();
        let base_total = selection.base.map(|_| total.base_totals());
        let total = Totals::from(&total.current);
        Ok(Self { total, base_total, base_range: selection.base, position: end, by: selection.by, rows })
    }

    /// What such a report is summed from, in words.
    pub const SUMMED_FROM: &str = "events of calls";

    /// A page of the report, without names.
    ///
    /// # Errors
    /// [`ReportError`] if the cursor is invalid.
    pub(super) fn page(&self, selection: &Selection, page: &ReportPage) -> Result<Report, ReportError> {
        let Self { total, base_total, base_range, position, by, rows } = self;
        let start = match &page.after {
            Some(after) => {
                after.check(selection)?;
                let after_key = SortKey::of_cursor(selection, after);
                rows.partition_point(|row| SortKey::new(selection, row).compare(&after_key) != Ordering::Greater)
            }
            None => 0,
        };
        let end = start.saturating_add(page.size).min(rows.len());
        // Without dimensions there are no rows, so that the rest is the total.
        let rest = || if by.is_empty() { total.clone() } else { sum_of(rows[end..].iter().map(|row| &row.totals)) };
        Ok(Report {
            rows: rows[start..end].to_vec(),
            has_next_page: end < rows.len(),
            total: page.wants_total.then(|| total.clone()),
            base_total: base_total.clone().filter(|_| page.wants_total),
            base_range: *base_range,
            rest: page.wants_rest.then(rest),
            position: *position,
            summed_from: Self::SUMMED_FROM.to_owned(),
        })
    }

    /// About how much memory the report takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let texts = |row: &ReportRow| row.keys.iter().flatten().map(String::capacity).sum::<usize>();
        self.rows.iter().map(|row| texts(row) + ROW_BYTES + row.keys.len() * CELL_BYTES).sum::<usize>() + ROW_BYTES
    }

    #[cfg(test)]
    pub(super) fn of_rows(position: Position, by: Vec<Dimension>, rows: Vec<ReportRow>) -> Self {
        Self { total: Totals::default(), base_total: None, base_range: None, position, by, rows }
    }

    /// All rows, in the order of [`Report::rows`]. The names of agents and tasks are the present ones.
    ///
    /// # Errors
    /// [`ReportError`] if the database fails.
    pub async fn into_rows(self, reads: &TenantReads, query: &ReportQuery) -> Result<Vec<ReportRow>, ReportError> {
        let Self { by, mut rows, .. } = self;
        add_names(reads, &query.access, &by, &mut rows).await?;
        Ok(rows)
    }
}

/// The last position that is included. It is never beyond the end of the log, so that it means the same later.
pub(super) async fn end(log: &Log, known_at: KnownAt) -> Result<Position, ReportError> {
    let head = log.head().await?;
    let position = match known_at {
        KnownAt::Position(position) => position,
        KnownAt::Time(time) => {
            // Events are recorded in microseconds.
            let next = DateTime::from_timestamp_micros(time.timestamp_micros().saturating_add(1));
            let first_after = match next {
                Some(next) => log.position_at(next).await?.get(),
                None => u64::MAX,
            };
            Position::from(first_after.saturating_sub(1))
        }
    };
    Ok(position.min(head))
}

/// The sums in the period of a report, and in the one that it is compared with.
#[derive(Default)]
struct PeriodSums {
    current: Sums,
    /// None if no call is in the period.
    base: Option<Box<Sums>>,
}

impl PeriodSums {
    fn add(&mut self, counted: &Counted, sign: Sign, periods: Periods) {
        if periods.is_current {
            self.current.add(counted, sign);
        }
        if periods.is_base {
            self.base.get_or_insert_default().add(counted, sign);
        }
    }

    fn base_totals(&self) -> Totals {
        self.base.as_deref().map(Totals::from).unwrap_or_default()
    }
}

/// In which periods a call is counted. They may overlap.
#[derive(Clone, Copy)]
struct Periods {
    is_current: bool,
    is_base: bool,
}

/// The sums by the keys of rows, while events are added.
pub(super) struct KnownSums<'s> {
    selection: &'s Selection,
    tag_key: Option<&'s TagKey>,
    rows: HashMap<Vec<Option<String>>, PeriodSums>,
    total: PeriodSums,
}

impl<'s> KnownSums<'s> {
    pub(super) fn new(selection: &'s Selection) -> Self {
        let tag_key = selection.tag.as_ref().map(|tag| &tag.key);
        Self { selection, tag_key, rows: HashMap::new(), total: PeriodSums::default() }
    }

    pub(super) fn add_recorded(&mut self, recorded: &RecordedEvent) -> Result<(), ReportError> {
        let Event::Call(event) = recorded.decode()? else { return Ok(()) };
        self.add(&event)
    }

    fn add(&mut self, event: &CallEvent) -> Result<(), ReportError> {
        let (befores, after) = event.befores_and_after();
        for before in befores {
            self.count(before, Sign::Minus)?;
        }
        after.map_or(Ok(()), |after| self.count(after, Sign::Plus))
    }

    fn count(&mut self, call: &ChargedCall, sign: Sign) -> Result<(), ReportError> {
        let periods = self.periods(call);
        if !(periods.is_current || periods.is_base) || !self.is_allowed(call) {
            return Ok(());
        }
        let counted = Counted::of(call)?;
        self.total.add(&counted, sign, periods);
        if !self.selection.by.is_empty() {
            let Selection { by, zone, .. } = self.selection;
            let keys = by.iter().map(|by| key(call, *by, zone, self.tag_key)).collect();
            self.rows.entry(keys).or_default().add(&counted, sign, periods);
        }
        Ok(())
    }

    fn periods(&self, call: &ChargedCall) -> Periods {
        let (Selection { from, to, base, .. }, at) = (self.selection, call.facts.started_at);
        Periods {
            is_current: from.is_none_or(|from| at >= from) && to.is_none_or(|to| at < to),
            is_base: base.is_some_and(|(from, to)| at >= from && at < to),
        }
    }

    /// Whether a call meets the filters.
    fn is_allowed(&self, call: &ChargedCall) -> bool {
        let Selection { allowed, zone, .. } = self.selection;
        allowed.iter().all(|(dimension, allowed)| match key(call, *dimension, zone, self.tag_key) {
            Some(key) => allowed.values.contains(&key),
            None => allowed.none,
        })
    }

    /// The total, if it or a row is another one than that of no calls.
    pub(super) fn effect(&self) -> Option<Totals> {
        let total = Totals::from(&self.total.current);
        let is_changed = |sums: &PeriodSums| Totals::from(&sums.current) != Totals::default();
        (total != Totals::default() || self.rows.values().any(is_changed)).then_some(total)
    }

    /// The total, and the rows that are not empty, in order.
    fn finish(self) -> (PeriodSums, Vec<ReportRow>) {
        let is_compared = self.selection.base.is_some();
        let has_calls = |totals: &Totals| totals.calls != 0 || totals.tool_calls != 0;
        let row = |(keys, sums): (Vec<Option<String>>, PeriodSums)| {
            let (totals, base) = (Totals::from(&sums.current), is_compared.then(|| sums.base_totals()));
            let names = vec![None; keys.len()];
            let is_kept = has_calls(&totals) || base.as_ref().is_some_and(has_calls);
            is_kept.then_some(ReportRow { keys, names, is_rest: false, totals, base })
        };
        let rows = self.rows.into_iter().filter_map(row).collect();
        (self.total, with_rest(self.selection, sorted(self.selection, rows)))
    }
}

/// The value of a dimension, in the form of the keys of rows.
fn key(call: &ChargedCall, by: Dimension, zone: &Zone, tag_key: Option<&TagKey>) -> Option<String> {
    let facts = &call.facts;
    let text = |name: &Option<Name>| name.as_ref().map(ToString::to_string);
    match by {
        Dimension::Agent => facts.agent_id.map(|id| id.to_string()),
        Dimension::Task => facts.task_id.map(|id| id.to_string()),
        Dimension::Dag => facts.dag_id.map(|id| id.to_string()),
        Dimension::User => text(&facts.user),
        Dimension::Team => text(&facts.team),
        Dimension::Key => text(&facts.key),
        Dimension::Provider => text(&facts.provider),
        Dimension::Model => text(&facts.model),
        Dimension::Tool => text(&facts.tool),
        Dimension::Conversation => text(&facts.conversation),
        Dimension::Outcome => facts.outcome.map(|outcome| outcome.as_str().to_owned()),
        Dimension::Source => Some(facts.source.to_string()),
        Dimension::Tag => {
            let mut tags = facts.tags.iter().flat_map(Tags::iter);
            tags.find(|(key, _)| Some(*key) == tag_key).map(|(_, value)| value.to_string())
        }
        Dimension::Minute
        | Dimension::QuarterHour
        | Dimension::Hour
        | Dimension::Day
        | Dimension::Week
        | Dimension::Month
        | Dimension::Quarter
        | Dimension::Year => by.key_at(zone, facts.started_at),
    }
}

/// Looks up the names of the agents and tasks of rows.
pub(super) async fn add_names<'r>(
    reads: &TenantReads,
    access: &Access<ReadReports>,
    by: &[Dimension],
    rows: impl IntoIterator<Item = &'r mut ReportRow>,
) -> Result<(), ReportError> {
    let mut rows: Vec<_> = rows.into_iter().collect();
    for (n, by) in by.iter().enumerate() {
        let Values::Objects(objects) = by.definition().values else { continue };
        let id = |row: &ReportRow| Uuid::try_parse(row.keys.get(n)?.as_deref()?).ok();
        let ids: Vec<_> = rows.iter().filter_map(|row| id(row)).collect();
        let (table, column, name) = (objects.table, objects.id, objects.name);
        let text = format!("select {column}, {name} from apex.{table} where tenant_id = $1 and {column} = any ($2)");
        let found: Vec<(Uuid, Option<String>)> = sqlx::query_as(AssertSqlSafe(text))
            .bind(access.tenant().as_str())
            .bind(ids)
            .fetch_all(&mut *reads.acquire(access).await?)
            .await?;
        let names: HashMap<_, _> = found.into_iter().collect();
        for row in &mut rows {
            let found = id(row).and_then(|id| names.get(&id)).cloned().flatten();
            if let Some(name) = row.names.get_mut(n) {
                *name = found;
            }
        }
    }
    Ok(())
}

impl From<&Sums> for Totals {
    fn from(sums: &Sums) -> Self {
        let dollars = |picodollars: i128| Sum::from(dollars(picodollars));
        let [calls, tool_calls, failed_calls, unpriced_calls, assumed_calls] = sums.calls;
        let mut quantities = [0; Meter::COUNT];
        quantities.copy_from_slice(&sums.quantities);
        Self {
            calls,
            tool_calls,
            failed_calls,
            unpriced_calls,
            assumed_calls,
            quantities,
            latency_ms: sums.latency_ms,
            cost: dollars(sums.cost_picodollars),
            reported_cost: dollars(sums.reported_cost_picodollars),
            compared_cost: dollars(sums.compared_picodollars[0]),
            compared_reported_cost: dollars(sums.compared_picodollars[1]),
        }
    }
}
