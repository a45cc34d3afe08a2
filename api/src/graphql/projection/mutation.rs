//! Maintenance of projections by operators.

use super::types::{Decision, InactiveVersion, Projection, ProjectionComparison};
use crate::graphql::errors;
use crate::graphql::scalars::{Long, Position};
use crate::graphql::services::{authorise, requester, services};
use async_graphql::{Context, Error, InputObject, Object, Result, SimpleObject};
use projections::{ParkingError, REBUILD_BATCH_EVENTS, RebuildError};
use std::future::Future;

/// Input of `resumeParkedEvent`. The decision is recorded with the actor and the time.
#[derive(Debug, InputObject)]
pub(crate) struct ResumeParkedEventInput {
    /// Name of the projection that parked the event.
    projection: String,
    /// Position of the event. It must be the first parked event of its stream.
    position: Position,
    /// What to do with the event.
    decision: Decision,
    /// Reason for the decision.
    reason: String,
}

/// Payload of `resumeParkedEvent`.
#[derive(Debug, SimpleObject)]
pub(crate) struct ResumeParkedEventPayload {
    /// Number of events of the stream that were applied.
    applied: Long,
    /// Number of events of the stream that remain parked.
    parked: Long,
}

/// Maintenance of projections by operators.
#[derive(Default)]
pub(crate) struct ProjectionMutation;

#[Object]
impl ProjectionMutation {
    /// Retries or skips a parked event, and applies the rest of its stream. Requires the operator token.
    async fn resume_parked_event(
        &self,
        ctx: &Context<'_>,
        input: ResumeParkedEventInput,
    ) -> Result<ResumeParkedEventPayload> {
        let (services, access) = (services(ctx)?, authorise(ctx)?);
        let request = projections::ResumeRequest {
            decision: input.decision.into(),
            position: input.position.0,
            tenant: Some(access.tenant().as_str()),
            actor: &requester(ctx)?.principal.actor(),
            reason: &input.reason,
        };
        let projection = named(&input.projection)?;
        let resumed = projections::resume(&access, &services.pool, services.commands.log(), projection, &request).await;
        let resumed = resumed.map_err(|error| parking(&error))?;
        let long = |count: u64| i64::try_from(count).unwrap_or(i64::MAX).into();
        Ok(ResumeParkedEventPayload { applied: long(resumed.applied), parked: long(resumed.parked) })
    }

    /// Starts or continues to build a new version of a read model beside the live one, in the background. The mutation
    /// returns at once; `nextPosition` shows the progress. A build that a server shutdown interrupted continues when the
    /// mutation is sent again. Requires the operator token.
    async fn rebuild_projection(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Name of the projection.")] name: String,
    ) -> Result<Projection> {
        let (services, access) = (services(ctx)?, authorise(ctx)?);
        let projection = named(&name)?;
        let (pool, log, stop) = (services.pool.clone(), services.commands.log().clone(), services.shutdown.clone());
        tokio::spawn(async move {
            let models = [projection];
            let built = projections::build(&access, &pool, &log, &models, REBUILD_BATCH_EVENTS, |_| {});
            tokio::select! {
                () = stop.cancelled() => {}
                built = built => match built {
                    Ok(position) => {
                        tracing::info!(projection = projection.name(), %position, "built a new version of a read model");
                    }
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::error!(projection = projection.name(), error, "cannot build a version of a read model");
                    }
                },
            }
        });
        status(ctx, &name).await
    }

    /// Compares the version under construction with the live one. Both continue to apply events meanwhile. Requires the
    /// operator token.
    async fn compare_projection(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Name of the projection.")] name: String,
    ) -> Result<ProjectionComparison> {
        let (services, access) = (services(ctx)?, authorise(ctx)?);
        let tenant = access.tenant().clone();
        let (pool, log, projection) = (services.pool.clone(), services.commands.log().clone(), named(&name)?);
        let compared = detached(async move { projections::compare(&access, &pool, &log, projection).await }).await?;
        Ok(ProjectionComparison::visible_to(compared, &tenant))
    }

    /// Replaces the live version with the version under construction. Queries are delayed for a moment, and none fails.
    /// Requires the operator token.
    async fn switch_projection(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Name of the projection.")] name: String,
    ) -> Result<Projection> {
        let (services, access) = (services(ctx)?, authorise(ctx)?);
        let (pool, log, projection) = (services.pool.clone(), services.commands.log().clone(), named(&name)?);
        detached(async move { projections::switch(&access, &pool, &log, projection).await }).await?;
        status(ctx, &name).await
    }

    /// Drops a version that is not live. Requires the operator token.
    async fn drop_projection_version(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Name of the projection.")] name: String,
        #[graphql(desc = "Version to drop.")] version: InactiveVersion,
    ) -> Result<Projection> {
        let (services, access) = (services(ctx)?, authorise(ctx)?);
        let dropped = projections::drop_version(&access, &services.pool, named(&name)?, version.into()).await;
        dropped.map_err(|error| rebuilding(&error))?;
        status(ctx, &name).await
    }
}

/// Runs work to completion in a task of its own, even if the request is cancelled or times out, because repeating the
/// work is expensive.
async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T, RebuildError>> + Send + 'static,
) -> Result<T> {
    let done = tokio::spawn(work).await.unwrap_or(Err(RebuildError::Panicked));
    done.map_err(|error| rebuilding(&error))
}

fn named(name: &str) -> Result<&'static dyn projections::Projection> {
    projections::by_name(name).ok_or_else(|| unknown(name))
}

async fn status(ctx: &Context<'_>, name: &str) -> Result<Projection> {
    let statuses = projections::statuses(&authorise(ctx)?, &services(ctx)?.pool)
        .await
        .map_err(|error| errors::database(&error))?;
    statuses.into_iter().find(|status| status.name == name).map(Into::into).ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> Error {
    let shown: String = name.chars().take(64).collect();
    errors::bad_input("UNKNOWN_PROJECTION", format!("there is no projection {shown:?}"))
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
        RebuildError::Database(_) if error.is_conflict() => {
            let error = error as &dyn std::error::Error;
            tracing::debug!(error, "another process changes the versions of a read model");
            errors::coded("CONTENDED", "another process is changing the versions of this read model; retry")
        }
        RebuildError::NotBuilt(_) | RebuildError::BuiltByOtherVersion(_) => {
            errors::bad_input("NOT_BUILT", error.to_string())
        }
        RebuildError::VersionMismatch { .. } => errors::bad_input("OTHER_VERSION", error.to_string()),
        RebuildError::BuiltElsewhere(_) | RebuildError::LiveBehind(_) | RebuildError::TablesBusy(_) => {
            errors::coded("CONTENDED", error.to_string())
        }
        RebuildError::Read(error) => errors::read(error),
        RebuildError::Database(error) => errors::database(error),
        RebuildError::Apply(_) | RebuildError::Panicked => errors::internal(error),
    }
}
