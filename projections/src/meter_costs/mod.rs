//! Costs by meter: what each meter of the usage was billed, as the receipts of the calls have it.
//!
//! No sums are kept of it. The charge for a call is a function of its facts and of the version of the price book that it names, so
//! that its components are computed again, from the calls one by one: each component is rounded once, and the sum of all is the
//! cost of the report of the same calls, to the last digit. If it is not, no costs are better than wrong ones.

mod error;
mod sums;

pub use error::MeterCostError;

use self::sums::{GroupSums, Summing};
use crate::export::{ExportQuery, ReadBatches, Reader, read_calls};
use crate::report::{CallFilters, CallGroups, Dimension, MAX_REPORT_CALLS, ReportRow, ReportTag, Totals, position};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use domain::permissions::{Access, ReadReports};
use domain::price_book::PriceBook;
use domain::{Meter, Sum, TagKey};
use std::collections::HashMap;
use std::sync::Arc;
use streams::{Position, TenantReads};

/// Which costs are summed up by meter.
#[derive(Debug, Clone)]
pub struct MeterCostQuery {
    /// The access to the reports of the tenant.
    pub access: Access<ReadReports>,
    /// The dimensions that the costs are grouped by; only the total if there are none.
    pub by: Vec<Dimension>,
    /// When the calls started, and the filters that they meet.
    pub calls: ExportQuery,
    /// The time zone of the periods of time that the costs are grouped by.
    pub zone: Tz,
    /// The key of [`Dimension::Tag`], if the costs are grouped by it.
    pub tag_key: Option<TagKey>,
}

/// How many calls are read for costs by meter, and how many rows are kept in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeterCostLimits {
    /// The most calls that are read; any number if none.
    pub max_calls: Option<u64>,
    /// The most rows: one for each meter of each group.
    pub max_rows: usize,
}

impl MeterCostLimits {
    /// Of a request to a server.
    pub const OF_REQUEST: Self = Self { max_calls: Some(MAX_REPORT_CALLS.unsigned_abs()), max_rows: 10_000 };
    /// Of a program that makes one report.
    pub const OF_PROGRAM: Self = Self { max_calls: None, max_rows: 1_000_000 };
}

/// What a meter was used and billed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterCost {
    /// The meter; none for charges that the price book does not give again, so that their components are not known.
    pub meter: Option<Meter>,
    /// What the calls used of it, with the meters that are its parts, as in a report. Calls without a price are included.
    pub quantity: i128,
    /// What was billed by components of the meter, with the meters that are billed as it, and without its parts.
    pub billed_quantity: i128,
    /// The calls that were charged for it.
    pub calls: i64,
    /// The cost in US dollars of what was billed; none if no call was charged for the meter.
    pub cost: Option<Sum>,
}

/// The costs by meter of calls that have the same values of the dimensions.
#[derive(Debug, Clone, PartialEq)]
pub struct MeterCostGroup {
    /// The values, names and sums of the calls. Of the sums, quantities and reported costs are zero.
    pub row: ReportRow,
    /// The meters that were used or billed, in the order of [`Meter::ALL`].
    pub meters: Vec<MeterCost>,
}

/// Costs by meter.
#[derive(Debug, Clone, PartialEq)]
pub struct MeterCosts {
    /// The groups, by time if time is a dimension, then highest cost first. Empty if there are no dimensions.
    pub groups: Vec<MeterCostGroup>,
    /// The meters of all calls.
    pub meters: Vec<MeterCost>,
    /// The sums over all calls. Of the sums, quantities and reported costs are zero.
    pub total: Totals,
    /// Every call up to this position is included.
    pub position: Position,
}

/// Costs by meter whose snapshot is taken, and of which no call is read yet.
pub struct OpenMeterCosts {
    query: MeterCostQuery,
    limits: MeterCostLimits,
    groups: CallGroups,
    expected: Option<Totals>,
    reader: Reader,
    position: Position,
}

