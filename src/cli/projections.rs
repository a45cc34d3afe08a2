//! `apex projections`

use super::output::{self, ListFormat};
use super::with_rooms;
use crate::config::Common;
use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use projections::{Projection, REBUILD_BATCH_EVENTS, by_name, fingerprint, rebuild, statuses};
use serde_json::json;
use std::process::ExitCode;

/// Read models are derived: each can be built again from the log.
#[derive(Debug, clap::Args)]
pub(super) struct Projections {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Where each read model stands
    List {
        /// The form of the list
        #[arg(long, value_enum, default_value_t = ListFormat::Table)]
        format: ListFormat,
    },
    /// Events that could not be applied; their streams wait
    Parked {
        /// Only of this read model
        #[arg(value_name = "NAME")]
        projection: Option<String>,
        /// The form of the list
        #[arg(long, value_enum, default_value_t = ListFormat::Table)]
        format: ListFormat,
    },
    /// Build a read model again from the log. Readers see the old rows until the new ones are complete
    Rebuild {
        /// Which one, or `all`
        name: String,
    },
}

/// Parked events listed at once.
const MAX_PARKED: i64 = 1000;

impl Projections {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        with_rooms(common, async |rooms| {
            match self.command {
                Command::List { format } => {
                    let statuses = statuses(&rooms.pool).await.context("the checkpoints cannot be read")?;
                    let rows: Vec<Vec<String>> = statuses
                        .iter()
                        .map(|status| {
                            let updated = status.updated_at.map_or_else(|| "never".to_owned(), |at| at.to_rfc3339());
                            let numbers = [status.position, status.lag_events, status.parked_events];
                            std::iter::once(status.name.clone())
                                .chain(numbers.map(|number| number.to_string()))
                                .chain([updated])
                                .collect()
                        })
                        .collect();
                    print(&["name", "position", "lag_events", "parked_events", "updated_at"], rows, format)?;
                }
                Command::Parked { projection, format } => {
                    let parked = projections::parked_events(&rooms.pool, projection.as_deref(), MAX_PARKED).await?;
                    let rows: Vec<Vec<String>> = parked
                        .into_iter()
                        .map(|event| {
                            let stream = format!("{}/{}", event.category, event.stream_id);
                            vec![event.projection, event.position.to_string(), stream, event.cause]
                        })
                        .collect();
                    print(&["projection", "position", "stream", "cause"], rows, format)?;
                }
                Command::Rebuild { name } => {
                    for projection in named(&name)? {
                        rebuild_one(rooms, projection).await?;
                    }
                }
            }
            Ok(ExitCode::SUCCESS)
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
        format!("there is no read model {name:?}; there are {} and `all`", names.join(", "))
    })
}

async fn rebuild_one(rooms: &crate::rooms::Rooms, projection: &dyn Projection) -> anyhow::Result<()> {
    let name = projection.name();
    let (stood, before) = fingerprint(&rooms.pool, projection).await?;
    let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} events, {per_sec}, ready in {eta}");
    let bar = ProgressBar::new(rooms.log.head().await?.get())
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_prefix(name);
    let position = rebuild(&rooms.pool, &rooms.log, projection, REBUILD_BATCH_EVENTS, |progress| {
        bar.set_length(progress.head.get());
        bar.set_position(progress.position.get());
    })
    .await
    .with_context(|| format!("{name} is as it was"))?;
    bar.finish_and_clear();
    let (stands, after) = fingerprint(&rooms.pool, projection).await?;
    for (before, after) in before.iter().zip(&after) {
        let verdict = match (stood == stands, before == after) {
            (true, true) => "the same rows as before",
            (true, false) => "other rows than before",
            (false, _) => "not compared with before, as events came in the meantime",
        };
        eprintln!("{name}: {}: {} rows up to position {position}, {verdict}.", after.table, after.rows);
    }
    Ok(())
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
