use super::entry::MAX_ENTRY_BYTES;
use super::*;
use crate::prices::testing::{at, book, display};
use domain::price_book::{MILLION, Price, PriceComponent};

const TABLE: &str = r#"{
    "sample_spec": {"litellm_provider": "one of", "input_cost_per_token": 0.0, "output_cost_per_token": 0.0},
    "plain": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 3e-06,
        "output_cost_per_token": 0.000015, "cache_read_input_token_cost": 3e-07,
        "cache_creation_input_token_cost": 3.75e-06, "output_cost_per_reasoning_token": 2e-05},
    "openai/plain": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 0.000003,
        "output_cost_per_token": 1.5E-5, "cache_read_input_token_cost": 3e-07,
        "cache_creation_input_token_cost": 3.75e-06, "output_cost_per_reasoning_token": 2e-05},
    "vertex_ai/large": {"litellm_provider": "vertex_ai-language-models", "input_cost_per_token": 1e-06,
        "output_cost_per_token": 1e-05},
    "embed": {"litellm_provider": "fireworks_ai-embedding-models", "mode": "embedding",
        "input_cost_per_token": 8e-09},
    "noisy": {"litellm_provider": "x", "input_cost_per_token": 4.000000000000001e-06,
        "output_cost_per_token": 3.0000000000000004e-08},
    "azure/eu/plain": {"litellm_provider": "azure", "input_cost_per_token": 2e-06, "output_cost_per_token": 8e-06},
    "quoted": {"litellm_provider": "codestral", "mode": "chat", "input_cost_per_token": "3e-07",
        "output_cost_per_token": "0.0000009"},
    "free": {"litellm_provider": "ollama", "mode": "chat", "input_cost_per_token": 0.0, "output_cost_per_token": 0,
        "output_cost_per_second": 0.0},

    "page": {"litellm_provider": "openai", "ocr_cost_per_page": 0.001},
    "nothing": {"litellm_provider": "openai", "mode": "moderation"},
    "no-output": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-06,
        "output_cost_per_token": null},
    "no-input": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_request": 0.1},
    "by-query": {"litellm_provider": "x", "mode": "rerank", "input_cost_per_token": 0.0, "input_cost_per_query": 0.002,
        "output_cost_per_token": 0.0},
    "minus": {"litellm_provider": "x", "input_cost_per_token": -1e-06, "output_cost_per_token": 1e-06},
    "per-thousand": {"litellm_provider": "x", "input_cost_per_token": 0.0032, "output_cost_per_token": 0.00971},
    "text": {"litellm_provider": "x", "input_cost_per_token": "cheap", "output_cost_per_token": 1e-06},
    "true": {"litellm_provider": "x", "input_cost_per_token": true, "output_cost_per_token": 1e-06},
    "huge": {"litellm_provider": "x", "input_cost_per_token": 1e+40, "output_cost_per_token": 1e-06},
    "nobody": {"litellm_provider": null, "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06},
    "list": [1, 2],
    " ": {"litellm_provider": "x", "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06},
    "x/noisy": {"litellm_provider": "x", "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06}
}"#;

/// The components of the only price of a table: meter, rate, units if they are not a million, and conditions.
fn components(entry: &str) -> (Vec<String>, Vec<String>) {
    let table = litellm(format!("{{\"m\": {entry}}}").as_bytes(), at("2026-01-01")).unwrap();
    let [price] = table.prices.as_slice() else { panic!("{:?}", table.skipped) };
    let line = |component: &PriceComponent| {
        let per = if component.per == MILLION { String::new() } else { format!(" for {}", component.per) };
        let when = if component.when.is_empty() { String::new() } else { format!(", {}", component.when) };
        format!("{} {}{per}{when}", component.meter, component.rate)
    };
    (price.components.iter().map(line).collect(), table.not_read.into_iter().map(|one| one.field).collect())
}

#[test]
fn tables_are_read_exactly_and_providers_get_their_common_names() {
    let table = litellm(TABLE.as_bytes(), at("2026-01-01")).unwrap();
    let found: Vec<String> = table
        .prices
        .iter()
        .map(|price| {
            format!(
                "{}/{} {}{}",
                price.provider,
                price.model,
                display(price),
                if price.list_price { " list price" } else { "" }
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            "openai/plain 3 15 0.3 3.75 - list price",
            "vertex_ai/large 1 10 - - -",
            "fireworks_ai/embed 0.008 - - - -",
            "x/noisy 4 0.03 - - -",
            "azure/eu/plain 2 8 - - -",
            "codestral/quoted 0.3 0.9 - - -",
            "ollama/free 0 0 - - -",
        ]
    );
    assert!(table.prices.iter().all(|price| price.effective_from == at("2026-01-01")));
    assert_eq!(table.not_read, []);
    assert_eq!(book(table.prices).quotes(None).count(), 7);
}

#[test]
fn each_cost_is_a_component_with_its_conditions() {
    let (found, not_read) = components(
        r#"{"litellm_provider": "gemini", "input_cost_per_token": 1.25e-06, "output_cost_per_token": 1e-05,
            "input_cost_per_token_above_200k_tokens": 2.5e-06, "output_cost_per_token_batches": 5e-06,
            "input_cost_per_token_above_200k_tokens_batches": 1.3e-06, "input_cost_per_token_priority": 2e-06,
            "output_cost_per_token_flex": 6e-06, "cache_creation_input_token_cost": 1e-06,
            "cache_creation_input_token_cost_above_1hr": 2e-06, "input_cost_per_image_token": 7e-06,
            "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 9e-06, "input_cost_per_audio_token": 3e-06,
            "output_cost_per_audio_token": 2e-05, "output_cost_per_reasoning_token": 3e-05,
            "input_cost_per_request": 0.005, "output_cost_per_image": 0.04, "output_cost_per_image_token": 6e-05,
            "search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_high": 0.01},
            "cache_read_input_token_cost": 1e-07, "input_cost_per_token_cache_hit": 1e-07,
            "input_cost_per_second": 0.002, "input_cost_per_character": 1e-06,
            "cache_creation_input_token_cost_above_12hr": 1, "input_cost_per_token_unknown": 1,
            "input_cost_per_token_above_some_tokens": 1, "regional_endpoint_uplift_multiplier": 1.1,
            "fly_to_the_moon": true,
            "output_cost_per_second": 0.0, "supports_vision": true, "max_input_tokens": 1000000}"#,
    );
    let expected = [
        "input 1.25",
        "input 2, service_tier priority",
        "input 2.5, context > 200000",
        "input 1.3, context > 200000, service_tier batch",
        "output 10",
        "output 5, service_tier batch",
        "output 6, service_tier flex",
        "cache_read 0.1",
        "cache_write_5min 1",
        "cache_write_1hour 2",
        "cache_write_1hour 9, context > 200000",
        "reasoning 30",
        "audio_input 3",
        "audio_output 20",
        "image_input 7",
        "image_output 60",
        "requests 0.005 for 1",
        "searches 0.01 for 1",
    ];
    assert_eq!(found, expected);
    let expected = [
        "cache_creation_input_token_cost_above_12hr",
        "fly_to_the_moon",
        "input_cost_per_character",
        "input_cost_per_second",
        "input_cost_per_token_above_some_tokens",
        "input_cost_per_token_unknown",
        "output_cost_per_image",
        "regional_endpoint_uplift_multiplier",
    ];
    assert_eq!(not_read, expected);
}

#[test]
fn what_is_not_billed_by_token_has_its_own_units() {
    let read = |costs: &str| components(&format!("{{\"litellm_provider\": \"x\", {costs}}}"));
    let speech =
        read(r#""mode": "audio_transcription", "input_cost_per_second": 0.0001, "output_cost_per_second": 0.0001"#);
    assert_eq!(speech, (vec!["media_ms 0.0001 for 1000".to_owned()], vec![]));
    let video = read(r#""mode": "video_generation", "input_cost_per_second": 0.0, "output_cost_per_second": 0.5"#);
    assert_eq!(video, (vec!["media_ms 0.5 for 1000".to_owned()], vec![]));
    let different = read(r#""input_cost_per_second": 0.1, "output_cost_per_second": 0.5"#);
    assert_eq!(different, (vec!["media_ms 0.1 for 1000".to_owned()], vec!["output_cost_per_second".to_owned()]));
    assert_eq!(read(r#""mode": "audio_speech", "input_cost_per_character": 1.5e-05"#).0, ["characters 15"]);
    assert_eq!(read(r#""output_cost_per_image": 0.04"#).0, ["images 0.04 for 1"]);
    let different = read(
        r#""input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6,
            "search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_high": 0.02}"#,
    );
    assert_eq!(
        different,
        (vec!["input 1".to_owned(), "output 1".to_owned()], vec!["search_context_cost_per_query".to_owned()])
    );
}

#[test]
fn rates_by_size_and_by_time_are_conditions() {
    let tiered = components(
        r#"{"litellm_provider": "dashscope", "mode": "chat", "tiered_pricing": [
            {"range": [0, 32000.0], "input_cost_per_token": 3e-07, "output_cost_per_token": 1.5e-06},
            {"range": [32000, 128000], "input_cost_per_token": 5e-07, "output_cost_per_token": 2.5e-06}]}"#,
    );
    let expected = ["input 0.3", "input 0.5, context > 32000", "output 1.5", "output 2.5, context > 32000"];
    assert_eq!(tiered, (expected.map(str::to_owned).to_vec(), vec![]));
    let off_peak = |extra: &str| {
        components(&format!(
            r#"{{"litellm_provider": "deepseek", "mode": "chat", "input_cost_per_token": 3e-07, "output_cost_per_token": 1.2e-06,
                "off_peak_pricing": {{"input_cost_per_token": 1.5e-07{extra}, "windows": [
                    {{"hours_utc": ["04:00-06:00", "10:00-00:00"], "weekdays": [1, 2]}},
                    {{"hours_utc": "00:00-00:00", "weekdays": [6, 7]}}]}}}}"#
        ))
    };
    let expected = [
        "input 0.3",
        "input 0.15, 00:00-00:00 UTC Sat+Sun",
        "input 0.15, 04:00-06:00 UTC Mon+Tue",
        "input 0.15, 10:00-00:00 UTC Mon+Tue",
        "output 1.2",
    ];
    assert_eq!(off_peak(""), (expected.map(str::to_owned).to_vec(), vec![]));
    let zoned = off_peak(r#", "weekday_timezone": "Asia/Shanghai""#);
    assert_eq!(zoned.1, ["off_peak_pricing"]);
    let by_results = r#"{"litellm_provider": "x", "input_cost_per_request": 0.1,
        "tiered_pricing": [{"max_results_range": [0, 25], "input_cost_per_query": 0.005}]}"#;
    assert_eq!(components(by_results), (vec!["requests 0.1 for 1".to_owned()], vec!["tiered_pricing".to_owned()]));
}

#[test]
fn multipliers_of_regions_and_speeds_are_conditions() {
    let (found, not_read) = components(
        r#"{"litellm_provider": "x", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06,
            "output_cost_per_token_batches": 1e-06, "regional_processing_uplift_multiplier_eu": 1.1,
            "provider_specific_entry": {"us": 1.2, "fast": 2.0}}"#,
    );
    let expected = [
        "input 1",
        "input 1.1, region eu",
        "input 1.2, region us",
        "input 2, speed fast",
        "input 2.2, speed fast, region eu",
        "input 2.4, speed fast, region us",
        "output 2",
        "output 2.2, region eu",
        "output 2.4, region us",
        "output 4, speed fast",
        "output 4.4, speed fast, region eu",
        "output 4.8, speed fast, region us",
        "output 1, service_tier batch",
        "output 1.1, service_tier batch, region eu",
        "output 1.2, service_tier batch, region us",
        "output 2, service_tier batch, speed fast",
        "output 2.2, service_tier batch, speed fast, region eu",
        "output 2.4, service_tier batch, speed fast, region us",
    ];
    assert_eq!(found, expected);
    assert!(not_read.is_empty(), "{not_read:?}");
    let frames = components(
        r#"{"litellm_provider": "x", "output_cost_per_second": 0.1, "provider_specific_entry": {"frames": {"480p": 1}}}"#,
    );
    assert_eq!(frames.1, ["provider_specific_entry"]);
}

/// A number that is not JSON costs its entry, and no other one.
#[test]
fn a_number_that_is_not_json_costs_its_own_entry_alone() {
    let entry = |number: &str| {
        format!(
            r#"{{"litellm_provider":"x","mode":"chat","input_cost_per_token":{number},"output_cost_per_token":2e-06}}"#
        )
    };
    let table = format!(r#"{{"n-1":{},"n-2":{}}}"#, entry("NaN"), entry("1e-06"));
    let table = litellm(table.as_bytes(), at("2026-01-01")).unwrap();
    assert_eq!(table.prices.len(), 1);
    assert_eq!(table.skipped[0].reason, "input_cost_per_token is \"NaN\", which is not a number");
}

#[test]
fn each_entry_without_a_price_is_skipped_with_its_reason() {
    let table = litellm(TABLE.as_bytes(), at("2026-01-01")).unwrap();
    let found: Vec<String> = table.skipped.iter().map(|one| format!("{}: {}", one.entry, one.reason)).collect();
    assert_eq!(
        found,
        [
            "page: it has no cost that can be read: it has ocr_cost_per_page",
            "nothing: it has no cost that can be read",
            "no-output: it has no output_cost_per_token, so that its calls would be charged in part only",
            "no-input: it has no input_cost_per_token, so that its calls would be charged in part only",
            "by-query: it costs 0 but for input_cost_per_query, which is not read",
            "minus: input_cost_per_token: -1 is negative; a rate is 0 or more",
            "per-thousand: input_cost_per_token is 3200.0000 dollars per million tokens, above the maximum of 1000",
            "text: input_cost_per_token is \"cheap\", which is not a number",
            "true: input_cost_per_token is true, which is not a number",
            "huge: input_cost_per_token is 1e+40, which is not a number",
            "nobody: it names no provider",
            "list: it is not an object",
            " : its name is invalid: the text is empty",
            "x/noisy: noisy has another price for the same model; the first is used",
        ]
    );
}

#[test]
fn a_byte_order_mark_is_skipped() {
    let entry = r#"{"m": {"litellm_provider": "x", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06}}"#;
    let table = litellm(format!("\u{feff}{entry}").as_bytes(), at("2026-01-01")).unwrap();
    assert_eq!(table.prices.len(), 1);
}

#[test]
fn an_input_that_is_not_a_table_is_an_error() {
    for text in ["", "[]", "[{\"modelName\": \"x\"}]", "{", "{\"a\": {}} {}", "7"] {
        assert!(matches!(litellm(text.as_bytes(), at("2026-01-01")), Err(TableError::Json { .. })), "{text}");
    }
}

/// A table that compresses to a few kilobytes must not take a gigabyte.
#[test]
fn the_memory_of_a_table_is_bounded() {
    let many = format!("{{{}\"a\":0}}", "\"\":0,".repeat(MAX_ENTRIES));
    let error = litellm(many.as_bytes(), at("2026-01-01")).unwrap_err();
    let is_limit =
        matches!(&error, TableError::Json { source, .. } if source.to_string().contains("more than 100000 models"));
    assert!(is_limit, "{error}");
    let long = format!("{{\"a\":{{{}\"b\":0}}}}", "\"c\":0,".repeat(MAX_ENTRY_BYTES));
    let table = litellm(long.as_bytes(), at("2026-01-01")).unwrap();
    assert_eq!(table.skipped[0].reason, SkipReason::TooLong { limit_bytes: MAX_ENTRY_BYTES }.to_string());
}

proptest::proptest! {
    #[test]
    fn arbitrary_tables_never_panic(number in "-?(0|[1-9][0-9]{0,29})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", key in ".*") {
        let key = serde_json::to_string(&key).unwrap();
        let entry = format!("{{\"litellm_provider\":{key},{key}:{number},\"input_cost_per_token\":{number},\
            \"output_cost_per_token\":{number},\"output_cost_per_token_above_99999999k_tokens\":{number}}}");
        let table = litellm(format!("{{{key}:{entry}}}").as_bytes(), at("2026-01-01")).unwrap();
        // Every price can be serialized and deserialized.
        for price in table.prices {
            let text = serde_json::to_string(&price).unwrap();
            proptest::prop_assert_eq!(serde_json::from_str::<Price>(&text).unwrap(), price);
        }
    }
}
