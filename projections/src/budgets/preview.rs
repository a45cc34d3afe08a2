//! What a budget with some terms would have refused in a month, from the read model of calls.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use domain::budget::{
    Attributes, BudgetDimension, BudgetError, BudgetTerms, Month, Preview, PreviewedCall, PreviewedPeriod,
};
use domain::call::CallKind;
use domain::permissions::{Access, ReadReports};
use domain::{ACCEPTED_YEARS, Money, Usage};
use futures::TryStreamExt as _;
use rust_decimal::Decimal;
use serde_json::{Map, Value};
use sqlx::types::Json;
use streams::{DatabaseError, TenantReads};
use thiserror::Error;
use uuid::Uuid;

/// The most calls that a preview is made of.
pub const MAX_PREVIEWED_CALLS: usize = 200_000;

/// What a budget would have refused in a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetPreview {
    /// When the month begins in the time zone of the budget.
    pub from: DateTime<Utc>,
    /// When the next month begins.
    pub to: DateTime<Utc>,
    /// The number of calls that the budget selects, as far as they were looked at.
    pub calls: u64,
    /// When the last call started that was looked at, if there are more than may be; none if all were.
    pub cut_after: Option<DateTime<Utc>>,
    /// The periods that had calls, in their order.
    pub periods: Vec<PreviewedPeriod>,
}

/// Why there is no preview.
#[derive(Debug, Error)]
pub enum PreviewError {
    /// No budget could have the terms, or they do not say how it is enforced.
    #[error(transparent)]
    Terms(#[from] BudgetError),
    /// No call can have started in the month.
    #[error("the month {0} is not between {start} and {end}", start = ACCEPTED_YEARS.start, end = ACCEPTED_YEARS.end - 1)]
    MonthOutOfRange(Month),
    /// The database cannot be queried.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A row has a kind of call that this program does not know.
    #[error("a call has the unknown kind {0:?}")]
    UnknownKind(String),
}

/// Kind, usage, start, cost.
type CallRow = (String, Json<Usage>, DateTime<Utc>, Option<Decimal>);

/// What a budget with some terms would have refused of the calls that started in a month of its time zone. Calls are read one after
/// the other, at most [`MAX_PREVIEWED_CALLS`].
///
/// # Errors
/// [`PreviewError`] if no budget could have the terms, no call can have started in the month, or the calls cannot be read.
pub async fn preview(
    reads: &TenantReads,
    access: &Access<ReadReports>,
    terms: &BudgetTerms,
    month: Month,
) -> Result<BudgetPreview, PreviewError> {
    let mut preview = Preview::new(terms)?;
    let (from, to) = bounds(month, terms.time_zone)?;
    let conditions = terms.scope.conditions();
    let text = |dimension: &BudgetDimension| conditions.get(dimension).map(|value| value.as_str());
    let id = |dimension: &BudgetDimension| text(dimension).and_then(|value| Uuid::try_parse(value).ok());
    let limit = i64::try_from(MAX_PREVIEWED_CALLS + 1).unwrap_or(i64::MAX);
    let query = sqlx::query_as::<_, CallRow>(include_str!("preview.sql"));
    let query = query.bind(access.tenant().as_str()).bind(from).bind(to).bind(id(&BudgetDimension::Agent));
    let query = query.bind(id(&BudgetDimension::Task)).bind(id(&BudgetDimension::Dag));
    let query = query.bind(text(&BudgetDimension::Conversation)).bind(text(&BudgetDimension::User));
    let query = query.bind(text(&BudgetDimension::Team)).bind(text(&BudgetDimension::Key));
    let query = query.bind(text(&BudgetDimension::Provider)).bind(text(&BudgetDimension::Model));
    let query = query.bind(text(&BudgetDimension::Tool)).bind(tags(&conditions)).bind(limit);
    let mut connection = reads.acquire(access).await.map_err(DatabaseError::from)?;
    let mut rows = query.fetch(&mut *connection);
    let (mut calls, mut last, mut cut_after) = (0, None, None);
    while let Some((kind, usage, started_at, cost)) = rows.try_next().await.map_err(DatabaseError::from)? {
        if calls == MAX_PREVIEWED_CALLS {
            cut_after = last;
            break;
        }
        let known = CallKind::ALL.into_iter().find(|known| known.as_str() == kind);
        let kind = known.ok_or(PreviewError::UnknownKind(kind))?;
        preview.add(&PreviewedCall { kind, started_at, usage: usage.0, cost: cost.map(Money::from_decimal) });
        (calls, last) = (calls + 1, Some(started_at));
    }
    let calls = u64::try_from(calls).unwrap_or(u64::MAX);
    Ok(BudgetPreview { from, to, calls, cut_after, periods: preview.periods().to_vec() })
}

/// When a month begins in a time zone, and when the next one does.
fn bounds(month: Month, time_zone: Tz) -> Result<(DateTime<Utc>, DateTime<Utc>), PreviewError> {
    if ACCEPTED_YEARS.contains(&month.year()) {
        Ok(month.bounds(time_zone))
    } else {
        Err(PreviewError::MonthOutOfRange(month))
    }
}

/// The tags that calls must have, as the column has them; none if they need none.
fn tags(conditions: &Attributes) -> Option<Value> {
    let tag = |(dimension, value): (&BudgetDimension, &domain::Name)| match dimension {
        BudgetDimension::Tag(key) => Some((key.to_string(), Value::from(value.as_str()))),
        BudgetDimension::Agent
        | BudgetDimension::Task
        | BudgetDimension::Dag
        | BudgetDimension::Conversation
        | BudgetDimension::User
        | BudgetDimension::Team
        | BudgetDimension::Key
        | BudgetDimension::Provider
        | BudgetDimension::Model
        | BudgetDimension::Tool => None,
    };
    let tags: Map<_, _> = conditions.iter().filter_map(tag).collect();
    (!tags.is_empty()).then_some(Value::Object(tags))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_in_which_no_call_can_have_started_is_refused() {
        let bounds = |month: &str| bounds(month.parse().unwrap(), chrono_tz::UTC);
        assert_eq!(bounds("2199-12").unwrap().1.to_rfc3339(), "2200-01-01T00:00:00+00:00");
        for month in ["1969-12", "2200-01", "-0001-01", "+262142-12"] {
            assert!(matches!(bounds(month), Err(PreviewError::MonthOutOfRange(_))), "{month}");
        }
        assert_eq!(bounds("2200-01").unwrap_err().to_string(), "the month 2200-01 is not between 1970 and 2199");
    }

    #[test]
    fn only_tags_are_compared_as_tags() {
        let name = |text: &str| domain::Name::new(text).unwrap();
        let tagged = BudgetDimension::Tag(domain::TagKey::new("project").unwrap());
        let mut conditions = Attributes::from([(BudgetDimension::Model, name("m"))]);
        assert_eq!(tags(&conditions), None);
        conditions.insert(tagged, name("apollo"));
        assert_eq!(tags(&conditions), Some(serde_json::json!({ "project": "apollo" })));
    }
}
