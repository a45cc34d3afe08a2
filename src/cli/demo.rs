//! `apex demo`

use super::import::import_sample;
use super::session::{AndThenClose as _, Session, interruptible, opened, stop_signal, wait_for_read_models};
use super::{report, serve};
use crate::config::{Common, Kafka, Server};
use crate::database::Database;
use crate::rooms::Rooms;
use crate::simulation::Simulation;
use commands::Component;
use domain::{Name, derived_id};
use ingest::{Defaults, Format, Importer, Input, prices};
use projections::{Dimension, ReportQuery, WholeReport};
use std::io::Cursor;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Start with imported samples and a simulated fleet of agents.
///
/// Imports the samples that come with Apex, prints their cost report, serves the API, and runs a simulated fleet until
/// it is stopped.
#[derive(Debug, clap::Args)]
pub(super) struct Demo {
    /// Simulated calls per second; 0 for no fleet
    #[arg(long, default_value_t = 5.0, value_parser = rate)]
    rate: f64,

    /// The number of agents of the fleet
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000))]
    agents: u32,

    /// Stop after the report, without serving the API
    #[arg(long)]
    once: bool,

    // Last: options after them would be listed under their headings.
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    kafka: Kafka,
}

fn rate(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|rate| (0.0..=1000.0).contains(rate))
        .ok_or_else(|| "expected a rate from 0 to 1000".to_owned())
}

struct Sample {
    format: Format,
    name: &'static str,
    content: &'static [u8],
    /// The provider and the model, if the file does not name them.
    attributed: Option<(&'static str, &'static str)>,
}

macro_rules! sample {
    ($format:ident, $name:literal, $attributed:expr) => {
        Sample {
            format: Format::$format,
            name: concat!("samples/", $name),
            content: include_bytes!(concat!("../../samples/", $name)),
            attributed: $attributed,
        }
    };
}

const SAMPLES: [Sample; 4] = [
    sample!(AzureLlm, "azure-llm.csv", Some(("openai", "gpt-4o"))),
    sample!(Autogpt, "autogpt.jsonl", None),
    sample!(ClaudeCode, "claude-code.jsonl", None),
    sample!(Otlp, "otlp.json", None),
];

impl Demo {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        let database = opened(Database::open(session.common())).await?;
        let work = async {
            let mut rooms = Rooms::open(&database, session.principal()).await?;
            match interruptible(self.run_in(&mut rooms, session.common())).await {
                Ok(()) if self.once => rooms.close().await,
                Ok(()) => rooms.run_until(stop_signal()).await,
                Err(error) => Err(error).and_then_close(rooms.close().await),
            }
        };
        let worked = work.await;
        worked.and_then_close(database.close().await)?;
        Ok(ExitCode::SUCCESS)
    }

    async fn run_in(&self, rooms: &mut Rooms, common: &Common) -> anyhow::Result<()> {
        let address = serve::start(rooms, common, &self.server, &self.kafka).await?;
        import_samples(rooms).await?;
        wait_for_read_models(rooms).await?;
        let by = vec![Dimension::Provider, Dimension::Model];
        let query = ReportQuery { by: by.clone(), ..ReportQuery::new(rooms.principal.authorise()?) };
        let totals = WholeReport::open(&rooms.reads, &query).await?;
        let position = totals.position;
        let by: Vec<_> = by.into_iter().map(projections::NamedDimension::from).collect();
        let (head, layout) = (rooms.log.head().await?, report::Layout::table(by));
        report::print(&mut report::ReportOnDatabase::from(totals), head, &layout).await?;
        say!("The cost report, as of position {position} of the log.\n");
        if self.once {
            return Ok(());
        }
        if self.rate > 0.0 {
            let simulation =
                Simulation::new(rooms.commands.clone(), rooms.principal.tenant().clone(), self.agents, self.rate);
            let stop = rooms.stop_signal();
            rooms.spawn("simulation", async move { simulation.run(stop).await });
            say!("A simulated fleet of {} agents makes {} calls per second.", self.agents, self.rate);
        }
        serve::announce(address, &self.server);
        say!("Stop with Ctrl-C.");
        Ok(())
    }
}

async fn import_samples(rooms: &Rooms) -> anyhow::Result<()> {
    let prices = prices::load_or_init(&rooms.commands, &rooms.component(Component::Apex)).await?;
    // The same each time, so that a second run changes nothing.
    let import_id = derived_id(&["import", "demo"]).into();
    let mut importer = Importer::new(rooms.commands.clone(), rooms.component(Component::Demo), prices, import_id);
    for sample in SAMPLES {
        let (provider, model) = sample.attributed.unzip();
        let defaults = Defaults {
            model: model.map(Name::new).transpose()?,
            provider: provider.map(Name::new).transpose()?,
            agent: None,
            ..Defaults::default()
        };
        let input = Input {
            reader: Box::new(Cursor::new(sample.content)),
            content_bytes: None,
            total_bytes: u64::try_from(sample.content.len()).ok(),
            read_bytes: Arc::new(AtomicU64::new(0)),
        };
        import_sample(&mut importer, sample.format, defaults, sample.name.to_owned(), input).await?;
    }
    Ok(())
}
