//! Schedules on the database, read from the log itself, so that no worker of a read model is needed.

use super::super::operations::{ScheduleMove, ScheduleOperations, ShownRun, ShownSchedule};
use super::super::schedules::{SHOWN_RUNS, definition};
use super::{Listed, OnDatabase, listed, now};
use anyhow::Context as _;
use chrono::Utc;
use commands::OutcomeKind;
use domain::permissions::ReadSchedules;
use domain::schedule::{
    Schedule, ScheduleCommand, ScheduleDefined, ScheduleDefinition, ScheduleMoved, ScheduleOwner, ScheduleStatus,
};
use domain::tag_keys::TagKeys;
use domain::{Aggregate as _, Body, ScheduleId};
use identity::MAX_LISTED;
use projections::schedules::{ScheduleRow, ScheduleRunRow};
use projections::{Applied, StreamRow as _, scheduled_report};
use std::collections::BTreeMap;
use std::sync::Arc;
use streams::{Position, TenantFilter};
use uuid::Uuid;

/// The number of events read at a time.
const PAGE_EVENTS: usize = 1_000;

fn shown(row: ScheduleRow) -> anyhow::Result<ShownSchedule> {
    let of: ScheduleDefinition = serde_json::from_value(row.definition)?;
    let owner = match serde_json::from_value(row.owner)? {
        ScheduleOwner::User { user_id, .. } => format!("user:{user_id}"),
        ScheduleOwner::ServiceAccount { service_account_id, api_key_id } => {
            format!("service_account:{service_account_id}/key:{api_key_id}")
        }
        ScheduleOwner::CommandLine => "command line".to_owned(),
    };
    let is_active = row.status == ScheduleStatus::Active.as_str();
    let next = of.timing.next_made_after(Utc::now()).filter(|_| is_active);
    Ok(ShownSchedule {
        id: ScheduleId(row.schedule_id),
        name: row.name,
        status: row.status,
        definition: definition(&of),
        owner,
        failure: row.failure,
        last_ran_at: row.last_ran_at,
        next_run_at: next.map(|at| at + of.timing.delay()),
    })
}

fn shown_run(row: ScheduleRunRow) -> ShownRun {
    ShownRun {
        outcome: row.outcome,
        due_at: row.due_at,
        request: row.request,
        last_due_at: row.last_due_at,
        skipped: row.skipped,
        period: row.period,
        file: row.file,
        bytes: row.bytes,
        sha256: row.sha256,
        rows: row.rows,
        known_at: row.known_at,
        reason: row.reason,
        at: row.at,
    }
}

impl OnDatabase<'_> {
    /// The rows of schedules, and the runs of each, from the events of one stream or of all.
    async fn fold(&self, id: Option<ScheduleId>) -> anyhow::Result<BTreeMap<Uuid, (ScheduleRow, Vec<ScheduleRunRow>)>> {
        let access = self.rooms.principal.authorise::<ReadSchedules>()?;
        let log = self.rooms.log.of_tenants(self.rooms.reads.clone());
        let filter = TenantFilter::new(&access, Some(Schedule::CATEGORY.to_owned()), Vec::new(), id.map(|id| id.0));
        let mut pages = log.pages(Position::ZERO, filter, PAGE_EVENTS);
        let mut found: BTreeMap<Uuid, (ScheduleRow, Vec<ScheduleRunRow>)> = BTreeMap::new();
        while let Some(page) = pages.next_page().await? {
            for recorded in page {
                let event = Arc::new(recorded.decode()?);
                let applied = Applied { recorded: Arc::new(recorded), event };
                let (row, mut runs) =
                    found.remove(&applied.stream_id()).map_or((None, Vec::new()), |(row, runs)| (Some(row), runs));
                if let Some(run) = ScheduleRunRow::of_event(&applied)? {
                    if runs.len() >= SHOWN_RUNS {
                        runs.remove(0);
                    }
                    runs.push(run);
                }
                if let Some(row) = ScheduleRow::fold(row, &applied)? {
                    found.insert(row.schedule_id, (row, runs));
                }
            }
        }
        Ok(found)
    }

    /// What defines or changes a schedule, if a report can be made of it.
    async fn defined(&self, definition: ScheduleDefinition, reason: Option<Body>) -> anyhow::Result<ScheduleDefined> {
        let (principal, timing) = (&self.rooms.principal, definition.timing);
        let declared = self.rooms.commands.load::<TagKeys>(principal, TagKeys::id()).await?;
        if let Some(period) = timing.period_over_at(Utc::now()) {
            let zone = (timing.time_zone, &period);
            scheduled_report(principal.authorise()?, &definition.content, zone, &declared.state)?;
        }
        let owner = principal.schedule_owner().context("the command line owns schedules")?;
        Ok(ScheduleDefined { definition, owner, reason, at: now() })
    }

    async fn command_schedule(&self, id: ScheduleId, command: ScheduleCommand) -> anyhow::Result<OutcomeKind> {
        Ok(self.rooms.commands.execute::<Schedule>(&self.context(), id.0, command).await?.kind)
    }
}

impl ScheduleOperations for OnDatabase<'_> {
    async fn schedules(&self) -> anyhow::Result<Listed<ShownSchedule>> {
        let mut rows: Vec<_> = self.fold(None).await?.into_values().map(|(row, _)| row).collect();
        rows.retain(|row| row.status != ScheduleStatus::Deleted.as_str());
        rows.sort_by_key(|row| (row.defined_at, row.schedule_id));
        rows.truncate(MAX_LISTED);
        Ok(listed(rows.into_iter().map(shown).collect::<anyhow::Result<_>>()?))
    }

    async fn schedule(&self, id: ScheduleId) -> anyhow::Result<Option<(ShownSchedule, Vec<ShownRun>)>> {
        let Some((row, runs)) = self.fold(Some(id)).await?.remove(&id.0) else { return Ok(None) };
        Ok(Some((shown(row)?, runs.into_iter().rev().map(shown_run).collect())))
    }

    async fn define_schedule(
        &self,
        definition: ScheduleDefinition,
        reason: Option<Body>,
    ) -> anyhow::Result<ScheduleId> {
        let (id, defined) = (ScheduleId(Uuid::now_v7()), self.defined(definition, reason).await?);
        self.command_schedule(id, ScheduleCommand::Define(defined)).await?;
        Ok(id)
    }

    async fn change_schedule(
        &self,
        id: ScheduleId,
        definition: ScheduleDefinition,
        reason: Option<Body>,
    ) -> anyhow::Result<OutcomeKind> {
        let defined = self.defined(definition, reason).await?;
        self.command_schedule(id, ScheduleCommand::Change(defined)).await
    }

    async fn move_schedule(
        &self,
        id: ScheduleId,
        to: ScheduleMove,
        reason: Option<Body>,
    ) -> anyhow::Result<OutcomeKind> {
        let moved = ScheduleMoved { reason, at: now() };
        let command = match to {
            ScheduleMove::Pause => ScheduleCommand::Pause(moved),
            ScheduleMove::Resume => ScheduleCommand::Resume(moved),
            ScheduleMove::Delete => ScheduleCommand::Delete(moved),
        };
        self.command_schedule(id, command).await
    }

    async fn run_schedule(&self, id: ScheduleId, day: Option<chrono::NaiveDate>) -> anyhow::Result<()> {
        self.command_schedule(id, ScheduleCommand::RequestRun { day, at: now() }).await.map(drop)
    }
}
