//! How the read models are doing, and what operators do about them.

use super::connection::STATEMENT_COST;
use super::scalars::{Long, Position, Timestamp, Uid};
use super::{Services, errors};
use crate::caller::{Caller, Role};
use async_graphql::{Context, Enum, Error, Guard, InputObject, Object, Result, SimpleObject};
use domain::TenantId;
use projections::{InactiveVersion, ParkingError, REBUILD_BATCH_EVENTS, RebuildError};
use std::future::Future;
use std::sync::Arc;

/// The most parked events that are answered.
const MAX_PARKED: i64 = 500;

/// A read model, and how far it is behind the log.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Projection {
    /// Its name.
    name: String,
    /// The last position that it has applied.
    position: Position,
    /// How many events it is behind.
    lag_events: Long,
    /// When it last moved; null before its first batch.
    updated_at: Option<Timestamp>,
    /// How many events are parked because they could not be applied.
    parked_events: Long,
    /// The version of this server's code; it writes no tables of another version.
    code_version: i32,
    /// The version that queries read; null before the first batch.
    version: Option<i32>,
    /// The version under construction, if there is one.
    next_version: Option<i32>,
    /// The last position that the version under construction has applied.
    next_position: Option<Position>,
    /// The version that was live before the last switch, if it is kept.
    old_version: Option<i32>,
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
            old_version: status.old_version,
        }
    }
}

/// An event that a projection could not apply. The rest of its stream waits; everything else goes on.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct ParkedEvent {
    /// Which projection.
    projection: String,
    /// Which event.
    position: Position,
    /// What the event happened to: the kind of aggregate.
    category: String,
    /// Which one.
    stream_id: Uid,
    /// Why.
    cause: String,
    /// How often it was tried.
    attempts: i32,
    /// Since when.
    parked_at: Timestamp,
    /// When it was tried last.
    last_attempt_at: Timestamp,
}

/// A decision about a parked event that was carried out.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct ParkingDecision {
    /// Of which projection.
    projection: String,
    /// Which event.
    position: Position,
    /// What was decided.
    decision: Decision,
    /// Who decided.
    actor: String,
    /// Why.
    reason: String,
    /// When.
    decided_at: Timestamp,
}

/// Queries about the read models.
#[derive(Default)]
pub(crate) struct ProjectionQuery;

#[Object]
impl ProjectionQuery {
    /// The read models, and how far each is behind the log.
    #[graphql(complexity = "STATEMENT_COST + 10 * child_complexity")]
    async fn projections(&self, ctx: &Context<'_>) -> Result<Vec<Projection>> {
        let statuses = projections::statuses(&ctx.data::<Arc<Services>>()?.pool).await;
        let statuses = statuses.map_err(|error| errors::database(&error))?;
        Ok(statuses.into_iter().map(Into::into).collect())
    }

    /// The events that projections could not apply, by projection and position; at most 500.
    #[graphql(complexity = "STATEMENT_COST + 50 * child_complexity")]
    async fn parked_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Of this projection alone.")] projection: Option<String>,
    ) -> Result<Vec<ParkedEvent>> {
        let (services, caller) = (ctx.data::<Arc<Services>>()?, ctx.data::<Caller>()?);
        let (projection, tenant) = (projection.as_deref(), Some(caller.tenant.as_str()));
        let events = projections::parked_events(&services.pool, projection, tenant, MAX_PARKED).await;
        let events = events.map_err(|error| errors::database(&error))?;
        let parked = |event: projections::ParkedEvent| ParkedEvent {
            projection: event.projection,
            position: Position::from_row(event.position),
            category: event.category,
            stream_id: event.stream_id.into(),
            cause: event.cause,
            attempts: event.attempts,
            parked_at: event.parked_at.into(),
            last_attempt_at: event.last_attempt_at.into(),
        };
        Ok(events.into_iter().map(parked).collect())
    }

    /// What was decided about parked events, by whom and why, the latest first; at most 500.
    #[graphql(complexity = "STATEMENT_COST + 50 * child_complexity")]
    async fn parking_decisions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Of this projection alone.")] projection: Option<String>,
    ) -> Result<Vec<ParkingDecision>> {
        let (services, caller) = (ctx.data::<Arc<Services>>()?, ctx.data::<Caller>()?);
        let (projection, tenant) = (projection.as_deref(), Some(caller.tenant.as_str()));
        let decisions = projections::parking_decisions(&services.pool, projection, tenant, MAX_PARKED).await;
        let decisions = decisions.map_err(|error| errors::database(&error))?;
        let decision = |made: projections::ParkingDecision| ParkingDecision {
            projection: made.projection,
            position: Position::from_row(made.position),
            decision: match made.decision {
                projections::Decision::Retry => Decision::Retry,
                projections::Decision::Skip => Decision::Skip,
            },
            actor: made.actor,
            reason: made.reason,
            decided_at: made.decided_at.into(),
        };
        Ok(decisions.into_iter().map(decision).collect())
    }
}

