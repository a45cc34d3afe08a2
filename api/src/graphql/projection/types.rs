//! The object types.

use crate::graphql::scalars::{Long, Position, Timestamp, Uid};
use async_graphql::{Enum, SimpleObject};
use domain::TenantId;

/// A projection: a read model and its progress through the log.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Projection {
    /// Name of the projection.
    pub(crate) name: String,
    /// Low watermark: every event up to this position has been applied.
    position: Position,
    /// Number of positions between the projection and the end of the log.
    lag_events: Long,
    /// Time at which the projection last advanced. Null before its first batch.
    updated_at: Option<Timestamp>,
    /// Number of events that are parked because they could not be applied.
    parked_events: Long,
    /// Version that the code of this server implements. The server does not write tables of another version.
    code_version: i32,
    /// Live version, which queries read. Null before the first batch.
    version: Option<i32>,
    /// Version under construction. Null if none is.
    next_version: Option<i32>,
    /// Last position that the version under construction has applied. Null if none is under construction.
    next_position: Option<Position>,
    /// Version that was live before the last switch. Null if its tables were dropped.
    previous_version: Option<i32>,
}

impl From<projections::ProjectionStatus> for Projection {
    fn from(status: projections::ProjectionStatus) -> Self {
        Self {
            name: status.name,
            position: Position::from_row(status.position),
            lag_events: status.lag_events.into(),
            updated_at: status.updated_at.map(Into::into),
            parked_events: status.parked_events.into(),
            code_version: status.code_version,
            version: status.version,
            next_version: status.next_version,
            next_position: status.next_position.map(Position::from_row),
            previous_version: status.old_version,
        }
    }
}

/// A parked event: a projection could not apply it. The later events of its stream wait; other streams are not affected.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct ParkedEvent {
    /// Name of the projection.
    projection: String,
    /// Position of the event.
    position: Position,
    /// Category of the event's stream, such as `task`.
    category: String,
    /// UUID of the event's stream.
    stream_id: Uid,
    /// Error with which the last attempt failed.
    cause: String,
    /// Number of attempts to apply the event.
    attempts: i32,
    /// Time at which the event was parked.
    parked_at: Timestamp,
    /// Time of the last attempt.
    last_attempt_at: Timestamp,
}

impl From<projections::ParkedEvent> for ParkedEvent {
    fn from(event: projections::ParkedEvent) -> Self {
        Self {
            projection: event.projection,
            position: Position::from_row(event.position),
            category: event.category,
            stream_id: event.stream_id.into(),
            cause: event.cause,
            attempts: event.attempts,
            parked_at: event.parked_at.into(),
            last_attempt_at: event.last_attempt_at.into(),
        }
    }
}

/// What to do with a parked event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "ParkedEventDecision", remote = "projections::Decision")]
pub(crate) enum Decision {
    /// Apply the event and the rest of its stream again, after the cause was removed.
    Retry,
    /// Skip the event for good and continue with its stream. A rebuild skips it too.
    Skip,
}

/// A decision about a parked event that was carried out.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct ParkingDecision {
    /// Name of the projection.
    projection: String,
    /// Position of the event.
    position: Position,
    /// What was done with the event.
    decision: Decision,
    /// Actor who decided.
    actor: String,
    /// Reason that the actor gave.
    reason: String,
    /// Time of the decision.
    decided_at: Timestamp,
}

impl From<projections::ParkingDecision> for ParkingDecision {
    fn from(made: projections::ParkingDecision) -> Self {
        Self {
            projection: made.projection,
            position: Position::from_row(made.position),
            decision: made.decision.into(),
            actor: made.actor,
            reason: made.reason,
            decided_at: made.decided_at.into(),
        }
    }
}

/// Comparison of one table between two versions of a read model.
#[derive(Debug, SimpleObject)]
pub(crate) struct TableComparison {
    /// Name of the table.
    table: String,
    /// Number of rows in the live version.
    live_rows: Long,
    /// Number of rows in the version under construction.
    next_rows: Long,
    /// Whether all rows are equal in the columns that both versions have.
    same: bool,
}

/// A row that differs between the versions of a read model.
#[derive(Debug, SimpleObject)]
pub(crate) struct RowDifference {
    /// Name of the table.
    table: String,
    /// Primary key of the row.
    key: String,
    /// The row in the live version. Null if it is missing there.
    live: Option<String>,
    /// The row in the version under construction. Null if it is missing there.
    next: Option<String>,
}

/// Comparison of the live version of a read model and the version under construction, at the same position.
#[derive(Debug, SimpleObject)]
pub(crate) struct ProjectionComparison {
    /// Position at which both versions were compared.
    position: Position,
    /// Whether both versions have the same rows and the same number of parked events.
    same: bool,
    /// Comparison of each table.
    tables: Vec<TableComparison>,
    /// Columns that only one of the versions has. They are not compared.
    columns: Vec<String>,
    /// Rows that differ: of the first 20 in each table, those of the caller's tenant.
    differences: Vec<RowDifference>,
}

impl ProjectionComparison {
    /// The comparison without the rows of other tenants.
    pub(crate) fn visible_to(comparison: projections::Comparison, tenant: &TenantId) -> Self {
        let same = comparison.is_same();
        let tables = comparison.live.iter().zip(&comparison.other).map(|(live, next)| TableComparison {
            table: live.table.to_owned(),
            live_rows: live.rows.into(),
            next_rows: next.rows.into(),
            same: live == next,
        });
        let difference = |difference: projections::Difference| RowDifference {
            table: difference.table.to_owned(),
            key: difference.key,
            live: difference.live,
            next: difference.other,
        };
        let own = |difference: &projections::Difference| difference.tenant_id == tenant.as_str();
        Self {
            position: Position(comparison.position),
            same,
            tables: tables.collect(),
            columns: comparison.columns,
            differences: comparison.differences.into_iter().filter(own).map(difference).collect(),
        }
    }
}

/// A version of a read model that is not live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "projections::InactiveVersion")]
pub(crate) enum InactiveVersion {
    /// The version under construction.
    Next,
    /// The version that was live before the last switch.
    Previous,
}
