//! `apex prices list`

use super::super::output::{self, Format};
use chrono::{DateTime, Utc};
use domain::price_book::{MILLION, PriceBook, PriceComponent, Quote};
use serde_json::json;

/// List the prices
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Only the prices of this model
    #[arg(long)]
    model: Option<String>,
    /// Only the prices of this provider
    #[arg(long)]
    provider: Option<String>,
    /// The prices that this version of the price book had [default: those that it has now]
    #[arg(long)]
    as_of_version: Option<u64>,
    /// The format of the list
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

impl List {
    pub(super) fn run(&self, book: &PriceBook) -> anyhow::Result<()> {
        let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        let wanted = |quote: &&Quote| {
            is(&self.model, quote.price.model.as_str()) && is(&self.provider, quote.price.provider.as_str())
        };
        let quotes: Vec<_> = book.quotes(self.as_of_version).filter(wanted).collect();
        let discounts: Vec<_> = book.discounts(self.as_of_version).collect();
        if self.format == Format::Json {
            let list = json!({ "currency": "USD", "default_per": MILLION, "prices": quotes, "discounts": discounts });
            return output::json(&list);
        }
        list(&quotes, self.format)?;
        for discount in discounts {
            let to = discount.effective_to.map(|to| format!(" to {to}")).unwrap_or_default();
            let provider = discount.provider.as_ref().map_or("all providers", |provider| provider.as_str());
            let models = discount.models.as_ref().map_or("all models".to_owned(), ToString::to_string);
            let (name, percent, from) = (&discount.name, discount.percent, discount.effective_from);
            say!("Discount {name}: {percent} % on {models} of {provider} from {from}{to}.");
        }
        Ok(())
    }
}

fn list(quotes: &[&Quote], format: Format) -> anyhow::Result<()> {
    let columns = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    if format == Format::Csv {
        let names_of = ["model", "provider", "from", "to", "meter", "rate", "per", "when", "contract", "source"];
        let rows = quotes.iter().flat_map(|quote| {
            let [model, provider, from, to] = names(quote);
            let (contract, source) = (quote.price.contract.to_string(), quote.source.to_string());
            let row = move |[meter, rate, per, when]: [String; 4]| {
                let key = [model.clone(), provider.clone(), from.clone(), to.clone()];
                key.into_iter().chain([meter, rate, per, when, contract.clone(), source.clone()]).collect::<Vec<_>>()
            };
            quote.price.components.iter().map(|component| cells(component, component.per.to_string())).map(row)
        });
        return output::csv(&columns(&names_of), &rows.collect::<Vec<_>>());
    }
    // A price is a row of several lines.
    let row = |quote: &&Quote| {
        let [model, provider, from, to] = names(quote);
        let to = if to.is_empty() { String::new() } else { format!(" to {to}") };
        let contract = if quote.price.contract { "\ncontract" } else { "" };
        let mut row = vec![format!("{model}\n{provider}\n{from}{to}{contract}")];
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
