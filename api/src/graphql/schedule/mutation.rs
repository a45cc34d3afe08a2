//! Commands to schedules.

use super::definition::ScheduleDefinitionInput;
use super::types::Schedule;
use crate::graphql::command_error::command_error;
use crate::graphql::command_options::{CommandOptions, command_input};
use crate::graphql::input::{self, Invalid};
use crate::graphql::payload::{self, payload};
use crate::graphql::services::{authorise, requester, services};
use crate::graphql::tag_key;
use async_graphql::{Context, Object, Result};
use domain::permissions::{ReadAllocation, ReadCalls, ReadReports};
use domain::schedule::{
    self as model, ContentKind, ScheduleCommand, ScheduleDefined, ScheduleDefinition, ScheduleError, ScheduleMoved,
};
use projections::scheduled_report;

command_error! {
    /// Reason for which a command to a schedule was rejected.
    ScheduleCommandError,
    /// Reasons for which a command to a schedule is rejected.
    ScheduleErrorCode {
        /// No schedule with this id is defined.
        NotDefined,
        /// Another schedule is defined under this id.
        AlreadyDefined,
        /// The schedule was deleted.
        Deleted,
        /// The schedule has ended, because who defined it may not read what it exports any more.
        Ended,
        /// Schedules run with the permissions of a user, a service account or the command line, and the request has a token of the
        /// settings or none.
        NoOwner,
        /// The definition is not valid.
        InvalidDefinition,
        /// The period is not over, or no call can have started in it.
        PeriodNotOver,
        /// Too many requested runs of the schedule wait.
        TooManyRequests,
        /// The run belongs to an earlier definition of the schedule.
        Superseded,
    }
}

impl From<ScheduleError> for ScheduleCommandError {
    fn from(error: ScheduleError) -> Self {
        let code = match error {
            ScheduleError::NotDefined => ScheduleErrorCode::NotDefined,
            ScheduleError::AlreadyDefined => ScheduleErrorCode::AlreadyDefined,
            ScheduleError::Deleted => ScheduleErrorCode::Deleted,
            ScheduleError::Ended => ScheduleErrorCode::Ended,
            ScheduleError::NoOwner => ScheduleErrorCode::NoOwner,
            ScheduleError::InvalidTime(_)
            | ScheduleError::InvalidDay(_)
            | ScheduleError::DelayTooLong(_)
            | ScheduleError::InvalidFile { .. }
            | ScheduleError::Option { .. }
            | ScheduleError::InvalidFormat { .. }
            | ScheduleError::TooManyDimensions
            | ScheduleError::TooManyDigits(_)
            | ScheduleError::FocusNotInUtc(_) => ScheduleErrorCode::InvalidDefinition,
            ScheduleError::PeriodNotOver(_) | ScheduleError::NoPeriod(_) => ScheduleErrorCode::PeriodNotOver,
            ScheduleError::TooManyRequests => ScheduleErrorCode::TooManyRequests,
            ScheduleError::Superseded => ScheduleErrorCode::Superseded,
        };
        Self::new(code, error)
    }
}

payload! {
    /// Payload of the mutations of a schedule.
    SchedulePayload {
        /// The schedule as of `position`. If the command was rejected, the schedule as it is now.
        schedule: Schedule, error: ScheduleCommandError
    }
}

command_input! {
    /// Input of `defineSchedule`.
    DefineScheduleInput {
        /// Id of the new schedule: a UUID that the client chose. Default: derived from `commandId` if that is given, otherwise a
        /// new UUID.
        id: new Schedule,
        /// What it exports, when, and under which name.
        definition: ScheduleDefinitionInput,
        /// Why it is defined: text of at most 64 KiB.
        reason: Option<String>,
    }
}

command_input! {
    /// Input of `changeSchedule`.
    ChangeScheduleInput {
        /// Global id or UUID of the schedule.
        id: Schedule,
        /// What it exports, when, and under which name, as a whole.
        definition: ScheduleDefinitionInput,
        /// Why it is changed: text of at most 64 KiB.
        reason: Option<String>,
    }
}

command_input! {
    /// Input of `pauseSchedule`.
    PauseScheduleInput {
        /// Global id or UUID of the schedule.
        id: Schedule,
        /// Why it is paused: text of at most 64 KiB.
        reason: Option<String>,
    }
}

command_input! {
    /// Input of `resumeSchedule`.
    ResumeScheduleInput {
        /// Global id or UUID of the schedule.
        id: Schedule,
        /// Why it is resumed: text of at most 64 KiB.
        reason: Option<String>,
    }
}

command_input! {
    /// Input of `deleteSchedule`.
    DeleteScheduleInput {
        /// Global id or UUID of the schedule.
        id: Schedule,
        /// Why it is deleted: text of at most 64 KiB.
        reason: Option<String>,
    }
}

command_input! {
    /// Input of `runSchedule`.
    RunScheduleInput {
        /// Global id or UUID of the schedule.
        id: Schedule,
        /// A day of the period, such as `2026-10-25`. Default: a day of the last period that is over.
        day: Option<String>,
    }
}

/// Commands to schedules.
#[derive(Default)]
pub(crate) struct ScheduleMutation;

