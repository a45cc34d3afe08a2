//! Statements of cost centres.

use super::query::load_as_of;
use super::rules::{CostCentre, SharedCost};
use crate::graphql::as_of::AsOf;
use crate::graphql::freshness::await_projections;
use crate::graphql::report;
use crate::graphql::report_dimension::UsageFilter;
use crate::graphql::scalars::{Currency, Decimal, Long, Position, Timestamp};
use crate::graphql::services::{Services, authorise, services};
use crate::graphql::usage::UsageSums;
use crate::graphql::{connection, errors, tag_key};
use async_graphql::connection::{Connection, Edge};
use async_graphql::{Context, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use domain::allocation::{self as model, NotInForce};
use domain::permissions::{ReadAllocation, ReadReports};
use domain::split::MONEY_DIGITS;
use domain::{CostCentreCode, Sum, TagKey};
use projections as models;
use std::sync::Arc;

/// The decimal places of rounded totals without `digits`: cents.
const DEFAULT_DIGITS: i32 = 2;

/// Usage that is assigned together.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct AllocatedUsage {
    /// Number of calls of language models.
    calls: Long,
    /// Number of calls of tools.
    tool_calls: Long,
    /// Number of calls of language models for which no price is known. They are not included in `cost`.
    unpriced_calls: Long,
    #[graphql(flatten)]
    usage: UsageSums,
    /// Cost that was charged. Null if there are calls of language models and none of them has a price, which does not mean
    /// that they were free.
    cost: Option<Decimal>,
}

/// A number of calls. A log has fewer than 2^63 events.
fn count(calls: i128) -> Long {
    i64::try_from(calls).unwrap_or(i64::MAX).into()
}

impl From<&model::AllocatedUsage> for AllocatedUsage {
    fn from(usage: &model::AllocatedUsage) -> Self {
        Self {
            calls: count(usage.calls),
            tool_calls: count(usage.tool_calls),
            unpriced_calls: count(usage.unpriced_calls),
            usage: (&usage.quantities).into(),
            cost: usage.known_cost().cloned().map(Into::into),
        }
    }
}

/// Usage that one rule assigned to a cost centre, by one value if the rule has several.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct CostStatementLine {
    /// Number of the rule, from 1.
    rule: Long,
    /// Value of the dimension of the rule. Null for a rule of the kind `MATCH`.
    value: Option<String>,
    /// Usage that was assigned.
    usage: AllocatedUsage,
}

/// Part of the shared cost that a cost centre has.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct SharedCostPart {
    /// What the part is in proportion to: the part is the shared cost times this, divided by the base of the shared cost.
    base: Decimal,
    /// The cost. All parts add up to the shared cost. Null if the base is above zero, there are calls of language models whose
    /// cost is shared, and none of them has a price.
    cost: Option<Decimal>,
}

/// Statement of a cost centre.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct CostStatement {
    /// The cost centre.
    cost_centre: CostCentre,
    /// Usage that rules assigned, in the order of the rules, and then of the values.
    lines: Vec<CostStatementLine>,
    /// Sum of the lines.
    direct: AllocatedUsage,
    /// Part of the shared cost.
    shared: SharedCostPart,
    /// Direct cost and part of the shared cost. Null if there are calls of language models, of the cost centre or among those
    /// whose cost is shared, and none of them has a price.
    total: Option<Decimal>,
    /// The total, rounded to `digits` decimal places so that those of all cost centres add up to `roundedTotal`. Null if the
    /// total is.
    rounded_total: Option<Decimal>,
}

/// Usage that no rule assigned, whose cost is shared.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct SharedUsage {
    /// The usage. Its calls without a price are a part of no statement.
    usage: AllocatedUsage,
    /// How its cost is shared.
    by: SharedCost,
    /// Whether it is shared in equal parts, because no cost centre has any of what it should be in proportion to.
    in_equal_parts_instead: bool,
    /// Sum of the bases of all parts.
    base: Decimal,
}

/// What statements have in common.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct CostStatementSums {
    /// All usage of the period, to whose cost the totals of the statements add up, on any page.
    total: AllocatedUsage,
    /// The cost of all usage, rounded half to even, to which the rounded totals add up. Null if the cost is.
    rounded_total: Option<Decimal>,
    /// Usage that no rule assigned.
    shared: SharedUsage,
    /// Currency of the costs.
    currency: Currency,
    /// Version of the allocation rules that were used. Name it to make the statements again by the same rules.
    rules_version: Long,
    /// Position of the statements: they include at least every event up to this position, and with `knownAt` no other.
    position: Position,
    /// What the statements were summed from, in words, as of `usageReport`.
    summed_from: String,
}

/// A page of statements.
pub(crate) type CostStatementPage = Connection<String, CostStatement, CostStatementSums>;

