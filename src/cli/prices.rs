//! `apex prices`

use super::output::{self, Format};
use super::report::moment;
use super::with_rooms;
use crate::config::Common;
use anyhow::Context as _;
use chrono::{DateTime, Utc};
use domain::price_book::Quote;
use ingest::{open_path, prices};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use uuid::Uuid;

/// See to the price book.
///
/// Prices hold from a date on, until the next one for the same provider and model. Setting one never touches what was
/// charged.
#[derive(Debug, clap::Args)]
pub(super) struct Prices {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Set prices from a table in LiteLLM's format (JSON, plain or gzipped; `-` reads standard input)
    Import {
        /// The table
        file: PathBuf,
        /// The day or moment from which the prices hold; by default from now on
        #[arg(long, value_parser = moment)]
        effective_from: Option<DateTime<Utc>>,
    },
    /// List the prices
    List {
        /// Only of this model
        #[arg(long)]
        model: Option<String>,
        /// The form of the list
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
}

/// Models shown of those that were left out; the rest is only counted.
const MAX_SKIPPED: usize = 10;

impl Prices {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        with_rooms(common, async |rooms| {
            let book = prices::load_or_init(&rooms.commands, &rooms.tenant).await?;
            match self.command {
                Command::Import { file, effective_from } => {
                    let shown = file.display().to_string();
                    let input = open_path(file).await.with_context(|| format!("{shown} cannot be opened"))?;
                    let from = effective_from.unwrap_or_else(Utc::now);
                    // A thread of its own: standard input may take for ever.
                    let read = tokio::task::spawn_blocking(move || prices::litellm(input.reader, from));
                    let table = read.await?.with_context(|| format!("{shown} is not a table of prices"))?;
                    for (model, reason) in table.skipped.iter().take(MAX_SKIPPED) {
                        say!("left out: {model}: {reason}");
                    }
                    if let Some(more) = table.skipped.len().checked_sub(MAX_SKIPPED).filter(|more| *more > 0) {
                        say!("left out: {more} more");
                    }
                    // A command of its own each time: setting back a price is not a repetition of having set it.
                    let command_id = Uuid::now_v7();
                    let given = table.prices.len();
                    let set = prices::set(&rooms.commands, &rooms.tenant, table.prices, "litellm", command_id).await?;
                    say!(
                        "{} of {given} prices set from {}; the book is at version {}.",
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
    let header = ["model", "provider", "effective_from", "input", "output", "cache_read", "cache_write", "reasoning"];
    let header: Vec<_> = header.map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> = quotes
        .iter()
        .map(|quote| {
            let price = &quote.price;
            let rate = |rate: Option<domain::price_book::Rate>| rate.map_or_else(String::new, |rate| rate.to_string());
            vec![
                price.model.to_string(),
                price.provider.to_string(),
                price.effective_from.format("%Y-%m-%d").to_string(),
                price.rates.input.to_string(),
                price.rates.output.to_string(),
                rate(price.rates.cache_read),
                rate(price.rates.cache_write),
                rate(price.rates.reasoning),
            ]
        })
        .collect();
    match format {
        Format::Csv => output::csv(&header, &rows)?,
        Format::Table | Format::Json => {
            output::table(&header, &rows, 3..8)?;
            say!("US dollars a million tokens.");
        }
    }
    Ok(())
}
