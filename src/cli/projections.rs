//! `apex projections`

use super::output::{self, ListFormat};
use super::session::{Session, with_rooms};
use crate::rooms::Rooms;
use anyhow::Context as _;
use domain::permissions::Action;
use indicatif::{ProgressBar, ProgressStyle};
use projections::{
    Comparison, Decision, InactiveVersion, Projection, REBUILD_BATCH_EVENTS, RebuildError, RebuildProgress,
    ResumeRequest, SessionSettings, TenantSelection, by_name, statuses,
};
use serde_json::json;
use std::process::ExitCode;
use streams::Position;

/// List, rebuild and verify read models.
///
/// Read models are derived: each can be rebuilt from the log.
#[derive(Debug, clap::Args)]
pub(super) struct Projections {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the read models with their positions and versions
    List {
        /// The format of the list
        #[arg(long, value_enum, default_value_t = ListFormat::Table)]
        format: ListFormat,
    },
    /// List parked events, which could not be applied. Later events of their streams are not applied either
    Parked {
        /// Only of this read model
        #[arg(value_name = "NAME")]
        projection: Option<String>,
        /// The format of the list
        #[arg(long, value_enum, default_value_t = ListFormat::Table)]
        format: ListFormat,
    },
    /// List the decisions about parked events, the latest first
    Decisions {
        /// Only of this read model
        #[arg(value_name = "NAME")]
        projection: Option<String>,
        /// The format of the list
        #[arg(long, value_enum, default_value_t = ListFormat::Table)]
        format: ListFormat,
    },
    /// Apply the events of a parked stream again, after the cause was removed
    Retry(Parked),
    /// Skip a parked event permanently, and continue with its stream. A rebuild skips it too
    Skip(Parked),
    /// Build a new version of a read model beside the live one, and compare them. An interrupted build is resumed
    Rebuild {
        /// The name of the read model, or `all`
        name: String,
        /// Switch to the new version when it is complete
        #[arg(long)]
        switch: bool,
    },
    /// Compare the new version with the live one, at the same position. Exits with 1 if they differ
    Compare {
        /// The name of the read model, or `all`
        name: String,
    },
    /// Make the new version live. The previous one is kept until the next switch
    Switch {
        /// The name of the read model, or `all`
        name: String,
    },
    /// Drop the version that was live before the last switch
    Drop {
        /// The name of the read model, or `all`
        name: String,
        /// Drop the new version instead
        #[arg(long)]
        next: bool,
    },
    /// Fold the log again and compare with the live version. Nothing is changed. Exits with 1 if they differ
    Verify {
        /// The name of the read model, or `all`
        #[arg(default_value = "all")]
        name: String,
        /// The number of events per batch; several numbers make several checks
        #[arg(long, value_name = "EVENTS", value_delimiter = ',', default_values_t = [REBUILD_BATCH_EVENTS])]
        batch_events: Vec<usize>,
    },
}

#[derive(Debug, clap::Args)]
struct Parked {
    /// The name of the read model
    name: String,
    /// The position of the event
    position: u64,
    /// The reason, which is recorded with the actor and the time
    #[arg(long)]
    reason: String,
    /// The actor, which is recorded
    #[arg(long, default_value = "command line")]
    actor: String,
}

/// The maximum number of parked events or decisions listed.
const MAX_PARKED: i64 = 1000;

impl Projections {
    /// The action of the subcommand. Parked events are listed of all tenants, which is for operators.
    pub(super) fn action(&self) -> Action {
        match self.command {
            Command::List { .. } => Action::ReadProjections,
            Command::Parked { .. }
            | Command::Decisions { .. }
            | Command::Retry(_)
            | Command::Skip(_)
            | Command::Rebuild { .. }
            | Command::Compare { .. }
            | Command::Switch { .. }
            | Command::Drop { .. }
            | Command::Verify { .. } => Action::OperateProjections,
        }
    }

    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        with_rooms(session, async |rooms| {
            let is_success = match self.command {
                Command::List { format } => list(rooms, format).await?,
                Command::Parked { projection, format } => parked(rooms, projection.as_deref(), format).await?,
                Command::Decisions { projection, format } => decisions(rooms, projection.as_deref(), format).await?,
                Command::Retry(event) => decide(rooms, &event, Decision::Retry).await?,
                Command::Skip(event) => decide(rooms, &event, Decision::Skip).await?,
                Command::Rebuild { name, switch } => rebuild(rooms, &named(&name)?, switch).await?,
                Command::Compare { name } => compare(rooms, &named(&name)?).await?,
                Command::Switch { name } => switch(rooms, &named(&name)?).await?,
                Command::Drop { name, next } => drop(rooms, &named(&name)?, next).await?,
                Command::Verify { name, batch_events } => verify(rooms, &named(&name)?, &batch_events).await?,
            };
            Ok(if is_success { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        })
        .await
    }
}

fn named(name: &str) -> anyhow::Result<Vec<&'static dyn Projection>> {
    if name == "all" {
        return Ok(projections::all());
    }
    by_name(name).map(|projection| vec![projection]).with_context(|| {
        let names: Vec<_> = projections::all().iter().map(|projection| projection.name()).collect();
        format!("there is no read model {name:?}; the read models are {}, or `all`", names.join(", "))
    })
}