/// The arguments of statements.
struct Request {
    query: models::StatementQuery,
    known_at: Option<AsOf>,
    rules_version: Option<u64>,
    cost_centre: Option<CostCentreCode>,
    digits: u32,
    size: usize,
    after: Option<String>,
}

impl Request {
    /// Makes the statements of the requested page.
    async fn statements(self, ctx: &Context<'_>) -> Result<CostStatementPage> {
        let services = services(ctx)?;
        // A version that is named may have been set later.
        let rules = load_as_of(ctx, self.known_at.filter(|_| self.rules_version.is_none())).await?;
        let version = rules.state.version_for(self.query.from, self.query.to, self.rules_version);
        let version = version.map_err(|error| errors::not_in_force(&error))?;
        let found = models::allocation_rules(&services.events, &authorise::<ReadAllocation>(ctx)?, version).await;
        let found = found.map_err(|error| errors::history(&error))?;
        let none = || NotInForce::NoVersion { requested: version, versions: rules.state.version() };
        let rules = found.ok_or_else(|| errors::not_in_force(&none()))?.set.rules;
        let has_tag = rules.dimensions().iter().any(|dimension| dimension.tag_key().is_some());
        let declared = if has_tag || self.query.filtered_tag.is_some() {
            tag_key::declared(ctx).await?.state.clone()
        } else {
            Arc::default()
        };
        if let Some(code) = &self.cost_centre
            && !rules.cost_centres.iter().any(|centre| centre.code == *code)
        {
            let message = format!("version {version} of the allocation rules has no cost centre {code}");
            return Err(errors::bad_input("UNKNOWN_COST_CENTRE", message));
        }
        let Services { known_reports, events, reads, commands, .. } = &**services;
        let made = match self.known_at {
            Some(known_at) => {
                let (query, log) = ((&self.query, known_at.into()), (commands.log(), events));
                models::known_cost_statements(known_reports, log, reads, query, (&rules, &*declared)).await
            }
            None => models::cost_statements(reads, &self.query, &rules, &declared).await,
        };
        Ok(self.page(made.map_err(|error| errors::statement(&error))?, version))
    }

    fn page(&self, made: models::CostStatements, version: u64) -> CostStatementPage {
        let models::CostStatements { allocation, position, summed_from } = made;
        let mut rounded = allocation.rounded(self.digits);
        let shared = &allocation.shared;
        let sums = CostStatementSums {
            total: (&allocation.total).into(),
            rounded_total: allocation.rounded_total(self.digits).map(Into::into),
            shared: SharedUsage {
                usage: (&shared.usage).into(),
                by: (&shared.by).into(),
                in_equal_parts_instead: shared.is_in_equal_parts_instead,
                base: shared.base.clone().into(),
            },
            currency: Currency::Usd,
            rules_version: Long::from_unsigned(version),
            position: position.into(),
            summed_from,
        };
        let is_wanted = |statement: &&model::CostStatement| {
            let code = &statement.cost_centre.code;
            self.after.as_deref().is_none_or(|after| code.as_str() > after)
                && self.cost_centre.as_ref().is_none_or(|wanted| wanted == code)
        };
        let mut statements = allocation.statements.iter().filter(is_wanted).peekable();
        let mut edges = Vec::new();
        while let Some(statement) = statements.next_if(|_| edges.len() < self.size) {
            let code = &statement.cost_centre.code;
            let rounded = rounded.remove(code);
            edges.push(Edge::new(connection::encode_text(code.as_str()), object(statement, rounded, shared)));
        }
        let has_next_page = statements.peek().is_some();
        let mut page = Connection::with_additional_fields(self.after.is_some(), has_next_page, sums);
        page.edges = edges;
        page
    }
}

/// A statement, with its rounded total whether the total is known or not.
fn object(statement: &model::CostStatement, rounded: Option<Sum>, pool: &model::SharedPool) -> CostStatement {
    let line = |line: &model::DirectLine| CostStatementLine {
        rule: Long::from_unsigned(u64::try_from(line.rule).unwrap_or(u64::MAX)),
        value: line.value.clone(),
        usage: (&line.usage).into(),
    };
    let shared = &statement.shared;
    CostStatement {
        cost_centre: (&statement.cost_centre).into(),
        lines: statement.lines.iter().map(line).collect(),
        direct: (&statement.direct).into(),
        shared: SharedCostPart {
            base: shared.base.clone().into(),
            cost: shared.known_cost(pool).cloned().map(Into::into),
        },
        total: statement.known_total().cloned().map(Into::into),
        rounded_total: rounded.filter(|_| statement.known_total().is_some()).map(Into::into),
    }
}

fn digits(given: Option<i32>) -> Result<u32> {
    let given = given.unwrap_or(DEFAULT_DIGITS);
    match u32::try_from(given) {
        Ok(digits) if digits <= MONEY_DIGITS => Ok(digits),
        _ => {
            let message = format!("totals are rounded to 0 to {MONEY_DIGITS} decimal places, requested {given}");
            Err(errors::bad_input("BAD_DIGITS", message))
        }
    }
}

