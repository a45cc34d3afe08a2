//! `apex prices import` and `apex prices update`

use super::super::point::parse_time;
use crate::rooms::Rooms;
use anyhow::Context as _;
use chrono::{DateTime, Utc};
use commands::Component;
use ingest::{open_path, prices, prices::PriceTable};
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// The maximum number of skipped models, of fields that were not read, and of overtaken prices listed; further ones are only
/// counted.
const MAX_LISTED: usize = 10;

/// The number of bytes at the start of a table by which its format is recognized.
const RECOGNIZED_BYTES: u64 = 4096;

/// Set prices from a table (JSON, plain or gzipped; `-` reads standard input)
///
/// The formats are those of LiteLLM (model_prices_and_context_window.json), genai-prices (data.json) and Langfuse
/// (default-model-prices.json). The table of genai-prices has dates of its own; the others take effect at one date.
///
/// Whatever of the table is not read is listed with its reason: models that are skipped, and fields that a price cannot
/// express. With --details, all of it is written to a file.
#[derive(Debug, clap::Args)]
pub(super) struct Import {
    /// The file with the table
    file: PathBuf,
    /// The format of the table
    #[arg(long, value_enum, default_value_t = TableFormat::Auto)]
    format: TableFormat,
    /// The day or time from which the prices apply, if the table has no dates [default: now]
    #[arg(long, value_parser = parse_time)]
    effective_from: Option<DateTime<Utc>>,
    /// Set the prices as those of a contract, which precede list prices
    #[arg(long)]
    contract: bool,
    /// A file to write everything to that was not read, as JSON
    #[arg(long, value_name = "FILE")]
    details: Option<PathBuf>,
}

/// Set the prices that this version of Apex ships, or those of a newer table
///
/// A new tenant has the shipped prices. This sets those of a later release, which `apex prices import` or a new version of
/// Apex brings, for calls that are charged from now on. Prices that were set otherwise stay, unless the shipped book has
/// another one for the same provider, model and date.
#[derive(Debug, clap::Args)]
pub(super) struct Update {
    /// A table of genai-prices (data.json), instead of the shipped one; the history of earlier prices is that of Apex
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

/// The format of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum TableFormat {
    /// Recognize the format by the start of the table
    Auto,
    /// LiteLLM's
    Litellm,
    /// That of genai-prices
    GenaiPrices,
    /// Langfuse's
    Langfuse,
}

impl Import {
    pub(super) async fn run(self, rooms: &Rooms) -> anyhow::Result<()> {
        let from = self.effective_from.unwrap_or_else(Utc::now);
        let mut table = read(self.file, move |input| read_table(input, self.format, from)).await?;
        if let Some(details) = &self.details {
            write_details(details, &table)?;
        }
        if self.contract {
            table.prices.iter_mut().for_each(|price| price.contract = true);
        }
        say_what_was_not_read(&table);
        set(rooms, table, Some(from)).await
    }
}

impl Update {
    pub(super) async fn run(self, rooms: &Rooms) -> anyhow::Result<()> {
        let table = match self.from {
            Some(file) => {
                prices::with_history(read(file, |input| prices::genai_prices(input).map_err(Into::into)).await?)?
            }
            None => prices::builtin()?,
        };
        say_what_was_not_read(&table);
        set(rooms, table, None).await
    }
}

async fn set(rooms: &Rooms, table: PriceTable, from: Option<DateTime<Utc>>) -> anyhow::Result<()> {
    let (total, source) = (table.prices.len(), table.source.to_string());
    // A new command each time: resetting a price to an earlier one is not a retry.
    let command_id = Uuid::now_v7();
    let principal = rooms.component(Component::Apex);
    let set = prices::set(&rooms.commands, &principal, table.prices, table.source, command_id).await?;
    for overtaken in set.overtaken.iter().take(MAX_LISTED) {
        say!(
            "without effect on calls since {}: {}/{} from {}, because a later price stands",
            overtaken.until,
            overtaken.provider,
            overtaken.model,
            overtaken.effective_from
        );
    }
    say_more("without effect on recent calls", set.overtaken.len());
    let from = from.map(|from| format!(", effective from {from}")).unwrap_or_default();
    say!(
        "{} of {total} prices were new or changed{from}; the price book is at version {}. Source: {source}.",
        set.changed,
        set.book.version
    );
    Ok(())
}

/// Reads a file on a thread of its own: reading standard input may block.
async fn read(
    file: PathBuf,
    table: impl FnOnce(Box<dyn Read + Send>) -> anyhow::Result<PriceTable> + Send + 'static,
) -> anyhow::Result<PriceTable> {
    let shown = file.display().to_string();
    let input = open_path(file).await.with_context(|| format!("{shown} cannot be opened"))?;
    let read = tokio::task::spawn_blocking(move || table(input.reader));
    read.await?.with_context(|| format!("{shown} is not a price table"))
}

fn read_table(input: Box<dyn Read + Send>, format: TableFormat, from: DateTime<Utc>) -> anyhow::Result<PriceTable> {
    let (mut input, mut start) = (input, Vec::new());
    input.by_ref().take(RECOGNIZED_BYTES).read_to_end(&mut start)?;
    let format = match format {
        TableFormat::Auto => recognized(&String::from_utf8_lossy(&start)),
        format => format,
    };
    let input = Cursor::new(start).chain(input);
    Ok(match format {
        TableFormat::GenaiPrices => prices::genai_prices(input)?,
        TableFormat::Langfuse => prices::langfuse(input, from)?,
        TableFormat::Litellm | TableFormat::Auto => prices::litellm(input, from)?,
    })
}

/// The format of a table that starts so: an object of models, a list of providers, or a list of models.
fn recognized(start: &str) -> TableFormat {
    let is_list = start.trim_start_matches('\u{feff}').trim_start().starts_with('[');
    match (is_list, start.contains("\"modelName\"")) {
        (true, true) => TableFormat::Langfuse,
        (true, false) => TableFormat::GenaiPrices,
        (false, _) if start.contains("\"providers\"") => TableFormat::GenaiPrices,
        (false, _) => TableFormat::Litellm,
    }
}

fn write_details(file: &Path, table: &PriceTable) -> anyhow::Result<()> {
    let details = serde_json::json!({ "skipped": table.skipped, "not_read": table.not_read });
    let text = serde_json::to_string_pretty(&details)?;
    std::fs::write(file, text + "\n").with_context(|| format!("{} cannot be written", file.display()))
}

fn say_more(what: &str, found: usize) {
    if let Some(more) = found.checked_sub(MAX_LISTED).filter(|more| *more > 0) {
        say!("{what}: {more} more");
    }
}

fn say_what_was_not_read(table: &PriceTable) {
    for skipped in table.skipped.iter().take(MAX_LISTED) {
        say!("skipped: {}: {}", skipped.entry, skipped.reason);
    }
    say_more("skipped", table.skipped.len());
    let fields = table.not_read_by_reason();
    for (field, reason, entries) in fields.iter().take(MAX_LISTED) {
        say!("not read: {field}, in {entries} entries: {reason}");
    }
    say_more("not read, kinds of fields", fields.len());
}
