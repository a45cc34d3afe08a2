use super::*;
use crate::prices::testing::{at, book};
use domain::price_book::Price;

const TABLE: &str = r#"{"source": "genai-prices 9", "licence": "MIT", "dated": "2026-11-29", "providers": [
    {"id": "openai", "models": [
        {"id": "gpt-x", "match": {"or": [{"equals": "gpt-x"}, {"equals": "gpt-x-1"}, {"starts_with": "gpt-x-"}]},
         "prices": [
            {"prices": {"input_mtok": 10, "output_mtok": 40}},
            {"constraint": {"start_date": "2025-06-01"},
             "prices": {"input_mtok": {"base": 2, "tiers": [{"start": 200000, "price": 4}]}, "cache_read_mtok": 0.5,
                        "output_mtok": 8, "web_searches_kcount": 10, "storage_searches_kcount": 2.5}}],
         "price_variants": [
            {"when": {"processing": "batch"}, "constraint": {"start_date": "2026-10-14"}, "prices": {"input_mtok": 1}},
            {"when": {"route": "eu"}, "prices": {"input_mtok": 3}}]},
        {"id": "bad", "match": {"equals": "bad"}, "prices": {"input_mtok": -1}},
        {"id": "huge", "match": {"equals": "huge"}, "prices": {"input_mtok": 18446744073709551616}},
        {"id": "odd", "match": {"equals": "odd"}, "prices": {"pages": 1}}]},
    {"id": "azure", "name": "Azure", "taxes": 7, "fallback_model_providers": ["openai"], "models": [
        {"id": "gpt-y", "match": {"starts_with": "gpt-x-1"}, "prices": {"input_mtok": 11, "output_mtok": 12}, "new": 1}]},
    {"id": "deepseek", "models": [
        {"id": "chat", "match": {"contains": "chat"}, "prices": [
            {"prices": {"input_mtok": 0.1, "cache_read_mtok": 0.01, "output_mtok": 1}},
            {"constraint": {"start_time": "16:30:00Z", "end_time": "00:30:00Z"},
             "prices": {"input_mtok": 0.05, "output_mtok": 0.5}}]}]}]}"#;

fn lines(price: &Price) -> Vec<String> {
    let line = |one: &domain::price_book::PriceComponent| format!("{} {} {}", one.meter, one.rate, one.when);
    price.components.iter().map(line).map(|line| line.trim_end().to_owned()).collect()
}

#[test]
fn each_period_has_its_prices_with_their_conditions() {
    let table = genai_prices(TABLE.as_bytes()).unwrap();
    assert_eq!(table.source.to_string(), "genai-prices 9 of 2026-11-29 (MIT)");
    let of_x: Vec<_> = table
        .prices
        .iter()
        .filter(|price| price.model.as_str() == "gpt-x" && price.provider.as_str() == "openai")
        .collect();
    let days: Vec<_> = of_x.iter().map(|price| price.effective_from.format("%Y-%m-%d").to_string()).collect();
    assert_eq!(days, ["2020-01-01", "2025-06-01", "2026-10-14"]);
    assert!(of_x[0].list_price && of_x[0].names.len() == 1 && of_x[0].patterns.len() == 1, "{:?}", of_x[0]);
    assert_eq!(lines(of_x[0]), ["input 10", "output 40"]);
    assert_eq!(lines(of_x[1]), ["input 2", "input 4 context > 200000", "output 8", "cache_read 0.5", "searches 10"]);
    // A batch costs the same for every size.
    let expected = [
        "input 2",
        "input 1 service_tier batch",
        "input 4 context > 200000",
        "input 1 context > 200000, service_tier batch",
        "output 8",
        "cache_read 0.5",
        "searches 10",
    ];
    assert_eq!(lines(of_x[2]), expected);
    // At another time of the day, cached tokens have the rate of input, as the price of that time has none for them.
    let night = table.prices.iter().find(|price| price.model.as_str() == "chat").unwrap();
    let expected = [
        "input 0.1",
        "input 0.05 16:30-00:30 UTC",
        "output 1",
        "output 0.5 16:30-00:30 UTC",
        "cache_read 0.01",
        "cache_read 0.05 16:30-00:30 UTC",
    ];
    assert_eq!(lines(night), expected);
}

#[test]
fn what_is_not_read_is_listed() {
    let table = genai_prices(TABLE.as_bytes()).unwrap();
    let not_read: Vec<_> = table.not_read.iter().map(|one| format!("{} {}", one.entry, one.field)).collect();
    let expected = [
        "openai/gpt-x price_variants route=eu",
        "openai/gpt-x prices.storage_searches_kcount",
        "azure taxes",
        "azure/gpt-y new",
    ];
    assert_eq!(not_read, expected);
    let skipped: Vec<_> = table.skipped.iter().map(|one| format!("{}: {}", one.entry, one.reason)).collect();
    assert!(skipped[0].starts_with("openai/bad: input_mtok: -1 is negative"), "{skipped:?}");
    let huge = "openai/huge: input_mtok: 18446744073709551616 has more digits than a rate can have";
    assert!(skipped[1].starts_with(huge), "{skipped:?}");
    assert!(
        skipped[2].starts_with("openai/odd: it has no price that can be read: prices.pages: no meter counts"),
        "{skipped:?}"
    );
    assert_eq!(skipped.len(), 3);
    for text in ["", "{}", "[1]", "{\"providers\": 7}", "7"] {
        assert!(genai_prices(text.as_bytes()).is_err(), "{text}");
    }
    let one = r#"[{"id": "x", "models": [7, {"id": "m"}, {"id": "n", "prices": {"input_mtok": NaN}}]}]"#;
    let table = genai_prices(one.as_bytes()).unwrap();
    assert_eq!((table.prices.len(), table.skipped.len()), (0, 3));
}

/// A provider sells the models of others at their prices, but for those that it has itself.
#[test]
fn a_provider_sells_the_models_of_others() {
    let table = genai_prices(TABLE.as_bytes()).unwrap();
    let book = book(table.prices);
    let found = |model: &str| {
        let provider = Name::new("azure").unwrap();
        let found = book.quote(Some(&provider), &Name::new(model).unwrap(), at("2026-11-01"), None).unwrap();
        (found.quote.price.model.to_string(), lines(&found.quote.price))
    };
    assert_eq!(found("gpt-x").0, "gpt-x");
    assert!(!found("gpt-x").1.iter().any(|line| line.contains("batch")), "variants are those of the provider itself");
    assert_eq!(found("gpt-x-1"), ("gpt-y".to_owned(), vec!["input 11".to_owned(), "output 12".to_owned()]));
    assert_eq!(found("gpt-x-2").0, "gpt-x");
}
