//! `apex prices`

use super::output::{self, Format};
use super::report::parse_time;
use super::session::{Session, with_rooms};
use anyhow::Context as _;
use chrono::{DateTime, Utc};
use commands::Component;
use domain::permissions::Action;
use domain::price_book::{MILLION, PriceComponent, Quote};
use ingest::{open_path, prices, prices::LitellmTable};
use serde_json::json;
use std::cmp::Reverse;
use std::path::PathBuf;
use std::process::ExitCode;
use uuid::Uuid;

/// List and set the prices of models.
///
/// A price applies from its effective date until it ends or the next one for the same provider and model takes effect.
/// Setting prices never changes past charges.
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
        /// The prices that this version of the price book had [default: those that it has now]
        #[arg(long)]
        as_of_version: Option<u64>,
        /// The format of the list
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
}

/// The maximum number of skipped models and of fields that were not read listed; further ones are only counted.
const MAX_LISTED: usize = 10;

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
                    say_what_was_not_read(&table);
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
                Command::List { model, as_of_version, format } => {
                    let wanted = |quote: &&Quote| model.as_deref().is_none_or(|m| quote.price.model.as_str() == m);
                    list(&book.state.quotes(as_of_version).filter(wanted).collect::<Vec<_>>(), format)?;
                }
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
    }
}

fn say_what_was_not_read(table: &LitellmTable) {
    let more = |listed: usize| listed.checked_sub(MAX_LISTED).filter(|more| *more > 0);
    for (model, reason) in table.skipped.iter().take(MAX_LISTED) {
        say!("skipped: {model}: {reason}");
    }
    if let Some(more) = more(table.skipped.len()) {
        say!("skipped: {more} more");
    }
    let mut fields: Vec<_> = table.not_read.iter().collect();
    fields.sort_by_key(|(_, prices)| Reverse(**prices));
    for (field, prices) in fields.iter().take(MAX_LISTED) {
        say!("not read: {field}, in {prices} prices");
    }
    if let Some(more) = more(fields.len()) {
        say!("not read: {more} more fields");
    }
    if !fields.is_empty() {
        say!("Fields that were not read bill what no meter counts, or under conditions that a price cannot have.");
    }
}

fn list(quotes: &[&Quote], format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        return output::json(&json!({ "currency": "USD", "default_per": MILLION, "prices": quotes }));
    }
    let columns = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    if format == Format::Csv {
        let header = columns(&["model", "provider", "from", "to", "meter", "rate", "per", "when"]);
        let rows = quotes.iter().flat_map(|quote| {
            let [model, provider, from, to] = names(quote);
            let row = move |[meter, rate, per, when]: [String; 4]| {
                [model.clone(), provider.clone(), from.clone(), to.clone(), meter, rate, per, when].to_vec()
            };
            quote.price.components.iter().map(|component| cells(component, component.per.to_string())).map(row)
        });
        return output::csv(&header, &rows.collect::<Vec<_>>());
    }
    // A price is a row of several lines.
    let row = |quote: &&Quote| {
        let [model, provider, from, to] = names(quote);
        let to = if to.is_empty() { String::new() } else { format!(" to {to}") };
        let mut row = vec![format!("{model}\n{provider}\n{from}{to}")];
        let per = |component: &PriceComponent| {
            if component.per == MILLION { "1M".to_owned() } else { component.per.to_string() }
        };
        let lines: Vec<_> = quote.price.components.iter().map(|component| cells(component, per(component))).collect();
        row.extend((0..4).map(|column| lines.iter().map(|line| line[column].as_str()).collect::<Vec<_>>().join("\n")));
        row
    };
    output::table(
        &columns(&["price", "meter", "rate", "per", "when"]),
        &quotes.iter().map(row).collect::<Vec<_>>(),
        2..4,
    )?;
    say!("US dollars for a number of units (per).");
    Ok(())
}

/// Model, provider, and the days on which the price takes effect and ends.
fn names(quote: &Quote) -> [String; 4] {
    let price = &quote.price;
    let day = |at: DateTime<Utc>| at.format("%Y-%m-%d").to_string();
    let to = price.effective_to.map(day).unwrap_or_default();
    [price.model.to_string(), price.provider.to_string(), day(price.effective_from), to]
}

/// Meter, rate, number of units and conditions.
fn cells(component: &PriceComponent, per: String) -> [String; 4] {
    [component.meter.to_string(), component.rate.to_string(), per, component.when.to_string()]
}
