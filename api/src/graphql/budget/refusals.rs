//! Who was refused by budgets, and why: counts by minute.

use crate::graphql::freshness::await_projections;
use crate::graphql::ids::Kind;
use crate::graphql::reservation::RefusalReason;
use crate::graphql::scalars::{Long, Position, Timestamp, Uid};
use crate::graphql::services::{authorise, services};
use crate::graphql::stored::from_stored_name;
use crate::graphql::{connection, errors};
use async_graphql::connection::Connection;
use async_graphql::{Context, Error, ID, Object, Result, SimpleObject};
use chrono::{DateTime, Datelike as _};
use domain::ACCEPTED_YEARS;
use domain::permissions::ReadSpending;
use projections::budget_refusals::{self, RefusalFilter, RefusalKey, RefusalRow};
use uuid::Uuid;

/// The read model that has the counts.
const PROJECTIONS: &[&str] = &["budget_refusals"];

/// How many reservations of an agent and a credential a budget refused in a minute, for one reason.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct BudgetRefusalCount {
    /// The minute in which the refusals were recorded.
    minute: Timestamp,
    /// Global id of the budget. Of several budgets that refuse, it is the one that renews last.
    budget_id: ID,
    /// Reason.
    reason: RefusalReason,
    /// Dimension whose value was not stated. Null unless `reason` is `UNDECLARED`.
    dimension: Option<String>,
    /// Global id of the agent. Null if it was not stated.
    agent_id: Option<ID>,
    /// UUID of the API key that asked. Null if none did.
    api_key_id: Option<Uid>,
    /// UUID of the user who asked. Null if none did.
    user_id: Option<Uid>,
    /// Number of reservations that were refused.
    refusals: Long,
    /// Position of the last refusal.
    position: Position,
}

impl TryFrom<RefusalRow> for BudgetRefusalCount {
    type Error = Error;

    fn try_from(row: RefusalRow) -> Result<Self> {
        let (api_key_id, user_id) = (row.key.api_key_id().map(Uid), row.key.user_id().map(Uid));
        let RefusalKey { minute, budget_id, reason, dimension, agent, credential: _ } = row.key;
        Ok(Self {
            minute: minute.into(),
            budget_id: Kind::Budget.id(budget_id),
            reason: from_stored_name(&RefusalReason::ALL, RefusalReason::as_str, &reason)?,
            dimension: Some(dimension).filter(|dimension| !dimension.is_empty()),
            agent_id: Some(agent).filter(|agent| !agent.is_empty()).map(|agent| Kind::Agent.id(agent)),
            api_key_id,
            user_id,
            refusals: row.refusals.into(),
            position: Position::from_row(row.position),
        })
    }
}

/// The text of a cursor: the minute in seconds, and the other members of the key.
type CursorText = (i64, Uuid, String, String, String, String);

fn encode(key: &RefusalKey) -> String {
    let RefusalKey { minute, budget_id, reason, dimension, agent, credential } = key;
    let text = (minute.timestamp(), budget_id, reason, dimension, agent, credential);
    connection::encode_text(&serde_json::json!(text).to_string())
}

fn decode(cursor: &str) -> Option<RefusalKey> {
    let text = connection::decode_text(cursor)?;
    let (second, budget_id, reason, dimension, agent, credential): CursorText = serde_json::from_str(&text).ok()?;
    let minute = DateTime::from_timestamp(second, 0).filter(|minute| ACCEPTED_YEARS.contains(&minute.year()))?;
    Some(RefusalKey { minute, budget_id, reason, dimension, agent, credential })
}

/// The query for refusals.
#[derive(Default)]
pub(crate) struct RefusalQuery;

#[Object]
#[allow(clippy::too_many_arguments, reason = "each argument of the field is a parameter")]
impl RefusalQuery {
    /// Counts what budgets refused by minute, budget, reason, agent and credential, the last minute first. Counts are kept for 90 days
    /// before the last refusal; `budgetHistory` has each refusal.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn budget_refusals(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only refusals of this budget: global id or UUID. Default: all budgets.")] budget_id: Option<
            ID,
        >,
        #[graphql(desc = "Only refusals in the minute of this time and later ones. Default: from the first one on.")]
        from: Option<Timestamp>,
        #[graphql(desc = "Only refusals in minutes that begin before this time. Default: up to now.")] to: Option<
            Timestamp,
        >,
        #[graphql(
            default_with = "Some(connection::DEFAULT_PAGE)",
            desc = "Number of counts to return, from 1 to 500."
        )]
        first: Option<i32>,
        #[graphql(desc = "Returns the counts after this cursor. Default: from the last minute on.")] after: Option<
            String,
        >,
        #[graphql(
            desc = "Waits up to 10 seconds until the read models have applied every event up to this position, and fails with \
                    `LATE` if they have not. Default: does not wait."
        )]
        min_position: Option<Position>,
    ) -> Result<Connection<String, BudgetRefusalCount>> {
        let access = authorise::<ReadSpending>(ctx)?;
        let size = connection::size(ctx, first)?;
        let cursor = |text: &String| decode(text).ok_or_else(|| connection::bad_cursor(text));
        let after = after.as_ref().map(cursor).transpose()?;
        let budget_id = Kind::Budget.parse_opt(budget_id.as_ref())?;
        let filter = RefusalFilter { budget_id, from: from.map(|from| from.0), to: to.map(|to| to.0) };
        await_projections(ctx, PROJECTIONS, min_position).await?;
        let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
        let rows = budget_refusals::list(&services(ctx)?.reads, &access, &filter, after.as_ref(), limit).await;
        let rows = rows.map_err(|error| errors::database(&error))?;
        connection::connect_by(rows, size, after.is_some(), |row| encode(&row.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let key = RefusalKey {
            minute: DateTime::from_timestamp(1_700_000_040, 0).unwrap(),
            budget_id: Uuid::from_u128(7),
            reason: "undeclared".to_owned(),
            dimension: "tag:a:b".to_owned(),
            agent: "x".to_owned(),
            credential: "key:y".to_owned(),
        };
        assert_eq!(decode(&encode(&key)), Some(key));
        for bad in ["", "x", &connection::encode_text("[1]"), &connection::encode_text("[9999999999999,1]")] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
