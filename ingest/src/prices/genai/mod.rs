//! Reads the price table of genai-prices: a list of providers, each with its models, their prices by date and time, and
//! variants of them by service tier and speed.
//!
//! The table finds a model by the first one that matches in its order; a price book by the precedence of matches. The
//! prices have names and patterns for all that the table's clauses match. A model that the table prices by another
//! provider has a price of its own for each provider that sells it so, without variants, as the table does it.

mod build;
mod names;

use super::globs::Glob;
use super::makers::is_maker;
use super::table::{MAX_ENTRIES, MAX_TABLE_BYTES, NotRead, PriceTable, TableError, read_text};
use build::{Conditional, ModelPrices, Period, Variant};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use domain::Name;
use domain::call::provider_name;
use domain::price_book::{MAX_NAMES, ModelPattern, Price, PriceSource};
use names::{Clause, globs};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

/// Fields of models that are no prices.
const NEUTRAL_FIELDS: &[&str] = &[
    "id",
    "match",
    "name",
    "description",
    "context_window",
    "price_comments",
    "deprecated",
    "prices",
    "price_variants",
    "prices_checked",
    "price_discrepancies",
];

/// Why a field is not read that may say something about prices.
const UNKNOWN_FIELD: &str = "Apex does not know the field";

/// The day from which prices without a date are effective: before the first of the models.
fn before_all_prices() -> DateTime<Utc> {
    NaiveDate::from_ymd_opt(2020, 1, 1).unwrap_or_default().and_time(NaiveTime::MIN).and_utc()
}

/// Fields of providers that are no prices, nor say whose they are: a call names its provider.
const NEUTRAL_PROVIDER_FIELDS: &[&str] = &[
    "name",
    "api_pattern",
    "description",
    "pricing_urls",
    "price_comments",
    "provider_match",
    "model_match",
    "extractors",
];

#[derive(Deserialize)]
#[serde(try_from = "BTreeMap<String, Box<RawValue>>")]
struct TableProvider {
    id: String,
    fallback_model_providers: Option<Vec<String>>,
    models: Vec<Box<RawValue>>,
    /// The names of other fields.
    others: Vec<String>,
}

impl TryFrom<BTreeMap<String, Box<RawValue>>> for TableProvider {
    type Error = serde_json::Error;

    fn try_from(mut fields: BTreeMap<String, Box<RawValue>>) -> Result<Self, serde_json::Error> {
        let mut field = |name: &str| fields.remove(name).map_or("null".to_owned(), |value| value.get().to_owned());
        Ok(Self {
            id: serde_json::from_str(&field("id"))?,
            fallback_model_providers: serde_json::from_str(&field("fallback_model_providers"))?,
            models: serde_json::from_str(&field("models"))?,
            others: fields.into_keys().collect(),
        })
    }
}

/// A table with its source, as Apex ships it. It is published as the list of providers alone.
#[derive(Deserialize)]
struct DescribedTable {
    source: Name,
    licence: Option<Name>,
    dated: Option<NaiveDate>,
    providers: Vec<TableProvider>,
}

/// A model of a provider of the table.
struct Model {
    id: Name,
    names: BTreeSet<Name>,
    patterns: BTreeSet<ModelPattern>,
    periods: Vec<Period>,
    /// The periods without variants, for other providers that sell the model.
    plain_periods: Vec<Period>,
}