/// What to do about a parked event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "ParkedEventDecision")]
pub(crate) enum Decision {
    /// Try its stream again, because the cause was removed.
    Retry,
    /// Leave it out for good, and go on with its stream. A rebuild leaves it out too.
    Skip,
}

/// A decision about a parked event; kept with who made it, and when.
#[derive(Debug, InputObject)]
pub(crate) struct ResumeParkedEventInput {
    /// Of which projection.
    projection: String,
    /// Which event.
    position: Position,
    /// What to do.
    decision: Decision,
    /// Why.
    reason: String,
}

/// What became of the stream of a parked event.
#[derive(Debug, SimpleObject)]
pub(crate) struct ResumeParkedEventPayload {
    /// Events of the stream that were applied.
    applied: Long,
    /// Events of the stream that are still parked.
    parked: Long,
}

/// A table in two versions of a read model.
#[derive(Debug, SimpleObject)]
pub(crate) struct TableComparison {
    /// The table.
    table: String,
    /// Rows of the live version.
    live_rows: Long,
    /// Rows of the version under construction.
    next_rows: Long,
    /// Whether all rows are the same, in the columns that both versions have.
    same: bool,
}

/// A row that differs.
#[derive(Debug, SimpleObject)]
pub(crate) struct RowDifference {
    /// The table.
    table: String,
    /// The row's key.
    key: String,
    /// The live row; null if it is missing there.
    live: Option<String>,
    /// The row of the version under construction; null if it is missing there.
    next: Option<String>,
}

/// The version under construction and the live one, at the same position.
#[derive(Debug, SimpleObject)]
pub(crate) struct ProjectionComparison {
    /// Where both stand.
    position: Position,
    /// Whether both hold the same rows, and have as many events parked.
    same: bool,
    /// Each table.
    tables: Vec<TableComparison>,
    /// Columns that one version alone has; they are not compared.
    columns: Vec<String>,
    /// Rows of this tenant among the first 20 of each table that differ.
    differences: Vec<RowDifference>,
}

impl ProjectionComparison {
    /// As one tenant may see it.
    fn of(comparison: projections::Comparison, tenant: &TenantId) -> Self {
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

/// A version that is not live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum SpareVersion {
    /// The one under construction.
    Next,
    /// The one that was live before the last switch.
    Old,
}

/// Lets nobody but operators in.
struct Operators;

impl Guard for Operators {
    async fn check(&self, ctx: &Context<'_>) -> Result<()> {
        match ctx.data::<Caller>()?.role {
            Role::Operator => Ok(()),
            Role::User => Err(errors::coded("FORBIDDEN", "this is for operators, who show a token of their own")),
        }
    }
}

/// What operators do about read models.
#[derive(Default)]
pub(crate) struct ProjectionMutation;

#[Object]
impl ProjectionMutation {
    /// Tries a parked event again, or skips it. For operators.
    #[graphql(guard = "Operators")]
    async fn resume_parked_event(
        &self,
        ctx: &Context<'_>,
        input: ResumeParkedEventInput,
    ) -> Result<ResumeParkedEventPayload> {
        let (services, caller) = (ctx.data::<Arc<Services>>()?, ctx.data::<Caller>()?);
        let decision = match input.decision {
            Decision::Retry => projections::Decision::Retry,
            Decision::Skip => projections::Decision::Skip,
        };
        let (position, tenant) = (input.position.0, Some(caller.tenant.as_str()));
        let order =
            projections::ResumeRequest { decision, position, tenant, actor: &caller.actor, reason: &input.reason };
        let projection = named(&input.projection)?;
        let resumed = projections::resume(&services.pool, services.commands.log(), projection, &order).await;
        let resumed = resumed.map_err(|error| parking(&error))?;
        let long = |count: u64| i64::try_from(count).unwrap_or(i64::MAX).into();
        Ok(ResumeParkedEventPayload { applied: long(resumed.applied), parked: long(resumed.parked) })
    }

    /// Starts building another version of a read model beside the live one, or goes on with it. Answers at once:
    /// `nextPosition` says how far it is. A server that ends leaves it where it is; ask again to go on. For operators.
    #[graphql(guard = "Operators")]
    async fn rebuild_projection(&self, ctx: &Context<'_>, name: String) -> Result<Projection> {
        let services = ctx.data::<Arc<Services>>()?;
        let projection = named(&name)?;
        let (pool, log, stop) = (services.pool.clone(), services.commands.log().clone(), services.shutdown.clone());
        tokio::spawn(async move {
            let models = [projection];
            let built = projections::build(&pool, &log, &models, REBUILD_BATCH_EVENTS, |_| {});
            tokio::select! {
                () = stop.cancelled() => {}
                built = built => match built {
                    Ok(position) => tracing::info!(projection = projection.name(), %position, "a version is built"),
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::error!(projection = projection.name(), error, "a version could not be built");
                    }
                },
            }
        });
        status(services, &name).await
    }