#[Object]
impl ScheduleMutation {
    /// Defines a schedule. It runs with the permissions of who defines it, as they are at the time of each run. Takes the permissions
    /// that the content takes.
    async fn define_schedule(&self, ctx: &Context<'_>, input: DefineScheduleInput) -> Result<SchedulePayload> {
        let options = input.options(ctx)?;
        let defined = defined(ctx, options, input.definition, input.reason).await?;
        execute(ctx, options, defined.map(ScheduleCommand::Define)).await
    }

    /// Replaces the definition of a schedule. It runs with the permissions of who changes it from then on. Takes the permissions that
    /// the content takes.
    async fn change_schedule(&self, ctx: &Context<'_>, input: ChangeScheduleInput) -> Result<SchedulePayload> {
        let options = input.options(ctx)?;
        let defined = defined(ctx, options, input.definition, input.reason).await?;
        execute(ctx, options, defined.map(ScheduleCommand::Change)).await
    }

    /// Stops the runs of a schedule until it is resumed.
    async fn pause_schedule(&self, ctx: &Context<'_>, input: PauseScheduleInput) -> Result<SchedulePayload> {
        let options = input.options(ctx)?;
        execute(ctx, options, moved(options, input.reason).map(ScheduleCommand::Pause)).await
    }

    /// Lets a paused or ended schedule run again, at times that are still to come.
    async fn resume_schedule(&self, ctx: &Context<'_>, input: ResumeScheduleInput) -> Result<SchedulePayload> {
        let options = input.options(ctx)?;
        execute(ctx, options, moved(options, input.reason).map(ScheduleCommand::Resume)).await
    }

    /// Deletes a schedule for good. Its files and its history stay.
    async fn delete_schedule(&self, ctx: &Context<'_>, input: DeleteScheduleInput) -> Result<SchedulePayload> {
        let options = input.options(ctx)?;
        execute(ctx, options, moved(options, input.reason).map(ScheduleCommand::Delete)).await
    }

    /// Requests a run of a schedule at once, with the permissions of who defined it. The run is made in the background: see `runs`
    /// of the schedule.
    async fn run_schedule(&self, ctx: &Context<'_>, input: RunScheduleInput) -> Result<SchedulePayload> {
        let options = input.options(ctx)?;
        let invalid = || Invalid::new("day", "expected a day such as 2026-10-25");
        let day = input.day.map(|day| domain::parse_day(&day).ok_or_else(invalid));
        let command = day.transpose().map(|day| ScheduleCommand::RequestRun { day, at: options.at });
        execute(ctx, options, command).await
    }
}

fn moved(options: CommandOptions, reason: Option<String>) -> Result<ScheduleMoved, Invalid> {
    Ok(ScheduleMoved { reason: input::body_opt("reason", reason)?, at: options.at })
}

/// Why a definition is rejected before it is decided about.
enum Unfit {
    Input(Invalid),
    Domain(ScheduleError),
}

impl From<Invalid> for Unfit {
    fn from(invalid: Invalid) -> Self {
        Self::Input(invalid)
    }
}

impl From<Unfit> for ScheduleCommandError {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Input(invalid) => invalid.into(),
            Unfit::Domain(error) => error.into(),
        }
    }
}

async fn defined(
    ctx: &Context<'_>,
    options: CommandOptions,
    definition: ScheduleDefinitionInput,
    reason: Option<String>,
) -> Result<Result<ScheduleDefined, Unfit>> {
    let definition = match definition.parse() {
        Ok(definition) => definition,
        Err(invalid) => return Ok(Err(invalid.into())),
    };
    let reason = match input::body_opt("reason", reason) {
        Ok(reason) => reason,
        Err(invalid) => return Ok(Err(invalid.into())),
    };
    let Some(owner) = requester(ctx)?.principal.schedule_owner() else {
        return Ok(Err(Unfit::Domain(ScheduleError::NoOwner)));
    };
    if let Err(invalid) = check_report(ctx, &definition).await? {
        return Ok(Err(invalid.into()));
    }
    Ok(Ok(ScheduleDefined { definition, owner, reason, at: options.at }))
}

/// Checks that the principal of the request may read what the schedule exports, and that a report can be made of a period of it.
async fn check_report(ctx: &Context<'_>, definition: &ScheduleDefinition) -> Result<Result<(), Invalid>> {
    let timing = &definition.timing;
    match definition.content.kind {
        ContentKind::Calls => return authorise::<ReadCalls>(ctx).map(|_| Ok(())),
        ContentKind::Focus => return authorise::<ReadReports>(ctx).map(|_| Ok(())),
        ContentKind::CostStatements => drop(authorise::<ReadAllocation>(ctx)?),
        ContentKind::CostReport => {}
    }
    let access = authorise::<ReadReports>(ctx)?;
    let Some(period) = timing.period_over_at(chrono::Utc::now()) else { return Ok(Ok(())) };
    let declared = tag_key::declared_in(services(ctx)?, &requester(ctx)?.principal.charging()).await?;
    let report = scheduled_report(access, &definition.content, (timing.time_zone, &period), &declared.state);
    Ok(report.map(drop).map_err(|error| Invalid::new("definition", error)))
}

async fn execute(
    ctx: &Context<'_>,
    options: CommandOptions,
    command: Result<ScheduleCommand, impl Into<ScheduleCommandError>>,
) -> Result<SchedulePayload> {
    payload::execute::<model::Schedule, ScheduleCommandError>(ctx, options, command).await.map(Into::into)
}