/// Reads a table of genai-prices (`data.json`).
///
/// # Errors
/// [`TableError`] if the table as a whole cannot be read. A single bad entry is skipped, with its reason.
pub fn genai_prices(input: impl Read) -> Result<PriceTable, TableError> {
    let text = read_text(input, MAX_TABLE_BYTES)?;
    let json_error = |source| TableError::Json { expected: "a list of providers with their models", source };
    let (source, providers) = if text.trim_start().starts_with('{') {
        let DescribedTable { source: name, licence, dated, providers } =
            serde_json::from_str(&text).map_err(json_error)?;
        (PriceSource { name, licence, dated }, providers)
    } else {
        (PriceSource::named(source_name()), serde_json::from_str(&text).map_err(json_error)?)
    };
    let mut table = PriceTable::new(source);
    let mut entries = 0;
    let mut models: BTreeMap<&str, Vec<Model>> = BTreeMap::new();
    for provider in &providers {
        let unknown = provider.others.iter().filter(|field| !NEUTRAL_PROVIDER_FIELDS.contains(&field.as_str()));
        let not_read = |field: &String| NotRead {
            entry: provider.id.clone(),
            field: field.clone(),
            reason: UNKNOWN_FIELD.to_owned(),
        };
        table.not_read.extend(unknown.map(not_read));
        for entry in &provider.models {
            entries += 1;
            if entries > MAX_ENTRIES {
                table.skip(&provider.id, format!("the table has more than {MAX_ENTRIES} models: split it"));
                break;
            }
            models.entry(&provider.id).or_default().extend(read_model(&provider.id, entry, &mut table));
        }
    }
    for provider in &providers {
        let own = models.get(provider.id.as_str()).map_or(&[][..], Vec::as_slice);
        let fallbacks = provider.fallback_model_providers.iter().flatten();
        let of_others: Vec<_> = fallbacks.flat_map(|other| models.get(other.as_str()).into_iter().flatten()).collect();
        for (seller, sells_others) in sellers(&provider.id) {
            add_prices(&seller, own, if sells_others { &of_others } else { &[] }, &mut table);
        }
    }
    Ok(table)
}

fn source_name() -> Name {
    #[allow(clippy::expect_used, reason = "the text is a constant")]
    Name::new("genai-prices").expect("a short text is a name")
}

/// The providers that a provider of the table is, and whether they sell models of others. The table has one provider for
/// Gemini's API, which sells Gemini's models only, and Vertex AI.
fn sellers(id: &str) -> Vec<(String, bool)> {
    match provider_name(id) {
        name if name == "gemini" => vec![(name, false), ("vertex_ai".to_owned(), true)],
        name => vec![(name, true)],
    }
}

fn read_model(provider: &str, entry: &RawValue, table: &mut PriceTable) -> Option<Model> {
    let fields: BTreeMap<String, Box<RawValue>> = match serde_json::from_str(entry.get()) {
        Ok(fields) => fields,
        Err(error) => {
            table.skip(provider, format!("a model is not an object: {error}"));
            return None;
        }
    };
    let id = fields.get("id").and_then(|id| serde_json::from_str::<String>(id.get()).ok()).unwrap_or_default();
    let entry = format!("{provider}/{id}");
    match try_read_model(&id, &fields) {
        Ok((model, not_read)) => {
            let not_read = not_read.into_iter();
            table.not_read.extend(not_read.map(|(field, reason)| NotRead { entry: entry.clone(), field, reason }));
            Some(model)
        }
        Err(reason) => {
            table.skip(entry, reason);
            None
        }
    }
}

type NotReadFields = BTreeSet<(String, String)>;

fn try_read_model(id: &str, fields: &BTreeMap<String, Box<RawValue>>) -> Result<(Model, NotReadFields), String> {
    fn parsed<'a, T: Deserialize<'a>>(field: &str, value: &'a RawValue) -> Result<T, String> {
        serde_json::from_str(value.get()).map_err(|error| format!("{field} cannot be read: {error}"))
    }
    let mut prices = ModelPrices::default();
    let given = fields.get("prices").ok_or("it has no prices")?;
    if given.get().starts_with('[') {
        for conditional in parsed::<Vec<Conditional>>("prices", given)? {
            prices.add_standard(conditional)?;
        }
    } else {
        let conditional = format!("{{\"prices\":{}}}", given.get());
        let conditional =
            serde_json::from_str(&conditional).map_err(|error| format!("prices cannot be read: {error}"))?;
        prices.add_standard(conditional)?;
    }
    if let Some(variants) = fields.get("price_variants").filter(|variants| variants.get() != "null") {
        for variant in parsed::<Vec<Variant>>("price_variants", variants)? {
            prices.add_variant(variant)?;
        }
    }
    let (periods, plain_periods) = (prices.periods(true)?, prices.periods(false)?);
    let mut not_read = std::mem::take(&mut prices.not_read);
    if periods.iter().all(|period| period.components.is_empty()) {
        let found: Vec<_> = not_read.iter().map(|(field, reason)| format!("{field}: {reason}")).collect();
        return Err(format!(
            "it has no price that can be read{}{}",
            if found.is_empty() { "" } else { ": " },
            found.join("; ")
        ));
    }
    let unknown = fields.keys().filter(|field| !NEUTRAL_FIELDS.contains(&field.as_str()));
    not_read.extend(unknown.map(|field| (field.clone(), UNKNOWN_FIELD.to_owned())));
    let id = Name::new(id).map_err(|error| format!("its id is not a name: {error}"))?;
    let (names, patterns) = match fields.get("match") {
        Some(clause) => names_of(&id, parsed("match", clause)?, &mut not_read),
        None => Default::default(),
    };
    Ok((Model { id, names, patterns, periods, plain_periods }, not_read))
}

