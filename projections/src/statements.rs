//! Statements of cost centres: the allocation rules of a tenant, applied to the sums that its cost report is made of.

use crate::history::HistoryError;
use crate::report::{
    Dimension, KnownAt, KnownReports, ReportError, ReportFilter, ReportPage, ReportQuery, ReportRow, ReportTag, Totals,
    WholeReport,
};
use chrono::{DateTime, Utc};
use domain::allocation::{
    AllocatedUsage, Allocation, AllocationDimension, AllocationRuleSet, AllocationRules, AllocationRulesEvent,
    AllocationRulesSet, Allocator,
};
use domain::permissions::{Access, ReadAllocation, ReadReports};
use domain::split::SplitError;
use domain::tag_keys::TagKeys;
use domain::{Aggregate as _, Event, Meter, Sum, TagKey};
use futures::TryStreamExt as _;
use streams::{Log, Position, TenantLog, TenantReads, Version};
use thiserror::Error;

/// The maximum number of rows of sums that statements are computed from: combinations of values of the dimensions of the rules.
pub const MAX_STATEMENT_ROWS: usize = 100_000;

/// Which usage is allocated.
#[derive(Debug, Clone)]
pub struct StatementQuery {
    /// The access to the reports of the tenant.
    pub access: Access<ReadReports>,
    /// Only calls that started at or after this time, as of a report.
    pub from: DateTime<Utc>,
    /// Only calls that started before this time, as of a report.
    pub to: DateTime<Utc>,
    /// Only calls that meet these filters, as of a report.
    pub filters: Vec<ReportFilter>,
    /// The key of the tag that filters are on.
    pub filtered_tag: Option<TagKey>,
}

/// The statements of all cost centres for a time range.
#[derive(Debug, Clone, PartialEq)]
pub struct CostStatements {
    /// The statements, which add up to the total of the report of the same time range and filters.
    pub allocation: Allocation,
    /// They contain at least every event of calls up to this position.
    pub position: Position,
    /// What they are summed from, in words.
    pub summed_from: String,
}

/// Why statements could not be made.
#[derive(Debug, Error)]
pub enum StatementError {
    /// The sums could not be read, or the time range or a filter is not valid.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// Usage has too many combinations of the values that the rules look at.
    #[error(
        "the usage of the period has more than {MAX_STATEMENT_ROWS} combinations of {dimensions}, which the rules look at: use \
         rules by fewer dimensions, or ask for a shorter period"
    )]
    TooManyRows {
        /// The dimensions of the rules.
        dimensions: String,
    },
    /// A filter is on another tag than the rules.
    #[error("the rules look at the tag {rules}, and a filter is on the tag {filter}: sums are read by one tag")]
    OtherTag {
        /// The tag of the rules.
        rules: TagKey,
        /// The tag of the filter.
        filter: TagKey,
    },
    /// The shared cost cannot be split.
    #[error("the shared cost cannot be split")]
    Split(#[from] SplitError),
    /// What was allocated is not what the report has as its total. No statements are better than wrong ones.
    #[error("the rows of the report have a cost of {rows}, and its total is {total}")]
    NotTheTotal {
        /// The cost of all rows.
        rows: Sum,
        /// The cost of the report.
        total: Sum,
    },
}

impl From<&Totals> for AllocatedUsage {
    fn from(totals: &Totals) -> Self {
        let mut quantities = [0; Meter::COUNT];
        Meter::ALL.iter().zip(&mut quantities).for_each(|(meter, sum)| *sum = totals.quantity(*meter));
        Self {
            calls: totals.calls.into(),
            tool_calls: totals.tool_calls.into(),
            unpriced_calls: totals.unpriced_calls.into(),
            cost: totals.cost.clone(),
            quantities,
        }
    }
}

/// The dimension of reports that rules look at.
fn dimension(of: &AllocationDimension) -> Dimension {
    match of {
        AllocationDimension::Agent => Dimension::Agent,
        AllocationDimension::User => Dimension::User,
        AllocationDimension::Team => Dimension::Team,
        AllocationDimension::Key => Dimension::Key,
        AllocationDimension::Provider => Dimension::Provider,
        AllocationDimension::Model => Dimension::Model,
        AllocationDimension::Tool => Dimension::Tool,
        AllocationDimension::Outcome => Dimension::Outcome,
        AllocationDimension::Source => Dimension::Source,
        AllocationDimension::Tag(_) => Dimension::Tag,
    }
}

impl StatementQuery {
    /// The report that statements by these rules are made from: by the dimensions of the rules, or the total if there are none.
    ///
    /// # Errors
    /// [`StatementError::OtherTag`] if a filter is on another tag than the rules.
    pub fn report(&self, rules: &AllocationRuleSet, declared: &TagKeys) -> Result<ReportQuery, StatementError> {
        let dimensions = rules.dimensions();
        let tag = dimensions.iter().find_map(|dimension| dimension.tag_key());
        let tag = match (tag, &self.filtered_tag) {
            (Some(rules), Some(filter)) if rules != filter => {
                return Err(StatementError::OtherTag { rules: rules.clone(), filter: filter.clone() });
            }
            (tag, filter) => tag.or(filter.as_ref()).cloned(),
        };
        let mut query = ReportQuery::new(self.access.clone());
        query.by = dimensions.into_iter().map(dimension).collect();
        query.filters.clone_from(&self.filters);
        (query.from, query.to) = (Some(self.from), Some(self.to));
        query.tag = tag.map(|key| ReportTag { is_declared: declared.is_declared(&key), key });
        Ok(query)
    }
}