fn tag(key: Option<String>) -> Result<Option<TagKey>> {
    let key = key.map(TagKey::new).transpose();
    key.map_err(|error| errors::bad_input("BAD_TAG_KEY", format!("tagKey: {error}")))
}

fn code(text: Option<String>) -> Result<Option<CostCentreCode>> {
    let code = text.map(CostCentreCode::new).transpose();
    code.map_err(|error| errors::bad_input("UNKNOWN_COST_CENTRE", format!("costCentre: {error}")))
}

fn range(from: &Timestamp, to: &Timestamp) -> (DateTime<Utc>, DateTime<Utc>) {
    (from.0, to.0)
}

/// The query for statements.
#[derive(Default)]
pub(crate) struct StatementQuery;

#[Object]
#[allow(clippy::too_many_arguments, reason = "each argument of the field is a parameter")]
impl StatementQuery {
    /// Allocates the charged cost of a period to cost centres, by the allocation rules that are in force in it. The statements
    /// are sorted by code. They add up to the total of `usageReport` for the same period and filters, to the last digit.
    ///
    /// Usage is read from the sums that answer a report by the dimensions of the rules, at most 100000 rows; with more, it
    /// fails with the reason `TOO_MANY_ROWS`. Rules that look at a tag whose key is not declared, or a period that does not
    /// consist of whole hours then, read the calls as such a report does.
    ///
    /// It fails with the reason `NO_RULES` if no rules are in force at `from`, and with `RULES_CHANGE` if others take effect
    /// before `to`. It has a complexity of 1100 more.
    ///
    /// With `knownAt` it allocates usage as it was known at that point, by the rules that were set then, as a report with `knownAt`
    /// has it: so the statements of a closed month can be made again, whatever was reported, corrected or set since. It has a
    /// complexity of 2000 more then.
    #[graphql(complexity = "connection::cost(Some(first.unwrap_or(connection::DEFAULT_PAGE)), child_complexity)
        .saturating_add(report::statements_cost(known_at))")]
    async fn cost_statements(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Includes calls that started at or after this time, which must be the start of a quarter of an hour."
        )]
        from: Timestamp,
        #[graphql(
            desc = "Includes calls that started before this time, which must be the start of a quarter of an hour."
        )]
        to: Timestamp,
        #[graphql(
            desc = "Includes calls that meet these conditions, at most 50. Conditions on the same dimension are \
                    alternatives; those on different dimensions must all be met. Default: all calls."
        )]
        filter: Option<Vec<UsageFilter>>,
        #[graphql(
            desc = "Key of the tag whose values a filter on the dimension `TAG` has. It must be that of the rules, if they look at a tag."
        )]
        tag_key: Option<String>,
        #[graphql(desc = "Code of the cost centre whose statement is returned. Default: those of all.")]
        cost_centre: Option<String>,
        #[graphql(
            desc = "Version of the allocation rules, whether it is in force in the period or not. Default: that which is in force."
        )]
        rules_version: Option<Long>,
        #[graphql(
            desc = "Allocates usage as it was known at this position or time, by the rules that were set then unless \
                    `rulesVersion` names others. `minPosition` has no effect then. Default: as it is known now."
        )]
        known_at: Option<AsOf>,
        #[graphql(desc = "Number of decimal places of rounded totals, from 0 to 12. Default: 2.")] digits: Option<i32>,
        #[graphql(
            desc = "Waits up to 10 seconds until the read models have applied every event up to this position, and fails with \
                    `LATE` if they have not. Default: does not wait."
        )]
        min_position: Option<Position>,
        #[graphql(desc = "Number of statements to return, from 1 to 500. Default: 50.")] first: Option<i32>,
        #[graphql(desc = "Returns the statements after this cursor. Default: from the first one on.")] after: Option<
            String,
        >,
    ) -> Result<CostStatementPage> {
        let access = authorise::<ReadReports>(ctx)?;
        authorise::<ReadAllocation>(ctx)?;
        let filters = filter.unwrap_or_default().into_iter().map(UsageFilter::check).collect::<Result<_>>()?;
        let after = after.map(|cursor| connection::decode_text(&cursor).ok_or_else(|| connection::bad_cursor(&cursor)));
        let (from, to) = range(&from, &to);
        let request = Request {
            query: models::StatementQuery { access, from, to, filters, filtered_tag: tag(tag_key)? },
            known_at,
            rules_version: rules_version.map(Long::unsigned),
            cost_centre: code(cost_centre)?,
            digits: self::digits(digits)?,
            size: connection::size(ctx, first)?,
            after: after.transpose()?,
        };
        await_projections(ctx, &["calls"], min_position.filter(|_| known_at.is_none())).await?;
        request.statements(ctx).await
    }
}