/// The names and patterns that a clause matches, beside the id.
fn names_of(id: &Name, clause: Clause, not_read: &mut NotReadFields) -> (BTreeSet<Name>, BTreeSet<ModelPattern>) {
    let (mut names, mut patterns) = (BTreeSet::new(), BTreeSet::new());
    let clauses = if let Clause::Or(clauses) = clause { clauses } else { vec![clause] };
    for clause in clauses {
        let Some(globs) = globs(&clause) else {
            not_read.insert(("match".to_owned(), "patterns cannot express its regular expression".to_owned()));
            continue;
        };
        for glob in globs {
            let is_full = if glob.is_name() { names.len() >= MAX_NAMES } else { patterns.len() >= MAX_NAMES };
            if is_full || !add_name(id, &glob, &mut names, &mut patterns) {
                not_read.insert(("match".to_owned(), format!("{glob} is not a name or pattern, or one too many")));
            }
        }
    }
    (names, patterns)
}

fn add_name(id: &Name, glob: &Glob, names: &mut BTreeSet<Name>, patterns: &mut BTreeSet<ModelPattern>) -> bool {
    if !glob.is_name() {
        return ModelPattern::new(&glob.to_string()).map(|pattern| patterns.insert(pattern)).is_ok();
    }
    match Name::new(glob.wanted.as_str()) {
        Ok(name) => {
            if name != *id {
                names.insert(name);
            }
            true
        }
        Err(_) => false,
    }
}

/// Adds the prices of a provider: those of its own models, then those of others that it sells. A name belongs to the first
/// model that has it.
fn add_prices(seller: &str, own: &[Model], of_others: &[&Model], table: &mut PriceTable) {
    let provider = match Name::new(seller) {
        Ok(provider) => provider,
        Err(error) => return table.skip(seller, format!("its name is not valid: {error}")),
    };
    let ids: BTreeSet<&Name> = own.iter().map(|model| &model.id).collect();
    let own_patterns: Vec<_> = own.iter().flat_map(|model| &model.patterns).collect();
    let is_own = |name: &Name| {
        let lower = name.as_str().to_lowercase();
        own_patterns.iter().any(|pattern| pattern.matches(&lower))
    };
    let mut taken: BTreeSet<Name> = ids.iter().map(|id| (*id).clone()).collect();
    let others = of_others.iter().copied().filter(|model| !ids.contains(&model.id) && !is_own(&model.id));
    let all = own.iter().map(|model| (model, &model.periods, true));
    for (model, periods, is_own_model) in all.chain(others.map(|model| (model, &model.plain_periods, false))) {
        if !is_own_model && !taken.insert(model.id.clone()) {
            continue;
        }
        let free = model.names.iter().filter(|name| !taken.contains(*name) && (is_own_model || !is_own(name)));
        let names: BTreeSet<Name> = free.cloned().collect();
        taken.extend(names.iter().cloned());
        for Period { from, components } in periods {
            let mut price = Price::new(provider.clone(), model.id.clone(), components.clone());
            price.names.clone_from(&names);
            price.patterns.clone_from(&model.patterns);
            price.list_price = is_own_model && is_maker(seller);
            price.effective_from = from.map_or_else(before_all_prices, |day| day.and_time(NaiveTime::MIN).and_utc());
            match price.check() {
                Ok(()) => table.prices.push(price),
                Err(error) => table.skip(format!("{seller}/{}", model.id), error.to_string()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