/// Allocates the rows of a report.
struct Rows<'r> {
    dimensions: Vec<AllocationDimension>,
    allocator: Allocator<'r>,
    read: usize,
}

impl<'r> Rows<'r> {
    fn new(rules: &'r AllocationRuleSet) -> Self {
        let dimensions: Vec<_> = rules.dimensions().into_iter().cloned().collect();
        let allocator = Allocator::new(rules, &dimensions);
        Self { dimensions, allocator, read: 0 }
    }

    fn add(&mut self, row: &ReportRow) -> Result<(), StatementError> {
        self.read += 1;
        if self.read > MAX_STATEMENT_ROWS {
            let dimensions = self.dimensions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(StatementError::TooManyRows { dimensions });
        }
        self.allocator.add(&row.keys, &(&row.totals).into());
        Ok(())
    }

    /// The statements, if the rows add up to the total of the report.
    fn finish(
        mut self,
        total: &Totals,
        position: Position,
        summed_from: String,
    ) -> Result<CostStatements, StatementError> {
        // A report without dimensions has no rows.
        if self.dimensions.is_empty() {
            self.allocator.add(&[], &total.into());
        }
        let allocation = self.allocator.finish()?;
        if allocation.total.cost != total.cost {
            return Err(StatementError::NotTheTotal { rows: allocation.total.cost, total: total.cost.clone() });
        }
        Ok(CostStatements { allocation, position, summed_from })
    }
}

impl CostStatements {
    /// Makes the statements of all cost centres by checked rules, from all rows of a report by their dimensions.
    ///
    /// # Errors
    /// [`StatementError`] if there are too many rows, or if they do not add up to the total.
    pub fn of_rows(
        rules: &AllocationRuleSet,
        rows: &[ReportRow],
        total: &Totals,
        (position, summed_from): (Position, String),
    ) -> Result<Self, StatementError> {
        let mut allocated = Rows::new(rules);
        rows.iter().try_for_each(|row| allocated.add(row))?;
        allocated.finish(total, position, summed_from)
    }
}

/// Makes the statements of all cost centres by checked rules, from sums of one snapshot.
///
/// # Errors
/// [`StatementError`] if the time range or a filter is not valid, there is more to read than the limits allow, or the database
/// fails.
pub async fn cost_statements(
    reads: &TenantReads,
    query: &StatementQuery,
    rules: &AllocationRuleSet,
    declared: &TagKeys,
) -> Result<CostStatements, StatementError> {
    let mut allocated = Rows::new(rules);
    let mut report = WholeReport::open(reads, &query.report(rules, declared)?).await?;
    let (total, position, summed_from) = (report.total.clone(), report.position, report.source().to_string());
    let mut rows = report.rows();
    while let Some(row) = rows.try_next().await? {
        allocated.add(&row)?;
    }
    drop(rows);
    allocated.finish(&total, position, summed_from)
}

/// As [`cost_statements`], of usage as it was known at a point of the log.
///
/// # Errors
/// As for [`cost_statements`], and [`StatementError::Report`] if there are more events than the report of a request reads, or
/// no room for one more.
pub async fn known_cost_statements(
    known_reports: &KnownReports,
    log: (&Log, &TenantLog),
    reads: &TenantReads,
    (query, known_at): (&StatementQuery, KnownAt),
    (rules, declared): (&AllocationRuleSet, &TagKeys),
) -> Result<CostStatements, StatementError> {
    let query = query.report(rules, declared)?;
    let page = ReportPage { size: MAX_STATEMENT_ROWS, wants_total: true, ..ReportPage::default() };
    let report = known_reports.page(log, reads, (&query, known_at), &page).await?;
    CostStatements::of_rows(
        rules,
        &report.rows,
        &report.total.unwrap_or_default(),
        (report.position, report.summed_from),
    )
}

/// A version of the allocation rules of a tenant, and where it is in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct RulesVersion {
    /// The version.
    pub version: u64,
    /// The rules, from when on they apply, and why and when they were set.
    pub set: AllocationRulesSet,
    /// The position of the event that set them.
    pub position: Position,
}

/// The allocation rules of a version; none if there is no such version.
///
/// # Errors
/// [`HistoryError`] if the log cannot be read, or the event cannot be decoded.
pub async fn allocation_rules(
    log: &TenantLog,
    access: &Access<ReadAllocation>,
    version: u64,
) -> Result<Option<RulesVersion>, HistoryError> {
    let found = log.read_own_version(access, AllocationRules::CATEGORY, AllocationRules::id(), Version::from(version));
    let Some(recorded) = found.await? else { return Ok(None) };
    let Event::AllocationRules(AllocationRulesEvent::Set(set)) = recorded.decode()? else { return Ok(None) };
    Ok(Some(RulesVersion { version, set, position: recorded.position }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_look_at_dimensions_of_reports_by_the_same_names() {
        for name in ["agent", "user", "team", "key", "provider", "model", "tool", "outcome", "source", "tag:k"] {
            let of: AllocationDimension = name.parse().unwrap();
            assert_eq!(dimension(&of).as_str(), of.name());
        }
    }
}