impl OpenMeterCosts {
    /// The read models that the costs are read from.
    pub const PROJECTIONS: [&str; 1] = ["calls"];

    /// Takes the snapshot.
    ///
    /// # Errors
    /// [`MeterCostError`] if the query is not valid, there are more calls than the limits allow, or the database fails.
    pub async fn open(
        reads: &TenantReads,
        query: MeterCostQuery,
        limits: MeterCostLimits,
    ) -> Result<Self, MeterCostError> {
        let (access, range) = (query.access.clone(), query.calls.range);
        let tag = query.tag_key.clone().map(|key| ReportTag { key, is_declared: false });
        let groups = CallGroups::new(access.tenant(), &query.by, query.zone, tag)?;
        range.check()?;
        let mut transaction = reads.begin_snapshot(&access).await?;
        let position = position(&mut transaction, &Self::PROJECTIONS).await?;
        let of = (access.tenant(), access.agents());
        let expected = query.calls.filters.totals(&mut transaction, of, (range.from, range.to)).await?;
        if let Some(limit) = limits.max_calls {
            // Without sums, there are more than a report reads.
            let calls = expected.as_ref().map_or(u64::MAX, |totals| (totals.calls + totals.tool_calls).unsigned_abs());
            if calls > limit {
                return Err(MeterCostError::TooManyCalls { limit });
            }
        }
        let reader = Reader::new(transaction, access.agents(), &query.calls, true).await?;
        Ok(Self { query, limits, groups, expected, reader, position })
    }

    /// Sums up. The price book has to be at least as new as the snapshot. The names of tasks are the present ones.
    ///
    /// # Errors
    /// [`MeterCostError`] if there are more rows than the limits allow, the sums differ from those of the report, or the database
    /// fails.
    pub async fn sum_up(self, reads: &TenantReads, book: PriceBook) -> Result<MeterCosts, MeterCostError> {
        let Self { query, limits, groups, expected, reader, position } = self;
        let groups = Arc::new(groups);
        let mut summing = Summing {
            book,
            groups: groups.clone(),
            by: query.by.clone(),
            tag_key: query.tag_key.clone(),
            total: GroupSums::default(),
            by_key: HashMap::new(),
            rows: 0,
            max_rows: limits.max_rows,
        };
        let read = move |batches: ReadBatches| -> Result<_, MeterCostError> {
            batches.each(|call| summing.add(call))?;
            Ok((summing.total, summing.by_key))
        };
        let (total, by_key) = read_calls(reader, read).await?;
        let cost = total.totals()?.cost;
        if let Some(expected) = expected.filter(|expected| expected.cost != cost) {
            return Err(MeterCostError::NotTheTotal { meters: cost, report: expected.cost });
        }
        let (mut rows, mut meters) = (Vec::new(), HashMap::new());
        for (keys, sums) in by_key {
            let (names, totals) = (vec![None; keys.len()], sums.totals()?);
            meters.insert(keys.clone(), sums.meters()?);
            rows.push(ReportRow { keys, names, is_rest: false, totals, base: None });
        }
        let mut rows = groups.sorted(rows);
        groups.add_names(reads, &query.access, &mut rows).await?;
        let mut group = |row: ReportRow| MeterCostGroup { meters: meters.remove(&row.keys).unwrap_or_default(), row };
        let groups = rows.into_iter().map(&mut group).collect();
        Ok(MeterCosts { groups, meters: total.meters()?, total: total.totals()?, position })
    }
}

impl MeterCostQuery {
    /// Costs of all calls that meet filters, without groups.
    #[must_use]
    pub fn new(access: Access<ReadReports>, filters: CallFilters) -> Self {
        let calls = ExportQuery { filters, ..ExportQuery::default() };
        Self { access, by: Vec::new(), calls, zone: Tz::UTC, tag_key: None }
    }

    /// The costs of calls that started in a time range.
    #[must_use]
    pub fn between(mut self, from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> Self {
        (self.calls.range.from, self.calls.range.to) = (from, to);
        self
    }
}
