//! The costs of usages by an independent library, genai-prices, whose table is the public one in the shipped book.

use chrono::{DateTime, Utc};
use domain::call::provider_name;
use domain::price_book::{ChargeError, PriceBook, PriceBookCommand, PricingContext, Unpriced};
use domain::{Aggregate, Meter, Money, Name, Usage};
use ingest::prices::{PriceTable, builtin, public_table};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// A usage with its cost by the library.
#[derive(Debug, Deserialize)]
struct Case {
    provider: String,
    model: Name,
    at: DateTime<Utc>,
    usage: Usage,
    service_tier: Option<Name>,
    speed: Option<Name>,
    cost: Option<String>,
    /// The model in the table of the library whose price it used.
    found: Option<String>,
}

fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/tools/python-prices/bin/python");
    assert!(python.exists(), "{} is missing: run scripts/python-for-prices.sh", python.display());
    let output = Command::new(python)
        .arg(root.join("scripts/price-cases.py"))
        .arg("--providers")
        .arg(root.join("scripts/price-table.providers.txt"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn book(table: &PriceTable) -> PriceBook {
    let command =
        PriceBookCommand::Set { prices: table.prices.clone(), source: table.source.clone(), at: DateTime::UNIX_EPOCH };
    let events = PriceBook::default().decide(command).unwrap();
    events.iter().fold(PriceBook::default(), |book, event| book.evolve(event))
}

/// What Apex charges for a case, with the model whose price it used.
fn charged(book: &PriceBook, case: &Case) -> Result<(Money, String), ChargeError> {
    // The table has one provider for Gemini's API and Vertex AI, of which only the latter sells models of others.
    let name = provider_name(&case.provider);
    let sold_by_vertex = name == "gemini" && case.found.as_deref().is_some_and(|found| found.contains("claude"));
    let provider = Name::new(if sold_by_vertex { "vertex_ai".to_owned() } else { name }).unwrap();
    let call = PricingContext {
        provider: Some(&provider),
        model: &case.model,
        usage: &case.usage,
        started_at: case.at,
        service_tier: case.service_tier.as_ref(),
        speed: case.speed.as_ref(),
        region: None,
    };
    let charge = book.charge(&call, None)?;
    let model = charge.matched.map_or_else(|| case.model.to_string(), |matched| matched.model.to_string());
    Ok((charge.amount, model))
}

/// What is known of a table beside the prices of the library.
struct Listed {
    /// The entries that were not read as a whole.
    not_read: BTreeSet<String>,
    skipped: BTreeSet<String>,
    /// By model, the meters of its prices of which the library has none.
    added: BTreeMap<String, BTreeSet<Meter>>,
}

/// The meters of the prices of a table, by provider and model.
fn meters(table: &PriceTable) -> BTreeMap<(&Name, &Name), BTreeSet<Meter>> {
    let mut meters = BTreeMap::<_, BTreeSet<_>>::new();
    for price in &table.prices {
        let of_model = meters.entry((&price.provider, &price.model)).or_default();
        of_model.extend(price.components.iter().map(|component| component.meter));
    }
    meters
}

/// The meters for which a table has a rate and another one has none, of the models that both have.
fn added(table: &PriceTable, other: &PriceTable) -> BTreeMap<String, BTreeSet<Meter>> {
    let others = meters(other);
    let more = meters(table).into_iter().filter_map(|(name, meters)| {
        let more: BTreeSet<_> = meters.difference(others.get(&name)?).copied().collect();
        Some((name.1.to_string(), more))
    });
    more.filter(|(_, more)| !more.is_empty()).collect()
}

/// Why Apex charges another amount than the library, if there is a reason that is known.
fn explained(case: &Case, charged: &Result<(Money, String), ChargeError>, listed: &Listed) -> Option<&'static str> {
    let found = case.found.as_deref().unwrap_or_default();
    let entry = format!("{}/{found}", case.provider);
    if listed.not_read.contains(&entry) {
        return Some("a field of the model is listed as not read");
    }
    let is_free = case.cost.as_deref().is_some_and(is_zero);
    match charged {
        // The library bills at least ten seconds of audio, which its table does not say.
        Ok(_) if case.provider == "groq" && found.starts_with("whisper") => Some("a minimum that is not in the table"),
        Err(ChargeError::Unpriced(Unpriced::NothingBilled(_))) if is_free => {
            Some("Apex does not call a usage free of which nothing is billed")
        }
        Err(ChargeError::Unpriced(_)) if is_free && listed.skipped.contains(&entry) => {
            Some("Apex does not call a model free that has no price in the table, which is listed")
        }
        Ok((_, model))
            if listed
                .added
                .get(model)
                .is_some_and(|more| more.iter().any(|meter| case.usage.get(*meter).get() > 0)) =>
        {
            Some("the history has a rate for what the library bills as something else")
        }
        Ok((_, model)) if model != found => Some("the library takes the first model of its list that matches"),
        Err(ChargeError::Unpriced(Unpriced::AmbiguousModel(_))) => {
            Some("the library takes the first model of its list that matches")
        }
        Ok(_) | Err(_) => None,
    }
}

fn is_zero(cost: &str) -> bool {
    cost.chars().all(|character| matches!(character, '0' | '.'))
}

/// Compares the costs by a table with those of the library, whose own table is given too.
fn compare(
    table: &PriceTable,
    of_library: &PriceTable,
    cases: &[&Case],
) -> (usize, BTreeMap<&'static str, usize>, Vec<String>) {
    let book = book(table);
    let listed = Listed {
        not_read: table.not_read.iter().map(|one| one.entry.clone()).collect(),
        skipped: table.skipped.iter().map(|one| one.entry.clone()).collect(),
        added: added(table, of_library),
    };
    let (mut equal, mut reasons, mut unexplained) = (0, BTreeMap::new(), Vec::new());
    for case in cases {
        let cost = Money::parse(case.cost.as_deref().unwrap()).unwrap();
        let charged = charged(&book, case);
        match (&charged, explained(case, &charged, &listed)) {
            (Ok((amount, _)), _) if *amount == cost => equal += 1,
            (_, Some(reason)) => *reasons.entry(reason).or_default() += 1,
            (_, None) => unexplained.push(format!("{case:?}\n  charged: {charged:?}")),
        }
    }
    (equal, reasons, unexplained)
}

/// To the last digit, over all providers, service tiers, sizes, dates and times of the table.
#[test]
fn usages_cost_what_an_independent_library_says() {
    let all = cases();
    let priced: Vec<&Case> = all.iter().filter(|case| case.cost.is_some()).collect();
    let table = public_table().unwrap();
    let (equal, reasons, unexplained) = compare(&table, &table, &priced);
    println!("{equal} of {} usages cost the same; {reasons:?}", priced.len());
    assert!(
        unexplained.is_empty(),
        "{} differ:\n{}",
        unexplained.len(),
        unexplained[..unexplained.len().min(20)].join("\n")
    );
    assert!(equal >= 2_900, "{equal} usages");
    let providers: BTreeSet<_> = priced.iter().map(|case| &case.provider).collect();
    assert!(providers.len() >= 25, "{providers:?}");
    // A control: a table in which one digit of one rate differs is noticed.
    let mut wrong = table.clone();
    let price = wrong.prices.iter_mut().find(|price| price.model.as_str() == "claude-2").unwrap();
    price.components[0].rate = domain::price_book::rate("8.000001".parse().unwrap()).unwrap();
    let (_, _, unexplained) = compare(&wrong, &table, &priced);
    assert!(!unexplained.is_empty(), "a wrong rate is not noticed");
}

/// The shipped book adds a history to the table: the costs of today are those of the library, but for the models of which
/// the history says something else.
#[test]
fn the_shipped_book_has_the_costs_of_today() {
    let all = cases();
    let now: DateTime<Utc> = "2026-11-29T00:00:00Z".parse().unwrap();
    let shipped = builtin().unwrap();
    let disputed: BTreeSet<&str> = shipped.skipped.iter().map(|one| one.entry.as_str()).collect();
    let is_disputed = |case: &Case| {
        let name = format!("{}/", provider_name(&case.provider));
        [case.model.as_str(), case.found.as_deref().unwrap_or_default()]
            .iter()
            .any(|model| disputed.contains(&*format!("{name}{model}")))
    };
    let priced: Vec<&Case> =
        all.iter().filter(|case| case.cost.is_some() && case.at >= now && !is_disputed(case)).collect();
    let (equal, reasons, unexplained) = compare(&shipped, &public_table().unwrap(), &priced);
    println!("{equal} of {} usages cost the same; {reasons:?}", priced.len());
    assert!(
        unexplained.is_empty(),
        "{} differ:\n{}",
        unexplained.len(),
        unexplained[..unexplained.len().min(20)].join("\n")
    );
    assert!(equal >= 1_000, "{equal} usages");
}