async fn list(rooms: &Rooms, format: ListFormat) -> anyhow::Result<bool> {
    let statuses =
        statuses(&rooms.principal.authorise()?, &rooms.pool).await.context("the checkpoints cannot be read")?;
    let version = |version: Option<i32>| version.map_or_else(|| "-".to_owned(), |version| version.to_string());
    let rows = statuses.into_iter().map(|status| {
        let next = match (status.next_version, status.next_position) {
            (Some(version), Some(position)) => format!("{version} at {position}"),
            _ => "-".to_owned(),
        };
        vec![
            status.name,
            status.position.to_string(),
            status.lag_events.to_string(),
            status.parked_events.to_string(),
            status.updated_at.map_or_else(|| "never".to_owned(), |at| at.to_rfc3339()),
            version(status.version),
            next,
            version(status.old_version),
        ]
    });
    let header = ["name", "position", "lag_events", "parked_events", "updated_at", "version", "next", "previous"];
    print(&header, rows.collect(), format)?;
    Ok(true)
}

async fn parked(rooms: &Rooms, projection: Option<&str>, format: ListFormat) -> anyhow::Result<bool> {
    let parked = projections::parked_events(
        TenantSelection::All(&rooms.pool, &rooms.principal.authorise()?),
        projection,
        MAX_PARKED,
    )
    .await?;
    let rows = parked.into_iter().map(|event| {
        let stream = format!("{}/{}", event.category, event.stream_id);
        vec![event.projection, event.position.to_string(), stream, event.attempts.to_string(), event.cause]
    });
    print(&["projection", "position", "stream", "attempts", "cause"], rows.collect(), format)?;
    Ok(true)
}

async fn decisions(rooms: &Rooms, projection: Option<&str>, format: ListFormat) -> anyhow::Result<bool> {
    let decisions = projections::parking_decisions(
        TenantSelection::All(&rooms.pool, &rooms.principal.authorise()?),
        projection,
        MAX_PARKED,
    )
    .await?;
    let rows = decisions.into_iter().map(|made| {
        let (position, at) = (made.position.to_string(), made.decided_at.to_rfc3339());
        vec![at, made.projection, position, made.decision.as_str().to_owned(), made.actor, made.reason]
    });
    print(&["decided_at", "projection", "position", "decision", "actor", "reason"], rows.collect(), format)?;
    Ok(true)
}

async fn decide(rooms: &Rooms, event: &Parked, decision: Decision) -> anyhow::Result<bool> {
    let projection = by_name(&event.name).with_context(|| format!("there is no read model {:?}", event.name))?;
    let (position, actor, reason) = (Position::from(event.position), &event.actor, &event.reason);
    let order = ResumeRequest { decision, position, tenant: None, actor, reason };
    let resumed =
        projections::resume(&rooms.principal.authorise()?, &rooms.pool, &rooms.log, projection, &order).await?;
    say!("{} events of the stream were applied, {} are still parked.", resumed.applied, resumed.parked);
    Ok(resumed.parked == 0)
}

