//! `apex prices`

use super::output::{self, Format};
use super::report::parse_time;
use super::session::{Session, with_rooms};
use anyhow::Context as _;
use chrono::{DateTime, Utc};
use commands::Component;
use domain::Meter;
use domain::permissions::Action;
use domain::price_book::Quote;
use ingest::{open_path, prices};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use uuid::Uuid;

/// List and set the prices of models.
///
/// A price applies from its effective date until that of the next one for the same provider and model. Setting prices
/// never changes past charges.
#[derive(Debug, clap::Args)]
pub(super) struct Prices {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Set prices from a table in LiteLLM's format (JSON, plain or gzipped; `-` reads standard input)
    Import {
        /// The file with the table
        file: PathBuf,
        /// The day or time from which the prices apply [default: now]
        #[arg(long, value_parser = parse_time)]
        effective_from: Option<DateTime<Utc>>,
    },
    /// List the prices
    List {
        /// Only the prices of this model
        #[arg(long)]
        model: Option<String>,
        /// The format of the list
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
}

/// The maximum number of skipped models listed; further ones are only counted.
const MAX_SKIPPED: usize = 10;

impl Prices {
    /// The action of the subcommand.
    pub(super) fn action(&self) -> Action {
        match self.command {
            Command::Import { .. } => Action::SendCommand,
            Command::List { .. } => Action::ReadData,
        }
    }

    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        with_rooms(session, async |rooms| {
            let book = prices::load_or_init(&rooms.commands, &rooms.component(Component::Apex)).await?;
            match self.command {
                Command::Import { file, effective_from } => {
                    let shown = file.display().to_string();
                    let input = open_path(file).await.with_context(|| format!("{shown} cannot be opened"))?;
                    let from = effective_from.unwrap_or_else(Utc::now);
                    // On a thread of its own: reading standard input may block.
                    let read = tokio::task::spawn_blocking(move || prices::litellm(input.reader, from));
                    let table = read.await?.with_context(|| format!("{shown} is not a price table"))?;
                    for (model, reason) in table.skipped.iter().take(MAX_SKIPPED) {
                        say!("skipped: {model}: {reason}");
                    }
                    if let Some(more) = table.skipped.len().checked_sub(MAX_SKIPPED).filter(|more| *more > 0) {
                        say!("skipped: {more} more");
                    }
                    // A new command each time: resetting a price to an earlier one is not a retry.
                    let command_id = Uuid::now_v7();
                    let total = table.prices.len();
                    let set = prices::set(
                        &rooms.commands,
                        &rooms.component(Component::Apex),
                        table.prices,
                        "litellm",
                        command_id,
                    )
                    .await?;
                    say!(
                        "{} of {total} prices were new or changed, effective from {}; the price book is at version {}.",
                        set.changed,
                        from,
                        set.book.version
                    );
                }
                Command::List { model, format } => {
                    let wanted = |quote: &&Quote| model.as_deref().is_none_or(|m| quote.price.model.as_str() == m);
                    list(&book.state.quotes().filter(wanted).collect::<Vec<_>>(), format)?;
                }
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
    }
}

fn list(quotes: &[&Quote], format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        return output::json(&json!({ "currency": "USD", "unit": "million tokens", "prices": quotes }));
    }
    let has_rate = |meter: &&Meter| quotes.iter().any(|quote| quote.price.rates.own(**meter).is_some());
    // CSV has the columns of all meters, so that they do not depend on the prices.
    let meters: Vec<_> = Meter::ALL.iter().filter(|meter| format == Format::Csv || has_rate(meter)).collect();
    let keys = ["model", "provider", "effective_from"];
    let header: Vec<_> = keys.into_iter().chain(meters.iter().map(|meter| meter.name())).map(str::to_owned).collect();
    let rows: Vec<Vec<String>> = quotes
        .iter()
        .map(|quote| {
            let price = &quote.price;
            let rate = |meter: &&Meter| price.rates.own(**meter).map_or_else(String::new, |rate| rate.to_string());
            let date = price.effective_from.format("%Y-%m-%d").to_string();
            let keys = [price.model.to_string(), price.provider.to_string(), date];
            keys.into_iter().chain(meters.iter().map(rate)).collect()
        })
        .collect();
    match format {
        Format::Csv => output::csv(&header, &rows)?,
        Format::Table | Format::Json => {
            output::table(&header, &rows, keys.len()..header.len())?;
            say!("US dollars per million tokens.");
        }
    }
    Ok(())
}