    /// Compares the version under construction with the live one. Both go on meanwhile. For operators.
    #[graphql(guard = "Operators")]
    async fn compare_projection(&self, ctx: &Context<'_>, name: String) -> Result<ProjectionComparison> {
        let (services, caller) = (ctx.data::<Arc<Services>>()?, ctx.data::<Caller>()?);
        let (pool, log, projection) = (services.pool.clone(), services.commands.log().clone(), named(&name)?);
        let compared = to_its_end(async move { projections::compare(&pool, &log, projection).await }).await?;
        Ok(ProjectionComparison::of(compared, &caller.tenant))
    }

    /// Puts the version under construction in the place of the live one. Queries wait for a moment; none fails.
    /// For operators.
    #[graphql(guard = "Operators")]
    async fn switch_projection(&self, ctx: &Context<'_>, name: String) -> Result<Projection> {
        let services = ctx.data::<Arc<Services>>()?;
        let (pool, log, projection) = (services.pool.clone(), services.commands.log().clone(), named(&name)?);
        to_its_end(async move { projections::switch(&pool, &log, projection).await }).await?;
        status(services, &name).await
    }

    /// Drops a version that is not live. For operators.
    #[graphql(guard = "Operators")]
    async fn drop_projection_version(
        &self,
        ctx: &Context<'_>,
        name: String,
        version: SpareVersion,
    ) -> Result<Projection> {
        let services = ctx.data::<Arc<Services>>()?;
        let spare = match version {
            SpareVersion::Next => InactiveVersion::Next,
            SpareVersion::Old => InactiveVersion::Previous,
        };
        let dropped = projections::drop_version(&services.pool, named(&name)?, spare).await;
        dropped.map_err(|error| rebuilding(&error))?;
        status(services, &name).await
    }
}

/// Does something whose request may be given up sooner: what was done would have to be done again.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, RebuildError>> + Send + 'static,
) -> Result<T> {
    let done = tokio::spawn(work).await.unwrap_or(Err(RebuildError::Panicked));
    done.map_err(|error| rebuilding(&error))
}

fn named(name: &str) -> Result<&'static dyn projections::Projection> {
    let unknown = || errors::bad_input("UNKNOWN_PROJECTION", format!("there is no projection {name:?}"));
    projections::by_name(name).ok_or_else(unknown)
}

async fn status(services: &Services, name: &str) -> Result<Projection> {
    let statuses = projections::statuses(&services.pool).await.map_err(|error| errors::database(&error))?;
    let found = statuses.into_iter().find(|status| status.name == name);
    found.map(Into::into).ok_or_else(|| errors::bad_input("UNKNOWN_PROJECTION", "there is no such projection"))
}

fn parking(error: &ParkingError) -> Error {
    match error {
        ParkingError::NotParked(_) => errors::bad_input("NOT_PARKED", error.to_string()),
        ParkingError::NotFirst(_, _) => errors::bad_input("NOT_FIRST", error.to_string()),
        ParkingError::AppliedInNextVersion(_, _) => errors::bad_input("UNDER_CONSTRUCTION", error.to_string()),
        ParkingError::VersionMismatch => errors::bad_input("OTHER_VERSION", error.to_string()),
        ParkingError::Read(error) => errors::read(error),
        ParkingError::Database(error) => errors::database(error),
        ParkingError::Apply(error) => errors::internal(error),
    }
}

fn rebuilding(error: &RebuildError) -> Error {
    match error {
        RebuildError::NotBuilt(_) | RebuildError::BuiltByOtherVersion(_) => {
            errors::bad_input("NOT_BUILT", error.to_string())
        }
        RebuildError::VersionMismatch { .. } => errors::bad_input("OTHER_VERSION", error.to_string()),
        RebuildError::BuiltElsewhere(_) | RebuildError::LiveBehind(_) | RebuildError::TablesBusy(_) => {
            errors::coded("CONTENDED", error.to_string())
        }
        RebuildError::Database(_) if error.is_conflict() => {
            tracing::debug!(
                error = error as &dyn std::error::Error,
                "versions of a read model are changed concurrently"
            );
            errors::coded("CONTENDED", "another request changes the versions of this read model; retry")
        }
        RebuildError::Read(error) => errors::read(error),
        RebuildError::Database(error) => errors::database(error),
        RebuildError::Apply(_) | RebuildError::Panicked => errors::internal(error),
    }
}
