//! What a budget with some terms would have refused in a month.

use super::control::amount;
use super::mutation::{BudgetTermsInput, terms_of_query};
use crate::graphql::connection::STATEMENT_COST;
use crate::graphql::errors;
use crate::graphql::freshness::await_projections;
use crate::graphql::report::REPORT_COST;
use crate::graphql::scalars::{Decimal, Long, Position, Timestamp};
use crate::graphql::services::{authorise, services};
use async_graphql::{ComplexObject, Context, Object, Result, SimpleObject};
use domain::budget::{Month, PreviewedPeriod};
use domain::permissions::ReadReports;
use projections::budgets::{self, PreviewError};

/// The complexity of reading the calls of a month, in the unit of [`crate::config::Limits::max_complexity`].
const PREVIEW_COST: usize = 10 * REPORT_COST + STATEMENT_COST;

/// What a budget would have refused in a period. Amounts are in the unit of the budget's measure.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct BudgetPreviewPeriod {
    /// Start of the period, inclusive.
    starts_at: Timestamp,
    /// End of the period, exclusive.
    ends_at: Timestamp,
    /// Limit, with what was carried over.
    limit: Decimal,
    /// Number of calls that would have been granted.
    granted_calls: Long,
    /// What they would have been charged.
    charged: Decimal,
    /// Number of calls that would not have fit.
    refused_calls: Long,
    /// What these calls used.
    refused: Decimal,
    /// Number of calls to models without a price, which a hard budget of money refuses.
    unpriced_calls: Long,
    /// Start of the first call that would have been refused. Null if none would have been.
    first_refused_at: Option<Timestamp>,
}

impl From<&PreviewedPeriod> for BudgetPreviewPeriod {
    fn from(period: &PreviewedPeriod) -> Self {
        Self {
            starts_at: period.span.starts_at.into(),
            ends_at: period.span.ends_at.into(),
            limit: amount(period.limit),
            granted_calls: Long::from_unsigned(period.granted_calls),
            charged: amount(period.charged),
            refused_calls: Long::from_unsigned(period.refused_calls),
            refused: amount(period.refused),
            unpriced_calls: Long::from_unsigned(period.unpriced_calls),
            first_refused_at: period.first_refused_at.map(Into::into),
        }
    }
}

/// What a budget with some terms would have refused of the calls of a month. Each call is decided as if it had reserved what it used,
/// in the order in which calls started; nothing is charged before the month.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct BudgetPreview {
    /// Start of the month in the time zone of the budget, inclusive.
    from: Timestamp,
    /// End of the month, exclusive.
    to: Timestamp,
    /// Number of calls that the budget would have counted.
    calls: Long,
    /// Number of calls that would not have fit, in all periods.
    refused_calls: Long,
    /// What these calls used.
    refused: Decimal,
    /// Number of calls to models without a price, which a hard budget of money refuses.
    unpriced_calls: Long,
    /// Start of the last call that was looked at, if there are more than 200,000. Null if all were.
    cut_after: Option<Timestamp>,
    #[graphql(skip)]
    of_periods: Vec<PreviewedPeriod>,
}

#[ComplexObject]
impl BudgetPreview {
    /// Periods that had calls, in their order.
    #[graphql(complexity = "1 + 31 * child_complexity")]
    async fn periods(&self) -> Vec<BudgetPreviewPeriod> {
        self.of_periods.iter().map(Into::into).collect()
    }
}

impl From<budgets::BudgetPreview> for BudgetPreview {
    fn from(preview: budgets::BudgetPreview) -> Self {
        let periods = &preview.periods;
        Self {
            from: preview.from.into(),
            to: preview.to.into(),
            calls: Long::from_unsigned(preview.calls),
            refused_calls: Long::from_unsigned(periods.iter().map(|period| period.refused_calls).sum()),
            refused: amount(periods.iter().map(|period| period.refused).sum()),
            unpriced_calls: Long::from_unsigned(periods.iter().map(|period| period.unpriced_calls).sum()),
            cut_after: preview.cut_after.map(Into::into),
            of_periods: preview.periods,
        }
    }
}

/// The query for previews.
#[derive(Default)]
pub(crate) struct PreviewQuery;

#[Object]
impl PreviewQuery {
    /// Says what a hard budget with some terms would have refused of the calls of a month, of which at most 200,000 are looked at.
    #[graphql(complexity = "PREVIEW_COST + child_complexity")]
    async fn budget_preview(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Terms of the budget, with `enforcement`.")] terms: BudgetTermsInput,
        #[graphql(desc = "The month in the time zone of the terms, such as `2026-10`.")] month: String,
        #[graphql(
            desc = "Waits up to 10 seconds until the read models have applied every event up to this position, and fails with \
                    `LATE` if they have not. Default: does not wait."
        )]
        min_position: Option<Position>,
    ) -> Result<BudgetPreview> {
        let access = authorise::<ReadReports>(ctx)?;
        let terms = terms_of_query(terms)?;
        let month = month.parse::<Month>().map_err(|error| bad_terms(&error))?;
        await_projections(ctx, &["calls"], min_position).await?;
        let preview = budgets::preview(&services(ctx)?.reads, &access, &terms, month).await;
        Ok(preview.map_err(|error| failed(&error))?.into())
    }
}

fn bad_terms(error: &domain::budget::BudgetError) -> async_graphql::Error {
    errors::bad_input("BAD_TERMS", error.to_string())
}

fn failed(error: &PreviewError) -> async_graphql::Error {
    match error {
        PreviewError::Terms(error) => bad_terms(error),
        PreviewError::MonthOutOfRange(_) => errors::bad_input("BAD_TERMS", error.to_string()),
        PreviewError::Database(error) => errors::database(error),
        PreviewError::UnknownKind(_) => errors::internal(error),
    }
}