async fn rebuild(rooms: &Rooms, projections: &[&'static dyn Projection], switch_after: bool) -> anyhow::Result<bool> {
    let mut bar = Bar::of(projections);
    let on_progress = |progress| bar.update(progress);
    let access = rooms.principal.authorise()?;
    let built =
        projections::build(&access, &rooms.pool, &rooms.log, projections, REBUILD_BATCH_EVENTS, on_progress).await;
    std::mem::drop(bar);
    built.context("the live version is unchanged; run the same command again to continue")?;
    if let Err(error) = compare(rooms, projections).await {
        // If the live version is of other code, perhaps no worker updates it any more.
        let is_behind = matches!(error.downcast_ref(), Some(RebuildError::LiveBehind(_)));
        anyhow::ensure!(switch_after && is_behind, error);
        say!("The new version was not compared: {error:#}");
    }
    if switch_after { switch(rooms, projections).await } else { Ok(true) }
}

/// Updates the new version to the end of the log.
async fn update_build(rooms: &Rooms, projections: &[&'static dyn Projection]) -> anyhow::Result<()> {
    let mut bar = Bar::of(projections);
    let on_progress = |progress| bar.update(progress);
    projections::resume_build(
        &rooms.principal.authorise()?,
        &rooms.pool,
        &rooms.log,
        projections,
        REBUILD_BATCH_EVENTS,
        on_progress,
    )
    .await?;
    Ok(())
}

/// A progress bar for a fold of the log; removed when dropped.
struct Bar {
    bar: ProgressBar,
    is_started: bool,
}

impl Bar {
    fn of(projections: &[&'static dyn Projection]) -> Self {
        let names: Vec<_> = projections.iter().map(|projection| projection.name()).collect();
        let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} events, {per_sec}, ready in {eta}");
        let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar: bar.with_prefix(names.join(", ")), is_started: false }
    }

    fn update(&mut self, progress: RebuildProgress) {
        self.bar.set_length(progress.head.get());
        if !std::mem::replace(&mut self.is_started, true) {
            // The progress of an earlier build does not count for the rate of this one.
            self.bar.set_position(progress.position.get());
            self.bar.reset_eta();
        }
        self.bar.set_position(progress.position.get());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

async fn compare(rooms: &Rooms, projections: &[&'static dyn Projection]) -> anyhow::Result<bool> {
    update_build(rooms, projections).await?;
    let mut is_same = true;
    for projection in projections {
        let comparison =
            projections::compare(&rooms.principal.authorise()?, &rooms.pool, &rooms.log, *projection).await?;
        is_same &= print_comparison(projection.name(), &comparison);
    }
    Ok(is_same)
}

async fn switch(rooms: &Rooms, projections: &[&'static dyn Projection]) -> anyhow::Result<bool> {
    update_build(rooms, projections).await?;
    for projection in projections {
        let position = projections::switch(&rooms.principal.authorise()?, &rooms.pool, &rooms.log, *projection).await?;
        say!("{}: switched at position {position}; the previous version is kept until `drop`.", projection.name());
    }
    Ok(true)
}

async fn drop(rooms: &Rooms, projections: &[&'static dyn Projection], next: bool) -> anyhow::Result<bool> {
    let version = if next { InactiveVersion::Next } else { InactiveVersion::Previous };
    for projection in projections {
        projections::drop_version(&rooms.principal.authorise()?, &rooms.pool, *projection, version).await?;
    }
    Ok(true)
}

async fn verify(rooms: &Rooms, projections: &[&'static dyn Projection], sizes: &[usize]) -> anyhow::Result<bool> {
    let (access, mut is_same) = (rooms.principal.authorise()?, true);
    for projection in projections {
        for &size in sizes {
            let settings = SessionSettings::different_locale(size.max(1));
            let mut bar = Bar::of(&[*projection]);
            let (pool, log, on_progress) = (&rooms.pool, &rooms.log, |progress| bar.update(progress));
            let comparison =
                projections::verify_with_progress(&access, pool, log, *projection, &settings, on_progress).await?;
            std::mem::drop(bar);
            is_same &= print_comparison(projection.name(), &comparison);
        }
    }
    Ok(is_same)
}

/// Prints the comparison of two versions. Returns whether they are the same.
fn print_comparison(name: &str, comparison: &Comparison) -> bool {
    for (live, other) in comparison.live.iter().zip(&comparison.other) {
        let (table, rows, position) = (live.table, other.rows, comparison.position);
        if live == other {
            say!("{name}: {table}: {rows} rows up to position {position}, the same rows as live.");
        } else {
            say!("{name}: {table}: {rows} rows up to position {position}, different from the {} live rows.", live.rows);
        }
    }
    for column in &comparison.columns {
        say!("{name}: only one version has {column}; it is not compared.");
    }
    for difference in &comparison.differences {
        let side = |row: &Option<String>| row.clone().unwrap_or_else(|| "missing".to_owned());
        let (live, other) = (side(&difference.live), side(&difference.other));
        say!("{name}: {} {}:\n  live  {live}\n  built {other}", difference.table, difference.key);
    }
    if comparison.parked.0 != comparison.parked.1 {
        say!(
            "{name}: the live version has {} parked events, the new one {}.",
            comparison.parked.0,
            comparison.parked.1
        );
    }
    comparison.is_same()
}

fn print(header: &[&str], rows: Vec<Vec<String>>, format: ListFormat) -> anyhow::Result<()> {
    match format {
        ListFormat::Table => {
            let header: Vec<_> = header.iter().map(|column| (*column).to_owned()).collect();
            Ok(output::table(&header, &rows, 1..1)?)
        }
        ListFormat::Json => {
            let objects: Vec<_> = rows
                .into_iter()
                .map(|row| header.iter().zip(row).map(|(column, value)| ((*column).to_owned(), json!(value))).collect())
                .collect::<Vec<serde_json::Map<_, _>>>();
            output::json(&objects)
        }
    }
}
